//! A small HTTPS server of the test's own, as cluster owners run them: extension API servers and webhooks.
use base64::Engine;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, ServerConfig};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A request that came in.
pub struct Asked {
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The client certificate's common name; empty when none was shown.
    pub certified: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect()
    }
}

/// The server; it ends when this is dropped.
pub struct Extension {
    pub address: SocketAddr,
    /// Base64 of the CA's PEM, for `caBundle`.
    pub ca: String,
    task: JoinHandle<()>,
}

impl Drop for Extension {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An address of this machine that endpoints may have: loopback ones are refused there.
pub fn own_address() -> std::net::IpAddr {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").expect("a socket");
    // Nothing is sent: this only asks the routing table.
    socket.connect("198.51.100.1:9").expect("a route");
    socket.local_addr().expect("an address").ip()
}

impl Extension {
    /// Serves under `names`. With `clients` (PEM), only who shows a certificate of that CA is heard.
    pub async fn start(
        address: &str,
        names: &[&str],
        clients: &str,
        answer: impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        let (tls, ca) = tls(names, clients);
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (acceptor, answer) = (TlsAcceptor::from(tls), Arc::new(answer));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, answer) = (acceptor.clone(), answer.clone());
                connections.spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    while let Some(asked) = read(&mut stream).await {
                        let (status, body) = answer(&asked);
                        let head =
                            format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
                        if stream.write_all(format!("{head}{body}").as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Extension { address, ca, task }
    }
}

type Stream = tokio_rustls::server::TlsStream<tokio::net::TcpStream>;

async fn read(stream: &mut Stream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        let mut buffer = [0u8; 8192];
        let n = stream.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&buffer[..n]);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_string(), first.next()?.to_string());
    let headers: Vec<(String, String)> =
        lines.filter_map(|l| l.split_once(':')).map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_string())).collect();
    let length = headers.iter().find(|(n, _)| n == "content-length").and_then(|(_, v)| v.parse().ok()).unwrap_or(0usize);
    let mut body = bytes[end..].to_vec();
    while body.len() < length {
        let mut buffer = [0u8; 8192];
        let n = stream.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
        body.extend_from_slice(&buffer[..n]);
    }
    let certified = stream.get_ref().1.peer_certificates().and_then(|c| c.first().map(|c| name_of(c))).unwrap_or_default();
    Some(Asked { method, path, headers, body, certified })
}

fn name_of(certificate: &[u8]) -> String {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).expect("a certificate");
    certificate.subject().iter_common_name().next().and_then(|n| n.as_str().ok()).unwrap_or_default().to_string()
}

fn tls(names: &[&str], clients: &str) -> (Arc<ServerConfig>, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "an extension's CA");
    let key = KeyPair::generate().expect("a key");
    let ca = params.self_signed(&key).expect("a CA");
    let issuer = Issuer::from_ca_cert_der(ca.der(), key).expect("a CA");
    let names: Vec<String> = names.iter().map(|n| n.to_string()).collect();
    let own = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(names).expect("names").signed_by(&own, &issuer).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().expect("ring knows TLS");
    let builder = match clients {
        "" => builder.with_no_client_auth(),
        pem => {
            let mut roots = RootCertStore::empty();
            for certificate in rustls_pemfile::certs(&mut pem.as_bytes()) {
                roots.add(certificate.expect("a certificate")).expect("a CA");
            }
            let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        }
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.serialize_der()));
    let config = builder.with_single_cert(vec![certificate.der().clone()], key).expect("the key fits");
    (Arc::new(config), base64::engine::general_purpose::STANDARD.encode(ca.pem()))
}

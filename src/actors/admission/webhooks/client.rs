//! The HTTPS client of webhooks: connections are kept and used again, answers are bounded.
use super::hook::{Hook, Place};
use crate::actors::aggregation::{Dial, Duplex};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Longest answer, bytes.
const MAX_ANSWER: usize = 8 * 1024 * 1024;
/// Idle connections kept for one webhook, and webhooks that any are kept for.
const IDLE: usize = 16;
const PLACES: usize = 256;
/// Where machines keep the roots that they trust.
const ROOTS: [&str; 3] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

type Connection = SendRequest<Full<Bytes>>;

/// See the module.
pub struct Client {
    services: Arc<dyn Dial>,
    idle: Mutex<HashMap<Target, Vec<Connection>>>,
    /// TLS settings by CA.
    tls: Mutex<HashMap<Vec<u8>, Arc<ClientConfig>>>,
}

/// What a connection is good for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Target {
    /// The name in the certificate.
    name: String,
    port: u16,
    ca: Vec<u8>,
}

/// A webhook's address, taken apart.
struct Address {
    target: Target,
    path: String,
    /// As upstream prints it.
    url: String,
    service: Option<(String, String)>,
}

impl Client {
    pub fn new(services: Arc<dyn Dial>) -> Self {
        Client { services, idle: Mutex::default(), tls: Mutex::default() }
    }

    /// Posts a review and returns the answer's body.
    ///
    /// # Errors
    /// What went wrong, as Go's client says it: `Post "https://…": …`.
    pub async fn post(&self, hook: &Hook, body: Vec<u8>) -> Result<Bytes, String> {
        let place = locate(hook)?;
        let failed = |why: String| format!("Post \"{}\": {why}", place.url);
        let exchange = tokio::time::timeout(hook.timeout, self.exchange(&place, Bytes::from(body)));
        match exchange.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(why)) => Err(failed(why)),
            Err(_) => Err(failed("context deadline exceeded".into())),
        }
    }

    async fn exchange(&self, place: &Address, body: Bytes) -> Result<Bytes, String> {
        // A kept connection may have been closed by the other side; then a new one is tried.
        while let Some(connection) = self.kept(&place.target) {
            match self.send(connection, place, body.clone()).await {
                Err(Fault::Broken(_)) => {}
                Err(Fault::Answer(why)) => return Err(why),
                Ok(answer) => return Ok(answer),
            }
        }
        let connection = self.connect(place).await?;
        self.send(connection, place, body).await.map_err(|fault| match fault {
            Fault::Broken(why) | Fault::Answer(why) => why,
        })
    }

    async fn send(&self, mut connection: Connection, place: &Address, body: Bytes) -> Result<Bytes, Fault> {
        let request = hyper::Request::post(&place.path)
            .header(
                "host",
                if place.target.port == 443 { place.target.name.clone() } else { format!("{}:{}", place.target.name, place.target.port) },
            )
            .header("content-type", "application/json")
            .header("accept", "application/json, */*")
            .header("user-agent", concat!("kube-apiserver-admission impresario/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(body))
            .map_err(|e| Fault::Answer(e.to_string()))?;
        connection.ready().await.map_err(|e| Fault::Broken(e.to_string()))?;
        let answer = connection.send_request(request).await.map_err(|e| Fault::Broken(e.to_string()))?;
        let code = answer.status();
        let limited = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let body = limited.map_err(|e| Fault::Answer(e.to_string()))?.to_bytes();
        self.keep(place.target.clone(), connection);
        if !code.is_success() {
            let said = String::from_utf8_lossy(body.get(..body.len().min(512)).unwrap_or_default()).trim().to_string();
            let why = if said.is_empty() { "the server rejected our request for an unknown reason".into() } else { said };
            return Err(Fault::Answer(format!("{code}: {why}")));
        }
        Ok(body)
    }

    async fn connect(&self, place: &Address) -> Result<Connection, String> {
        let tls = self.tls_for(&place.target.ca)?;
        let name = ServerName::try_from(place.target.name.clone()).map_err(|e| e.to_string())?;
        let (host, port) = (place.target.name.as_str(), place.target.port);
        let stream: Box<dyn Duplex> = match &place.service {
            Some((namespace, service)) => self.services.dial(namespace, service, port).await?,
            None => {
                let stream = TcpStream::connect((host, port)).await.map_err(|e| format!("dial tcp {host}:{port}: {e}"))?;
                // A review is one write; waiting for more would only cost time.
                let _ = stream.set_nodelay(true);
                Box::new(stream)
            }
        };
        let stream = TlsConnector::from(tls).connect(name, stream).await.map_err(|e| format!("tls: failed to verify certificate: {e}"))?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a webhook's connection ended");
            }
        });
        Ok(sender)
    }

    fn kept(&self, target: &Target) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let held = idle.get_mut(target)?;
        while let Some(connection) = held.pop() {
            if !connection.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    fn keep(&self, target: Target, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= PLACES && !idle.contains_key(&target) {
            idle.clear();
        }
        let held = idle.entry(target).or_default();
        if held.len() < IDLE {
            held.push(connection);
        }
    }

    fn tls_for(&self, ca: &[u8]) -> Result<Arc<ClientConfig>, String> {
        let mut held = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = held.get(ca) {
            return Ok(config.clone());
        }
        let config = Arc::new(tls(ca)?);
        if held.len() >= PLACES {
            held.clear();
        }
        held.insert(ca.to_vec(), config.clone());
        Ok(config)
    }
}

/// Why an exchange failed.
enum Fault {
    /// The connection; nothing is known of the request.
    Broken(String),
    Answer(String),
}

fn tls(ca: &[u8]) -> Result<ClientConfig, String> {
    let system = || ROOTS.iter().find_map(|path| std::fs::read(path).ok()).unwrap_or_default();
    let pem = if ca.is_empty() { system() } else { ca.to_vec() };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|e| format!("unable to load root certificates: {e}"))?;
        // Of the machine's many roots one may be of a kind that rustls does not take; the others are good all the same.
        if let Err(error) = roots.add(certificate)
            && !ca.is_empty()
        {
            return Err(format!("unable to load root certificates: {error}"));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn locate(hook: &Hook) -> Result<Address, String> {
    let seconds = hook.timeout.as_secs();
    let (name, port, path, service) = match &hook.place {
        Place::Service { namespace, name, path, port } => {
            (format!("{name}.{namespace}.svc"), *port, path.clone(), Some((namespace.clone(), name.clone())))
        }
        Place::Url(url) => {
            let url: hyper::Uri = url.parse().map_err(|e| format!("invalid webhook url: {e}"))?;
            let host = url.host().ok_or("invalid webhook url: no host")?.trim_matches(['[', ']']).to_string();
            (host, url.port_u16().unwrap_or(443), url.path_and_query().map(ToString::to_string).unwrap_or_default(), None)
        }
    };
    let path = if path.starts_with('/') { path } else { format!("/{path}") };
    let path = format!("{path}{}timeout={seconds}s", if path.contains('?') { '&' } else { '?' });
    let url = format!("https://{name}:{port}{path}");
    Ok(Address { target: Target { name, port, ca: hook.ca.clone() }, path, url, service })
}

//! The server that a kubeconfig's current context names, and posting to it.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long an answer may take, upstream's limit.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of an answer.
const LONGEST: usize = 1024 * 1024;

/// A kubeconfig that names no server to call.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct CallerError {
    file: String,
    problem: String,
}

/// Posts to one server.
pub struct Caller {
    host: String,
    port: u16,
    path: String,
    /// `None` for plain HTTP.
    tls: Option<Arc<ClientConfig>>,
    authorization: Option<String>,
}

impl Caller {
    /// Reads a kubeconfig.
    pub fn from_kubeconfig(path: &Path) -> Result<Caller, CallerError> {
        let wrong = |problem: String| CallerError { file: path.display().to_string(), problem };
        let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
        let config: Value = serde_yaml::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        parse(&config, path.parent().unwrap_or(Path::new("."))).map_err(wrong)
    }

    /// Posts a JSON body and answers with the answer's. Anything but a good status is an error.
    pub async fn post(&self, body: Vec<u8>) -> Result<Bytes, String> {
        let exchange = async {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|e| e.to_string())?;
            let _ = stream.set_nodelay(true);
            match &self.tls {
                None => self.exchange(stream, body).await,
                Some(tls) => {
                    let name = ServerName::try_from(self.host.clone()).map_err(|e| e.to_string())?;
                    let stream = TlsConnector::from(tls.clone()).connect(name, stream).await.map_err(|e| e.to_string())?;
                    self.exchange(stream, body).await
                }
            }
        };
        tokio::time::timeout(PATIENCE, exchange).await.unwrap_or_else(|_| Err("context deadline exceeded".into()))
    }

    async fn exchange<S>(&self, stream: S, body: Vec<u8>) -> Result<Bytes, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        let driver = tokio::spawn(connection);
        let mut request = hyper::Request::post(&self.path).header("host", format!("{}:{}", self.host, self.port));
        request = request.header("content-type", "application/json").header("accept", "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|e| e.to_string())?;
        let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST).collect().await.map_err(|e| e.to_string())?.to_bytes();
        driver.abort();
        if status.is_success() { Ok(body) } else { Err(format!("the server answered {status}")) }
    }
}

fn parse(config: &Value, folder: &Path) -> Result<Caller, String> {
    let current = config["current-context"].as_str().unwrap_or_default();
    let context = named(config, "contexts", "context", current).ok_or("it has no current context")?;
    let cluster =
        named(config, "clusters", "cluster", context["cluster"].as_str().unwrap_or_default()).ok_or("its context has no cluster")?;
    let user = named(config, "users", "user", context["user"].as_str().unwrap_or_default()).unwrap_or(&Value::Null);
    let server = cluster["server"].as_str().unwrap_or_default();
    let uri: http::Uri = server.parse().map_err(|e| format!("server \"{server}\": {e}"))?;
    let host = uri.host().ok_or_else(|| format!("server \"{server}\" has no host"))?.trim_matches(['[', ']']).to_string();
    let encrypted = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(format!("server \"{server}\" is no URL of http or https")),
    };
    let tls = if encrypted { Some(Arc::new(tls(cluster, user, folder)?)) } else { None };
    let bearer = match (user["token"].as_str(), user["tokenFile"].as_str()) {
        (Some(token), _) => Some(token.to_string()),
        (None, Some(file)) => Some(std::fs::read_to_string(folder.join(file)).map_err(|e| format!("{file}: {e}"))?.trim().to_string()),
        (None, None) => None,
    };
    let authorization = match (bearer, user["username"].as_str()) {
        (Some(token), _) => Some(format!("Bearer {token}")),
        (None, Some(name)) => {
            Some(format!("Basic {}", STANDARD.encode(format!("{name}:{}", user["password"].as_str().unwrap_or_default()))))
        }
        (None, None) => None,
    };
    let path = uri.path_and_query().map_or("/", |p| p.as_str()).to_string();
    Ok(Caller { host, port: uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 }), path, tls, authorization })
}

fn named<'a>(config: &'a Value, list: &str, field: &str, name: &str) -> Option<&'a Value> {
    config[list].as_array()?.iter().find(|entry| entry["name"] == name).map(|entry| &entry[field])
}

/// What a field or its file has: `certificate-authority-data` or `certificate-authority`.
fn data(entry: &Value, field: &str, folder: &Path) -> Result<Option<Vec<u8>>, String> {
    if let Some(text) = entry[format!("{field}-data")].as_str() {
        return STANDARD.decode(text).map(Some).map_err(|e| format!("{field}-data: {e}"));
    }
    match entry[field].as_str() {
        Some(file) => std::fs::read(folder.join(file)).map(Some).map_err(|e| format!("{file}: {e}")),
        None => Ok(None),
    }
}

fn tls(cluster: &Value, user: &Value, folder: &Path) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
    let builder = if cluster["insecure-skip-tls-verify"] == true {
        builder.dangerous().with_custom_certificate_verifier(crate::storage::pki::anybody())
    } else {
        let pem = data(cluster, "certificate-authority", folder)?.ok_or("its cluster has no certificate-authority")?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots
                .add(certificate.map_err(|e| format!("certificate-authority: {e}"))?)
                .map_err(|e| format!("certificate-authority: {e}"))?;
        }
        builder.with_root_certificates(roots)
    };
    match (data(user, "client-certificate", folder)?, data(user, "client-key", folder)?) {
        (Some(certificate), Some(key)) => {
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
            let key = PrivateKeyDer::from_pem_slice(&key).map_err(|e| format!("client-key: {e}"))?;
            builder.with_client_auth_cert(chain.map_err(|e| format!("client-certificate: {e}"))?, key).map_err(|e| e.to_string())
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}

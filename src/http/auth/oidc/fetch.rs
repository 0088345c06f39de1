//! The keys of an issuer: its discovery document says where they are.
use super::OidcError;
use crate::config::Oidc;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use jsonwebtoken::jwk::JwkSet;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Documents are a few kilobytes.
const LARGEST: usize = 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(15);
/// Where systems keep the authorities that they trust, when the settings name none.
const SYSTEM_BUNDLES: [&str; 3] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// Fetches the keys of the issuer.
pub(super) async fn keys(settings: &Oidc) -> Result<JwkSet, OidcError> {
    let tls = tls(settings)?;
    let url = format!("{}/.well-known/openid-configuration", settings.issuer.trim_end_matches('/'));
    let document: Value = read(&url, &get(&url, &tls).await?)?;
    let failed = |why: String| OidcError::Fetch { url: url.clone(), why };
    if document["issuer"] != settings.issuer.as_str() {
        return Err(failed(format!("it is the document of {}", document["issuer"])));
    }
    let keys = document["jwks_uri"].as_str().ok_or_else(|| failed("it names no jwks_uri".into()))?;
    read(keys, &get(keys, &tls).await?)
}

fn read<T: serde::de::DeserializeOwned>(url: &str, body: &[u8]) -> Result<T, OidcError> {
    serde_json::from_slice(body).map_err(|e| OidcError::Fetch { url: url.into(), why: e.to_string() })
}

fn tls(settings: &Oidc) -> Result<Arc<ClientConfig>, OidcError> {
    let named = (!settings.ca_file.is_empty()).then_some(settings.ca_file.as_str());
    let path = named.or_else(|| SYSTEM_BUNDLES.into_iter().find(|p| std::path::Path::new(p).exists()));
    let failed = |why: String| OidcError::Fetch { url: settings.issuer.clone(), why };
    let path = path.ok_or_else(|| failed("this machine has no bundle of authorities: set caFile".into()))?;
    let pem = std::fs::read(path).map_err(|e| failed(format!("{path}: {e}")))?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_pemfile::certs(&mut pem.as_slice()).flatten());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|e| failed(e.to_string()))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

async fn get(url: &str, tls: &Arc<ClientConfig>) -> Result<Bytes, OidcError> {
    let failed = |why: String| OidcError::Fetch { url: url.into(), why };
    match tokio::time::timeout(PATIENCE, request(url, tls)).await {
        Ok(outcome) => outcome.map_err(failed),
        Err(_) => Err(failed("no answer in time".into())),
    }
}

async fn request(url: &str, tls: &Arc<ClientConfig>) -> Result<Bytes, String> {
    let uri: http::Uri = url.parse().map_err(|e| format!("{e}"))?;
    let host = uri.host().filter(|_| uri.scheme_str() == Some("https")).ok_or("it is no https URL")?;
    let port = uri.port_u16().unwrap_or(443);
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_string()).map_err(|e| e.to_string())?;
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await.map_err(|e| e.to_string())?;
    let stream = TlsConnector::from(tls.clone()).connect(name, stream).await.map_err(|e| e.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    let driver = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    let request =
        http::Request::get(path).header("host", uri.authority().map_or(host, |a| a.as_str())).header("accept", "application/json");
    let request = request.body(Empty::<Bytes>::new()).map_err(|e| e.to_string())?;
    let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
    if !response.status().is_success() {
        return Err(format!("the answer is {}", response.status()));
    }
    let body = Limited::new(response.into_body(), LARGEST).collect().await.map_err(|e| e.to_string())?.to_bytes();
    driver.abort();
    Ok(body)
}

//! Connections to extension API servers: TLS that shows who we are, to a place behind their Service.
use super::Route;
use crate::storage::pki::{FrontProxy, anybody};
use async_trait::async_trait;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(6);
/// TLS settings that are kept.
const KEPT: usize = 256;
/// Where machines keep the roots that they trust.
const ROOTS: [&str; 3] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// A byte stream both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// Opens connections to a place behind a Service.
#[async_trait]
pub trait Dial: Send + Sync {
    /// # Errors
    /// Why there is none, in upstream's words.
    async fn dial(&self, namespace: &str, service: &str, port: u16) -> Result<Box<dyn Duplex>, String>;
}

/// See the module.
pub struct Remote {
    identity: Arc<FrontProxy>,
    dial: OnceLock<Arc<dyn Dial>>,
    /// By CA and whether any certificate is good. Kept, so that sessions are resumed.
    tls: Mutex<HashMap<(Vec<u8>, bool), Arc<ClientConfig>>>,
}

impl Remote {
    pub(super) fn new(identity: Arc<FrontProxy>) -> Self {
        Remote { identity, dial: OnceLock::new(), tls: Mutex::default() }
    }

    /// How connections are opened; until this is said, there are none.
    pub fn dial_by(&self, dial: Arc<dyn Dial>) {
        let _ = self.dial.set(dial);
    }

    /// A connection to the server of a route.
    pub async fn connect(&self, route: &Route) -> Result<TlsStream<Box<dyn Duplex>>, String> {
        let connect = async {
            let dial = self.dial.get().ok_or("the server is still starting")?;
            let tls = self.tls_for(route)?;
            let name = ServerName::try_from(route.server_name()).map_err(|e| e.to_string())?;
            let stream = dial.dial(&route.namespace, &route.service, route.port).await?;
            TlsConnector::from(tls).connect(name, stream).await.map_err(|e| format!("tls: {e}"))
        };
        tokio::time::timeout(PATIENCE, connect).await.unwrap_or_else(|_| Err("context deadline exceeded".into()))
    }

    fn tls_for(&self, route: &Route) -> Result<Arc<ClientConfig>, String> {
        let key = (route.ca.clone(), route.insecure);
        let mut held = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = held.get(&key) {
            return Ok(config.clone());
        }
        let config = Arc::new(self.identity.client_config(|builder| match route.insecure {
            true => Ok(builder.dangerous().with_custom_certificate_verifier(anybody())),
            false => Ok(builder.with_root_certificates(roots(&route.ca)?)),
        })?);
        if held.len() >= KEPT {
            held.clear();
        }
        held.insert(key, config.clone());
        Ok(config)
    }
}

fn roots(ca: &[u8]) -> Result<RootCertStore, String> {
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
    Ok(roots)
}

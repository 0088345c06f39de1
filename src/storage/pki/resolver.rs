//! The server's certificate as rustls asks for it at every handshake: it can change while the server runs.
use super::authority::Keyed;
use super::identity::Validity;
use super::{PkiError, tls};
use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::Arc;

#[derive(Debug)]
struct Current {
    key: Arc<CertifiedKey>,
    validity: Validity,
}

/// A certificate, its key and its chain, behind an atomic pointer.
#[derive(Debug)]
pub struct ServerCertificate {
    current: ArcSwap<Current>,
}

impl ServerCertificate {
    pub(super) fn new(keyed: &Keyed, ca: &CertificateDer<'static>) -> Result<ServerCertificate, PkiError> {
        Ok(ServerCertificate { current: ArcSwap::from_pointee(current(keyed, ca)?) })
    }

    /// Shows `keyed` from the next handshake on.
    pub(super) fn replace(&self, keyed: &Keyed, ca: &CertificateDer<'static>) -> Result<(), PkiError> {
        self.current.store(Arc::new(current(keyed, ca)?));
        Ok(())
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.current.load().validity.is_due(now)
    }

    /// Until when the certificate shown now is good.
    pub fn good_until(&self) -> Timestamp {
        self.current.load().validity.until
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load().key.clone())
    }
}

fn current(keyed: &Keyed, ca: &CertificateDer<'static>) -> Result<Current, PkiError> {
    // The CA goes along: a joining machine knows only its hash.
    let chain = vec![keyed.certificate.clone(), ca.clone()];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(keyed.key.serialize_der()));
    let key = CertifiedKey::from_der(chain, key, &tls::provider()).map_err(|e| PkiError::Crypto("use the server's key", e.to_string()))?;
    Ok(Current { key: Arc::new(key), validity: Validity::of(&keyed.certificate)? })
}

//! The TLS configurations: HTTPS for clients, the mesh's two ends, and the machine that joins knowing only a hash.
use super::{NodeIdentity, Pki, PkiError, identity};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use std::sync::Arc;

/// What the mesh calls itself in the TLS handshake.
pub const MESH_ALPN: &[u8] = b"impresario-mesh/1";

/// The name that nodes expect in the server's certificate, whatever address they dial: what proves the server is the
/// cluster's CA, and only servers get a certificate with this name.
pub const MESH_SERVER_NAME: &str = "kubernetes";

/// The one cryptographic provider.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub(super) fn tls_error(action: &'static str) -> impl FnOnce(rustls::Error) -> PkiError {
    move |error| PkiError::Crypto(action, error.to_string())
}

fn roots(ca: &CertificateDer<'_>) -> Result<Arc<RootCertStore>, PkiError> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone().into_owned()).map_err(tls_error("trust the cluster's CA"))?;
    Ok(Arc::new(roots))
}

impl Pki {
    /// HTTPS: h2 and http/1.1; a client certificate is checked when shown, and need not be shown.
    pub fn https_server_config(&self) -> Result<Arc<ServerConfig>, PkiError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(tls_error("set up TLS"))?
            .with_client_cert_verifier(self.client_verifier()?)
            .with_cert_resolver(self.server_certificate().clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// The mesh's server: TLS 1.3 only; joining machines have no certificate yet. Sessions are not resumed, so that
    /// every connection shows a certificate that is good now.
    pub fn mesh_server_config(&self) -> Result<Arc<ServerConfig>, PkiError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(tls_error("set up TLS 1.3"))?
            .with_client_cert_verifier(self.client_verifier()?)
            .with_cert_resolver(self.server_certificate().clone());
        config.alpn_protocols = vec![MESH_ALPN.to_vec()];
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    fn client_verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, PkiError> {
        WebPkiClientVerifier::builder_with_provider(roots(self.ca_certificate())?, provider())
            .allow_unauthenticated()
            .build()
            .map_err(|e| PkiError::Crypto("check client certificates", e.to_string()))
    }
}

/// A node's end of the mesh: shows its certificate, trusts the cluster's CA alone.
pub fn mesh_client_config(node: &NodeIdentity) -> Result<ClientConfig, PkiError> {
    let unreadable = |what| move |e: rustls::pki_types::pem::Error| PkiError::Crypto(what, e.to_string());
    let ca = CertificateDer::from_pem_slice(node.ca.as_bytes()).map_err(unreadable("read the CA's certificate"))?;
    let certificate = CertificateDer::from_pem_slice(node.certificate.as_bytes()).map_err(unreadable("read the node's certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(node.key.as_bytes()).map_err(unreadable("read the node's key"))?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(tls_error("set up TLS 1.3"))?
        .with_root_certificates(roots(&ca)?)
        .with_client_auth_cert(vec![certificate], key)
        .map_err(tls_error("use the node's certificate"))?;
    config.alpn_protocols = vec![MESH_ALPN.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// A joining machine's end: no certificate, and trust in the one CA whose public key has this SHA-256 (hex).
pub fn joining_client_config(ca_hash: &str) -> Result<ClientConfig, PkiError> {
    let verifier = PinnedAuthority { ca_hash: ca_hash.to_ascii_lowercase(), provider: provider() };
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(tls_error("set up TLS 1.3"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![MESH_ALPN.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// Accepts a server whose chain holds the CA with the known key, and whose own certificate that CA signed for the name.
#[derive(Debug)]
struct PinnedAuthority {
    ca_hash: String,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let is_pinned = |der: &&CertificateDer<'_>| identity::certificate_fingerprint(der).is_ok_and(|hash| hash == self.ca_hash);
        let unknown = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let ca = intermediates.iter().find(is_pinned).ok_or_else(unknown)?;
        let roots = roots(ca).map_err(|_| unknown())?;
        WebPkiServerVerifier::builder_with_provider(roots, self.provider.clone())
            .build()
            .map_err(|e| rustls::Error::General(e.to_string()))?
            .verify_server_cert(end_entity, &[], server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("the mesh speaks TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

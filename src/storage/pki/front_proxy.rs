//! How this server proves itself to extension API servers: a certificate by a CA of its own, the request-header CA. Who shows a
//! certificate of that CA is believed when it says on whose behalf it asks; so nothing else is ever signed by it.
use super::authority::{Authority, Keyed, Names, Template, Usage};
use super::tls::{provider, tls_error};
use super::{LEAF_DAYS, PkiError};
use jiff::Timestamp;
use rustls::client::WantsClientCert;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, ConfigBuilder, WantsVerifier};
use std::path::Path;

/// The common name in the certificate, the one that extension API servers are told to accept.
pub const FRONT_PROXY_NAME: &str = "front-proxy-client";

/// The request-header CA's certificate, and the pair that it signed.
#[derive(Debug)]
pub struct FrontProxy {
    ca: String,
    client: Keyed,
}

impl FrontProxy {
    pub(super) fn open_or_create(dir: &Path, now: Timestamp) -> Result<FrontProxy, PkiError> {
        let authority = Authority::open_or_create(dir, "front-proxy-ca", "front-proxy-ca", now)?;
        let template = Template {
            common_name: FRONT_PROXY_NAME.into(),
            organizations: Vec::new(),
            names: Names::default(),
            usage: Usage::Client,
            days: LEAF_DAYS,
        };
        let client = authority.keep_or_issue(dir, "front-proxy-client", &template, now)?;
        Ok(FrontProxy { ca: authority.pem().to_string(), client })
    }

    /// The request-header CA's certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca
    }

    /// A client's TLS settings that show the certificate; `trust` says which servers are believed.
    pub fn client_config(
        &self,
        trust: impl FnOnce(ConfigBuilder<ClientConfig, WantsVerifier>) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, String>,
    ) -> Result<ClientConfig, String> {
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = trust(builder.map_err(tls_error("set up TLS")).map_err(|e| e.to_string())?)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.client.key.serialize_der()));
        builder.with_client_auth_cert(vec![self.client.certificate.clone()], key).map_err(|e| e.to_string())
    }
}

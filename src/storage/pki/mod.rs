//! The cluster's keys on disk (`<data>/pki/`) and everything that is derived from them: certificates, TLS
//! configurations, the administrator's kubeconfig, join tokens.
//!
//! | file | meaning |
//! |---|---|
//! | `ca.crt`, `ca.key` | the cluster CA: ten years; its key signs every other certificate |
//! | `server.crt`, `server.key` | what the API server and the mesh show; one year, renewed while running |
//! | `admin.crt`, `admin.key` | `kubernetes-admin` of `system:masters`; one year, renewed at start |
//! | `front-proxy-ca.crt`, `front-proxy-ca.key` | the request-header CA: signs nothing but the next pair |
//! | `front-proxy-client.crt`, `front-proxy-client.key` | by which extension API servers know this server; one year, renewed at start |
//! | `sa.key` | signs service account tokens |
//! | `secrets.keys` | encrypts Secrets at rest; the newest key first |
//! | `tokens.json`, `join-token` | who may join; see [`tokens`] |
//! | `node.crt`, `node.key` | this machine's own identity when it is a node; see [`node`] |
//!
//! Keys never change by themselves: a renewal gives the same key a new certificate, so that the pair on disk always
//! fits together, whenever the power goes. To rotate a key, remove both files.
mod authority;
mod files;
mod front_proxy;
mod identity;
mod kubeconfig;
pub mod node;
mod request;
mod resolver;
mod sealing;
#[cfg(test)]
mod tests;
pub mod tls;
pub mod tokens;
mod trusting;

pub use authority::Authority;
pub use front_proxy::{FRONT_PROXY_NAME, FrontProxy};
pub use identity::{Identity, identity_of, request_fingerprint};
pub use node::NodeIdentity;
pub use request::{ParsedRequest, check_certificates, not_after};
pub use resolver::ServerCertificate;
pub use sealing::SealingKeys;
pub use tokens::{JoinToken, TokenError, Tokens};
pub use trusting::{anybody, trusting};

use authority::{Keyed, Names, Template, Usage};
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long server, node and client certificates are good for, in days.
pub const LEAF_DAYS: u32 = 365;
/// How long the cluster CA is good for, in days.
pub const CA_DAYS: u32 = 3650;

/// What went wrong with the cluster's keys.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    /// A file is there but is not what it should be.
    #[error("{} {what}; {advice}", path.display())]
    Unusable { path: PathBuf, what: String, advice: String },
    /// A certificate request was refused.
    #[error("the certificate request is not acceptable: {0}")]
    Request(String),
    /// A certificate or request in an API object is not one; in upstream's words.
    #[error("{0}")]
    RequestText(String),
    /// A certificate that somebody presented cannot be read.
    #[error("the certificate cannot be read: {0}")]
    Certificate(String),
    /// The name cannot be a node's name.
    #[error("\"{0}\" cannot be a node's name: it must be a lowercase DNS subdomain of at most 253 characters")]
    NodeName(String),
    /// The cryptographic library refused.
    #[error("cannot {0}: {1}")]
    Crypto(&'static str, String),
}

/// What the certificates say.
#[derive(Clone, Debug)]
pub struct PkiConfig {
    /// The CA's common name, and the cluster's name in kubeconfigs.
    pub cluster_name: String,
    /// Names (or addresses) under which the server is reached, beside the usual ones.
    pub server_names: Vec<String>,
    /// Addresses under which the server is reached, the first of the service CIDR among them.
    pub server_ips: Vec<IpAddr>,
}

/// The cluster's keys, opened. Holds the CA's private key: only servers have one.
pub struct Pki {
    dir: PathBuf,
    config: PkiConfig,
    authority: Authority,
    server: Arc<ServerCertificate>,
    admin: Keyed,
    front_proxy: Arc<FrontProxy>,
    service_account: String,
    tokens: Tokens,
    server_secret: ring::hmac::Key,
    renewal: Mutex<()>,
}

impl fmt::Debug for Pki {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pki").field("dir", &self.dir).field("ca_hash", &self.ca_hash()).finish_non_exhaustive()
    }
}

impl Pki {
    /// Opens the keys in `dir`, making what is missing. Certificates whose names changed, or which have lived two
    /// thirds of their life, are reissued.
    ///
    /// # Errors
    /// Files that are damaged, or belong to another cluster, are never overwritten: the error names the file and the remedy.
    pub fn open_or_create(dir: &Path, config: PkiConfig) -> Result<Pki, PkiError> {
        Self::open_at(dir, config, crate::protocol::time::now())
    }

    /// [`Pki::open_or_create`], as if it were `now`.
    pub fn open_at(dir: &Path, config: PkiConfig, now: Timestamp) -> Result<Pki, PkiError> {
        files::make_dir(dir)?;
        let authority = Authority::open_or_create(dir, "ca", &config.cluster_name, now)?;
        let server = authority.keep_or_issue(dir, "server", &server_template(&config), now)?;
        let admin = authority.keep_or_issue(dir, "admin", &admin_template(), now)?;
        let front_proxy = Arc::new(FrontProxy::open_or_create(dir, now)?);
        let service_account = authority::key_file(&dir.join("sa.key"))?.serialize_pem();
        let tokens = Tokens::open_or_create(dir, authority.fingerprint(), now)?;
        let server_secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, server.key.serialized_der());
        let server = Arc::new(ServerCertificate::new(&server, authority.certificate())?);
        let dir = dir.to_path_buf();
        Ok(Pki { dir, config, authority, server, admin, front_proxy, service_account, tokens, server_secret, renewal: Mutex::new(()) })
    }

    /// The cluster's name.
    pub fn cluster_name(&self) -> &str {
        &self.config.cluster_name
    }

    /// The CA's certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        self.authority.pem()
    }

    /// The CA's certificate.
    pub fn ca_certificate(&self) -> &CertificateDer<'static> {
        self.authority.certificate()
    }

    /// `sha256:<hex of the CA's SubjectPublicKeyInfo>`, as `kubeadm join --discovery-token-ca-cert-hash` wants it.
    pub fn ca_hash(&self) -> String {
        format!("sha256:{}", self.authority.fingerprint())
    }

    /// The key that signs service account tokens: ECDSA P-256, PKCS#8 PEM.
    pub fn service_account_key_pem(&self) -> &str {
        &self.service_account
    }

    /// How extension API servers know this server.
    pub fn front_proxy(&self) -> &Arc<FrontProxy> {
        &self.front_proxy
    }

    /// The join tokens.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// A secret for some purpose, derived from this server's key: the same after a restart, another on another server.
    pub fn server_secret(&self, purpose: &str) -> ring::hmac::Tag {
        ring::hmac::sign(&self.server_secret, purpose.as_bytes())
    }

    /// The server's certificate, which a renewal swaps while connections go on.
    pub fn server_certificate(&self) -> &Arc<ServerCertificate> {
        &self.server
    }

    /// Signs a client certificate for the key in `request` (PKCS#10, DER). Of the request only the key is used: what
    /// the certificate says is decided by the caller. Answers PEM.
    pub fn issue_client(&self, request: &[u8], common_name: &str, organizations: &[String], days: u32) -> Result<String, PkiError> {
        let template = Template {
            common_name: common_name.to_string(),
            organizations: organizations.to_vec(),
            names: Names::default(),
            usage: Usage::Client,
            days,
        };
        self.authority.issue_for_request(request, &template, crate::protocol::time::now())
    }

    /// Signs a request as it stands, for these usages (as CertificateSigningRequests spell them) and at most this long. What the
    /// request asks for must have been judged before. Answers PEM.
    pub fn sign_request(&self, request: &ParsedRequest, usages: &[&str], life: Duration, now: Timestamp) -> Result<String, PkiError> {
        self.authority.sign_request(request, usages, life, now)
    }

    /// Signs the certificate of the node `node`: `system:node:<node>` of `system:nodes`. Answers PEM.
    pub fn issue_node(&self, request: &[u8], node: &str) -> Result<String, PkiError> {
        node::check_name(node)?;
        self.authority.issue_for_request(request, &node::template(node), crate::protocol::time::now())
    }

    /// Makes (or keeps) the identity of the node that runs in this same process, without a token.
    pub fn enroll_local_node(&self, node: &str) -> Result<NodeIdentity, PkiError> {
        node::check_name(node)?;
        let now = crate::protocol::time::now();
        let keyed = self.authority.keep_or_issue(&self.dir, "node", &node::template(node), now)?;
        Ok(NodeIdentity { node: node.to_string(), certificate: keyed.pem, key: keyed.key.serialize_pem(), ca: self.ca_pem().to_string() })
    }

    /// The administrator's kubeconfig for the server at `server_url`, with everything embedded.
    pub fn admin_kubeconfig(&self, server_url: &str) -> String {
        kubeconfig::render(&kubeconfig::Entry {
            cluster: &self.config.cluster_name,
            server: server_url,
            user: ADMIN_NAME,
            ca_pem: self.ca_pem(),
            certificate_pem: &self.admin.pem,
            key_pem: &self.admin.key.serialize_pem(),
        })
    }

    /// Gives the server a new certificate when two thirds of the present one's life are over; handshakes from now on
    /// see the new one. Answers whether it did. To be called about daily.
    pub fn renew_if_due(&self, now: Timestamp) -> Result<bool, PkiError> {
        let _one_at_a_time = self.renewal.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if !self.server.is_due(now) {
            return Ok(false);
        }
        let keyed = self.authority.keep_or_issue(&self.dir, "server", &server_template(&self.config), now)?;
        self.server.replace(&keyed, self.authority.certificate())?;
        Ok(true)
    }
}

const ADMIN_NAME: &str = "kubernetes-admin";

fn admin_template() -> Template {
    Template {
        common_name: ADMIN_NAME.into(),
        organizations: vec!["system:masters".into()],
        names: Names::default(),
        usage: Usage::Client,
        days: LEAF_DAYS,
    }
}

fn server_template(config: &PkiConfig) -> Template {
    let usual = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"];
    let mut dns: BTreeSet<String> = usual.into_iter().map(String::from).collect();
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    dns.extend(host.into_iter().filter(|name| !name.is_empty()));
    let mut ips = BTreeSet::from([IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    for name in &config.server_names {
        // An address among the names is meant as an address.
        let _new = match name.parse() {
            Ok(ip) => ips.insert(ip),
            Err(_) => dns.insert(name.clone()),
        };
    }
    ips.extend(config.server_ips.iter().copied());
    Template {
        common_name: "kube-apiserver".into(),
        organizations: Vec::new(),
        names: Names { dns, ips },
        usage: Usage::Server,
        days: LEAF_DAYS,
    }
}

//! A node's own identity: `node.key` is made on the machine and never leaves it; `node.crt` and `ca.crt` come from the
//! server when it joins.
use super::authority::{Names, Template, Usage, certificate_from_pem, key_file};
use super::identity::{self, Validity};
use super::{LEAF_DAYS, PkiError, files};
use jiff::Timestamp;
use rcgen::{CertificateParams, DistinguishedName, DnType, PublicKeyData};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

/// Under this suffix nodes have a name in their certificate. Names of servers never end so: no node can pass for one.
const NODE_SUFFIX: &str = "node.impresario.internal";

/// All that a node needs to prove who it is, PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeIdentity {
    pub node: String,
    pub certificate: String,
    pub key: String,
    pub ca: String,
}

impl fmt::Debug for NodeIdentity {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeIdentity").field("node", &self.node).finish_non_exhaustive()
    }
}

impl NodeIdentity {
    /// Reads the identity in `dir`, or `None` when the machine has not joined (fully).
    ///
    /// # Errors
    /// Damaged files, and files that do not belong together.
    pub fn load(dir: &Path) -> Result<Option<NodeIdentity>, PkiError> {
        let path = dir.join("node.crt");
        let (Some(certificate), Some(ca)) = (files::read(&path)?, files::read(&dir.join("ca.crt"))?) else { return Ok(None) };
        let key = key_file(&dir.join("node.key"))?;
        let der = certificate_from_pem(&path, &certificate)?;
        let ca_der = certificate_from_pem(&dir.join("ca.crt"), &ca)?;
        let unusable = |what: &str| PkiError::Unusable {
            path: path.clone(),
            what: what.into(),
            advice: "remove node.crt, node.key and ca.crt, and join again".into(),
        };
        if identity::certificate_fingerprint(&der)? != identity::fingerprint(&key.subject_public_key_info()) {
            return Err(unusable("is not the certificate of the key in node.key"));
        }
        if !identity::is_signed_by(&der, &ca_der)? {
            return Err(unusable("was not signed by the CA in ca.crt"));
        }
        let who = identity::identity_of(&der)?;
        let node = who.node().ok_or_else(|| unusable("is not the certificate of a node"))?.to_string();
        Ok(Some(NodeIdentity { node, certificate, key: key.serialize_pem(), ca }))
    }

    /// SHA-256 of the CA's public key, hex.
    pub fn ca_hash(&self) -> Result<String, PkiError> {
        ca_hash_of(&self.ca)
    }

    /// Whether two thirds of the certificate's life are over.
    pub fn is_due(&self, now: Timestamp) -> Result<bool, PkiError> {
        Ok(Validity::of(&self.der()?)?.is_due(now))
    }

    /// Whether the certificate is no longer good.
    pub fn is_over(&self, now: Timestamp) -> Result<bool, PkiError> {
        Ok(Validity::of(&self.der()?)?.is_over(now))
    }

    fn der(&self) -> Result<CertificateDer<'static>, PkiError> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).map_err(|e| PkiError::Certificate(e.to_string()))
    }
}

/// SHA-256 of the public key of the CA that this machine already belongs to, hex; `None` when it belongs to none.
pub fn known_ca_hash(dir: &Path) -> Result<Option<String>, PkiError> {
    files::read(&dir.join("ca.crt"))?.map(|pem| ca_hash_of(&pem)).transpose()
}

fn ca_hash_of(pem: &str) -> Result<String, PkiError> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|e| PkiError::Certificate(e.to_string()))?;
    identity::certificate_fingerprint(&der)
}

/// A certificate request (PKCS#10, DER) for this machine's key, which is made when there is none.
pub fn request(dir: &Path, node: &str) -> Result<Vec<u8>, PkiError> {
    check_name(node)?;
    files::make_dir(dir)?;
    let key = key_file(&dir.join("node.key"))?;
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "system:nodes");
    subject.push(DnType::CommonName, format!("system:node:{node}"));
    params.distinguished_name = subject;
    let request = params.serialize_request(&key).map_err(|e| PkiError::Crypto("make a certificate request", e.to_string()))?;
    Ok(request.der().to_vec())
}

/// Keeps what a server answered to the request, after checking it as [`check_answer`] does.
pub fn accept(dir: &Path, node: &str, certificate: &str, ca: &str, expected_ca_hash: &str) -> Result<NodeIdentity, PkiError> {
    let identity = check_answer(dir, node, certificate, ca, expected_ca_hash)?;
    // The CA first: a certificate without it would be of no use, and `load` takes the pair only.
    if files::read(&dir.join("ca.crt"))?.as_deref() != Some(ca) {
        files::write(&dir.join("ca.crt"), ca)?;
    }
    files::write(&dir.join("node.crt"), certificate)?;
    Ok(identity)
}

/// The identity that a server's answer gives the key in `dir`: the certificate must be for this key and this name, and signed by
/// a CA with the expected hash. Nothing is written.
pub fn check_answer(dir: &Path, node: &str, certificate: &str, ca: &str, expected_ca_hash: &str) -> Result<NodeIdentity, PkiError> {
    let refuse = |why: &str| PkiError::Certificate(why.to_string());
    let key = key_file(&dir.join("node.key"))?;
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|e| refuse(&e.to_string()))?;
    let ca_der = CertificateDer::from_pem_slice(ca.as_bytes()).map_err(|e| refuse(&e.to_string()))?;
    let who = identity::identity_of(&der)?;
    if identity::certificate_fingerprint(&ca_der)? != expected_ca_hash {
        return Err(refuse("the server answered with another cluster's CA"));
    }
    if who.key_fingerprint != identity::fingerprint(&key.subject_public_key_info()) || who.node() != Some(node) {
        return Err(refuse("the server answered with another machine's certificate"));
    }
    if !identity::is_signed_by(&der, &ca_der)? {
        return Err(refuse("the certificate is not signed by the cluster's CA"));
    }
    Ok(NodeIdentity { node: node.into(), certificate: certificate.into(), key: key.serialize_pem(), ca: ca.into() })
}

/// What a node's certificate says.
pub(super) fn template(node: &str) -> Template {
    Template {
        common_name: format!("system:node:{node}"),
        organizations: vec!["system:nodes".into()],
        names: Names { dns: BTreeSet::from([format!("{node}.{NODE_SUFFIX}")]), ips: BTreeSet::new() },
        usage: Usage::Both,
        days: LEAF_DAYS,
    }
}

/// Node names are DNS subdomains (RFC 1123), as upstream's `ValidateNodeName` has it.
pub fn check_name(node: &str) -> Result<(), PkiError> {
    let label = |label: &str| {
        let edge = |c: Option<char>| c.is_some_and(|c| c != '-');
        let allowed = label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        allowed && edge(label.chars().next()) && edge(label.chars().next_back())
    };
    if node.len() <= 253 && node.split('.').all(label) { Ok(()) } else { Err(PkiError::NodeName(node.chars().take(260).collect())) }
}

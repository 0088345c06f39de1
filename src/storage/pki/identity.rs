//! Reading certificates: who is this, which key, until when, for which names.
use super::PkiError;
use super::authority::Names;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use x509_parser::certificate::X509Certificate;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// Who a certificate says that its holder is. Upstream reads the common name as user, the organizations as groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub common_name: String,
    pub organizations: Vec<String>,
    /// SHA-256 of the public key (SubjectPublicKeyInfo), hex: the same after a renewal, another on another machine.
    pub key_fingerprint: String,
}

impl Identity {
    /// The node's name when this is the identity of a node: `system:node:<name>` of `system:nodes`.
    pub fn node(&self) -> Option<&str> {
        let name = self.common_name.strip_prefix("system:node:").filter(|name| !name.is_empty())?;
        self.organizations.iter().any(|o| o == "system:nodes").then_some(name)
    }
}

/// Reads the identity out of a certificate (DER). Says nothing about whether to trust it: the TLS handshake does that.
pub fn identity_of(certificate: &[u8]) -> Result<Identity, PkiError> {
    let certificate = parse(certificate)?;
    let text = |value: &x509_parser::x509::AttributeTypeAndValue<'_>| value.as_str().map(String::from);
    let subject = certificate.subject();
    let unreadable = |_| PkiError::Certificate("its subject is not text".into());
    Ok(Identity {
        common_name: subject.iter_common_name().next().map(text).transpose().map_err(unreadable)?.unwrap_or_default(),
        organizations: subject.iter_organization().map(text).collect::<Result<_, _>>().map_err(unreadable)?,
        key_fingerprint: fingerprint(certificate.public_key().raw),
    })
}

/// The fingerprint of the key that a certificate request (PKCS#10, DER) asks a certificate for.
pub fn request_fingerprint(request: &[u8]) -> Result<String, PkiError> {
    match X509CertificationRequest::from_der(request) {
        Ok(([], request)) => Ok(fingerprint(request.certification_request_info.subject_pki.raw)),
        _ => Err(PkiError::Request("it is not a PKCS#10 request in DER".into())),
    }
}

/// Lowercase hex SHA-256 of a SubjectPublicKeyInfo.
pub(super) fn fingerprint(public_key_info: &[u8]) -> String {
    hex::encode(Sha256::digest(public_key_info))
}

/// The fingerprint of the key in a certificate.
pub(super) fn certificate_fingerprint(certificate: &[u8]) -> Result<String, PkiError> {
    Ok(fingerprint(parse(certificate)?.public_key().raw))
}

/// From when to when a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub from: Timestamp,
    pub until: Timestamp,
}

impl Validity {
    pub(super) fn of(certificate: &[u8]) -> Result<Validity, PkiError> {
        let certificate = parse(certificate)?;
        let time = |t: x509_parser::time::ASN1Time| {
            Timestamp::from_second(t.timestamp()).map_err(|_| PkiError::Certificate("its dates are out of range".into()))
        };
        Ok(Validity { from: time(certificate.validity().not_before)?, until: time(certificate.validity().not_after)? })
    }

    /// True from two thirds of the life on: time to renew, with a third left for trying.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let life = self.until.as_second() - self.from.as_second();
        now.as_second() >= self.from.as_second() + life / 3 * 2
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        now >= self.until
    }
}

/// The names that a certificate is good for.
pub(super) fn names_of(certificate: &[u8]) -> Result<Names, PkiError> {
    let certificate = parse(certificate)?;
    let mut names = Names::default();
    let extension = certificate.subject_alternative_name().map_err(|_| PkiError::Certificate("it has two lists of names".into()))?;
    for name in extension.iter().flat_map(|e| &e.value.general_names) {
        match name {
            GeneralName::DNSName(dns) => {
                names.dns.insert(dns.to_string());
            }
            GeneralName::IPAddress(octets) => {
                names.ips.extend(address(octets));
            }
            _ => {}
        }
    }
    Ok(names)
}

/// True when `certificate` carries a good signature by the key of `ca`.
pub(super) fn is_signed_by(certificate: &[u8], ca: &[u8]) -> Result<bool, PkiError> {
    let (certificate, ca) = (parse(certificate)?, parse(ca)?);
    Ok(certificate.issuer() == ca.subject() && certificate.verify_signature(Some(ca.public_key())).is_ok())
}

/// True when the certificate may sign others.
pub(super) fn is_authority(certificate: &[u8]) -> Result<bool, PkiError> {
    Ok(parse(certificate)?.is_ca())
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(|o| IpAddr::V4(Ipv4Addr::from(o)));
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(|o| IpAddr::V6(Ipv6Addr::from(o)))).ok()
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, PkiError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(PkiError::Certificate("bytes follow its end".into())),
        Err(error) => Err(PkiError::Certificate(error.to_string())),
    }
}

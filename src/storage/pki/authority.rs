//! The cluster CA: opening it, and signing with it.
use super::identity::{self, Validity};
use super::{CA_DAYS, PkiError, files};
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// Certificates are good from this long before they are made: clocks of two machines differ.
const CLOCK_SKEW_SECONDS: i64 = 300;
const DAY_SECONDS: i64 = 86_400;

/// What a certificate is to say.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pub common_name: String,
    pub organizations: Vec<String>,
    pub names: Names,
    pub usage: Usage,
    pub days: u32,
}

/// Subject alternative names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub dns: BTreeSet<String>,
    pub ips: BTreeSet<IpAddr>,
}

/// What a certificate may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usage {
    Client,
    Server,
    Both,
}

/// A private key and its certificate.
#[derive(Debug)]
pub(super) struct Keyed {
    pub key: KeyPair,
    pub pem: String,
    pub certificate: CertificateDer<'static>,
}

/// The cluster's certificate authority.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    certificate: CertificateDer<'static>,
    fingerprint: String,
}

impl Authority {
    /// Opens `<stem>.crt` and `<stem>.key`, or makes them. A key alone gets a certificate again; a certificate alone is an error,
    /// because making a new key would cut off every node and client.
    pub(super) fn open_or_create(dir: &Path, stem: &str, common_name: &str, now: Timestamp) -> Result<Authority, PkiError> {
        let (certificate_path, key_path) = (dir.join(format!("{stem}.crt")), dir.join(format!("{stem}.key")));
        let pem = match files::read(&certificate_path)? {
            Some(pem) => {
                if files::read(&key_path)?.is_none() {
                    return Err(PkiError::Unusable {
                        path: key_path,
                        what: format!("is missing, though {stem}.crt is there"),
                        advice: "restore it from a backup, or remove the whole folder to start a new cluster".into(),
                    });
                }
                pem
            }
            None => {
                let pem = self_sign(&key_file(&key_path)?, common_name, now)?;
                files::write(&certificate_path, &pem)?;
                pem
            }
        };
        let certificate = certificate_from_pem(&certificate_path, &pem)?;
        let key = key_file(&key_path)?;
        let unusable =
            |what: &str, advice: &str| PkiError::Unusable { path: certificate_path.clone(), what: what.into(), advice: advice.into() };
        let restore =
            &format!("restore {stem}.crt and {stem}.key together from a backup, or remove the whole folder to start a new cluster");
        let fingerprint = identity::certificate_fingerprint(&certificate)?;
        if fingerprint != identity::fingerprint(&key.subject_public_key_info()) {
            return Err(unusable(&format!("is not the certificate of the key in {stem}.key"), restore));
        }
        if !identity::is_authority(&certificate)? {
            return Err(unusable("is not a certificate authority's", restore));
        }
        if Validity::of(&certificate)?.is_over(now) {
            return Err(unusable(
                "has expired",
                &format!("remove {stem}.crt (not {stem}.key) and start again: the same key gets a new certificate"),
            ));
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|e| unusable(&format!("cannot be used: {e}"), restore))?;
        Ok(Authority { issuer, pem, certificate, fingerprint })
    }

    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    pub(super) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The CA's name and key.
    pub(super) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }

    /// When the CA's certificate ends, in seconds since the epoch.
    pub(super) fn until(&self) -> Result<i64, PkiError> {
        Ok(Validity::of(&self.certificate)?.until.as_second())
    }

    /// SHA-256 of the CA's SubjectPublicKeyInfo, hex.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The pair `<name>.crt` and `<name>.key`: kept when it fits the template and is not due, else reissued for the same key.
    pub(super) fn keep_or_issue(&self, dir: &Path, name: &str, template: &Template, now: Timestamp) -> Result<Keyed, PkiError> {
        let path = dir.join(format!("{name}.crt"));
        let key = key_file(&dir.join(format!("{name}.key")))?;
        if let Some(pem) = files::read(&path)? {
            let certificate = certificate_from_pem(&path, &pem)?;
            self.check_ours(&path, &certificate, &key)?;
            let same_subject = identity::identity_of(&certificate)?.common_name == template.common_name;
            if same_subject && identity::names_of(&certificate)? == template.names && !Validity::of(&certificate)?.is_due(now) {
                return Ok(Keyed { key, pem, certificate });
            }
        }
        let pem = self.issue(template, &key, now)?;
        files::write(&path, &pem)?;
        let certificate = certificate_from_pem(&path, &pem)?;
        Ok(Keyed { key, pem, certificate })
    }

    /// Signs what `template` says for the key in a certificate request, whose own wishes are ignored.
    pub(super) fn issue_for_request(&self, request: &[u8], template: &Template, now: Timestamp) -> Result<String, PkiError> {
        let request = CertificateSigningRequestDer::from(request);
        // Parsing checks the request's signature: whoever asks holds the private key.
        let parsed = CertificateSigningRequestParams::from_der(&request).map_err(|e| PkiError::Request(e.to_string()))?;
        self.issue(template, &parsed.public_key, now)
    }

    fn issue(&self, template: &Template, key: &impl PublicKeyData, now: Timestamp) -> Result<String, PkiError> {
        let params = params_of(template, now)?;
        let certificate = params.signed_by(key, &self.issuer).map_err(|e| PkiError::Crypto("sign a certificate", e.to_string()))?;
        Ok(certificate.pem())
    }

    fn check_ours(&self, path: &Path, certificate: &CertificateDer<'_>, key: &KeyPair) -> Result<(), PkiError> {
        let what = if identity::certificate_fingerprint(certificate)? != identity::fingerprint(&key.subject_public_key_info()) {
            "is not the certificate of the key beside it"
        } else if !identity::is_signed_by(certificate, &self.certificate)? {
            "was not signed by this cluster's ca.key"
        } else {
            return Ok(());
        };
        let advice = "remove it, and a new one is made at the next start".to_string();
        Err(PkiError::Unusable { path: path.to_path_buf(), what: what.into(), advice })
    }
}

/// The private key in a file; made when there is none.
pub(super) fn key_file(path: &Path) -> Result<KeyPair, PkiError> {
    if let Some(pem) = files::read(path)? {
        return KeyPair::from_pem(&pem).map_err(|e| PkiError::Unusable {
            path: path.to_path_buf(),
            what: format!("is not a private key in PEM ({e})"),
            advice: "restore it from a backup, or remove it together with its .crt to have both made anew".into(),
        });
    }
    let key = KeyPair::generate().map_err(|e| PkiError::Crypto("make a key", e.to_string()))?;
    files::write(path, &key.serialize_pem())?;
    Ok(key)
}

/// The first certificate in `pem`, which came from `path`.
pub(super) fn certificate_from_pem(path: &Path, pem: &str) -> Result<CertificateDer<'static>, PkiError> {
    let parsed = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|e| e.to_string());
    let checked = parsed.and_then(|der| identity::identity_of(&der).map(|_| der).map_err(|e| e.to_string()));
    checked.map_err(|why| PkiError::Unusable {
        path: path.to_path_buf(),
        what: format!("is not a certificate in PEM ({why})"),
        advice: "restore it from a backup, or remove it to have it made anew".into(),
    })
}

fn self_sign(key: &KeyPair, cluster_name: &str, now: Timestamp) -> Result<String, PkiError> {
    let template = Template {
        common_name: cluster_name.to_string(),
        organizations: Vec::new(),
        names: Names::default(),
        usage: Usage::Both,
        days: CA_DAYS,
    };
    let mut params = params_of(&template, now)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.extended_key_usages.clear();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params.self_signed(key).map_err(|e| PkiError::Crypto("sign the CA's certificate", e.to_string()))?.pem())
}

fn params_of(template: &Template, now: Timestamp) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(template)?;
    for name in &template.names.dns {
        let name = name.as_str().try_into().map_err(|e: rcgen::Error| PkiError::Crypto("use a server name", format!("{name}: {e}")))?;
        params.subject_alt_names.push(SanType::DnsName(name));
    }
    params.subject_alt_names.extend(template.names.ips.iter().copied().map(SanType::IpAddress));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = match template.usage {
        Usage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        Usage::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
        Usage::Both => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
    };
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(serial()?);
    let from = now.as_second() - CLOCK_SKEW_SECONDS;
    let until = now.as_second() + i64::from(template.days) * DAY_SECONDS;
    let at = |second: i64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(second).unwrap_or_default());
    (params.not_before, params.not_after) = (at(from), at(until));
    Ok(params)
}

/// The subject. rcgen keeps one value per attribute type, but knows two spellings of "organization": hence two at most.
fn subject(template: &Template) -> Result<DistinguishedName, PkiError> {
    let spellings = [DnType::OrganizationName, DnType::CustomDnType(vec![2, 5, 4, 10])];
    if template.organizations.len() > spellings.len() {
        return Err(PkiError::Request("certificates with more than two organizations cannot be issued".into()));
    }
    let mut subject = DistinguishedName::new();
    for (spelling, organization) in spellings.into_iter().zip(&template.organizations) {
        subject.push(spelling, organization.as_str());
    }
    subject.push(DnType::CommonName, template.common_name.as_str());
    Ok(subject)
}

/// A random positive serial number: one key may get many certificates, so it cannot come from the key.
pub(super) fn serial() -> Result<SerialNumber, PkiError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|e| PkiError::Crypto("read random bytes", e.to_string()))?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

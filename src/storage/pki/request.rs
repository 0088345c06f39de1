//! Certificate requests from outside (PKCS#10 in PEM): what they ask for, and the certificate that a signer makes of one.
use super::authority::serial;
use super::{Authority, PkiError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SigningKey, SubjectPublicKeyInfo,
};
use std::time::Duration;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

/// A certificate is good from this long before it is made; [`SHORT_SECONDS`] tells when that counts against its life.
const BACKDATE_SECONDS: i64 = 300;
/// Certificates that live shorter keep their full life from now on.
const SHORT_SECONDS: i64 = 8 * 3600;
/// `2.5.29.17`
const SUBJECT_ALT_NAME: &[u64] = &[2, 5, 29, 17];

/// A certificate request whose signature is good: whoever made it holds the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParsedRequest {
    pub common_name: String,
    pub organizations: Vec<String>,
    pub dns_names: usize,
    pub ip_addresses: usize,
    pub emails: usize,
    pub uris: usize,
    /// The public key, DER.
    key: Vec<u8>,
    /// The subject as it stands in the request, DER.
    subject: Vec<u8>,
    /// The value of the subject alternative names as they stand in the request, DER.
    names: Option<Vec<u8>>,
}

impl ParsedRequest {
    /// Reads the first PEM block, in upstream's words when it is something else, and checks the signature.
    pub fn from_pem(pem: &[u8]) -> Result<ParsedRequest, PkiError> {
        let wrong = || PkiError::RequestText("PEM block type must be CERTIFICATE REQUEST".into());
        let block =
            Pem::iter_from_buffer(pem).next().and_then(Result::ok).filter(|b| b.label == "CERTIFICATE REQUEST").ok_or_else(wrong)?;
        let Ok(([], request)) = X509CertificationRequest::from_der(&block.contents) else {
            return Err(PkiError::RequestText("asn1: structure error: the request cannot be read".into()));
        };
        request.verify_signature().map_err(|e| PkiError::RequestText(format!("the request's signature is not good: {e}")))?;
        let subject = &request.certification_request_info.subject;
        let mut parsed = ParsedRequest {
            common_name: attributes(subject.iter_common_name()).pop().unwrap_or_default(),
            organizations: attributes(subject.iter_organization()),
            key: request.certification_request_info.subject_pki.raw.to_vec(),
            subject: subject.as_raw().to_vec(),
            ..Default::default()
        };
        for attribute in request.certification_request_info.iter_attributes() {
            let x509_parser::cri_attributes::ParsedCriAttribute::ExtensionRequest(wanted) = attribute.parsed_attribute() else { continue };
            for extension in &wanted.extensions {
                let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension() else { continue };
                parsed.names = Some(extension.value.to_vec());
                for name in &names.general_names {
                    match name {
                        GeneralName::DNSName(_) => parsed.dns_names += 1,
                        GeneralName::IPAddress(_) => parsed.ip_addresses += 1,
                        GeneralName::RFC822Name(_) => parsed.emails += 1,
                        GeneralName::URI(_) => parsed.uris += 1,
                        _ => {}
                    }
                }
            }
        }
        Ok(parsed)
    }
}

/// The texts of a subject's attributes; Go reads the last common name and every organization.
fn attributes<'a>(values: impl Iterator<Item = &'a x509_parser::x509::AttributeTypeAndValue<'a>>) -> Vec<String> {
    values.filter_map(|v| v.as_str().ok()).map(String::from).collect()
}

/// Checks that bytes are certificates in PEM and nothing else, as upstream does for `status.certificate`.
pub fn check_certificates(pem: &[u8]) -> Result<(), PkiError> {
    if pem.is_empty() {
        return Ok(());
    }
    let mut blocks = 0;
    for block in Pem::iter_from_buffer(pem).map_while(Result::ok) {
        if block.label != "CERTIFICATE" {
            return Err(PkiError::RequestText(format!("only CERTIFICATE PEM blocks are allowed, found \"{}\"", block.label)));
        }
        block.parse_x509().map_err(|e| PkiError::RequestText(format!("x509: malformed certificate: {e}")))?;
        blocks += 1;
    }
    if blocks == 0 {
        return Err(PkiError::RequestText("must contain at least one CERTIFICATE PEM block".into()));
    }
    Ok(())
}

/// When the first certificate in a PEM text ends, in seconds since the epoch.
pub fn not_after(pem: &[u8]) -> Option<i64> {
    let block = Pem::iter_from_buffer(pem).next()?.ok()?;
    Some(block.parse_x509().ok()?.validity().not_after.timestamp())
}

/// From when to when a certificate is good that is made at `now` (seconds) for `life` seconds by a CA that ends at `ca_until`.
pub(super) fn validity(now: i64, life: i64, ca_until: i64) -> (i64, i64) {
    let from = now - BACKDATE_SECONDS;
    let until = if life < SHORT_SECONDS { now + life } else { from + life };
    (from, until.min(ca_until))
}

/// Splits usages into the two extensions that say them; an error names those that nobody knows.
fn purposes(usages: &[&str]) -> Result<(Vec<KeyUsagePurpose>, Vec<ExtendedKeyUsagePurpose>), PkiError> {
    let (mut key, mut extended, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for usage in usages {
        let other = |oid: &[u64]| ExtendedKeyUsagePurpose::Other(oid.to_vec());
        match *usage {
            "signing" | "digital signature" => key.push(KeyUsagePurpose::DigitalSignature),
            "content commitment" => key.push(KeyUsagePurpose::ContentCommitment),
            "key encipherment" => key.push(KeyUsagePurpose::KeyEncipherment),
            "key agreement" => key.push(KeyUsagePurpose::KeyAgreement),
            "data encipherment" => key.push(KeyUsagePurpose::DataEncipherment),
            "cert sign" => key.push(KeyUsagePurpose::KeyCertSign),
            "crl sign" => key.push(KeyUsagePurpose::CrlSign),
            "encipher only" => key.push(KeyUsagePurpose::EncipherOnly),
            "decipher only" => key.push(KeyUsagePurpose::DecipherOnly),
            "any" => extended.push(ExtendedKeyUsagePurpose::Any),
            "server auth" => extended.push(ExtendedKeyUsagePurpose::ServerAuth),
            "client auth" => extended.push(ExtendedKeyUsagePurpose::ClientAuth),
            "code signing" => extended.push(ExtendedKeyUsagePurpose::CodeSigning),
            "email protection" | "s/mime" => extended.push(ExtendedKeyUsagePurpose::EmailProtection),
            "ipsec end system" => extended.push(other(&[1, 3, 6, 1, 5, 5, 7, 3, 5])),
            "ipsec tunnel" => extended.push(other(&[1, 3, 6, 1, 5, 5, 7, 3, 6])),
            "ipsec user" => extended.push(other(&[1, 3, 6, 1, 5, 5, 7, 3, 7])),
            "timestamping" => extended.push(ExtendedKeyUsagePurpose::TimeStamping),
            "ocsp signing" => extended.push(ExtendedKeyUsagePurpose::OcspSigning),
            "microsoft sgc" => extended.push(other(&[1, 3, 6, 1, 4, 1, 311, 10, 3, 3])),
            "netscape sgc" => extended.push(other(&[2, 16, 840, 1, 113730, 4, 1])),
            unheard => unknown.push(unheard),
        }
    }
    key.dedup();
    extended.dedup();
    if unknown.is_empty() { Ok((key, extended)) } else { Err(PkiError::Request(format!("unrecognized usage values: {unknown:?}"))) }
}

impl Authority {
    /// Signs a request as it stands: subject and alternative names are the request's, usages and life are the caller's, and
    /// everything else that it may ask for is left out. Answers PEM.
    pub(super) fn sign_request(
        &self,
        request: &ParsedRequest,
        usages: &[&str],
        life: Duration,
        now: Timestamp,
    ) -> Result<String, PkiError> {
        let key = SubjectPublicKeyInfo::from_der(&request.key).map_err(|e| PkiError::Request(e.to_string()))?;
        let mut params = CertificateParams::default();
        // Put in afterwards: rcgen would keep one value of each attribute only.
        params.distinguished_name = DistinguishedName::new();
        (params.key_usages, params.extended_key_usages) = purposes(usages)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial()?);
        if let Some(names) = &request.names {
            let mut extension = CustomExtension::from_oid_content(SUBJECT_ALT_NAME, names.clone());
            extension.set_criticality(is_empty_name(&request.subject));
            params.custom_extensions.push(extension);
        }
        let ca_until = self.until()?;
        if now.as_second() >= ca_until {
            return Err(PkiError::Request("refusing to sign: the cluster's CA has expired".into()));
        }
        let life = i64::try_from(life.as_secs()).unwrap_or(i64::MAX / 4);
        let (from, until) = validity(now.as_second(), life, ca_until);
        let at = |second: i64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(second).unwrap_or_default());
        (params.not_before, params.not_after) = (at(from), at(until));
        let failed = |e: rcgen::Error| PkiError::Crypto("sign a certificate", e.to_string());
        let plain = params.signed_by(&key, self.issuer()).map_err(failed)?;
        let unreadable = || PkiError::Crypto("sign a certificate", "the certificate's structure is not the expected one".into());
        let (body, algorithm) = with_subject(plain.der(), &request.subject).ok_or_else(unreadable)?;
        let mut signature = vec![0];
        signature.extend(self.issuer().key().sign(&body).map_err(failed)?);
        let der = wrap(SEQUENCE, &[body, algorithm, wrap(BIT_STRING, &signature)].concat());
        Ok(pem_of(&der))
    }
}

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
/// Where the subject stands among the elements of a certificate's signed part.
const SUBJECT_POSITION: usize = 5;

/// The part of a certificate that is signed, with another subject; and the signature's algorithm. DER both.
fn with_subject(certificate: &[u8], subject: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (_, content, _) = element(certificate)?;
    let (_, body, rest) = element(content)?;
    let (algorithm, ..) = element(rest)?;
    let mut new = Vec::with_capacity(body.len() + subject.len());
    let (mut rest, mut position) = (body, 0);
    while !rest.is_empty() {
        let (whole, _, after) = element(rest)?;
        new.extend_from_slice(if position == SUBJECT_POSITION { subject } else { whole });
        (rest, position) = (after, position + 1);
    }
    (position > SUBJECT_POSITION).then(|| (wrap(SEQUENCE, &new), algorithm.to_vec()))
}

/// The first element of some DER: all of it, its content, and what follows.
fn element(der: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let first = usize::from(*der.get(1)?);
    let (length, header) = if first < 0x80 {
        (first, 2)
    } else {
        let count = first & 0x7f;
        let bytes = der.get(2..2 + count).filter(|_| count <= 4)?;
        (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), 2 + count)
    };
    let end = header.checked_add(length)?;
    Some((der.get(..end)?, der.get(header..end)?, der.get(end..)?))
}

/// An element with this tag and content.
fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut der = vec![tag];
    if length < 0x80 {
        der.push(u8::try_from(length).unwrap_or_default());
    } else {
        let bytes: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|b| *b == 0).collect();
        der.push(0x80 | u8::try_from(bytes.len()).unwrap_or_default());
        der.extend(bytes);
    }
    der.extend_from_slice(content);
    der
}

fn pem_of(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem + "-----END CERTIFICATE-----\n"
}

fn is_empty_name(subject: &[u8]) -> bool {
    X509Name::from_der(subject).is_ok_and(|(_, name)| name.iter().next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_lives_are_not_backdated() {
        assert_eq!(validity(10_000, 600, i64::MAX), (9_700, 10_600));
        assert_eq!(validity(10_000, 86_400, i64::MAX), (9_700, 9_700 + 86_400));
        assert_eq!(validity(10_000, 86_400, 20_000).1, 20_000);
    }

    #[test]
    fn lengths_of_elements() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let der = [wrap(SEQUENCE, &vec![7; length]), vec![1, 2]].concat();
            let (whole, content, rest) = element(&der).unwrap();
            assert_eq!((whole.len(), content.len(), rest), (der.len() - 2, length, [1, 2].as_slice()));
        }
        assert!(element(&[0x30, 0x85, 1, 1, 1, 1, 1]).is_none() && element(&[0x30, 5, 1]).is_none() && element(&[]).is_none());
    }

    #[test]
    fn usages_become_purposes() {
        let (key, extended) = purposes(&["digital signature", "client auth", "s/mime"]).unwrap();
        assert_eq!(key, [KeyUsagePurpose::DigitalSignature]);
        assert_eq!(extended, [ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::EmailProtection]);
        assert!(purposes(&["flying"]).is_err());
    }
}

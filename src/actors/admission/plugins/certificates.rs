//! CertificateApproval, CertificateSigning, CertificateSubjectRestriction and ClusterTrustBundleAttest: who may speak for a signer.
use crate::actors::admission::refusal::{forbidden, text};
use crate::actors::kinds::{Attributes, Operation};
use crate::protocol::authority::{Attributes as Access, Authorize};
use crate::protocol::status::ApiError;
use crate::protocol::user::MASTERS;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use x509_parser::prelude::{FromDer, X509CertificationRequest};

const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";

/// `approve` on the signer is needed to approve or deny.
pub fn approval(a: &Attributes<'_>, request: &Value, authorizer: &dyn Authorize) -> Result<(), ApiError> {
    let signer = text(&request["spec"], "signerName");
    if may(a, authorizer, "approve", signer) {
        return Ok(());
    }
    Err(forbidden(a, Some(request), &format!("user not permitted to approve requests with signerName \"{signer}\"")))
}

/// `sign` on the signer is needed to issue a certificate, or to say that it failed.
pub fn signing(a: &Attributes<'_>, request: &Value, old: Option<&Value>, authorizer: &dyn Authorize) -> Result<(), ApiError> {
    let same = |field: &str| old.is_some_and(|o| o["status"][field] == request["status"][field]);
    if same("certificate") && same("conditions") {
        return Ok(());
    }
    let signer = text(&old.unwrap_or(request)["spec"], "signerName");
    if may(a, authorizer, "sign", signer) {
        return Ok(());
    }
    Err(forbidden(a, Some(request), &format!("user not permitted to sign requests with signerName \"{signer}\"")))
}

/// Nobody becomes a master by a certificate.
pub fn subject(a: &Attributes<'_>, request: &Value) -> Result<(), ApiError> {
    if text(&request["spec"], "signerName") != CLIENT_SIGNER {
        return Ok(());
    }
    let organizations = organizations(text(&request["spec"], "request"))
        .map_err(|why| forbidden(a, Some(request), &format!("failed to parse CSR: {why}")))?;
    if organizations.iter().any(|o| o == MASTERS) {
        return Err(forbidden(a, Some(request), &format!("use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed")));
    }
    Ok(())
}

/// `attest` on the signer is needed to publish a trust bundle in its name.
pub fn attest(a: &Attributes<'_>, bundle: &Value, old: Option<&Value>, authorizer: &dyn Authorize) -> Result<(), ApiError> {
    if a.operation == Operation::Update && old.is_some_and(|o| o["spec"] == bundle["spec"]) {
        return Ok(());
    }
    let signer = text(&bundle["spec"], "signerName");
    if signer.is_empty() || may(a, authorizer, "attest", signer) {
        return Ok(());
    }
    Err(forbidden(a, Some(bundle), &format!("user not permitted to attest for signerName \"{signer}\"")))
}

/// The right may be given for the signer or for its whole domain.
fn may(a: &Attributes<'_>, authorizer: &dyn Authorize, verb: &str, signer: &str) -> bool {
    let allowed = |name: &str| {
        let access = Access { verb, group: "certificates.k8s.io", version: "*", resource: "signers", name, ..Access::default() };
        authorizer.allowed(a.user, &access)
    };
    allowed(signer) || signer.split_once('/').is_some_and(|(domain, _)| allowed(&format!("{domain}/*")))
}

/// The organizations of a certificate request: base64 of PEM.
fn organizations(request: &str) -> Result<Vec<String>, String> {
    let pem = STANDARD.decode(request).map_err(|e| e.to_string())?;
    let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).map_err(|_| "PEM block type must be CERTIFICATE REQUEST".to_string())?;
    let (_, parsed) = X509CertificationRequest::from_der(&pem.contents).map_err(|e| e.to_string())?;
    let subject = &parsed.certification_request_info.subject;
    Ok(subject.iter_organization().filter_map(|o| o.as_str().ok()).map(String::from).collect())
}

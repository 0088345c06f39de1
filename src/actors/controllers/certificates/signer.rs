//! The built-in signers: what each of them signs, and for how long.
use super::super::plan::{Action, Plan};
use super::{conditions_and, has, is_issued, patch, usages};
use crate::actors::kinds::certificates::signing_request::{
    CLIENT_SIGNER, KUBELET_CLIENT_SIGNER, KUBELET_SERVING_SIGNER, LEGACY_SIGNER, decoded,
};
use crate::protocol::time::rfc3339;
use crate::storage::entry::Entry;
use crate::storage::pki::ParsedRequest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// The longest life that is given, and the one of requests that name none: a year.
const LONGEST: Duration = Duration::from_secs(8760 * 3600);
/// The shortest.
const SHORTEST: Duration = Duration::from_secs(600);

/// Why a signer refuses a request, in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("subject organization is not system:nodes")]
    Organization,
    #[error("subject common name does not begin with system:node:")]
    CommonName,
    #[error("DNS or IP subjectAltName is required")]
    NamesRequired,
    #[error("{0} subjectAltNames are not allowed")]
    Names(&'static str),
    #[error("usages did not match [{0}]")]
    Usages(&'static str),
    #[error("invalid usage for client certificate: {0}")]
    Usage(String),
    #[error("missing required usage for client certificate: client auth")]
    NoClientAuth,
}

/// Signs a request for these usages, with this life; answers PEM.
pub type Sign<'a> = &'a dyn Fn(&ParsedRequest, &[&str], Duration) -> Result<String, String>;

/// Decides about one request.
pub fn plan(entry: &Entry, object: &Value, now: Timestamp, sign: Sign<'_>) -> Plan {
    let mut plan = Plan::quiet();
    if !has(object, "Approved") || has(object, "Denied") || has(object, "Failed") || is_issued(object) {
        return plan;
    }
    let spec = &object["spec"];
    let signer = spec["signerName"].as_str().unwrap_or_default();
    let usages = usages(object);
    let Ok(request) = ParsedRequest::from_pem(&decoded(&spec["request"])) else { return plan };
    let Some(judgement) = judge(signer, &request, &usages) else { return plan };
    let outcome = match judgement {
        Err(refusal) => Err(("SignerValidationFailure", refusal.to_string())),
        Ok(()) => sign(&request, &usages, life(spec["expirationSeconds"].as_i64())).map_err(|why| ("SigningError", why)),
    };
    let name = &entry.key.name;
    let status = match outcome {
        Ok(pem) => {
            plan.why = format!("request {name}: signed for {}", request.common_name);
            json!({ "certificate": STANDARD.encode(pem) })
        }
        Err((reason, message)) => {
            plan.why = format!("request {name}: {message}");
            let condition = json!({
                "type": "Failed", "status": "True", "reason": reason, "message": message, "lastUpdateTime": rfc3339(now),
            });
            conditions_and(object, condition)
        }
    };
    plan.actions.push(Action::Patch(patch(entry, "status", status)));
    plan
}

/// Whether a signer signs a request; `None` for signers that are somebody else's.
pub fn judge(signer: &str, request: &ParsedRequest, usages: &[&str]) -> Option<Result<(), Refusal>> {
    match signer {
        CLIENT_SIGNER => Some(check_client(usages)),
        KUBELET_CLIENT_SIGNER => Some(check_kubelet_client(request, usages)),
        KUBELET_SERVING_SIGNER => Some(check_kubelet_serving(request, usages)),
        // Without restrictions, for the sake of what was stored before there were signers.
        LEGACY_SIGNER => Some(Ok(())),
        _ => None,
    }
}

/// How long a certificate lives that was asked for with this `expirationSeconds`.
pub fn life(asked: Option<i64>) -> Duration {
    asked.map_or(LONGEST, |seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or_default()).clamp(SHORTEST, LONGEST))
}

fn check_client(usages: &[&str]) -> Result<(), Refusal> {
    let known = ["digital signature", "key encipherment", "client auth"];
    if let Some(other) = usages.iter().find(|usage| !known.contains(usage)) {
        return Err(Refusal::Usage(other.to_string()));
    }
    if usages.contains(&"client auth") { Ok(()) } else { Err(Refusal::NoClientAuth) }
}

/// The rules for a node agent's client certificate.
pub fn check_kubelet_client(request: &ParsedRequest, usages: &[&str]) -> Result<(), Refusal> {
    check_organization(request)?;
    let kinds = [("DNS", request.dns_names), ("Email", request.emails), ("IP", request.ip_addresses), ("URI", request.uris)];
    if let Some((kind, _)) = kinds.into_iter().find(|(_, count)| *count > 0) {
        return Err(Refusal::Names(kind));
    }
    check_common_name(request)?;
    check_usages(usages, "client auth", "client auth digital signature key encipherment")
}

fn check_kubelet_serving(request: &ParsedRequest, usages: &[&str]) -> Result<(), Refusal> {
    check_organization(request)?;
    if request.dns_names == 0 && request.ip_addresses == 0 {
        return Err(Refusal::NamesRequired);
    }
    let kinds = [("Email", request.emails), ("URI", request.uris)];
    if let Some((kind, _)) = kinds.into_iter().find(|(_, count)| *count > 0) {
        return Err(Refusal::Names(kind));
    }
    check_usages(usages, "server auth", "digital signature key encipherment server auth")?;
    check_common_name(request)
}

fn check_organization(request: &ParsedRequest) -> Result<(), Refusal> {
    if request.organizations == ["system:nodes"] { Ok(()) } else { Err(Refusal::Organization) }
}

fn check_common_name(request: &ParsedRequest) -> Result<(), Refusal> {
    if request.common_name.starts_with("system:node:") { Ok(()) } else { Err(Refusal::CommonName) }
}

/// Exactly `role`, `digital signature`, and `key encipherment` if the key is of the kind that needs it.
fn check_usages(usages: &[&str], role: &'static str, all: &'static str) -> Result<(), Refusal> {
    let mut given: BTreeSet<&str> = usages.iter().copied().collect();
    given.remove("key encipherment");
    if given == BTreeSet::from(["digital signature", role]) { Ok(()) } else { Err(Refusal::Usages(all)) }
}

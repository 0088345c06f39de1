//! `AdmissionReview` v1: what a webhook is asked, and what its answer means.
use crate::actors::admission::refusal::{list, text};
use crate::protocol::patch;
use crate::protocol::status::{ApiError, Cause, Details};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const API_VERSION: &str = "admission.k8s.io/v1";

/// A good answer, read.
#[derive(Debug, Default, PartialEq)]
pub struct Verdict {
    /// The `Status` of a refusal.
    pub refusal: Option<Value>,
    /// A JSON patch.
    pub patch: Option<Value>,
    pub warnings: Vec<String>,
    /// Annotations for the audit log.
    pub audit: Vec<(String, String)>,
}

/// A random UUID.
pub fn fresh_uid() -> Result<String, ApiError> {
    let mut b = [0u8; 16];
    getrandom::fill(&mut b).map_err(|e| ApiError::internal(format!("no randomness to be had: {e}")))?;
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    let hex = hex::encode(b);
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}

/// The body of the question.
pub fn body(mut request: Value, uid: &str, object: Option<&Value>, old: Option<&Value>) -> Vec<u8> {
    request["uid"] = uid.into();
    request["object"] = object.cloned().unwrap_or_default();
    request["oldObject"] = old.cloned().unwrap_or_default();
    json!({ "kind": "AdmissionReview", "apiVersion": API_VERSION, "request": request }).to_string().into_bytes()
}

/// Reads an answer.
///
/// # Errors
/// When it is no answer to this question, in upstream's words.
pub fn verdict(answer: &[u8], uid: &str, mutating: bool) -> Result<Verdict, String> {
    let review: Value = serde_json::from_slice(answer).map_err(|e| format!("couldn't get version/kind; json parse error: {e}"))?;
    let (version, kind) = (text(&review, "apiVersion"), text(&review, "kind"));
    if (version, kind) != (API_VERSION, "AdmissionReview") {
        let found = format!("{version}, Kind={kind}");
        return Err(format!("expected webhook response of {API_VERSION}, Kind=AdmissionReview, got {found}"));
    }
    let response = &review["response"];
    if !response.is_object() {
        return Err("webhook response was absent".into());
    }
    let said = text(response, "uid");
    if said != uid {
        return Err(format!("expected response.uid=\"{uid}\", got \"{said}\""));
    }
    let patch = patch_of(response, mutating)?;
    let texts = list(response, "warnings").iter().filter_map(Value::as_str);
    let annotations = response["auditAnnotations"].as_object().into_iter().flatten();
    Ok(Verdict {
        refusal: (response["allowed"] != true).then(|| response["status"].clone()),
        patch,
        warnings: texts.map(String::from).collect(),
        audit: annotations.map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_string())).collect(),
    })
}

fn patch_of(response: &Value, mutating: bool) -> Result<Option<Value>, String> {
    let (encoded, kind) = (text(response, "patch"), response["patchType"].as_str());
    match (encoded.is_empty(), kind) {
        (true, None) => Ok(None),
        (_, _) if !mutating => Ok(None),
        (false, None) => Err("webhook returned response.patch but not response.patchType".into()),
        (true, Some(_)) => Err("webhook returned response.patchType but not response.patch".into()),
        (false, Some("JSONPatch")) => {
            let bytes = STANDARD.decode(encoded).map_err(|e| format!("response.patch is not base64: {e}"))?;
            serde_json::from_slice(&bytes).map(Some).map_err(|e| format!("response.patch is no JSON: {e}"))
        }
        (false, Some(other)) => Err(format!("webhook returned invalid response.patchType of \"{other}\"")),
    }
}

/// The object with a webhook's patch.
pub fn patched(object: &Value, patch: &Value) -> Result<Value, String> {
    patch::apply_json(object, patch).map_err(|e| e.to_api_error().message)
}

/// The error of a refused request.
pub fn refusal(webhook: &str, status: &Value) -> ApiError {
    let by = format!("admission webhook \"{webhook}\" denied the request");
    let (message, reason) = (text(status, "message"), text(status, "reason"));
    let message = match (message, reason) {
        ("", "") => format!("{by} without explanation"),
        ("", reason) => format!("{by}: {reason}"),
        (message, _) => format!("{by}: {message}"),
    };
    let code = status["code"].as_u64().and_then(|c| u16::try_from(c).ok()).filter(|c| (400..600).contains(c)).unwrap_or(400);
    let mut error = ApiError::new(code, reason, message);
    let held = &status["details"];
    if held.is_object() {
        let of = |field: &str| text(held, field).to_string();
        let cause =
            |c: &Value| Cause { reason: text(c, "reason").into(), message: text(c, "message").into(), field: text(c, "field").into() };
        error.details = Some(Details {
            name: of("name"),
            group: of("group"),
            kind: of("kind"),
            uid: of("uid"),
            causes: list(held, "causes").iter().map(cause).collect(),
            retry_after_seconds: 0,
            continue_token: String::new(),
        });
    }
    error
}

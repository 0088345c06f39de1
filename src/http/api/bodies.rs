//! Bodies of writing requests: which media types they may have, and what strict validation finds in them before they are objects.
use super::gateway::{ApiRequest, Call};
use super::options::invalid_options;
use crate::actors::kinds::{FieldValidation, Patch, Served, Written};
use crate::protocol::codec::{self, Checked};
use crate::protocol::patch;
use crate::protocol::protobuf;
use crate::protocol::status::{ApiError, FieldError};
use bytes::Bytes;
use serde_json::Value;

/// What a 415 says, before the list of what would have been accepted.
const UNKNOWN_FORMAT: &str = "the body of the request was in an unknown format - accepted media types include: ";
const BODIES: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
const PATCHES: &str = "application/json-patch+json, application/merge-patch+json";
const STRATEGIC: &str = ", application/strategic-merge-patch+json";
const APPLY: &str = ", application/apply-patch+yaml";

/// A body as JSON.
pub(super) struct TypedBody {
    json: Bytes,
    /// Keys that its YAML had twice, a sentence each. JSON keeps them, and they are found there.
    twice: Vec<String>,
}

/// A patch as it was given.
pub(super) struct GivenPatch {
    pub patch: Patch,
    /// What strict validation finds in the patch itself, a sentence each.
    pub twice: Vec<String>,
}

/// The typed body, pruned and canonical, with the warnings about what was not understood.
pub(super) fn decoded(served: &Served, body: TypedBody, validation: FieldValidation) -> Result<(Value, Vec<String>), ApiError> {
    let checked: Checked = served.decode(&body.json)?;
    let warnings = match validation {
        FieldValidation::Strict => {
            let of_yaml = (!body.twice.is_empty()).then(|| unmarshal_errors(&body.twice));
            let findings: Vec<String> = of_yaml.into_iter().chain(served.warnings(&checked)).collect();
            match served.strict(&findings) {
                Some(error) => return Err(error),
                None => Vec::new(),
            }
        }
        FieldValidation::Warn => body.twice.into_iter().chain(served.warnings(&checked)).collect(),
        FieldValidation::Ignore => Vec::new(),
    };
    Ok((checked.value, warnings))
}

/// The patch in the body, by its content type.
pub(super) fn patch_of(call: &Call<'_>) -> Result<GivenPatch, ApiError> {
    let body = &call.request.body;
    let wrong = |e: serde_json::Error| ApiError::bad_request(format!("error decoding patch: {e}"));
    let given = |make: fn(Value) -> Patch| -> Result<GivenPatch, ApiError> {
        let twice = codec::duplicates(body).map_err(wrong)?;
        let twice = twice.into_iter().map(|path| format!("duplicate field \"{path}\"")).collect();
        Ok(GivenPatch { patch: make(serde_json::from_slice(body).map_err(wrong)?), twice })
    };
    let media = media_type(&call.request.content_type);
    match media.as_str() {
        "application/json-patch+json" => {
            let mut given = given(Patch::Json)?;
            if let Patch::Json(operations) = &given.patch {
                given.twice.extend(unknown_members(operations));
            }
            given.twice.iter_mut().for_each(|finding| finding.insert_str(0, "json patch "));
            Ok(given)
        }
        "application/merge-patch+json" => given(Patch::Merge),
        "application/strategic-merge-patch+json" if !call.served.kind.schema.is_empty() => given(Patch::Strategic),
        "application/apply-patch+yaml" => apply_of(call),
        _ => {
            let strategic = if call.served.kind.schema.is_empty() { "" } else { STRATEGIC };
            Err(ApiError::unsupported_media_type(format!("{UNKNOWN_FORMAT}{PATCHES}{strategic}{APPLY}")))
        }
    }
}

/// Members of a JSON patch's operations that no operation has.
fn unknown_members(operations: &Value) -> Vec<String> {
    let operations = operations.as_array().into_iter().flatten().enumerate();
    let members = operations.flat_map(|(at, operation)| operation.as_object().into_iter().flatten().map(move |(key, _)| (at, key)));
    let unknown = members.filter(|(_, key)| !matches!(key.as_str(), "op" | "path" | "from" | "value"));
    unknown.map(|(at, key)| format!("unknown field \"[{at}].{key}\"")).take(codec::MAX_STRICT_FINDINGS).collect()
}

/// What YAML's reader says about keys that it has met before.
fn unmarshal_errors(twice: &[String]) -> String {
    format!("yaml: unmarshal errors:\n  {}", twice.join("\n  "))
}

/// The configuration of a server-side apply, with the options that it needs.
fn apply_of(call: &Call<'_>) -> Result<GivenPatch, ApiError> {
    if call.query.get("fieldManager").is_empty() {
        let error = FieldError::required("fieldManager", "is required for apply patch");
        return Err(invalid_options("PatchOptions", &[error]));
    }
    let read = codec::yaml_leniently(&call.request.body).map_err(|e| ApiError::bad_request(format!("error decoding YAML: {e}")))?;
    let mut config = read.value;
    let name = config["metadata"]["name"].as_str().unwrap_or(&call.target.name);
    if name != call.target.name {
        let why = format!("the name of the object ({name}) does not match the name on the URL ({})", call.target.name);
        return Err(ApiError::bad_request(why));
    }
    if config.is_object() {
        config["metadata"]["name"] = call.target.name.as_str().into();
    }
    Ok(GivenPatch { patch: Patch::Apply { config, force: call.query.flag("force") }, twice: read.twice })
}

/// The refusal of a patch that is good but for fields that it gives twice. `wanted` is what it would have made.
pub(super) fn refused_twice(patch: &Patch, twice: &[String], wanted: &Written) -> ApiError {
    let value: Value = match patch {
        Patch::Apply { .. } => {
            let why = unmarshal_errors(twice);
            return ApiError::bad_request(format!("error strict decoding patch: error converting YAML to JSON: {why}"));
        }
        Patch::Strategic(patch) => patch::printed(patch).into(),
        Patch::Json(_) | Patch::Merge(_) => String::from_utf8_lossy(&wanted.entry.served()).into_owned().into(),
    };
    let findings: Vec<&str> = twice.iter().chain(&wanted.warnings).map(String::as_str).collect();
    let why = format!("strict decoding error: {}", findings.join(", "));
    ApiError::invalid("", "", "", &[FieldError::invalid("patch", value, why)])
}

/// The body as JSON, for what is no kind of its own.
pub(super) fn json_body(request: &ApiRequest) -> Result<Bytes, ApiError> {
    typed_body(request).map(|body| body.json)
}

/// The body as JSON: YAML is converted, anything else is refused.
pub(super) fn typed_body(request: &ApiRequest) -> Result<TypedBody, ApiError> {
    let plain = |json| TypedBody { json, twice: Vec::new() };
    match media_type(&request.content_type).as_str() {
        "" | "application/json" | "*/*" => Ok(plain(request.body.clone())),
        "application/yaml" | "application/x-yaml" | "text/yaml" => {
            let read = codec::yaml_leniently(&request.body).map_err(|e| ApiError::bad_request(e.to_string()))?;
            Ok(TypedBody { json: serde_json::to_vec(&read.value).map_err(ApiError::internal)?.into(), twice: read.twice })
        }
        protobuf::MEDIA_TYPE => {
            let object = protobuf::to_json(&request.body).map_err(|e| ApiError::bad_request(e.to_string()))?;
            Ok(plain(object.to_string().into()))
        }
        _ => Err(ApiError::unsupported_media_type(format!("{UNKNOWN_FORMAT}{BODIES}"))),
    }
}

/// `DeleteOptions` as JSON; empty when there are none.
pub(super) fn options_body(request: &ApiRequest) -> Result<Bytes, ApiError> {
    if request.body.is_empty() { Ok(Bytes::new()) } else { json_body(request) }
}

fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

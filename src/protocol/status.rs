//! `metav1.Status`: how the API says that something went wrong, in upstream's words.
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;

/// An API error. It is what `Status` bodies are made from; `code` is the HTTP status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiError {
    pub code: u16,
    /// `NotFound`, `Conflict`, `Invalid`, …
    pub reason: String,
    pub message: String,
    /// What the error is about: plural resource (or kind, for `Invalid`), group, name, causes.
    pub details: Option<Details>,
}

/// `status.details`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Details {
    pub name: String,
    pub group: String,
    pub kind: String,
    pub uid: String,
    pub causes: Vec<Cause>,
    pub retry_after_seconds: u32,
    /// `metadata.continue`: with it the rest of a list can be had whose own token is too old.
    pub continue_token: String,
}

/// One of `status.details.causes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// `FieldValueInvalid`, `FieldValueRequired`, …
    pub reason: String,
    pub message: String,
    pub field: String,
}

/// A finding of validation, said as upstream's `field.Error` says it.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    pub kind: FieldErrorKind,
    /// `spec.containers[0].name`
    pub field: String,
    pub detail: String,
    /// The offending value, already formatted as JSON; empty when upstream prints none.
    pub value: String,
}

/// The types of `field.Error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldErrorKind {
    Required,
    Invalid,
    NotSupported,
    Duplicate,
    Forbidden,
    TooLong,
    TooMany,
    NotFound,
    /// The value has the wrong type; said like `Invalid`.
    TypeInvalid,
}

impl FieldError {
    pub fn required(field: impl Into<String>, detail: impl Into<String>) -> Self {
        FieldError { kind: FieldErrorKind::Required, field: field.into(), detail: detail.into(), value: String::new() }
    }
    pub fn invalid(field: impl Into<String>, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        let value: Value = value.into();
        FieldError { kind: FieldErrorKind::Invalid, field: field.into(), detail: detail.into(), value: value.to_string() }
    }
    pub fn forbidden(field: impl Into<String>, detail: impl Into<String>) -> Self {
        FieldError { kind: FieldErrorKind::Forbidden, field: field.into(), detail: detail.into(), value: String::new() }
    }
    pub fn duplicate(field: impl Into<String>, value: impl Into<Value>) -> Self {
        let value: Value = value.into();
        FieldError { kind: FieldErrorKind::Duplicate, field: field.into(), detail: String::new(), value: value.to_string() }
    }
    pub fn too_long(field: impl Into<String>, max: usize) -> Self {
        FieldError {
            kind: FieldErrorKind::TooLong,
            field: field.into(),
            detail: format!("may not be more than {max} bytes"),
            value: String::new(),
        }
    }
    /// `supported values: "A", "B"`
    pub fn not_supported(field: impl Into<String>, value: impl Into<Value>, valid: &[&str]) -> Self {
        let value: Value = value.into();
        let list = valid.iter().map(|v| format!("\"{v}\"")).collect::<Vec<_>>().join(", ");
        FieldError {
            kind: FieldErrorKind::NotSupported,
            field: field.into(),
            detail: format!("supported values: {list}"),
            value: value.to_string(),
        }
    }

    /// `Invalid value: "x": must be …`: the message of the cause.
    pub fn body(&self) -> String {
        let head = match self.kind {
            FieldErrorKind::Required => "Required value",
            FieldErrorKind::Invalid | FieldErrorKind::TypeInvalid => "Invalid value",
            FieldErrorKind::NotSupported => "Unsupported value",
            FieldErrorKind::Duplicate => "Duplicate value",
            FieldErrorKind::Forbidden => "Forbidden",
            FieldErrorKind::TooLong => "Too long",
            FieldErrorKind::TooMany => "Too many",
            FieldErrorKind::NotFound => "Not found",
        };
        let mut text = head.to_string();
        for part in [&self.value, &self.detail] {
            if !part.is_empty() {
                text.push_str(": ");
                text.push_str(part);
            }
        }
        text
    }

    fn reason(&self) -> &'static str {
        match self.kind {
            FieldErrorKind::Required => "FieldValueRequired",
            FieldErrorKind::Invalid => "FieldValueInvalid",
            FieldErrorKind::NotSupported => "FieldValueNotSupported",
            FieldErrorKind::Duplicate => "FieldValueDuplicate",
            FieldErrorKind::Forbidden => "FieldValueForbidden",
            FieldErrorKind::TooLong => "FieldValueTooLong",
            FieldErrorKind::TooMany => "FieldValueTooMany",
            FieldErrorKind::NotFound => "FieldValueNotFound",
            FieldErrorKind::TypeInvalid => "FieldValueTypeInvalid",
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

const MODIFIED: &str = "the object has been modified; please apply your changes to the latest version and try again";

impl ApiError {
    /// An error with no details.
    pub fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        ApiError { code, reason: reason.into(), message: message.into(), details: None }
    }
    fn about(code: u16, reason: &str, message: String, group: &str, kind: &str, name: &str) -> Self {
        let details = Details { name: name.into(), group: group.into(), kind: kind.into(), ..Default::default() };
        ApiError { code, reason: reason.into(), message, details: Some(details) }
    }
    /// `pods "x" not found`
    pub fn not_found(group: &str, plural: &str, name: &str) -> Self {
        Self::about(404, "NotFound", format!("{} \"{name}\" not found", qualified(group, plural)), group, plural, name)
    }
    /// `pods "x" already exists`
    pub fn already_exists(group: &str, plural: &str, name: &str) -> Self {
        Self::about(409, "AlreadyExists", format!("{} \"{name}\" already exists", qualified(group, plural)), group, plural, name)
    }
    /// `Operation cannot be fulfilled on pods "x": <why>`
    pub fn conflict(group: &str, plural: &str, name: &str, why: &str) -> Self {
        Self::about(
            409,
            "Conflict",
            format!("Operation cannot be fulfilled on {} \"{name}\": {why}", qualified(group, plural)),
            group,
            plural,
            name,
        )
    }
    /// The conflict of a stale `resourceVersion`.
    pub fn modified(group: &str, plural: &str, name: &str) -> Self {
        Self::conflict(group, plural, name, MODIFIED)
    }

    /// Whether this is [`ApiError::modified`].
    pub fn is_modified(&self) -> bool {
        self.code == 409 && self.message.ends_with(MODIFIED)
    }

    /// `Pod "x" is invalid: …`, with a cause per finding.
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Self {
        let text = match errors {
            [one] => one.to_string(),
            many => format!("[{}]", many.iter().map(|e| e.to_string()).collect::<Vec<_>>().join(", ")),
        };
        let qualified = if group.is_empty() { kind.to_string() } else { format!("{kind}.{group}") };
        let mut error = Self::about(422, "Invalid", format!("{qualified} \"{name}\" is invalid: {text}"), group, kind, name);
        if let Some(details) = &mut error.details {
            details.causes =
                errors.iter().map(|e| Cause { reason: e.reason().into(), message: e.body(), field: e.field.clone() }).collect();
        }
        error
    }
    /// `pods "x" is forbidden: <why>`
    pub fn forbidden(group: &str, plural: &str, name: &str, why: &str) -> Self {
        let subject = if name.is_empty() { qualified(group, plural) } else { format!("{} \"{name}\"", qualified(group, plural)) };
        Self::about(403, "Forbidden", format!("{subject} is forbidden: {why}"), group, plural, name)
    }
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }
    pub fn method_not_supported(group: &str, plural: &str, verb: &str) -> Self {
        Self::about(
            405,
            "MethodNotAllowed",
            format!("{verb} is not supported on resources of kind \"{}\"", qualified(group, plural)),
            group,
            plural,
            "",
        )
    }
    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::new(415, "UnsupportedMediaType", message)
    }
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(413, "RequestEntityTooLarge", message)
    }
    /// 410, for a watch or a continue token that asks for what is no longer kept.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(500, "InternalError", format!("Internal error occurred: {message}"))
    }
    /// 503 with a hint when to come back.
    pub fn unavailable(message: impl Into<String>) -> Self {
        let mut error = Self::new(503, "ServiceUnavailable", message);
        error.details = Some(Details { retry_after_seconds: 1, ..Default::default() });
        error
    }
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(504, "Timeout", message)
    }
    /// What the code honestly cannot do yet.
    pub fn not_implemented(what: impl fmt::Display) -> Self {
        Self::new(501, "NotImplemented", format!("{what} is not implemented by this server yet"))
    }

    /// The `Status` object.
    pub fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.as_str().into();
        }
        let Some(d) = &self.details else { return status };
        if !d.continue_token.is_empty() {
            status["metadata"]["continue"] = d.continue_token.as_str().into();
        }
        let mut details = serde_json::Map::new();
        for (key, value) in [("name", &d.name), ("group", &d.group), ("kind", &d.kind), ("uid", &d.uid)] {
            if !value.is_empty() {
                details.insert(key.into(), value.clone().into());
            }
        }
        if !d.causes.is_empty() {
            let causes = d.causes.iter().map(|c| json!({"reason": c.reason, "message": c.message, "field": c.field}));
            details.insert("causes".into(), causes.collect());
        }
        if d.retry_after_seconds > 0 {
            details.insert("retryAfterSeconds".into(), d.retry_after_seconds.into());
        }
        if !details.is_empty() {
            status["details"] = details.into();
        }
        status
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

fn qualified(group: &str, plural: &str) -> String {
    if group.is_empty() { plural.to_string() } else { format!("{plural}.{group}") }
}

//! What upstream's validation and defaulting do, on JSON values that have passed the typed check.
//!
//! Validation collects every fault it finds, each with the path of its field; defaulting fills in place and never fails.
pub mod defaults;
mod labels;
mod meta;
pub mod network;
pub mod node_selector;
pub mod persistent_volume;
mod pod_spec;
pub mod quantities;

pub use defaults::{default_pod, default_pod_spec};
pub use labels::{labels, selector};
pub use meta::{object_meta, object_meta_update};
pub use pod_spec::{resource_requirements, validate_pod_spec};

use crate::status::{FieldError, FieldErrorKind};
use serde_json::Value;

/// A text field; empty when it is absent.
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// The items of a list field, with their paths; none when it is absent.
pub fn items<'a>(value: &'a Value, path: &str, field: &str) -> impl Iterator<Item = (String, &'a Value)> {
    let path = if path.is_empty() { field.to_string() } else { format!("{path}.{field}") };
    value[field].as_array().into_iter().flatten().enumerate().map(move |(index, item)| (format!("{path}[{index}]"), item))
}

/// An `Invalid value` finding for each sentence.
pub fn invalid_each(path: &str, value: &str, sentences: Vec<String>) -> impl Iterator<Item = FieldError> {
    sentences.into_iter().map(move |sentence| FieldError::invalid(path, value, sentence))
}

/// Absent is `Required value`, anything but `valid` is `Unsupported value`. `valid` is sorted, as upstream prints it.
pub fn one_of(value: &Value, path: &str, field: &str, valid: &[&str]) -> Option<FieldError> {
    let path = format!("{path}.{field}");
    match value[field].as_str().unwrap_or_default() {
        "" => Some(FieldError::required(path, "")),
        found if valid.contains(&found) => None,
        found => Some(FieldError::not_supported(path, found, valid)),
    }
}

/// The same for a field that may be absent.
pub fn one_of_if_set(value: &Value, path: &str, field: &str, valid: &[&str]) -> Option<FieldError> {
    if value[field].is_null() { None } else { one_of(value, path, field, valid) }
}

/// A number field that must not be negative.
pub fn not_negative(value: &Value, path: &str, field: &str) -> Option<FieldError> {
    let number = value[field].as_i64().filter(|n| *n < 0)?;
    Some(FieldError::invalid(format!("{path}.{field}"), number, "must be greater than or equal to 0"))
}

/// `Required value` when a text field is absent or empty.
pub fn required(value: &Value, path: &str, field: &str) -> Option<FieldError> {
    text(value, field).is_empty().then(|| FieldError::required(format!("{path}.{field}"), ""))
}

pub(crate) fn not_found(path: String, value: &str) -> FieldError {
    FieldError { kind: FieldErrorKind::NotFound, field: path, detail: String::new(), value: Value::from(value).to_string() }
}

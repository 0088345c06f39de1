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
mod pod_warnings;
pub mod quantities;
mod template;

pub use defaults::{aggregated, default_pod, default_pod_spec, default_pod_template};
pub use labels::{labels, selector};
pub use meta::{object_meta, object_meta_update};
pub use pod_spec::{container_resource_name, resource_requirements, validate_pod, validate_pod_spec, validate_toleration};
pub use pod_warnings::{name_warning, namesake_warnings, pod_warnings, template_warnings, workload_warnings};
pub use template::{only_always, pod_annotations, validate_pod_template};

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

/// `Too many: 21: must have at most 20 items`
pub fn too_many(path: impl Into<String>, count: usize, max: usize) -> FieldError {
    let detail = format!("must have at most {max} items");
    FieldError { kind: FieldErrorKind::TooMany, field: path.into(), detail, value: count.to_string() }
}

/// An `Invalid value` finding about something whose value says nothing to the reader.
pub fn unfit(path: impl Into<String>, detail: impl Into<String>) -> FieldError {
    FieldError { kind: FieldErrorKind::Invalid, field: path.into(), detail: detail.into(), value: String::new() }
}

/// A `field is immutable` finding when the two differ.
pub fn immutable(new: &Value, old: &Value, path: &str) -> Option<FieldError> {
    (!same(new, old)).then(|| FieldError::invalid(path, new.clone(), "field is immutable"))
}

/// Equality in which absent is the same as empty, as Go has it for lists, maps and texts.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            x.iter().all(|(k, v)| same(v, y.get(k).unwrap_or(&Value::Null))) && y.iter().all(|(k, v)| x.contains_key(k) || is_empty(v))
        }
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(a, b)| same(a, b)),
        (Value::Null, other) | (other, Value::Null) => is_empty(other),
        _ => a == b,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.values().all(is_empty),
        _ => false,
    }
}

pub(crate) fn not_found(path: String, value: &str) -> FieldError {
    FieldError { kind: FieldErrorKind::NotFound, field: path, detail: String::new(), value: Value::from(value).to_string() }
}

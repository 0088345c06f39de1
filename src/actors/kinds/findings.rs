//! Reading JSON for validation, and findings that kinds of several groups share.
use crate::protocol::names;
use crate::protocol::status::{FieldError, FieldErrorKind};
use serde_json::Value;
use std::collections::HashSet;

/// Verbs of a subresource that is read and written in place.
pub(super) const READ_WRITE: &[&str] = &["get", "patch", "update"];

/// A text field, empty when absent.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// A list, empty when absent.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The items of a list field with their paths: `spec.rules[0]`.
pub(super) fn items<'a>(value: &'a Value, path: &str, field: &str) -> impl Iterator<Item = (String, &'a Value)> {
    let path = child(path, field);
    list(&value[field]).iter().enumerate().map(move |(index, item)| (format!("{path}[{index}]"), item))
}

/// The texts in a list.
pub(super) fn texts(value: &Value) -> Vec<&str> {
    list(value).iter().filter_map(Value::as_str).collect()
}

/// `path.field`, or the field alone at the top.
pub(super) fn child(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_string() } else { format!("{path}.{field}") }
}

/// Fills in a field that is absent.
pub(super) fn fill(object: &mut Value, field: &str, value: impl Into<Value>) {
    if let Some(map) = object.as_object_mut()
        && map.get(field).is_none_or(Value::is_null)
    {
        map.insert(field.into(), value.into());
    }
}

/// The items of a list field, to be changed; none when it is absent.
pub(super) fn items_mut<'a>(object: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}

/// An `Invalid value` finding for each sentence.
pub(super) fn invalid_each<'a>(path: &'a str, value: &'a str, sentences: Vec<String>) -> impl Iterator<Item = FieldError> + 'a {
    sentences.into_iter().map(move |sentence| FieldError::invalid(path, value, sentence))
}

/// `Too many: 65: must have at most 64 items`
pub(super) fn too_many(path: impl Into<String>, count: usize, max: usize) -> FieldError {
    let detail = format!("must have at most {max} items");
    FieldError { kind: FieldErrorKind::TooMany, field: path.into(), detail, value: count.to_string() }
}

/// `Unsupported value` unless the field is absent or one of `valid`, which is sorted as upstream prints it.
pub(super) fn unsupported(object: &Value, path: &str, field: &str, valid: &[&str]) -> Option<FieldError> {
    let found = object[field].as_str().filter(|found| !found.is_empty())?;
    (!valid.contains(&found)).then(|| FieldError::not_supported(child(path, field), found, valid))
}

/// As [`unsupported`], for a field that may be left out and that, when it is there, must not be empty.
pub(super) fn unsupported_if_there(object: &Value, path: &str, field: &str, valid: &[&str]) -> Option<FieldError> {
    let found = object[field].as_str()?;
    (!valid.contains(&found)).then(|| FieldError::not_supported(child(path, field), found, valid))
}

/// As [`unsupported`], and `Required value` when absent or empty.
pub(super) fn required_one_of(object: &Value, path: &str, field: &str, valid: &[&str]) -> Option<FieldError> {
    if text(object, field).is_empty() {
        return Some(FieldError::required(child(path, field), ""));
    }
    unsupported(object, path, field, valid)
}

/// `Required value` when a text is absent or empty.
pub(super) fn required(object: &Value, path: &str, field: &str) -> Option<FieldError> {
    text(object, field).is_empty().then(|| FieldError::required(child(path, field), ""))
}

/// A field that an update may not change.
pub(super) fn immutable(new: &Value, old: &Value, path: &str, field: &str) -> Option<FieldError> {
    (new[field] != old[field]).then(|| FieldError::invalid(child(path, field), new[field].clone(), "field is immutable"))
}

/// True when one of the texts is `*`.
pub(super) fn has_wildcard(values: &[&str]) -> bool {
    values.contains(&"*")
}

/// Longest reason and message of a condition, bytes.
const REASON_MAX: usize = 1024;
const MESSAGE_MAX: usize = 32 * 1024;

/// A list of `metav1.Condition`.
pub(super) fn conditions(object: &Value, path: &str, field: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut seen = HashSet::new();
    for (path, condition) in items(object, path, field) {
        let type_ = text(condition, "type");
        if !seen.insert(type_) {
            errors.push(FieldError::duplicate(format!("{path}.type"), type_));
        }
        if type_.is_empty() {
            errors.push(FieldError::required(format!("{path}.type"), ""));
        }
        errors.extend(invalid_each(&format!("{path}.type"), type_, names::qualified_name(type_)));
        errors.extend(required_one_of(condition, &path, "status", &["False", "True", "Unknown"]));
        if let Some(generation) = condition["observedGeneration"].as_i64().filter(|g| *g < 0) {
            errors.push(FieldError::invalid(format!("{path}.observedGeneration"), generation, "must be greater than or equal to zero"));
        }
        if text(condition, "lastTransitionTime").is_empty() {
            errors.push(FieldError::required(format!("{path}.lastTransitionTime"), "must be set"));
        }
        errors.extend(reason(condition, &format!("{path}.reason")));
        if text(condition, "message").len() > MESSAGE_MAX {
            errors.push(FieldError::too_long(format!("{path}.message"), MESSAGE_MAX));
        }
    }
    errors
}

fn reason(condition: &Value, path: &str) -> Option<FieldError> {
    let reason = text(condition, "reason");
    if reason.is_empty() {
        return Some(FieldError::required(path, "must be set"));
    }
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let shape = reason.starts_with(|c: char| c.is_ascii_alphabetic())
        && reason.bytes().all(|b| word(b) || matches!(b, b',' | b':'))
        && reason.bytes().last().is_some_and(word);
    if !shape {
        let rule = "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')";
        return Some(FieldError::invalid(path, reason, rule));
    }
    (reason.len() > REASON_MAX).then(|| FieldError::too_long(path, REASON_MAX))
}

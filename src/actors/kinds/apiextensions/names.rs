//! `spec.names` and `status.acceptedNames`.
use crate::protocol::names::dns1035_label;
use crate::protocol::status::FieldError;
use serde_json::Value;

pub(super) fn validate(names: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let text = |field: &str| names[field].as_str().unwrap_or_default();
    for field in ["plural", "singular"] {
        let faults = dns1035_label(text(field));
        if !text(field).is_empty() && !faults.is_empty() {
            errors.push(FieldError::invalid(format!("{path}.{field}"), text(field), faults.join(",")));
        }
    }
    for field in ["kind", "listKind"] {
        let faults = dns1035_label(&text(field).to_lowercase());
        if !text(field).is_empty() && !faults.is_empty() {
            let why = format!("may have mixed case, but should otherwise match: {}", faults.join(","));
            errors.push(FieldError::invalid(format!("{path}.{field}"), text(field), why));
        }
    }
    let listed = |field: &'static str| {
        let list = names[field].as_array().into_iter().flatten().enumerate();
        list.filter_map(move |(at, name)| {
            let name = name.as_str().unwrap_or_default();
            let faults = dns1035_label(name);
            (!faults.is_empty()).then(|| FieldError::invalid(format!("{path}.{field}[{at}]"), name, faults.join(",")))
        })
    };
    errors.extend(listed("shortNames"));
    if !text("kind").is_empty() && text("kind") == text("listKind") {
        errors.push(FieldError::invalid(format!("{path}.listKind"), text("listKind"), "kind and listKind may not be the same"));
    }
    errors.extend(listed("categories"));
    errors
}

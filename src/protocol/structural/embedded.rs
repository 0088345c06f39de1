//! Objects within objects: `x-kubernetes-embedded-resource`.
use super::{Additional, Structural, child, keyed};
use crate::names;
use crate::status::FieldError;
use serde_json::Value;

/// What embedded objects lack: their `apiVersion`, `kind`, and metadata that is in order.
pub fn check_embedded(value: &Value, schema: &Structural) -> Vec<FieldError> {
    let mut errors = Vec::new();
    below(value, schema, "", &mut errors);
    errors
}

fn below(value: &Value, schema: &Structural, path: &str, errors: &mut Vec<FieldError>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match (schema.properties.get(name), &schema.additional) {
                    (Some(property), _) => node(member, property, &child(path, name), errors),
                    (None, Additional::Schema(additional)) => node(member, additional, &keyed(path, name), errors),
                    _ => {}
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = &schema.items else { return };
            items.iter().enumerate().for_each(|(at, item)| node(item, schema, &keyed(path, at), errors));
        }
        _ => {}
    }
}

fn node(value: &Value, schema: &Structural, path: &str, errors: &mut Vec<FieldError>) {
    if schema.embedded && value.is_object() {
        resource(value, path, errors);
    }
    below(value, schema, path, errors);
}

fn resource(value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let text = |field: &str| value[field].as_str().unwrap_or_default();
    if text("apiVersion").is_empty() {
        errors.push(FieldError::required(child(path, "apiVersion"), "must not be empty"));
    } else if text("apiVersion").matches('/').count() > 1 {
        let why = format!("unexpected GroupVersion string: {}", text("apiVersion"));
        errors.push(FieldError::invalid(child(path, "apiVersion"), text("apiVersion"), why));
    }
    if text("kind").is_empty() {
        errors.push(FieldError::required(child(path, "kind"), "must not be empty"));
    } else {
        let lower = text("kind").to_ascii_lowercase();
        for fault in names::dns1035_label(&lower) {
            let why = format!("may have mixed case, but should otherwise match: {fault}");
            errors.push(FieldError::invalid(child(path, "kind"), text("kind"), why));
        }
    }
    let labels = value["metadata"]["labels"].as_object();
    for (key, label) in labels.into_iter().flatten() {
        let at = child(path, "metadata.labels");
        errors.extend(names::qualified_name(key).into_iter().map(|fault| FieldError::invalid(at.clone(), key.as_str(), fault)));
        let label = label.as_str().unwrap_or_default();
        errors.extend(names::label_value(label).into_iter().map(|fault| FieldError::invalid(at.clone(), label, fault)));
    }
}

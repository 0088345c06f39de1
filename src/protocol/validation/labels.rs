//! Labels and label selectors.
use super::{invalid_each, items, text};
use crate::names;
use crate::status::FieldError;
use serde_json::Value;

/// Keys and values of a map of labels.
pub fn labels(map: &Value, path: &str) -> Vec<FieldError> {
    let mut faults = Vec::new();
    for (key, value) in map.as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        faults.extend(invalid_each(path, key, names::qualified_name(key)));
        faults.extend(invalid_each(path, value, names::label_value(value)));
    }
    faults
}

/// A `LabelSelector` object.
pub fn selector(selector: &Value, path: &str) -> Vec<FieldError> {
    let mut faults = labels(&selector["matchLabels"], &format!("{path}.matchLabels"));
    for (path, expression) in items(selector, path, "matchExpressions") {
        let empty = expression["values"].as_array().is_none_or(Vec::is_empty);
        match text(expression, "operator") {
            "In" | "NotIn" if empty => {
                faults.push(FieldError::required(format!("{path}.values"), "must be specified when `operator` is 'In' or 'NotIn'"));
            }
            "Exists" | "DoesNotExist" if !empty => {
                faults.push(FieldError::forbidden(
                    format!("{path}.values"),
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                ));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => faults.push(FieldError::invalid(format!("{path}.operator"), other, "not a valid selector operator")),
        }
        let key = text(expression, "key");
        faults.extend(invalid_each(&format!("{path}.key"), key, names::qualified_name(key)));
        for (path, value) in items(expression, &path, "values") {
            let value = value.as_str().unwrap_or_default();
            faults.extend(invalid_each(&path, value, names::label_value(value)));
        }
    }
    faults
}

//! Node selectors and topology selectors, as pods, volumes, claims and classes have them.
use super::{invalid_each, items, text};
use crate::names;
use crate::status::FieldError;
use serde_json::Value;
use std::collections::HashSet;

/// A `NodeSelector`: terms of expressions over labels and fields.
pub fn node_selector(selector: &Value, path: &str) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if selector["nodeSelectorTerms"].as_array().is_none_or(Vec::is_empty) {
        faults.push(FieldError::required(format!("{path}.nodeSelectorTerms"), "must have at least one node selector term"));
        return faults;
    }
    for (path, term) in items(selector, path, "nodeSelectorTerms") {
        node_selector_term(term, &path, true, &mut faults);
    }
    faults
}

/// A `NodeSelectorTerm`. `strict`: the values must be possible labels; a preference that nothing meets does no harm.
pub fn node_selector_term(term: &Value, path: &str, strict: bool, faults: &mut Vec<FieldError>) {
    for (path, requirement) in items(term, path, "matchExpressions") {
        requirement_faults(requirement, &path, strict, faults);
    }
    for (path, requirement) in items(term, path, "matchFields") {
        field_faults(requirement, &path, faults);
    }
}

fn requirement_faults(requirement: &Value, path: &str, strict: bool, faults: &mut Vec<FieldError>) {
    let values = requirement["values"].as_array().map_or(0, Vec::len);
    let field = format!("{path}.values");
    match text(requirement, "operator") {
        "In" | "NotIn" if values == 0 => {
            faults.push(FieldError::required(field, "must be specified when `operator` is 'In' or 'NotIn'"));
        }
        "Exists" | "DoesNotExist" if values > 0 => {
            faults.push(FieldError::forbidden(field, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
        }
        "Gt" | "Lt" if values != 1 => {
            faults.push(FieldError::required(field, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        other => faults.push(FieldError::invalid(format!("{path}.operator"), other, "not a valid selector operator")),
    }
    let key = text(requirement, "key");
    faults.extend(invalid_each(&format!("{path}.key"), key, names::qualified_name(key)));
    for (path, value) in items(requirement, path, "values").filter(|_| strict) {
        let value = value.as_str().unwrap_or_default();
        faults.extend(invalid_each(&path, value, names::label_value(value)));
    }
}

fn field_faults(requirement: &Value, path: &str, faults: &mut Vec<FieldError>) {
    match text(requirement, "operator") {
        "In" | "NotIn" => {
            if requirement["values"].as_array().map_or(0, Vec::len) != 1 {
                let why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
                faults.push(FieldError::required(format!("{path}.values"), why));
            }
        }
        other => faults.push(FieldError::invalid(format!("{path}.operator"), other, "not a valid selector operator")),
    }
    match text(requirement, "key") {
        "metadata.name" => {
            for (path, value) in items(requirement, path, "values") {
                let value = value.as_str().unwrap_or_default();
                faults.extend(invalid_each(&path, value, names::dns1123_subdomain(value)));
            }
        }
        other => faults.push(FieldError::invalid(format!("{path}.key"), other, "not a valid field selector key")),
    }
}

/// A list of `TopologySelectorTerm`s; no two of them may say the same.
pub fn topologies(object: &Value, path: &str, field: &str) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let mut seen: Vec<Vec<(String, Vec<String>)>> = Vec::new();
    for (path, term) in items(object, path, field) {
        let mut keys = HashSet::new();
        let mut said = Vec::new();
        for (path, expression) in items(term, &path, "matchLabelExpressions") {
            let key = text(expression, "key");
            let mut values = HashSet::new();
            if expression["values"].as_array().is_none_or(Vec::is_empty) {
                faults.push(FieldError::required(format!("{path}.values"), ""));
            }
            for (path, value) in items(expression, &path, "values") {
                if !values.insert(value.as_str().unwrap_or_default()) {
                    faults.push(FieldError::duplicate(path, value.clone()));
                }
            }
            faults.extend(invalid_each(&format!("{path}.key"), key, names::qualified_name(key)));
            if !keys.insert(key) {
                faults.push(FieldError::duplicate(format!("{path}.key"), key));
            }
            let mut values: Vec<String> = values.into_iter().map(str::to_string).collect();
            values.sort();
            said.push((key.to_string(), values));
        }
        said.sort();
        if seen.contains(&said) {
            faults.push(FieldError::duplicate(format!("{path}.matchLabelExpressions"), ""));
        }
        seen.push(said);
    }
    faults
}

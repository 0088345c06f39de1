//! What a claim asks for: requests, constraints, configuration.
use super::formats::{by_name, by_text, driver, each, each_once, fully_qualified, label, raw_object, subdomain};
use crate::actors::kinds::findings::{child, fill, invalid_each, items_mut, list, required_one_of, text, unsupported};
use crate::protocol::cel::device_selector;
use crate::protocol::names::{label_value, qualified_name};
use crate::protocol::status::FieldError;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

pub(super) const REQUESTS_MAX: usize = 32;
pub(super) const CONFIG_MAX: usize = 32;
const CONSTRAINTS_MAX: usize = 32;
const SELECTORS_MAX: usize = 32;
const TOLERATIONS_MAX: usize = 16;
const ALTERNATIVES_MAX: usize = 8;
/// Longest CEL selector, bytes.
const EXPRESSION_MAX: usize = 10 * 1024;
const EFFECTS: &[&str] = &["NoExecute", "NoSchedule", "None"];
/// No bound beyond that of the whole object.
pub(super) const UNBOUNDED: usize = usize::MAX;

/// The requests of a claim, each with its alternatives.
pub(super) type RequestNames<'a> = HashMap<&'a str, HashSet<&'a str>>;

/// Fills in one request's, or one alternative's, mode and count.
fn default_request(request: &mut Value) {
    if text(request, "allocationMode").is_empty() {
        request["allocationMode"] = "ExactCount".into();
    }
    if request["allocationMode"] == "ExactCount" && request["count"].as_i64().unwrap_or(0) == 0 {
        request["count"] = 1.into();
    }
    default_tolerations(request);
}

fn default_tolerations(object: &mut Value) {
    for toleration in items_mut(object, "tolerations") {
        fill(toleration, "operator", "Equal");
    }
}

/// Fills in the requests of a `DeviceClaim`.
pub(super) fn default_claim(devices: &mut Value) {
    for request in items_mut(devices, "requests") {
        if let Some(exactly) = request.get_mut("exactly").filter(|e| e.is_object()) {
            default_request(exactly);
        }
        items_mut(request, "firstAvailable").filter(|r| r.is_object()).for_each(default_request);
    }
}

/// The names that constraints and results may refer to.
pub(super) fn request_names(devices: &Value) -> RequestNames<'_> {
    list(&devices["requests"]).iter().map(|r| (text(r, "name"), alternatives(r))).collect()
}

fn alternatives(request: &Value) -> HashSet<&str> {
    list(&request["firstAvailable"]).iter().map(|alternative| text(alternative, "name")).collect()
}

/// Checks a `DeviceClaim`.
pub(super) fn validate_claim(devices: &Value, path: &str) -> Vec<FieldError> {
    let names = request_names(devices);
    let mut errors = each_once(devices, path, "requests", REQUESTS_MAX, by_name, validate_request);
    errors.extend(each(devices, path, "constraints", CONSTRAINTS_MAX, |constraint, path| {
        let mut errors = name_references(constraint, path, &names);
        match (constraint["matchAttribute"].as_str(), constraint["distinctAttribute"].as_str()) {
            (Some(name), _) => errors.extend(fully_qualified(name, &child(path, "matchAttribute"))),
            (None, Some(name)) => errors.extend(fully_qualified(name, &child(path, "distinctAttribute"))),
            (None, None) => {
                let why = "exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are set";
                errors.push(FieldError::required(path, why));
            }
        }
        errors
    }));
    errors.extend(each(devices, path, "config", CONFIG_MAX, |config, path| {
        let mut errors = name_references(config, path, &names);
        errors.extend(configuration(config, path));
        errors
    }));
    errors
}

/// The list `requests` of a constraint or a configuration.
pub(super) fn name_references(object: &Value, path: &str, names: &RequestNames<'_>) -> Vec<FieldError> {
    each_once(object, path, "requests", REQUESTS_MAX, by_text, |name, path| name_reference(name.as_str().unwrap_or_default(), path, names))
}

/// A request of the claim, or a request and one of its alternatives.
pub(super) fn name_reference(name: &str, path: &str, names: &RequestNames<'_>) -> Vec<FieldError> {
    let why = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";
    let segments: Vec<&str> = name.split('/').collect();
    if segments.len() > 2 {
        return vec![FieldError::invalid(path, name, why)];
    }
    let mut errors: Vec<_> = segments.iter().flat_map(|segment| label(segment, path)).collect();
    let known = match segments.as_slice() {
        [request] => names.contains_key(request),
        [request, alternative] => names.get(request).is_some_and(|a| a.contains(alternative)),
        _ => false,
    };
    if !known {
        errors.push(FieldError::invalid(path, name, why));
    }
    errors
}

/// What a driver is told about a device.
pub(super) fn configuration(config: &Value, path: &str) -> Vec<FieldError> {
    let (opaque, path) = (&config["opaque"], child(path, "opaque"));
    if opaque.is_null() {
        return vec![FieldError::required(path, "")];
    }
    let mut errors = driver(text(opaque, "driver"), &child(&path, "driver"));
    errors.extend(raw_object(&opaque["parameters"], &child(&path, "parameters")));
    errors
}

fn validate_request(request: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = label(text(request, "name"), &child(path, "name"));
    let alternatives = !list(&request["firstAvailable"]).is_empty();
    match (alternatives, request["exactly"].is_object()) {
        (false, false) => errors.push(FieldError::required(path, "exactly one of `exactly` or `firstAvailable` is required")),
        (true, true) => {
            let why = "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set";
            errors.push(FieldError::invalid(path, Value::Null, why));
        }
        (true, false) => errors.extend(each_once(request, path, "firstAvailable", ALTERNATIVES_MAX, by_name, |alternative, path| {
            let mut errors = label(text(alternative, "name"), &child(path, "name"));
            errors.extend(validate_exact(alternative, path));
            errors
        })),
        (false, true) => errors.extend(validate_exact(&request["exactly"], &child(path, "exactly"))),
    }
    errors
}

fn validate_exact(request: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = subdomain(request, path, "deviceClassName");
    errors.extend(selectors(request, path));
    let count = request["count"].as_i64().unwrap_or(0);
    match text(request, "allocationMode") {
        "All" if count != 0 => {
            errors.push(FieldError::invalid(child(path, "count"), count, "must not be specified when allocationMode is 'All'"));
        }
        "ExactCount" if count <= 0 => errors.push(FieldError::invalid(child(path, "count"), count, "must be greater than zero")),
        "All" | "ExactCount" => {}
        other => errors.push(FieldError::not_supported(child(path, "allocationMode"), other, &["All", "ExactCount"])),
    }
    errors.extend(each(request, path, "tolerations", TOLERATIONS_MAX, toleration));
    errors
}

/// CEL expressions over a device.
pub(super) fn selectors(object: &Value, path: &str) -> Vec<FieldError> {
    each(object, path, "selectors", SELECTORS_MAX, |selector, path| {
        let cel = child(path, "cel");
        if selector["cel"].is_null() {
            return vec![FieldError::required(cel, "")];
        }
        let (expression, path) = (text(&selector["cel"], "expression"), child(&cel, "expression"));
        if expression.len() > EXPRESSION_MAX {
            return vec![FieldError::too_long(path, EXPRESSION_MAX)];
        }
        device_selector(expression).err().map(|why| FieldError::invalid(path, expression, why)).into_iter().collect()
    })
}

/// A taint that a request puts up with.
pub(super) fn toleration(toleration: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let (key, value) = (text(toleration, "key"), text(toleration, "value"));
    if !key.is_empty() {
        errors.extend(invalid_each(&child(path, "key"), key, qualified_name(key)));
    }
    errors.extend(required_one_of(toleration, path, "operator", &["Equal", "Exists"]));
    match text(toleration, "operator") {
        "Exists" if !value.is_empty() => {
            errors.push(FieldError::invalid(child(path, "value"), value, "must be empty for operator `Exists`"));
        }
        "Equal" => errors.extend(invalid_each(&child(path, "value"), value, label_value(value))),
        _ => {}
    }
    errors.extend(unsupported(toleration, path, "effect", EFFECTS));
    errors
}

/// A taint of a device.
pub(super) fn taint(taint: &Value, path: &str) -> Vec<FieldError> {
    let (key, value) = (text(taint, "key"), text(taint, "value"));
    let mut errors: Vec<_> = invalid_each(&child(path, "key"), key, qualified_name(key)).collect();
    errors.extend(invalid_each(&child(path, "value"), value, label_value(value)));
    errors.extend(required_one_of(taint, path, "effect", EFFECTS));
    errors
}

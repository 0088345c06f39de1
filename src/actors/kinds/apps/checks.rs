//! Rules that several kinds of workloads share.
use crate::protocol::selector::LabelSelector;
use crate::protocol::status::FieldError;
use crate::protocol::validation::{selector as validate_selector, validate_pod_template};
use serde_json::Value;

pub(in crate::actors::kinds) const NEGATIVE: &str = "must be greater than or equal to 0";
const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";

/// Number fields that may be absent but not negative.
pub(in crate::actors::kinds) fn not_negative(object: &Value, path: &str, fields: &[&str]) -> Vec<FieldError> {
    let negative = |field: &&str| object[*field].as_i64().filter(|n| *n < 0).map(|n| (field.to_string(), n));
    fields.iter().filter_map(negative).map(|(f, n)| FieldError::invalid(format!("{path}.{f}"), n, NEGATIVE)).collect()
}

/// A number of at least 0, or a percentage.
pub(in crate::actors::kinds) fn int_or_percent(value: &Value, path: &str) -> Option<FieldError> {
    match value {
        Value::String(text) if percent(text).is_none() => Some(FieldError::invalid(path, &**text, PERCENT)),
        Value::Number(number) if number.as_i64().unwrap_or_default() < 0 => Some(FieldError::invalid(path, value.clone(), NEGATIVE)),
        _ => None,
    }
}

/// A percentage may not go beyond the whole.
pub(in crate::actors::kinds) fn at_most_100_percent(value: &Value, path: &str) -> Option<FieldError> {
    let over = value.as_str().and_then(percent).is_some_and(|p| p > 100);
    over.then(|| FieldError::invalid(path, value.clone(), "must not be greater than 100%"))
}

/// The number in front of the percent sign, or the number itself; 0 for what is neither.
pub(in crate::actors::kinds) fn amount(value: &Value) -> u64 {
    match value {
        Value::String(text) => percent(text).or_else(|| text.parse().ok()).unwrap_or_default(),
        other => other.as_i64().map_or(0, i64::unsigned_abs),
    }
}

fn percent(text: &str) -> Option<u64> {
    let digits = text.strip_suffix('%').filter(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))?;
    Some(digits.parse().unwrap_or(u64::MAX))
}

/// `spec.selector` of a kind that must have one. The schema makes an absent selector an empty object.
pub(in crate::actors::kinds) fn required_selector(spec: &Value, kind: &str) -> Vec<FieldError> {
    let given = &spec["selector"];
    if given.as_object().is_none_or(|s| s.is_empty()) {
        return vec![FieldError::required("spec.selector", "")];
    }
    let mut faults = validate_selector(given, "spec.selector");
    if is_empty_selector(given) {
        faults.push(FieldError::invalid("spec.selector", given.clone(), format!("empty selector is invalid for {kind}")));
    }
    faults
}

/// Neither labels nor expressions.
pub(in crate::actors::kinds) fn is_empty_selector(selector: &Value) -> bool {
    let labels = selector["matchLabels"].as_object().is_none_or(|m| m.is_empty());
    labels && selector["matchExpressions"].as_array().is_none_or(Vec::is_empty)
}

/// The template's labels must be those that the selector looks for.
pub(in crate::actors::kinds) fn selector_fits(spec: &Value, path: &str) -> Option<FieldError> {
    let given = &spec["selector"];
    let absent = given.as_object().is_none_or(|s| s.is_empty());
    if !absent && is_empty_selector(given) {
        return None;
    }
    let labels = &spec["template"]["metadata"]["labels"];
    let fits = match LabelSelector::from_object(given) {
        Ok(parsed) => !absent && parsed.matches_value(labels),
        Err(_) => return Some(FieldError::invalid(format!("{path}.selector"), given.clone(), "invalid label selector")),
    };
    let why = "`selector` does not match template `labels`";
    (!fits).then(|| FieldError::invalid(format!("{path}.template.metadata.labels"), labels.clone(), why))
}

/// Selector and template of controllers whose pods run for ever: Deployment, ReplicaSet.
pub(in crate::actors::kinds) fn selector_and_template(spec: &Value) -> Vec<FieldError> {
    let mut faults = required_selector(spec, "deployment");
    faults.extend(selector_fits(spec, "spec"));
    faults.extend(validate_pod_template(&spec["template"], "spec.template"));
    faults.extend(crate::protocol::validation::only_always(&spec["template"], "spec.template", "ReplicaSet"));
    faults
}

/// Counts in a status: none negative; those in `bounded` not above `replicas`, available not above ready. `ready` is how the last
/// rule's sentence names the field.
pub(in crate::actors::kinds) fn replica_status(status: &Value, counts: &[&str], bounded: &[&str], ready: &str) -> Vec<FieldError> {
    let number = |field: &str| status[field].as_i64().unwrap_or_default();
    let mut faults = not_negative(status, "status", counts);
    for field in bounded {
        if number(field) > number("replicas") {
            faults.push(FieldError::invalid(format!("status.{field}"), number(field), "cannot be greater than status.replicas"));
        }
    }
    if number("availableReplicas") > number("readyReplicas") {
        let why = format!("cannot be greater than {ready}");
        faults.push(FieldError::invalid("status.availableReplicas", number("availableReplicas"), why));
    }
    faults
}

/// `status.collisionCount` only grows.
pub(in crate::actors::kinds) fn collisions_grow(new: &Value, old: &Value) -> Option<FieldError> {
    let before = old["status"]["collisionCount"].as_i64()?;
    let now = new["status"]["collisionCount"].as_i64();
    let fell = now.is_none_or(|n| n < before);
    fell.then(|| FieldError::invalid("status.collisionCount", now.unwrap_or_default(), "cannot be decremented"))
}

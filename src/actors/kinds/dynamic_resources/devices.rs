//! One device in a slice: what it is, what it has, where it is.
use super::claim_status::node_selector;
use super::formats::{binding_conditions, each, each_once, label, qualified};
use super::policies::capacity;
use super::requests::taint;
use crate::actors::kinds::findings::{child, invalid_each, list, text, too_many};
use crate::protocol::names::dns1123_subdomain;
use crate::protocol::status::FieldError;
use serde_json::Value;

const NAMED_MAX: usize = 32;
const VALUES_MAX: usize = 48;
const TAINTS_MAX: usize = 16;
const CONSUMPTIONS_MAX: usize = 2;
const COUNTERS_MAX: usize = 32;
/// Longest text or version of an attribute, bytes.
const VALUE_MAX: usize = 64;
/// An attribute has one of these.
const VALUE_FIELDS: [&str; 8] = ["bool", "int", "string", "version", "bools", "ints", "strings", "versions"];

/// Checks a device; `selects` says that each device of its slice names its nodes itself.
pub(super) fn validate_device(device: &Value, path: &str, selects: bool) -> Vec<FieldError> {
    let mut errors = label(text(device, "name"), &child(path, "name"));
    let size = |field: &str| device[field].as_object().map_or(0, |m| m.len());
    let named = size("attributes") + size("capacity");
    if named > NAMED_MAX {
        let why = format!("the total number of attributes and capacities must not exceed {NAMED_MAX}");
        errors.push(FieldError::invalid(path, named, why));
    }
    let values: usize = device["attributes"].as_object().into_iter().flatten().map(|(_, attribute)| value_count(attribute)).sum();
    if values > VALUES_MAX {
        errors.push(FieldError::invalid(path, values, format!("the total number of attribute values must not exceed {VALUES_MAX}")));
    }
    for (key, attribute) in device["attributes"].as_object().into_iter().flatten() {
        let map = child(path, "attributes");
        errors.extend(qualified(key, &map));
        errors.extend(validate_attribute(attribute, &format!("{map}[{key}]")));
    }
    let shared = device["allowMultipleAllocations"] == true;
    for (key, value) in device["capacity"].as_object().into_iter().flatten() {
        let map = child(path, "capacity");
        errors.extend(qualified(key, &map));
        errors.extend(capacity(value, &format!("{map}[{key}]"), shared));
    }
    errors.extend(each(device, path, "taints", TAINTS_MAX, taint));
    let set = |consumption: &Value| text(consumption, "counterSet").to_string();
    errors.extend(each_once(device, path, "consumesCounters", CONSUMPTIONS_MAX, set, |consumption, path| {
        let (name, at) = (text(consumption, "counterSet"), child(path, "counterSet"));
        let mut errors = if name.is_empty() { vec![FieldError::required(at, "")] } else { label(name, &at) };
        errors.extend(counters(consumption, path, COUNTERS_MAX));
        errors
    }));
    errors.extend(place(device, path, selects));
    errors.extend(binding_conditions(device, path));
    errors
}

/// A map of counters, which must not be empty.
pub(super) fn counters(object: &Value, path: &str, max: usize) -> Vec<FieldError> {
    let path = child(path, "counters");
    let Some(counters) = object["counters"].as_object().filter(|c| !c.is_empty()) else {
        return vec![FieldError::required(path, "")];
    };
    if counters.len() > max {
        return vec![too_many(path, counters.len(), max)];
    }
    counters.keys().flat_map(|name| label(name, &path)).collect()
}

fn value_count(attribute: &Value) -> usize {
    let items: usize = ["bools", "ints", "strings", "versions"].iter().map(|f| list(&attribute[*f]).len()).sum();
    items.max(1)
}

fn validate_attribute(attribute: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let set: Vec<&str> = VALUE_FIELDS.into_iter().filter(|field| !attribute[*field].is_null()).collect();
    for field in &set {
        let (value, path) = (&attribute[*field], child(path, field));
        match (*field, value) {
            ("string", Value::String(text)) => errors.extend(too_long(text, &path)),
            ("version", Value::String(text)) => errors.extend(version(text, &path)),
            (_, Value::Array(items)) if items.is_empty() => {
                errors.push(FieldError::invalid(path, value.clone(), "must not be empty if specified"));
            }
            ("strings" | "versions", Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    let (text, path) = (item.as_str().unwrap_or_default(), format!("{path}[{index}]"));
                    errors.extend(if *field == "strings" { too_long(text, &path).into_iter().collect() } else { version(text, &path) });
                }
            }
            _ => {}
        }
    }
    if set.len() != 1 {
        let shown = if set.is_empty() { Value::from("") } else { attribute.clone() };
        errors.push(FieldError::invalid(path, shown, "exactly one value must be specified"));
    }
    errors
}

fn too_long(value: &str, path: &str) -> Option<FieldError> {
    (value.len() > VALUE_MAX).then(|| FieldError::too_long(path, VALUE_MAX))
}

fn version(value: &str, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if !is_semantic_version(value) {
        errors.push(FieldError::invalid(path, value, "must be a string compatible with semver.org spec 2.0.0"));
    }
    errors.extend(too_long(value, path));
    errors
}

/// `1.2.3-rc.1+build`
fn is_semantic_version(text: &str) -> bool {
    let (rest, build) = text.split_once('+').map_or((text, None), |(rest, build)| (rest, Some(build)));
    let (numbers, release) = rest.split_once('-').map_or((rest, None), |(numbers, release)| (numbers, Some(release)));
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let number = |part: &str| !part.is_empty() && digits(part) && (part == "0" || !part.starts_with('0'));
    numbers.split('.').count() == 3
        && numbers.split('.').all(number)
        && release.is_none_or(|r| r.split('.').all(|part| word(part) && (!digits(part) || number(part))))
        && build.is_none_or(|b| b.split('.').all(word))
}

/// Which nodes can use the device, when its slice leaves that to each device.
fn place(device: &Value, path: &str, selects: bool) -> Vec<FieldError> {
    let given: Vec<&str> = ["nodeName", "nodeSelector", "allNodes"].into_iter().filter(|f| !device[*f].is_null()).collect();
    if !selects {
        let why = "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
        return if given.is_empty() { Vec::new() } else { vec![FieldError::invalid(path, Value::Null, why)] };
    }
    let mut errors = Vec::new();
    let mut set = Vec::new();
    for field in given {
        let (value, at) = (&device[field], child(path, field));
        match (field, value) {
            ("nodeName", Value::String(node)) if node.is_empty() => errors.push(FieldError::invalid(at, "", "must not be empty")),
            ("allNodes", Value::Bool(false)) => errors.push(FieldError::invalid(at, false, "must be either unset or set to true")),
            ("nodeName", Value::String(node)) => {
                set.push(format!("`{field}`"));
                errors.extend(invalid_each(&at, node, dns1123_subdomain(node)));
            }
            _ => {
                set.push(format!("`{field}`"));
                if field == "nodeSelector" {
                    errors.extend(node_selector(value, &at));
                }
            }
        }
    }
    let why = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
    match set.len() {
        0 => errors.push(FieldError::required(path, why)),
        1 => {}
        _ => errors.push(FieldError::invalid(path, format!("{{{}}}", set.join(", ")), why)),
    }
    errors
}

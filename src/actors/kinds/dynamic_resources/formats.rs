//! Names, sizes and lists that the kinds of this group have in common.
use crate::actors::kinds::findings::{child, invalid_each, items, list, text, too_many};
use crate::protocol::names::{dns1123_label, dns1123_subdomain, qualified_name};
use crate::protocol::status::FieldError;
use serde_json::Value;
use std::collections::HashSet;

/// Longest name of a driver, and of the domain of an attribute; bytes.
const DOMAIN_MAX: usize = 63;
/// Longest name of an attribute without its domain.
const ID_MAX: usize = 32;
const POOL_MAX: usize = 253;
/// Longest parameters, and status data, of a driver.
const RAW_MAX: usize = 10 * 1024;
const BINDING_CONDITIONS_MAX: usize = 4;

/// Checks each item of a list that may have so many; a longer one is not looked into.
pub(super) fn each(
    object: &Value,
    path: &str,
    field: &str,
    max: usize,
    mut check: impl FnMut(&Value, &str) -> Vec<FieldError>,
) -> Vec<FieldError> {
    let count = list(&object[field]).len();
    if count > max {
        return vec![too_many(child(path, field), count, max)];
    }
    items(object, path, field).flat_map(|(path, item)| check(item, &path)).collect()
}

/// As [`each`], and no two items have the same key.
pub(super) fn each_once(
    object: &Value,
    path: &str,
    field: &str,
    max: usize,
    key: impl Fn(&Value) -> String,
    check: impl FnMut(&Value, &str) -> Vec<FieldError>,
) -> Vec<FieldError> {
    let mut errors = each(object, path, field, max, check);
    if list(&object[field]).len() > max {
        return errors;
    }
    let mut seen = HashSet::new();
    for (path, item) in items(object, path, field) {
        let key = key(item);
        if seen.contains(&key) {
            errors.push(FieldError::duplicate(path, key));
        } else {
            seen.insert(key);
        }
    }
    errors
}

/// The item's `name`, as a key.
pub(super) fn by_name(item: &Value) -> String {
    text(item, "name").to_string()
}

/// The item itself, as a key.
pub(super) fn by_text(item: &Value) -> String {
    item.as_str().unwrap_or_default().to_string()
}

/// A DNS label that must be there: of a device, a request, a counter.
pub(super) fn label(value: &str, path: &str) -> Vec<FieldError> {
    invalid_each(path, value, dns1123_label(value)).collect()
}

/// A DNS subdomain that must be there.
pub(super) fn subdomain(object: &Value, path: &str, field: &str) -> Vec<FieldError> {
    let (value, path) = (text(object, field), child(path, field));
    if value.is_empty() {
        return vec![FieldError::required(path, "")];
    }
    invalid_each(&path, value, dns1123_subdomain(value)).collect()
}

/// A driver's name.
pub(super) fn driver(value: &str, path: &str) -> Vec<FieldError> {
    if value.is_empty() {
        return vec![FieldError::required(path, "")];
    }
    let mut errors = Vec::new();
    if value.len() > DOMAIN_MAX {
        errors.push(FieldError::too_long(path, DOMAIN_MAX));
    }
    let lower = value.to_lowercase();
    errors.extend(invalid_each(path, value, dns1123_subdomain(&lower)));
    errors
}

/// A pool's name: subdomains with slashes between them.
pub(super) fn pool(value: &str, path: &str) -> Vec<FieldError> {
    if value.is_empty() {
        return vec![FieldError::required(path, "")];
    }
    let mut errors = Vec::new();
    if value.len() > POOL_MAX {
        errors.push(FieldError::too_long(path, POOL_MAX));
    }
    for part in value.split('/') {
        errors.extend(invalid_each(path, part, dns1123_subdomain(part)));
    }
    errors
}

/// The name of an attribute or a capacity, with or without a domain.
pub(super) fn qualified(value: &str, path: &str) -> Vec<FieldError> {
    let parts: Vec<&str> = value.split('/').collect();
    match parts.as_slice() {
        [id] => identifier(id, path),
        [domain, id] => {
            let mut errors =
                if domain.is_empty() { vec![FieldError::invalid(path, "", "the domain must not be empty")] } else { driver(domain, path) };
            if id.is_empty() {
                errors.push(FieldError::invalid(path, "", "the name must not be empty"));
            } else {
                errors.extend(identifier(id, path));
            }
            errors
        }
        _ => vec![FieldError::invalid(path, value, "must not contain more than one slash")],
    }
}

/// As [`qualified`], with a domain.
pub(super) fn fully_qualified(value: &str, path: &str) -> Vec<FieldError> {
    let mut errors = qualified(value, path);
    if !value.contains('/') {
        errors.push(FieldError::invalid(path, value, "a fully qualified name must be a domain and a name separated by a slash"));
    }
    errors
}

fn identifier(value: &str, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if value.len() > ID_MAX {
        errors.push(FieldError::too_long(path, ID_MAX));
    }
    let first = value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !first || !value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        let rule = "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')";
        errors.push(FieldError::invalid(path, value, rule));
    }
    errors
}

/// Parameters or data that only a driver understands: an object of bounded size.
pub(super) fn raw_object(value: &Value, path: &str) -> Option<FieldError> {
    match value {
        Value::Null => Some(FieldError::required(path, "")),
        Value::Object(_) if value.to_string().len() > RAW_MAX => Some(FieldError::too_long(path, RAW_MAX)),
        Value::Object(_) => None,
        _ => Some(FieldError::invalid(path, "<value omitted>", "must be a valid JSON object")),
    }
}

/// A UUID in its normal form.
pub(super) fn uid(value: &str, path: &str) -> Option<FieldError> {
    let shape = |(at, b): (usize, u8)| if matches!(at, 8 | 13 | 18 | 23) { b == b'-' } else { b.is_ascii_hexdigit() };
    if value.len() != 36 || !value.bytes().enumerate().all(shape) {
        return Some(FieldError::invalid(path, value, format!("error validating uid: invalid UUID length: {}", value.len())));
    }
    let why = "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters";
    value.bytes().any(|b| b.is_ascii_uppercase()).then(|| FieldError::invalid(path, value, why))
}

/// The conditions that must come true before a device is bound, and those that say that it failed.
pub(super) fn binding_conditions(object: &Value, path: &str) -> Vec<FieldError> {
    const FIELDS: [&str; 2] = ["bindingConditions", "bindingFailureConditions"];
    let mut errors = Vec::new();
    for field in FIELDS {
        errors.extend(each_once(object, path, field, BINDING_CONDITIONS_MAX, by_text, |name, path| {
            let name = name.as_str().unwrap_or_default();
            invalid_each(path, name, qualified_name(name)).collect()
        }));
    }
    let [wanted, failed] = FIELDS.map(|field| list(&object[field]));
    for (path, name) in items(object, path, FIELDS[1]) {
        if wanted.contains(name) {
            let why = "bindingFailureConditions must not overlap with bindingConditions";
            errors.push(FieldError::invalid(path, name.clone(), why));
        }
    }
    for (empty, other, [field, needs]) in [(wanted, failed, FIELDS), (failed, wanted, [FIELDS[1], FIELDS[0]])] {
        if empty.is_empty() && !other.is_empty() {
            errors.push(FieldError::invalid(child(path, field), object[field].clone(), format!("{field} are required to use {needs}")));
        }
    }
    errors
}

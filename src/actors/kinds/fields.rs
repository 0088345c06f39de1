//! Small steps that the rules of many kinds are made of.
use crate::protocol::status::{FieldError, FieldErrorKind};
use serde_json::{Map, Value};

/// What upstream says of a field that may not change.
pub const IMMUTABLE: &str = "field is immutable";

/// Sets a member that is absent, null or an empty text.
pub fn fill(object: &mut Value, field: &str, value: impl Into<Value>) {
    let Some(members) = object.as_object_mut() else { return };
    if members.get(field).is_none_or(|v| v.is_null() || v.as_str() == Some("")) {
        members.insert(field.to_string(), value.into());
    }
}

/// Removes a member.
pub fn remove(object: &mut Value, field: &str) {
    if let Some(members) = object.as_object_mut() {
        members.remove(field);
    }
}

/// Removes text members that are empty: Go leaves them out when it writes an object.
pub fn omit_empty(object: &mut Value, fields: &[&str]) {
    if let Some(members) = object.as_object_mut() {
        members.retain(|key, value| value.as_str() != Some("") || !fields.contains(&key.as_str()));
    }
}

/// The items of a list, to be changed; none when there is no list.
pub fn items_mut<'a>(object: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}

/// The texts of a list.
pub fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The members of a map.
pub fn members(map: &Value) -> impl Iterator<Item = (&String, &Value)> {
    map.as_object().into_iter().flatten()
}

/// An annotation's value.
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["annotations"].get(key)?.as_str()
}

/// `Invalid value: …: field is immutable` when the two differ.
pub fn immutable(new: &Value, old: &Value, path: &str) -> Option<FieldError> {
    (new != old).then(|| FieldError::invalid(path, new.clone(), IMMUTABLE))
}

/// `Too many: 9: must have at most 8 items`
pub fn too_many(path: impl Into<String>, found: usize, max: usize) -> FieldError {
    let items = if max == 1 { "item" } else { "items" };
    FieldError {
        kind: FieldErrorKind::TooMany,
        field: path.into(),
        detail: format!("must have at most {max} {items}"),
        value: found.to_string(),
    }
}

/// The members in which two objects differ, a line for each side, for messages about frozen specifications.
pub fn difference(old: &Value, new: &Value) -> String {
    let empty = Map::new();
    let (old, new) = (old.as_object().unwrap_or(&empty), new.as_object().unwrap_or(&empty));
    let mut keys: Vec<&String> = old.keys().chain(new.keys().filter(|k| !old.contains_key(*k))).collect();
    keys.sort();
    let mut lines = Vec::new();
    for key in keys.into_iter().filter(|k| old.get(*k) != new.get(*k)) {
        lines.extend(old.get(key).map(|value| format!("- \t{key}: {value},")));
        lines.extend(new.get(key).map(|value| format!("+ \t{key}: {value},")));
    }
    lines.join("\n")
}

//! Defaults that upstream fills in when an object is decoded.
mod pod_level;
mod pod_spec;
mod volumes;

pub use pod_level::aggregated;
pub use pod_spec::{default_pod, default_pod_spec, default_pod_template};

use serde_json::{Map, Value, json};

/// Sets a member that is absent, null or an empty string.
pub fn set(members: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    let absent = members.get(key).is_none_or(|v| v.is_null() || v.as_str() == Some(""));
    if absent {
        members.insert(key.to_string(), value.into());
    }
}

/// The same for numbers, where zero counts as absent.
pub fn set_number(members: &mut Map<String, Value>, key: &str, value: i64) {
    if members.get(key).is_none_or(|v| v.is_null() || v.as_i64() == Some(0)) {
        members.insert(key.to_string(), value.into());
    }
}

/// The members of an object, made one when it is something else.
pub fn members(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(members) => members,
        _ => unreachable!("it was made an object above"),
    }
}

/// A member that is an object, made when it is missing.
pub fn member<'a>(of: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    members(of.entry(key).or_insert(Value::Null))
}

/// A member that is an object, when there is one.
pub fn object<'a>(members: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    members.get_mut(key).and_then(Value::as_object_mut)
}

/// The objects in a member that is a list.
pub fn list<'a>(members: &'a mut Map<String, Value>, key: &str) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    members.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

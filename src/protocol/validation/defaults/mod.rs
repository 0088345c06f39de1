//! Defaults that upstream fills in when an object is decoded.
mod pod_spec;
mod volumes;

pub use pod_spec::{default_pod, default_pod_spec};

use serde_json::{Map, Value};

/// Sets a member that is absent, null or an empty string.
fn set(members: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    let absent = members.get(key).is_none_or(|v| v.is_null() || v.as_str() == Some(""));
    if absent {
        members.insert(key.to_string(), value.into());
    }
}

/// The same for numbers, where zero counts as absent.
fn set_number(members: &mut Map<String, Value>, key: &str, value: i64) {
    if members.get(key).is_none_or(|v| v.is_null() || v.as_i64() == Some(0)) {
        members.insert(key.to_string(), value.into());
    }
}

fn object<'a>(members: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    members.get_mut(key).and_then(Value::as_object_mut)
}

fn list<'a>(members: &'a mut Map<String, Value>, key: &str) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    members.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

//! The conditions of a definition.
use crate::protocol::time;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Sets a condition (status, reason, message); the time of its transition stays while the status does.
pub fn set_condition(status: &mut Value, kind: &str, (state, reason, message): (&str, &str, &str), now: Timestamp) {
    if !status.is_object() {
        *status = json!({});
    }
    let mut list = status["conditions"].as_array().cloned().unwrap_or_default();
    let mut condition = json!({
        "type": kind, "status": state, "lastTransitionTime": time::rfc3339(now), "reason": reason, "message": message,
    });
    match list.iter_mut().find(|c| c["type"] == kind) {
        Some(held) => {
            if held["status"] == state {
                condition["lastTransitionTime"] = held["lastTransitionTime"].clone();
            }
            *held = condition;
        }
        None => list.push(condition),
    }
    status["conditions"] = list.into();
}

/// Removes a condition.
pub fn remove_condition(status: &mut Value, kind: &str) {
    if let Some(list) = status["conditions"].as_array_mut() {
        list.retain(|c| c["type"] != kind);
    }
}

/// Whether a condition of the object is true.
pub fn is_true(object: &Value, kind: &str) -> bool {
    object["status"]["conditions"].as_array().is_some_and(|list| list.iter().any(|c| c["type"] == kind && c["status"] == "True"))
}

//! The list of a Deployment's conditions.
use crate::protocol::time::rfc3339;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The condition of a type.
pub fn get<'a>(conditions: &'a [Value], kind: &str) -> Option<&'a Value> {
    conditions.iter().find(|c| c["type"] == kind)
}

pub fn remove(conditions: &mut Vec<Value>, kind: &str) {
    conditions.retain(|c| c["type"] != kind);
}

/// Sets a condition. One that has this status and reason already stays as it is; its transition time changes only with
/// its status.
pub fn set(conditions: &mut Vec<Value>, kind: &str, status: &str, reason: &str, message: &str, now: Timestamp) {
    let now = rfc3339(now);
    let mut transition = Value::from(now.clone());
    if let Some(held) = get(conditions, kind) {
        if held["status"] == status && held["reason"] == reason {
            return;
        }
        if held["status"] == status {
            transition = held["lastTransitionTime"].clone();
        }
    }
    remove(conditions, kind);
    conditions.push(json!({
        "type": kind, "status": status, "reason": reason, "message": message, "lastUpdateTime": now, "lastTransitionTime": transition,
    }));
}

//! What has to be written so that a stored status becomes the wanted one.
use super::plan::{Action, Patch};
use crate::storage::entry::Entry;
use serde_json::{Map, Value, json};

/// The JSON merge patch that turns `old` into `new`; `None` when they are the same. Lists are replaced whole, and a member
/// that is null counts as absent.
pub fn merge_patch(old: &Value, new: &Value) -> Option<Value> {
    let (Value::Object(before), Value::Object(after)) = (old, new) else {
        return (old != new).then(|| new.clone());
    };
    let mut patch = Map::new();
    for (key, value) in after {
        match before.get(key) {
            None if value.is_null() => {}
            None => drop(patch.insert(key.clone(), value.clone())),
            Some(was) => drop(merge_patch(was, value).map(|p| patch.insert(key.clone(), p))),
        }
    }
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    (!patch.is_empty()).then(|| patch.into())
}

/// The action that writes a status, if it differs from the one stored. It is refused when the object has moved on.
pub fn status_patch(kind: &str, entry: &Entry, old: &Value, new: &Value) -> Option<Action> {
    let empty = json!({});
    let old = if old.is_null() { &empty } else { old };
    merge_patch(old, new).map(|status| {
        Action::Patch(Patch {
            kind: kind.into(),
            key: entry.key.clone(),
            uid: Some(entry.meta.uid.clone()),
            subresource: Some("status"),
            patch: json!({ "status": status }),
            expect_revision: Some(entry.revision),
        })
    })
}

/// What a change of a status decides: conditions whose status or reason turns, and a phase. Counts decide nothing. `new` is the
/// status, or the merge patch that makes it.
pub fn turns(old: &Value, new: &Value) -> Vec<String> {
    let said = |c: &Value, field: &str| c[field].as_str().unwrap_or_default().to_string();
    let list = |status: &Value| status["conditions"].as_array().cloned().unwrap_or_default();
    let mut turns = Vec::new();
    if let Some(phase) = new["phase"].as_str().filter(|phase| old["phase"] != *phase) {
        turns.push(format!("phase is {phase}"));
    }
    if new.get("conditions").is_none() {
        return turns;
    }
    let (before, after) = (list(old), list(new));
    for condition in &after {
        let held = before.iter().find(|c| c["type"] == condition["type"]);
        if held.is_some_and(|c| ["status", "reason"].iter().all(|field| said(c, field) == said(condition, field))) {
            continue;
        }
        let reason = Some(said(condition, "reason")).filter(|r| !r.is_empty()).map_or_else(String::new, |r| format!(" ({r})"));
        turns.push(format!("{} is {}{reason}", said(condition, "type"), said(condition, "status")));
    }
    let gone = before.iter().filter(|c| !after.iter().any(|a| a["type"] == c["type"]));
    turns.extend(gone.map(|c| format!("{} is over", said(c, "type"))));
    turns
}

/// Sets a condition in a status (a list by `type`). The time of the last transition moves only with the status; answers whether
/// the condition's status changed.
pub fn set_condition(status: &mut Value, mut condition: Value, now: &str) -> bool {
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let Some(list) = status["conditions"].as_array_mut() else { return false };
    let same_type = list.iter_mut().find(|c| c["type"] == condition["type"]);
    let Some(old) = same_type else {
        condition["lastTransitionTime"] = now.into();
        list.push(condition);
        return true;
    };
    let changed = old["status"] != condition["status"];
    if changed {
        old["lastTransitionTime"] = now.into();
    }
    for (key, value) in condition.as_object().into_iter().flatten() {
        old[key] = value.clone();
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_decides_by_its_conditions_and_its_phase() {
        let condition = |sort: &str, status: &str, reason: &str| json!({"type": sort, "status": status, "reason": reason});
        let old = json!({"replicas": 1, "phase": "Pending", "conditions": [condition("A", "True", ""), condition("B", "False", "Why")]});
        let cases = [
            (json!({"replicas": 2}), vec![]),
            (json!({"conditions": [condition("B", "False", "Why"), {"type": "A", "status": "True", "message": "new"}]}), vec![]),
            (json!({"phase": "Running"}), vec!["phase is Running"]),
            (json!({"conditions": [condition("B", "False", "Else")]}), vec!["B is False (Else)", "A is over"]),
            (json!({"conditions": null}), vec!["A is over", "B is over"]),
        ];
        for (new, told) in cases {
            assert_eq!(turns(&old, &new), told, "{new}");
        }
    }

    #[test]
    fn patches_turn_the_old_into_the_new() {
        let old = json!({"a": 1, "b": {"x": [1], "y": 2}, "gone": true});
        let cases = [
            (old.clone(), None),
            (json!({"a": 1, "b": {"x": [1, 2]}, "new": {}}), Some(json!({"b": {"x": [1, 2], "y": null}, "gone": null, "new": {}}))),
        ];
        for (new, patch) in cases {
            assert_eq!(merge_patch(&old, &new), patch);
        }
    }
}

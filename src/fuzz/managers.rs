//! Server-side apply: what was applied once is applied again without a change, and the managers of fields stay in order.
use super::objects::{self, Outcome, same};
use crate::actors::kinds::{Kind, Part, Patch};
use crate::protocol::apply::managed;
use serde_json::Value;
use std::collections::HashSet;

/// Applies a configuration once more to what came of it.
pub fn again(kind: &Kind, part: Part, next: &Value, config: &Value) -> Outcome<()> {
    consistent(next)?;
    // What the other parts merge is recorded by the actor, afterwards.
    if !matches!(part, Part::Main | Part::Status) {
        return Ok(());
    }
    let mut config = config.clone();
    // A version or a uid in the configuration is a precondition: it holds once only.
    if let Some(meta) = config.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.remove("resourceVersion");
        meta.remove("uid");
    }
    match objects::attempt(kind, part, next, Patch::Apply { config, force: false }) {
        Ok(twice) => same("an apply again changes the object", &timeless(next), &timeless(&twice)),
        Err(error) => Err(format!("an apply again is refused: {}", error.message)),
    }
}

/// The entries can be read, and none is there twice.
pub fn consistent(object: &Value) -> Outcome<()> {
    let entries = &object["metadata"]["managedFields"];
    if entries.is_null() {
        return Ok(());
    }
    managed::check(entries).map_err(|e| format!("managed fields can't be read: {e}"))?;
    let mut seen = HashSet::new();
    for entry in entries.as_array().into_iter().flatten() {
        let name = ["manager", "operation", "apiVersion", "subresource"].map(|field| entry[field].as_str().unwrap_or_default());
        // Updates by the same manager at different times are one entry, too.
        if !seen.insert(name) {
            return Err(format!("a manager has two entries: {entries}"));
        }
        if entry["fieldsV1"].as_object().is_none_or(|fields| fields.is_empty()) {
            return Err(format!("a manager manages nothing: {entries}"));
        }
    }
    Ok(())
}

/// Without the times of the managers, which are those of this run, and of a volume's phase: its strategy, as upstream's, writes its
/// own when the phase changes, and leaves what it is given when it doesn't.
fn timeless(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
        status.remove("lastPhaseTransitionTime");
    }
    for entry in object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(entry) = entry.as_object_mut() {
            entry.remove("time");
        }
    }
    object
}

//! Deletion: preconditions, grace periods, finalizers, propagation. Decides; writes nothing.
use super::prepare::metadata;
use super::{DeleteOptions, Kind, Outcome, Propagation};
use crate::protocol::status::ApiError;
use crate::protocol::time;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// What a delete comes to: the object's next state, and whether it stays for now.
pub struct Removal {
    pub object: Value,
    pub outcome: Outcome,
}

/// Decides a delete of `old` (as parsed, with its `resourceVersion`).
pub fn decide(kind: &Kind, old: &Value, options: &DeleteOptions, now: Timestamp) -> Result<Removal, ApiError> {
    check_preconditions(kind, old, options)?;
    let mut object = old.clone();
    set_propagation_finalizers(kind, &mut object, options);
    if kind.resource.kind == "Namespace" {
        return Ok(namespace(object, now));
    }
    if kind.resource.kind == "CustomResourceDefinition" && old["metadata"]["deletionTimestamp"].is_null() {
        super::apiextensions::mark_deleted(&mut object, now);
    }
    let own_grace = (kind.rules.grace)(old);
    let grace = if own_grace == 0 { 0 } else { options.grace_seconds.unwrap_or(own_grace).max(0) };
    let marked = old["metadata"]["deletionTimestamp"].as_str();
    if let Some(text) = marked {
        return Ok(shorten(object, text, grace, options.grace_seconds.is_some()));
    }
    if grace == 0 && !blocked(&object) {
        return Ok(Removal { object, outcome: Outcome::Deleted });
    }
    mark(&mut object, now, grace);
    Ok(Removal { object, outcome: Outcome::Deleting })
}

/// Whether an update has just removed the last thing that held a deleted object back.
pub fn complete(kind: &Kind, object: &Value) -> bool {
    let meta = &object["metadata"];
    if meta["deletionTimestamp"].is_null() || blocked(object) {
        return false;
    }
    if kind.resource.kind == "Namespace" {
        return object["spec"]["finalizers"].as_array().is_none_or(Vec::is_empty);
    }
    meta["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0
}

/// A second delete may only shorten the grace period; with none left the object goes, unless finalizers hold it.
fn shorten(mut object: Value, marked: &str, grace: i64, explicit: bool) -> Removal {
    let held = object["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
    if grace == 0 && !blocked(&object) {
        return Removal { object, outcome: Outcome::Deleted };
    }
    if explicit && grace < held {
        let end = time::parse_seconds(marked).unwrap_or(0) - held + grace;
        let meta = metadata(&mut object);
        meta.insert("deletionGracePeriodSeconds".into(), grace.into());
        if let Ok(end) = Timestamp::from_second(end) {
            meta.insert("deletionTimestamp".into(), time::rfc3339(end).into());
        }
    }
    Removal { object, outcome: Outcome::Deleting }
}

fn namespace(mut object: Value, now: Timestamp) -> Removal {
    let empty = object["spec"]["finalizers"].as_array().is_none_or(Vec::is_empty);
    if empty && !blocked(&object) {
        return Removal { object, outcome: Outcome::Deleted };
    }
    if object["metadata"]["deletionTimestamp"].is_null() {
        metadata(&mut object).insert("deletionTimestamp".into(), time::rfc3339(now).into());
    }
    if !object["status"].is_object() {
        object["status"] = json!({});
    }
    object["status"]["phase"] = "Terminating".into();
    Removal { object, outcome: Outcome::Deleting }
}

fn mark(object: &mut Value, now: Timestamp, grace: i64) {
    let end = now.checked_add(SignedDuration::from_secs(grace)).unwrap_or(now);
    let generation = object["metadata"]["generation"].as_i64();
    let meta = metadata(object);
    meta.insert("deletionTimestamp".into(), time::rfc3339(end).into());
    meta.insert("deletionGracePeriodSeconds".into(), grace.into());
    // Upstream counts the mark as a change of the desired state.
    if let Some(generation) = generation {
        meta.insert("generation".into(), (generation + 1).into());
    }
}

fn blocked(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|f| !f.is_empty())
}

fn set_propagation_finalizers(kind: &Kind, object: &mut Value, options: &DeleteOptions) {
    let default = if kind.rules.orphans_by_default { Propagation::Orphan } else { Propagation::Background };
    let wanted = match options.propagation {
        Some(propagation) => propagation,
        // An object that already waits for one of the two keeps waiting for it.
        None if has_finalizer(object, FOREGROUND) || has_finalizer(object, ORPHAN) => return,
        None => default,
    };
    let mut finalizers: Vec<Value> = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    finalizers.retain(|f| f != FOREGROUND && f != ORPHAN);
    match wanted {
        Propagation::Foreground => finalizers.push(FOREGROUND.into()),
        Propagation::Orphan => finalizers.push(ORPHAN.into()),
        Propagation::Background => {}
    }
    let meta = metadata(object);
    if finalizers.is_empty() {
        meta.remove("finalizers");
    } else {
        meta.insert("finalizers".into(), finalizers.into());
    }
}

fn has_finalizer(object: &Value, name: &str) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|f| f.iter().any(|x| x == name))
}

fn check_preconditions(kind: &Kind, old: &Value, options: &DeleteOptions) -> Result<(), ApiError> {
    let resource = &kind.resource;
    let meta = &old["metadata"];
    let text = |field: &str| meta[field].as_str().unwrap_or_default().to_string();
    let failed = |what: &str, wanted: &str, held: &str| {
        let why = format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {held}");
        Err(ApiError::conflict(resource.group, resource.plural, &text("name"), &why))
    };
    if let Some(uid) = options.uid.as_deref().filter(|u| *u != text("uid")) {
        return failed("UID", uid, &text("uid"));
    }
    if let Some(version) = options.resource_version.as_deref().filter(|v| *v != text("resourceVersion")) {
        return failed("ResourceVersion", version, &text("resourceVersion"));
    }
    Ok(())
}

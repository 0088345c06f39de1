//! What happens to an object between the body of a request and the store: defaults, rules, metadata, validation.
use super::{Kind, Part};
use crate::protocol::names;
use crate::protocol::status::{ApiError, FieldError};
use crate::protocol::validation;
use serde_json::{Map, Value, json};

/// The first stage of a create: what the body says about itself is checked against the request, what only the server sets is
/// dropped, defaults are filled in. Mutating admission comes next, then [`prepare_create`].
pub fn begin_create(kind: &Kind, namespace: &str, object: &mut Value) -> Result<(), ApiError> {
    let resource = &kind.resource;
    let meta = metadata(object);
    if meta.get("resourceVersion").and_then(Value::as_str).is_some_and(|v| !v.is_empty()) {
        return Err(ApiError::bad_request("resourceVersion should not be set on objects to be created"));
    }
    match meta.get("namespace").and_then(Value::as_str) {
        Some(given) if resource.namespaced && !given.is_empty() && given != namespace => {
            return Err(ApiError::bad_request("the namespace of the provided object does not match the namespace sent on the request"));
        }
        _ => {}
    }
    for field in ["resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"] {
        meta.remove(field);
    }
    if resource.namespaced {
        meta.insert("namespace".into(), namespace.into());
    } else {
        meta.remove("namespace");
    }
    kind.default(object);
    Ok(())
}

/// Makes an admitted body ready to be stored as a new object. `now` is RFC 3339, `uid` fresh, `random` feeds `generateName`.
pub fn prepare_create(kind: &Kind, mut object: Value, now: &str, uid: &str, random: [u8; 5]) -> Result<Value, ApiError> {
    let meta = metadata(&mut object);
    let prefix = meta.get("generateName").and_then(Value::as_str).unwrap_or_default().to_string();
    let named = meta.get("name").and_then(Value::as_str).is_some_and(|n| !n.is_empty());
    if !named && !prefix.is_empty() {
        meta.insert("name".into(), names::generated_name(&prefix, random).into());
    }
    meta.insert("uid".into(), uid.into());
    meta.insert("creationTimestamp".into(), now.into());
    if kind.rules.generation {
        meta.insert("generation".into(), 1.into());
    }
    if kind.has_status() {
        object.as_object_mut().map(|o| o.remove("status"));
    }
    (kind.rules.create)(&mut object);
    let mut errors = validation::object_meta(&object, kind.resource.namespaced, kind.rules.name);
    errors.extend(kind.validate_create(&object));
    refuse(kind, &object, &errors)?;
    Ok(object)
}

/// Combines the stored object with what an update wants of it. `body` is decoded and, for patches, already patched.
pub fn prepare_update(kind: &Kind, part: Part, old: &Value, mut body: Value) -> Result<Value, ApiError> {
    check_same_object(kind, old, &body)?;
    let mut new = match part {
        Part::Main => {
            keep_metadata(kind, old, &mut body)?;
            if kind.has_status() {
                carry(old, &mut body, "status");
            }
            body
        }
        Part::Status => {
            // Upstream's status strategies take the metadata along, all but what nobody may change.
            keep_metadata(kind, old, &mut body)?;
            let mut new = body;
            keep_members(old, &mut new, &["metadata", "status"]);
            if kind.resource.kind == "Pod" {
                let owners = old["metadata"].get("ownerReferences").cloned();
                let meta = metadata(&mut new);
                match owners {
                    Some(owners) => meta.insert("ownerReferences".into(), owners),
                    None => meta.remove("ownerReferences"),
                };
            }
            new
        }
        Part::Finalize => {
            let mut new = old.clone();
            if let Some(spec) = new.get_mut("spec").and_then(Value::as_object_mut) {
                spec.insert("finalizers".into(), body["spec"].get("finalizers").cloned().unwrap_or_else(|| json!([])));
            }
            new
        }
        part => {
            if part == Part::Approval {
                keep_metadata(kind, old, &mut body)?;
            }
            super::merge_parts::merge(kind, part, old, &body)?
        }
    };
    kind.default(&mut new);
    if part == Part::Main {
        (kind.rules.update)(&mut new, old);
    }
    if part == Part::Status {
        (kind.rules.update_status)(&mut new, old);
    }
    // A bind leaves the generation as it is, as upstream's does: the specification is still what its author wrote.
    if kind.rules.generation && part != Part::Binding && specification_changed(old, &new) {
        let next = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
        metadata(&mut new).insert("generation".into(), next.into());
    }
    let mut errors = validation::object_meta_update(&new, old);
    if matches!(part, Part::Main | Part::Scale) {
        errors.extend(kind.validate_update(&new, old));
    }
    if matches!(part, Part::EphemeralContainers | Part::Resize) {
        errors.extend(kind.validate(&new));
    }
    if part == Part::Finalize {
        errors.extend((kind.rules.validate_finalize)(&new));
    }
    if part == Part::Status {
        errors.extend(kind.validate_status(&new, old));
    }
    refuse(kind, &new, &errors)?;
    Ok(new)
}

fn refuse(kind: &Kind, object: &Value, errors: &[FieldError]) -> Result<(), ApiError> {
    if errors.is_empty() {
        return Ok(());
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    Err(ApiError::invalid(kind.resource.group, kind.resource.kind, name, errors))
}

/// A body that names another object, or an older state of it, is a conflict.
fn check_same_object(kind: &Kind, old: &Value, body: &Value) -> Result<(), ApiError> {
    let resource = &kind.resource;
    let name = old["metadata"]["name"].as_str().unwrap_or_default();
    let given = |field: &str| body["metadata"][field].as_str().filter(|v| !v.is_empty());
    // A version of 0 is none, as upstream has it.
    if let Some(version) = given("resourceVersion").filter(|v| *v != "0") {
        if version.parse::<u64>().is_err() {
            let error = FieldError::invalid("metadata.resourceVersion", version, "must be a number");
            return Err(ApiError::invalid(resource.group, resource.kind, name, &[error]));
        }
        if old["metadata"]["resourceVersion"] != version {
            return Err(ApiError::modified(resource.group, resource.plural, name));
        }
    }
    if let Some(uid) = given("uid")
        && old["metadata"]["uid"] != uid
    {
        let held = old["metadata"]["uid"].as_str().unwrap_or_default();
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {held}");
        return Err(ApiError::conflict(resource.group, resource.plural, name, &why));
    }
    Ok(())
}

/// What an updater cannot change in `metadata`.
fn keep_metadata(kind: &Kind, old: &Value, body: &mut Value) -> Result<(), ApiError> {
    let resource = &kind.resource;
    let held = &old["metadata"];
    let name = held["name"].as_str().unwrap_or_default();
    if let Some(given) = body["metadata"]["name"].as_str()
        && given != name
    {
        return Err(ApiError::bad_request(format!("the name of the object ({given}) does not match the name on the URL ({name})")));
    }
    let meta = metadata(body);
    meta.insert("name".into(), name.into());
    if resource.namespaced {
        meta.insert("namespace".into(), held["namespace"].clone());
    }
    let kept =
        ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "generateName", "resourceVersion"];
    for field in kept {
        match held.get(field) {
            Some(value) => meta.insert(field.into(), value.clone()),
            None => meta.remove(field),
        };
    }
    Ok(())
}

fn specification_changed(old: &Value, new: &Value) -> bool {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else { return false };
    let counts = |key: &str| key != "metadata" && key != "status";
    old.iter().filter(|(k, _)| counts(k)).any(|(k, v)| new.get(k) != Some(v)) || new.keys().any(|k| counts(k) && !old.contains_key(k))
}

/// Gives `new` the members that `old` has, but for some, which stay as they are.
fn keep_members(old: &Value, new: &mut Value, but: &[&str]) {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object_mut()) else { return };
    new.retain(|name, _| but.contains(&name.as_str()) || old.contains_key(name));
    for (name, member) in old.iter().filter(|(name, _)| !but.contains(&name.as_str())) {
        if new.get(name) != Some(member) {
            new.insert(name.clone(), member.clone());
        }
    }
}

fn carry(from: &Value, to: &mut Value, field: &str) {
    let Some(to) = to.as_object_mut() else { return };
    match from.get(field) {
        Some(value) => to.insert(field.into(), value.clone()),
        None => to.remove(field),
    };
}

/// The `metadata` object, made when it is missing.
pub(super) fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    if !object.is_object() {
        *object = json!({});
    }
    let meta = &mut object["metadata"];
    if !meta.is_object() {
        *meta = json!({});
    }
    match meta {
        Value::Object(map) => map,
        _ => unreachable!("metadata was made an object above"),
    }
}

//! `metadata` of any object.
use super::{invalid_each, items, labels, not_negative, text};
use crate::names::{self, NameRule};
use crate::status::FieldError;
use serde_json::Value;

/// Bytes of all annotations' keys and values together.
const ANNOTATIONS_MAX: usize = 256 * 1024;

/// Checks `metadata` of an object about to be stored; a `generateName` must already have become a name. `rule` is the kind's rule for
/// names.
pub fn object_meta(object: &Value, namespaced: bool, rule: NameRule) -> Vec<FieldError> {
    let meta = &object["metadata"];
    let mut faults = Vec::new();
    let base = text(meta, "generateName");
    if !base.is_empty() {
        faults.extend(invalid_each("metadata.generateName", base, rule(base, true)));
    }
    let name = text(meta, "name");
    if name.is_empty() {
        faults.push(FieldError::required("metadata.name", "name or generateName is required"));
    } else {
        faults.extend(invalid_each("metadata.name", name, rule(name, false)));
    }
    let namespace = text(meta, "namespace");
    match (namespaced, namespace.is_empty()) {
        (true, true) => faults.push(FieldError::required("metadata.namespace", "")),
        (true, false) => faults.extend(invalid_each("metadata.namespace", namespace, names::dns1123_label(namespace))),
        (false, false) => faults.push(FieldError::forbidden("metadata.namespace", "not allowed on this type")),
        (false, true) => {}
    }
    faults.extend(common(meta));
    faults
}

/// Checks the metadata of a new state against the old one: what may not change, and all that [`object_meta`] checks save the name.
pub fn object_meta_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let (meta, old) = (&new["metadata"], &old["metadata"]);
    let mut faults = Vec::new();
    for field in ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        // A client that doesn't say when the object was made or deleted keeps what is.
        if meta[field] != old[field] && (!meta[field].is_null() || field == "name") {
            faults.push(FieldError::invalid(format!("metadata.{field}"), meta[field].clone(), "field is immutable"));
        }
    }
    if !old["deletionTimestamp"].is_null() {
        let known = |f: &&Value| old["finalizers"].as_array().is_some_and(|l| l.contains(f));
        let added: Vec<_> = meta["finalizers"].as_array().into_iter().flatten().filter(|f| !known(f)).map(Value::to_string).collect();
        if !added.is_empty() {
            let list = added.join(", ");
            let why = format!("no new finalizers can be added if the object is being deleted, found new finalizers []string{{{list}}}");
            faults.push(FieldError::forbidden("metadata.finalizers", why));
        }
    }
    faults.extend(common(meta));
    faults
}

fn common(meta: &Value) -> Vec<FieldError> {
    let mut faults: Vec<_> = not_negative(meta, "metadata", "generation").into_iter().collect();
    faults.extend(labels(&meta["labels"], "metadata.labels"));
    faults.extend(annotations(&meta["annotations"], "metadata.annotations"));
    faults.extend(owners(meta));
    faults.extend(finalizers(meta));
    faults
}

/// Keys and size of annotations.
pub(crate) fn annotations(map: &Value, path: &str) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let mut size = 0;
    for (key, value) in map.as_object().into_iter().flatten() {
        size += key.len() + value.as_str().map_or(0, str::len);
        faults.extend(invalid_each(path, key, names::qualified_name(&key.to_lowercase())));
    }
    if size > ANNOTATIONS_MAX {
        faults.push(FieldError::too_long(path, ANNOTATIONS_MAX));
    }
    faults
}

fn owners(meta: &Value) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let mut controller = None;
    for (path, owner) in items(meta, "metadata", "ownerReferences") {
        let version = text(owner, "apiVersion");
        if version.is_empty() {
            faults.push(FieldError::required(format!("{path}.apiVersion"), "must not be empty"));
        } else if version.matches('/').count() > 1 || version.ends_with('/') {
            faults.push(FieldError::invalid(format!("{path}.apiVersion"), version, "must be <group>/<version> or <version>"));
        }
        for field in ["kind", "name", "uid"] {
            if text(owner, field).is_empty() {
                faults.push(FieldError::required(format!("{path}.{field}"), "must not be empty"));
            }
        }
        if version == "v1" && text(owner, "kind") == "Event" {
            faults.push(FieldError::invalid(path, owner.clone(), "/v1, Kind=Event is disallowed from being an owner"));
        }
        if owner["controller"] == true {
            let this = format!("{}/{}", text(owner, "kind"), text(owner, "name"));
            match &controller {
                Some(first) => {
                    let why =
                        format!("Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}");
                    faults.push(FieldError::invalid("metadata.ownerReferences", meta["ownerReferences"].clone(), why));
                }
                None => controller = Some(this),
            }
        }
    }
    faults
}

fn finalizers(meta: &Value) -> Vec<FieldError> {
    let path = "metadata.finalizers";
    let list: Vec<&str> = meta["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut faults: Vec<_> = list.iter().flat_map(|name| invalid_each(path, name, names::qualified_name(name))).collect();
    if list.contains(&"orphan") && list.contains(&"foregroundDeletion") {
        faults.push(FieldError::invalid(path, meta["finalizers"].clone(), "finalizer orphan and foregroundDeletion cannot be both set"));
    }
    faults
}

//! Canonical bytes of a stored object, and the metadata kept parsed beside them.
use crate::meta::{Meta, ObjectKey, OwnerRef};
use crate::time;
use bytes::Bytes;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Writes an object as it is stored: `{"kind":…,"apiVersion":…,"metadata":{…},"spec":…,…,"status":…}`, without `resourceVersion` and with
/// `managedFields` last in the metadata. Also returns the offset right after metadata's opening brace, where
/// `"resourceVersion":"N",` is inserted when the object is served.
pub fn encode(value: &Value) -> (Bytes, u32) {
    let empty = Map::new();
    let top = value.as_object().unwrap_or(&empty);
    let mut out = Vec::with_capacity(1024);
    for key in ["kind", "apiVersion"] {
        if let Some(member) = top.get(key) {
            separate(&mut out);
            write_member(&mut out, key, member);
        }
    }
    separate(&mut out);
    out.extend_from_slice(b"\"metadata\":{");
    let splice = out.len() as u32;
    write_metadata(&mut out, top.get("metadata").and_then(Value::as_object).unwrap_or(&empty));
    out.push(b'}');
    let middle = top.iter().filter(|(k, _)| !matches!(k.as_str(), "kind" | "apiVersion" | "metadata" | "spec" | "status"));
    let spec = top.get_key_value("spec").into_iter();
    for (key, member) in spec.chain(middle).chain(top.get_key_value("status")) {
        out.push(b',');
        write_member(&mut out, key, member);
    }
    out.push(b'}');
    (Bytes::from(out), splice)
}

/// An object's first comma is preceded by its opening brace.
fn separate(out: &mut Vec<u8>) {
    out.push(if out.is_empty() { b'{' } else { b',' });
}

fn write_metadata(out: &mut Vec<u8>, meta: &Map<String, Value>) {
    let start = out.len();
    let members = meta.iter().filter(|(k, _)| !matches!(k.as_str(), "resourceVersion" | "managedFields"));
    for (key, member) in members.chain(meta.get_key_value("managedFields")) {
        if out.len() > start {
            out.push(b',');
        }
        write_member(out, key, member);
    }
    if out.len() == start {
        // The spliced member ends in a comma, so something must follow it. Stored objects always have a name.
        debug_assert!(false, "an object without metadata was encoded");
        out.extend_from_slice(b"\"name\":\"\"");
    }
}

fn write_member(out: &mut Vec<u8>, key: &str, value: &Value) {
    // Writing a `Value` into memory has no failure: its keys are strings and nothing does I/O.
    let _ = serde_json::to_writer(&mut *out, key);
    out.push(b':');
    let _ = serde_json::to_writer(&mut *out, value);
}

/// The key and the parsed part of an object's metadata. What is missing is empty.
pub fn meta_of(value: &Value) -> (ObjectKey, Meta) {
    let meta = &value["metadata"];
    let key = ObjectKey::new(text(&meta["namespace"]), text(&meta["name"]));
    let labels = meta["labels"].as_object().into_iter().flatten();
    let finalizers = meta["finalizers"].as_array().into_iter().flatten();
    let parsed = Meta {
        uid: text(&meta["uid"]).into(),
        // A map iterates in key order, which is the order `Meta` promises.
        labels: labels.map(|(k, v)| (Arc::from(k.as_str()), Arc::from(text(v)))).collect(),
        owners: meta["ownerReferences"].as_array().into_iter().flatten().map(owner).collect(),
        finalizers: finalizers.map(|f| Arc::from(text(f))).collect(),
        created: time::parse_seconds(text(&meta["creationTimestamp"])).unwrap_or_default(),
        deleting: time::parse_seconds(text(&meta["deletionTimestamp"])),
        generation: meta["generation"].as_i64().unwrap_or_default(),
    };
    (key, parsed)
}

fn owner(value: &Value) -> OwnerRef {
    let part = |name: &str| Arc::from(text(&value[name]));
    OwnerRef {
        api_version: part("apiVersion"),
        kind: part("kind"),
        name: part("name"),
        uid: part("uid"),
        controller: value["controller"].as_bool().unwrap_or_default(),
        block_owner_deletion: value["blockOwnerDeletion"].as_bool().unwrap_or_default(),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

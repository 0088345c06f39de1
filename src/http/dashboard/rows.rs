//! An object as a row of the page: the cells that `kubectl get` would print, and the few numbers that the page itself
//! computes with. Times are sent as seconds, so that the page can let ages grow without being told.
use crate::actors::kinds::Kind;
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use crate::protocol::time::parse_seconds;
use crate::storage::Entry;
use serde_json::{Value, json};

/// The tables of the page: API group and plural.
pub(super) const TABLES: &[(&str, &str)] = &[
    ("", "nodes"),
    ("", "namespaces"),
    ("", "pods"),
    ("", "events"),
    ("", "replicationcontrollers"),
    ("apps", "replicasets"),
    ("", "services"),
];

/// Rows of one table that a browser gets; what is beyond is counted, not shown.
pub(super) const MOST_ROWS: usize = 5_000;
/// Events that a browser gets at first: the newest.
pub(super) const MOST_EVENTS: usize = 200;

/// `default/web-1`, or a bare name for objects without a namespace: what a row is known by.
pub(super) fn row_key(key: &ObjectKey) -> String {
    key.to_string()
}

/// An object as the page shows it. `now` in seconds since the epoch.
pub(super) fn row(kind: &Kind, entry: &Entry, now: i64) -> Value {
    let object = entry.parse();
    json!({
        "key": row_key(&entry.key),
        "namespace": &*entry.key.namespace,
        "name": &*entry.key.name,
        "created": entry.meta.created,
        "deleting": entry.meta.deleting.is_some(),
        "cells": kind.row(&object, now),
        "more": more(kind, entry, &object),
    })
}

/// What the page needs beside the cells.
fn more(kind: &Kind, entry: &Entry, object: &Value) -> Value {
    match &entry.light {
        Light::Pod(pod) => json!({ "phase": format!("{:?}", pod.phase), "ready": pod.ready, "node": &*pod.node }),
        Light::Node(node) => json!({
            "ready": node.ready, "cpuMilli": node.cpu_milli, "memory": node.memory, "pods": node.pods, "cidr": &*node.pod_cidr,
        }),
        _ if kind.resource.kind == "Event" => json!({ "seen": last_seen(object).unwrap_or(entry.meta.created) }),
        _ => Value::Null,
    }
}

/// When an event was seen last, by whichever of its time fields is set.
fn last_seen(event: &Value) -> Option<i64> {
    let fields = [&event["series"]["lastObservedTime"], &event["lastTimestamp"], &event["eventTime"], &event["firstTimestamp"]];
    fields.into_iter().filter_map(Value::as_str).find_map(parse_seconds)
}

/// A table's name and columns.
pub(super) fn columns(kind: &Kind) -> Value {
    kind.columns().iter().map(|c| Value::from(&*c.name)).collect()
}

//! `events.k8s.io/v1 Event`, stored as `v1 Event`.
use crate::actors::kinds::core::event::{COLUMNS, row, validate_strictly, validate_update_strictly};
use crate::actors::kinds::kind::field_by_path;
use crate::actors::kinds::{Body, Kind, PLAIN, Rules, View};
use crate::protocol::codec::kinds::EVENTS_EVENT;
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::storage::Entry;
use serde_json::Value;

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "events.k8s.io",
        version: "v1",
        kind: "Event",
        plural: "events",
        singular: "event",
        namespaced: true,
        short_names: &["ev"],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&EVENTS_EVENT),
    schema: "Event",
    rules: Rules {
        // The stricter rules are for new events; stored ones may have come through the older group.
        validate_create: |o| validate_strictly(&stored(o)),
        validate_update: |new, old| validate_update_strictly(&stored(new), &stored(old)),
        fields: FIELDS,
        field,
        create_on_update: true,
        ..PLAIN
    },
    columns: COLUMNS,
    row: |o, now| row(&stored(o), now),
    view: Some(&View { stored: "events", to_stored, from_stored }),
};

const FIELDS: &[&str] = &[
    "reason",
    "regarding.kind",
    "regarding.namespace",
    "regarding.name",
    "regarding.uid",
    "regarding.apiVersion",
    "regarding.resourceVersion",
    "regarding.fieldPath",
    "reportingController",
    "type",
];

/// The view's names of members, and the stored ones.
const NAMES: [(&str, &str); 7] = [
    ("note", "message"),
    ("regarding", "involvedObject"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

fn to_stored(object: &mut Value) {
    rename(object, "v1", NAMES);
}

fn from_stored(object: &mut Value) {
    rename(object, "events.k8s.io/v1", NAMES.map(|(ours, theirs)| (theirs, ours)));
}

fn rename(object: &mut Value, version: &str, names: [(&str, &str); 7]) {
    let Some(members) = object.as_object_mut() else { return };
    members.insert("apiVersion".into(), version.into());
    for (from, to) in names {
        if let Some(value) = members.remove(from) {
            members.insert(to.into(), value);
        }
    }
}

/// The object as it is stored. One that is stored already stays as it is.
fn stored(object: &Value) -> Value {
    let mut object = object.clone();
    to_stored(&mut object);
    object
}

/// Entries may be as stored or already as the view shows them, so both names are tried.
fn field(entry: &Entry, path: &str) -> Option<String> {
    field_by_path(entry, path).or_else(|| match path.split_once('.') {
        Some(("regarding", rest)) => field_by_path(entry, &format!("involvedObject.{rest}")),
        _ if path == "reportingController" => field_by_path(entry, "reportingComponent"),
        _ => None,
    })
}

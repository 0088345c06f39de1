//! `v1 Event`.
use crate::actors::kinds::columns::{Column, column, since};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::EVENT;
use crate::protocol::resource::{ALL_VERBS, Resource};
use serde_json::Value;

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "",
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
    body: Body::Typed(&EVENT),
    schema: "Event",
    rules: Rules {
        fields: &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        // `source` stands for its component.
        field: |entry, path| crate::actors::kinds::kind::field_by_path(entry, if path == "source" { "source.component" } else { path }),
        ..PLAIN
    },
    columns: COLUMNS,
    row,
    view: None,
};

const COLUMNS: &[Column] = &[
    column("Last Seen", "string", 0, "Time since the event was last seen."),
    column("Type", "string", 0, "Normal or Warning."),
    column("Reason", "string", 0, "Short, machine understandable reason."),
    column("Object", "string", 0, "The object the event is about."),
    column("Subobject", "string", 1, "The part of the object the event is about."),
    column("Source", "string", 1, "Who reported the event."),
    column("Message", "string", 0, "What happened."),
    column("First Seen", "string", 1, "Time since the event was first seen."),
    column("Count", "string", 1, "How often the event was seen."),
    column("Name", "string", 1, "The event's own name."),
];

fn row(o: &Value, now: i64) -> Vec<Value> {
    let about = &o["involvedObject"];
    let kind = about["kind"].as_str().unwrap_or_default().to_lowercase();
    let object = format!("{kind}/{}", about["name"].as_str().unwrap_or_default());
    let source = [o["source"]["component"].as_str(), o["source"]["host"].as_str()];
    let source: Vec<&str> = source.into_iter().flatten().collect();
    let first = if o["firstTimestamp"].is_null() { &o["eventTime"] } else { &o["firstTimestamp"] };
    let last = if o["lastTimestamp"].is_null() { first } else { &o["lastTimestamp"] };
    let text = |v: &Value| Value::from(v.as_str().unwrap_or_default());
    vec![
        since(last, now),
        text(&o["type"]),
        text(&o["reason"]),
        object.into(),
        text(&about["fieldPath"]),
        source.join(", ").into(),
        o["message"].as_str().unwrap_or_default().trim().into(),
        since(first, now),
        o["count"].as_i64().unwrap_or(1).into(),
        o["metadata"]["name"].clone(),
    ]
}

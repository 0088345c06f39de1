//! `v1 Event`.
use crate::actors::kinds::columns::{Column, column, since};
use crate::actors::kinds::fields::immutable;
use crate::actors::kinds::kind::field_by_path;
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::EVENT;
use crate::protocol::names;
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::{invalid_each, text};
use crate::storage::Entry;
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
        validate,
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
        field,
        create_on_update: true,
        ..PLAIN
    },
    columns: COLUMNS,
    row,
    view: None,
};

/// Printer columns, of both groups' events.
pub const COLUMNS: &[Column] = &[
    column("Last Seen", "string", 0, "Time since the event was last seen."),
    column("Type", "string", 0, "Normal or Warning."),
    column("Reason", "string", 0, "Short, machine understandable reason."),
    column("Object", "string", 0, "The object the event is about."),
    column("Subobject", "string", 1, "The part of the object the event is about."),
    column("Source", "string", 1, "Who reported the event."),
    column("Message", "string", 0, "What happened."),
    column("First Seen", "string", 1, "Time since the event was first seen."),
    column("Count", "string", 1, "How often the event was seen."),
    Column::new("Name", "string", "name", "The event's own name.", 1),
];

/// `source` stands for its component, or else for who reported the event.
fn field(entry: &Entry, path: &str) -> Option<String> {
    if path != "source" {
        return field_by_path(entry, path);
    }
    field_by_path(entry, "source.component").filter(|s| !s.is_empty()).or_else(|| field_by_path(entry, "reportingComponent"))
}

/// The rules of old: what every event must keep, whichever group it is written through.
pub fn validate(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let namespace = text(&object["metadata"], "namespace");
    let about = text(&object["involvedObject"], "namespace");
    let mismatch = || FieldError::invalid("involvedObject.namespace", about, "does not match event.namespace");
    if object["eventTime"].is_null() {
        let matches = if about.is_empty() { matches!(namespace, "" | "default") } else { namespace == about };
        if !matches {
            errors.push(mismatch());
        }
    } else {
        if about.is_empty() && !matches!(namespace, "default" | "kube-system") {
            errors.push(mismatch());
        }
        let reporter = text(object, "reportingComponent");
        if reporter.is_empty() {
            errors.push(FieldError::required("reportingController", ""));
        }
        errors.extend(invalid_each("reportingController", reporter, names::qualified_name(reporter)));
        for (field, max, required) in
            [("reportingInstance", 128, true), ("action", 128, true), ("reason", 128, true), ("message", 1024, false)]
        {
            let value = text(object, field);
            if required && value.is_empty() {
                errors.push(FieldError::required(field, ""));
            }
            if value.len() > max {
                errors.push(FieldError::invalid(field, "", format!("can have at most {max} characters")));
            }
        }
    }
    errors.extend(invalid_each("namespace", namespace, names::dns1123_subdomain(namespace)));
    errors
}

/// The stricter rules of the newer group for a new event, given as it is stored.
pub fn validate_strictly(object: &Value) -> Vec<FieldError> {
    let mut errors = validate(object);
    errors.extend(series(object));
    if object["eventTime"].is_null() {
        errors.push(FieldError::required("eventTime", ""));
    }
    let type_ = text(object, "type");
    if !matches!(type_, "Normal" | "Warning") {
        errors.push(FieldError::invalid("type", "", format!("has invalid value: {type_}")));
    }
    let source = &object["source"];
    let unset = |field: &str| FieldError::invalid(field, "", "needs to be unset");
    errors.extend(["firstTimestamp", "lastTimestamp"].into_iter().filter(|f| !object[*f].is_null()).map(unset));
    if object["count"].as_i64().unwrap_or(0) != 0 {
        errors.push(unset("count"));
    }
    if !text(source, "component").is_empty() || !text(source, "host").is_empty() {
        errors.push(unset("source"));
    }
    errors
}

/// The stricter rules of the newer group for an update, both given as they are stored: only the series may change.
pub fn validate_update_strictly(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if new["series"] != old["series"] {
        errors.extend(series(new));
    }
    for field in [
        "involvedObject",
        "reason",
        "message",
        "source",
        "firstTimestamp",
        "lastTimestamp",
        "count",
        "reason",
        "type",
        "eventTime",
        "action",
        "related",
        "reportingComponent",
        "reportingInstance",
    ] {
        let path = if field == "reportingComponent" { "reportingController" } else { field };
        errors.extend(immutable(&new[field], &old[field], path));
    }
    errors
}

fn series(object: &Value) -> Vec<FieldError> {
    let series = &object["series"];
    let mut errors = Vec::new();
    if series.is_null() {
        return errors;
    }
    if series["count"].as_i64().unwrap_or(0) < 2 {
        errors.push(FieldError::invalid("series.count", "", "should be at least 2"));
    }
    if series["lastObservedTime"].is_null() {
        errors.push(FieldError::required("series.lastObservedTime", ""));
    }
    errors
}

/// The cells of a table row, from an event as it is stored.
pub fn row(o: &Value, now: i64) -> Vec<Value> {
    let about = &o["involvedObject"];
    let kind = text(about, "kind").to_lowercase();
    let object = if text(about, "name").is_empty() { kind } else { format!("{kind}/{}", text(about, "name")) };
    let first = if o["firstTimestamp"].is_null() { &o["eventTime"] } else { &o["firstTimestamp"] };
    let mut last = if o["lastTimestamp"].is_null() { first } else { &o["lastTimestamp"] };
    let mut count = o["count"].as_i64().filter(|c| *c != 0).unwrap_or(1);
    if o["series"].is_object() {
        last = &o["series"]["lastObservedTime"];
        count = o["series"]["count"].as_i64().unwrap_or(0);
    }
    vec![
        since(last, now),
        text(o, "type").into(),
        text(o, "reason").into(),
        object.into(),
        text(about, "fieldPath").into(),
        source(o).into(),
        text(o, "message").trim().into(),
        since(first, now),
        count.into(),
        o["metadata"]["name"].clone(),
    ]
}

/// `kubelet, node-1`
fn source(o: &Value) -> String {
    let component = text(&o["source"], "component");
    let (who, where_) = if component.is_empty() {
        (text(o, "reportingComponent"), text(o, "reportingInstance"))
    } else {
        (component, text(&o["source"], "host"))
    };
    if where_.is_empty() { who.to_string() } else { format!("{who}, {where_}") }
}

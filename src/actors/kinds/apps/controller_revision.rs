//! `apps/v1 ControllerRevision`: what a StatefulSet or DaemonSet looked like at some time.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::CONTROLLER_REVISION;
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::immutable;
use serde_json::Value;

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "apps",
        version: "v1",
        kind: "ControllerRevision",
        plural: "controllerrevisions",
        singular: "controllerrevision",
        namespaced: true,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&CONTROLLER_REVISION),
    schema: "ControllerRevision",
    rules: Rules { validate, validate_update: |new, old| immutable(&new["data"], &old["data"], "data").into_iter().collect(), ..PLAIN },
    columns: COLUMNS,
    row,
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Controller", "string", 0, "The controller that made this revision."),
    column("Revision", "integer", 0, "Counts the revisions of one controller."),
    AGE,
];

fn row(o: &Value, now: i64) -> Vec<Value> {
    let owners = o["metadata"]["ownerReferences"].as_array();
    let controller = owners.into_iter().flatten().find(|r| r["controller"] == true).map(|owner| {
        let text = |field: &str| owner[field].as_str().unwrap_or_default();
        let kind = match text("apiVersion").split_once('/') {
            Some((group, _)) => format!("{}.{group}", text("kind")),
            None => text("kind").to_string(),
        };
        format!("{}/{}", kind.to_lowercase(), text("name"))
    });
    vec![name(o), controller.unwrap_or_else(|| "<none>".into()).into(), o["revision"].as_i64().unwrap_or_default().into(), age(o, now)]
}

fn validate(object: &Value) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if object["data"].is_null() {
        faults.push(FieldError::required("data", "data is mandatory"));
    }
    if object["revision"].as_i64().is_some_and(|n| n < 0) {
        faults.push(FieldError::invalid("revision", object["revision"].clone(), super::checks::NEGATIVE));
    }
    faults
}

//! `v1 ReplicationController`, and what it shares with ReplicaSet.
use crate::actors::kinds::apps::checks::{not_negative, replica_status};
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, container_images, container_names, label_map, name};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::REPLICATION_CONTROLLER;
use crate::protocol::light::{Light, workload_light};
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::defaults::{member, members, set};
use crate::protocol::validation::{default_pod_template, namesake_warnings, only_always, validate_pod_template};
use serde_json::{Value, json};

const RW: &[&str] = &["get", "patch", "update"];

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "",
        version: "v1",
        kind: "ReplicationController",
        plural: "replicationcontrollers",
        singular: "replicationcontroller",
        namespaced: true,
        short_names: &["rc"],
        categories: &["all"],
        verbs: ALL_VERBS,
        subresources: &[
            Subresource { name: "scale", group: "autoscaling", version: "v1", kind: "Scale", verbs: RW },
            Subresource { name: "status", group: "", version: "v1", kind: "ReplicationController", verbs: RW },
        ],
    },
    body: Body::Typed(&REPLICATION_CONTROLLER),
    schema: "ReplicationController",
    rules: Rules {
        warnings: |new, old| namesake_warnings(new, old, "/spec/template"),
        default,
        create,
        validate,
        validate_status,
        light: |o| Light::Workload(Box::new(workload_light(o))),
        fields: &["status.replicas"],
        generation: true,
        orphans_by_default: true,
        ..PLAIN
    },
    columns: COLUMNS,
    row: |o, now| {
        let mut cells = replica_row(o, now);
        cells.push(label_map(&o["spec"]["selector"]));
        cells
    },
    view: None,
};

pub(in crate::actors::kinds) const COLUMNS: &[Column] = &[
    NAME,
    column("Desired", "integer", 0, "Wanted replicas."),
    column("Current", "integer", 0, "Replicas that exist."),
    column("Ready", "integer", 0, "Replicas that are ready."),
    AGE,
    column("Containers", "string", 1, "Names of the containers."),
    column("Images", "string", 1, "Images of the containers."),
    column("Selector", "string", 1, "Which pods count."),
];

/// The cells that ReplicationController and ReplicaSet share.
pub(in crate::actors::kinds) fn replica_row(o: &Value, now: i64) -> Vec<Value> {
    let number = |v: &Value| Value::from(v.as_i64().unwrap_or(0));
    let (spec, status) = (&o["spec"], &o["status"]);
    let template = &spec["template"];
    vec![
        name(o),
        number(&spec["replicas"]),
        number(&status["replicas"]),
        number(&status["readyReplicas"]),
        age(o, now),
        container_names(template),
        container_images(template),
    ]
}

/// Selector and labels come from the template when they are left out.
fn default(object: &mut Value) {
    let labels = object["spec"]["template"]["metadata"]["labels"].clone();
    if labels.as_object().is_some_and(|l| !l.is_empty()) {
        let unset = |v: &Value| v.as_object().is_none_or(|m| m.is_empty());
        if unset(&object["spec"]["selector"]) {
            object["spec"]["selector"] = labels.clone();
        }
        if unset(&object["metadata"]["labels"]) {
            object["metadata"]["labels"] = labels;
        }
    }
    default_replicas(object);
}

pub(in crate::actors::kinds) fn default_replicas(object: &mut Value) {
    let spec = member(members(object), "spec");
    set(spec, "replicas", 1);
    default_pod_template(spec);
}

pub(in crate::actors::kinds) fn create(object: &mut Value) {
    object["status"] = json!({ "replicas": 0 });
}

fn validate(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let template = &spec["template"];
    let mut faults = not_negative(spec, "spec", &["minReadySeconds"]);
    let selector = spec["selector"].as_object().filter(|s| !s.is_empty());
    if selector.is_none() {
        faults.push(FieldError::required("spec.selector", ""));
    }
    faults.extend(not_negative(spec, "spec", &["replicas"]));
    let labels = &template["metadata"]["labels"];
    if selector.into_iter().flatten().any(|(k, v)| labels.get(k) != Some(v)) {
        let why = "`selector` does not match template `labels`";
        faults.push(FieldError::invalid("spec.template.metadata.labels", labels.clone(), why));
    }
    faults.extend(validate_pod_template(template, "spec.template"));
    faults.extend(only_always(template, "spec.template", "ReplicationController"));
    faults
}

fn validate_status(new: &Value, _old: &Value) -> Vec<FieldError> {
    let counts = ["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"];
    replica_status(&new["status"], &counts, &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"], "readyReplicas")
}

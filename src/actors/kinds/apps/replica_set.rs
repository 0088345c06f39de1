//! `apps/v1 ReplicaSet`.
use super::checks::{not_negative, replica_status, selector_and_template};
use crate::actors::kinds::core::replication_controller::{COLUMNS, create, default_replicas, replica_row};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::REPLICA_SET;
use crate::protocol::light::{Light, workload_light};
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::selector::LabelSelector;
use crate::protocol::status::FieldError;
use crate::protocol::validation::{immutable, namesake_warnings};
use serde_json::Value;

const RW: &[&str] = &["get", "patch", "update"];

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "apps",
        version: "v1",
        kind: "ReplicaSet",
        plural: "replicasets",
        singular: "replicaset",
        namespaced: true,
        short_names: &["rs"],
        categories: &["all"],
        verbs: ALL_VERBS,
        subresources: &[
            Subresource { name: "scale", group: "autoscaling", version: "v1", kind: "Scale", verbs: RW },
            Subresource { name: "status", group: "apps", version: "v1", kind: "ReplicaSet", verbs: RW },
        ],
    },
    body: Body::Typed(&REPLICA_SET),
    schema: "ReplicaSet",
    rules: Rules {
        warnings: |new, old| namesake_warnings(new, old, "/spec/template"),
        default: default_replicas,
        create,
        validate,
        validate_update: |new, old| immutable(&new["spec"]["selector"], &old["spec"]["selector"], "spec.selector").into_iter().collect(),
        validate_status,
        light: |o| Light::Workload(Box::new(workload_light(o))),
        fields: &["status.replicas"],
        generation: true,
        ..PLAIN
    },
    columns: COLUMNS,
    row: |o, now| {
        let mut cells = replica_row(o, now);
        let text = LabelSelector::from_object(&o["spec"]["selector"]).map(|s| s.to_string()).unwrap_or_default();
        cells.push(text.into());
        cells
    },
    view: None,
};

fn validate(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let mut faults = not_negative(spec, "spec", &["replicas", "minReadySeconds"]);
    faults.extend(selector_and_template(spec));
    faults
}

fn validate_status(new: &Value, _old: &Value) -> Vec<FieldError> {
    let counts = ["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration", "terminatingReplicas"];
    replica_status(&new["status"], &counts, &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"], "readyReplicas")
}

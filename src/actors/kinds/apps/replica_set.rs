//! `apps/v1 ReplicaSet`.
use crate::actors::kinds::core::replication_controller::{COLUMNS, create, default_replicas, replica_row, validate_replicas};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::REPLICA_SET;
use crate::protocol::light::{Light, workload_light};
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::selector::LabelSelector;
use crate::protocol::status::FieldError;
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
        default: default_replicas,
        create,
        validate,
        validate_update,
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
    let mut errors = validate_replicas(spec);
    let selector = &spec["selector"];
    let empty =
        |field: &str| selector[field].as_array().is_none_or(Vec::is_empty) && selector[field].as_object().is_none_or(|m| m.is_empty());
    if empty("matchLabels") && empty("matchExpressions") {
        errors.push(FieldError::invalid("spec.selector", selector.clone(), "empty selector is invalid for deployment"));
        return errors;
    }
    match LabelSelector::from_object(selector) {
        Err(error) => errors.push(FieldError::invalid("spec.selector", selector.clone(), error.to_string())),
        Ok(parsed) => {
            let labels = &spec["template"]["metadata"]["labels"];
            if !spec["template"].is_null() && !parsed.matches_value(labels) {
                let detail = "`selector` does not match template `labels`";
                errors.push(FieldError::invalid("spec.template.metadata.labels", labels.clone(), detail));
            }
        }
    }
    errors
}

fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    if new["spec"]["selector"] == old["spec"]["selector"] {
        return Vec::new();
    }
    vec![FieldError::invalid("spec.selector", new["spec"]["selector"].clone(), "field is immutable")]
}

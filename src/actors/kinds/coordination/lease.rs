//! `coordination.k8s.io/v1 Lease`.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::fields::remove;
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::LEASE;
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::{not_negative, text};
use serde_json::Value;

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "coordination.k8s.io",
        version: "v1",
        kind: "Lease",
        plural: "leases",
        singular: "lease",
        namespaced: true,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&LEASE),
    schema: "Lease",
    rules: Rules {
        create: |o| drop_coordination(o, None),
        update: |new, old| drop_coordination(new, Some(old)),
        validate,
        create_on_update: true,
        unconditional: false,
        ..PLAIN
    },
    columns: COLUMNS,
    row: |o, now| vec![name(o), text(&o["spec"], "holderIdentity").into(), age(o, now)],
    view: None,
};

const COLUMNS: &[Column] = &[NAME, column("Holder", "string", 0, "Who holds the lease."), AGE];

/// The fields of coordinated leader election, which is off by default, are dropped as upstream drops them.
fn drop_coordination(object: &mut Value, old: Option<&Value>) {
    for field in ["strategy", "preferredHolder"] {
        if object["spec"].is_object() && old.is_none_or(|old| old["spec"].get(field).is_none()) {
            remove(&mut object["spec"], field);
        }
    }
}

fn validate(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let mut errors = Vec::new();
    if let Some(seconds) = spec["leaseDurationSeconds"].as_i64().filter(|s| *s <= 0) {
        errors.push(FieldError::invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"));
    }
    errors.extend(not_negative(spec, "spec", "leaseTransitions"));
    if !text(spec, "preferredHolder").is_empty() && text(spec, "strategy").is_empty() {
        errors.push(FieldError::forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined"));
    }
    errors
}

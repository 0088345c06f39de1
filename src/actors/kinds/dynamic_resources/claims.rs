//! `resource.k8s.io/v1` ResourceClaim and ResourceClaimTemplate.
use super::claim_status::validate_status;
use super::requests::{default_claim, validate_claim};
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::findings::{READ_WRITE, immutable, list};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::{RESOURCE_CLAIM, RESOURCE_CLAIM_TEMPLATE};
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::labels;
use serde_json::{Value, json};

const GROUP: &str = "resource.k8s.io";

pub static CLAIM: Kind = Kind {
    resource: Resource {
        group: GROUP,
        version: "v1",
        kind: "ResourceClaim",
        plural: "resourceclaims",
        singular: "resourceclaim",
        namespaced: true,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[Subresource { name: "status", group: GROUP, version: "v1", kind: "ResourceClaim", verbs: READ_WRITE }],
    },
    body: Body::Typed(&RESOURCE_CLAIM),
    schema: "ResourceClaim",
    rules: Rules {
        default: |o| o.pointer_mut("/spec/devices").into_iter().for_each(default_claim),
        create: |o| o["status"] = json!({}),
        validate: |o| validate_claim(&o["spec"]["devices"], "spec.devices"),
        validate_update,
        validate_status,
        ..PLAIN
    },
    columns: CLAIM_COLUMNS,
    row: |o, now| vec![name(o), state(o).into(), age(o, now)],
    view: None,
};

pub static TEMPLATE: Kind = Kind {
    resource: Resource {
        group: GROUP,
        version: "v1",
        kind: "ResourceClaimTemplate",
        plural: "resourceclaimtemplates",
        singular: "resourceclaimtemplate",
        namespaced: true,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&RESOURCE_CLAIM_TEMPLATE),
    schema: "ResourceClaimTemplate",
    rules: Rules {
        default: |o| o.pointer_mut("/spec/spec/devices").into_iter().for_each(default_claim),
        validate: validate_template,
        validate_update,
        ..PLAIN
    },
    columns: &[NAME, AGE],
    row: |o, now| vec![name(o), age(o, now)],
    view: None,
};

const CLAIM_COLUMNS: &[Column] = &[NAME, column("State", "string", 0, "Pending, allocated, reserved, deleted."), AGE];

fn validate_template(object: &Value) -> Vec<FieldError> {
    let template = &object["spec"];
    let mut errors = labels(&template["metadata"]["labels"], "spec.metadata.labels");
    errors.extend(validate_claim(&template["spec"]["devices"], "spec.spec.devices"));
    errors
}

fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    immutable(new, old, "", "spec").into_iter().collect()
}

fn state(o: &Value) -> String {
    let mut states = Vec::new();
    let deleted = !o["metadata"]["deletionTimestamp"].is_null();
    if deleted {
        states.push("deleted");
    }
    if !o["status"]["allocation"].is_null() {
        states.push("allocated");
        if !list(&o["status"]["reservedFor"]).is_empty() {
            states.push("reserved");
        }
    } else if !deleted {
        states.push("pending");
    }
    states.join(",")
}

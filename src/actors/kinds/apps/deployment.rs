//! `apps/v1 Deployment`.
use super::checks::{amount, at_most_100_percent, collisions_grow, int_or_percent, not_negative, replica_status, selector_and_template};
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, container_images, container_names, name};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::DEPLOYMENT;
use crate::protocol::light::{Light, workload_light};
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::selector::LabelSelector;
use crate::protocol::status::FieldError;
use crate::protocol::validation::defaults::{member, members, set};
use crate::protocol::validation::{default_pod_template, immutable, namesake_warnings, same};
use serde_json::{Value, json};

const RW: &[&str] = &["get", "patch", "update"];

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "apps",
        version: "v1",
        kind: "Deployment",
        plural: "deployments",
        singular: "deployment",
        namespaced: true,
        short_names: &["deploy"],
        categories: &["all"],
        verbs: ALL_VERBS,
        subresources: &[
            Subresource { name: "scale", group: "autoscaling", version: "v1", kind: "Scale", verbs: RW },
            Subresource { name: "status", group: "apps", version: "v1", kind: "Deployment", verbs: RW },
        ],
    },
    body: Body::Typed(&DEPLOYMENT),
    schema: "Deployment",
    rules: Rules {
        warnings: |new, old| namesake_warnings(new, old, "/spec/template"),
        default,
        create: |o| o["status"] = json!({}),
        update,
        validate,
        validate_update: |new, old| immutable(&new["spec"]["selector"], &old["spec"]["selector"], "spec.selector").into_iter().collect(),
        validate_status,
        light: |o| Light::Workload(Box::new(workload_light(o))),
        generation: true,
        ..PLAIN
    },
    columns: COLUMNS,
    row,
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Ready", "string", 0, "Ready pods of those wanted."),
    column("Up-to-date", "integer", 0, "Pods of the newest template."),
    column("Available", "integer", 0, "Pods that have been ready for long enough."),
    AGE,
    column("Containers", "string", 1, "Names of the containers."),
    column("Images", "string", 1, "Images of the containers."),
    column("Selector", "string", 1, "Which pods count."),
];

fn row(o: &Value, now: i64) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let count = |field: &str| status[field].as_i64().unwrap_or_default();
    let selector = LabelSelector::from_object(&spec["selector"]).map(|s| s.to_string()).unwrap_or_default();
    vec![
        name(o),
        format!("{}/{}", count("readyReplicas"), spec["replicas"].as_i64().unwrap_or_default()).into(),
        count("updatedReplicas").into(),
        count("availableReplicas").into(),
        age(o, now),
        container_names(&spec["template"]),
        container_images(&spec["template"]),
        selector.into(),
    ]
}

fn default(object: &mut Value) {
    let spec = member(members(object), "spec");
    set(spec, "replicas", 1);
    set(spec, "revisionHistoryLimit", 10);
    set(spec, "progressDeadlineSeconds", 600);
    let strategy = member(spec, "strategy");
    set(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = member(strategy, "rollingUpdate");
        set(rolling, "maxUnavailable", "25%");
        set(rolling, "maxSurge", "25%");
    }
    default_pod_template(spec);
}

/// New annotations are a new wish too: what they say is copied to the replica sets.
fn update(new: &mut Value, old: &Value) {
    if !same(&new["metadata"]["annotations"], &old["metadata"]["annotations"]) {
        let next = old["metadata"]["generation"].as_i64().unwrap_or_default() + 1;
        new["metadata"]["generation"] = next.into();
    }
}

fn validate(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let mut faults = not_negative(spec, "spec", &["replicas"]);
    faults.extend(selector_and_template(spec));
    faults.extend(validate_strategy(&spec["strategy"]));
    faults.extend(not_negative(spec, "spec", &["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"]));
    if let Some(deadline) = spec["progressDeadlineSeconds"].as_i64()
        && deadline <= spec["minReadySeconds"].as_i64().unwrap_or_default()
    {
        faults.push(FieldError::invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"));
    }
    faults
}

fn validate_strategy(strategy: &Value) -> Vec<FieldError> {
    let rolling = &strategy["rollingUpdate"];
    let (unavailable, surge) = (&rolling["maxUnavailable"], &rolling["maxSurge"]);
    let (at_unavailable, at_surge) = ("spec.strategy.rollingUpdate.maxUnavailable", "spec.strategy.rollingUpdate.maxSurge");
    match strategy["type"].as_str().unwrap_or_default() {
        "Recreate" if !rolling.is_null() => {
            vec![FieldError::forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")]
        }
        "Recreate" => Vec::new(),
        "RollingUpdate" => {
            let mut faults: Vec<_> =
                int_or_percent(unavailable, at_unavailable).into_iter().chain(int_or_percent(surge, at_surge)).collect();
            if amount(unavailable) == 0 && amount(surge) == 0 {
                faults.push(FieldError::invalid(at_unavailable, unavailable.clone(), "may not be 0 when `maxSurge` is 0"));
            }
            faults.extend(at_most_100_percent(unavailable, at_unavailable));
            faults
        }
        _ => vec![FieldError::not_supported("spec.strategy", strategy.clone(), &["Recreate", "RollingUpdate"])],
    }
}

fn validate_status(new: &Value, old: &Value) -> Vec<FieldError> {
    let counts = [
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "terminatingReplicas",
        "collisionCount",
    ];
    let bounded = ["updatedReplicas", "readyReplicas", "availableReplicas"];
    let mut faults = replica_status(&new["status"], &counts, &bounded, "readyReplicas");
    faults.extend(collisions_grow(new, old));
    faults
}

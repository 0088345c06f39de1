//! `policy/v1 PodDisruptionBudget`.
use crate::actors::kinds::apps::checks::{at_most_100_percent, int_or_percent, not_negative};
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::POD_DISRUPTION_BUDGET;
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::selector;
use serde_json::{Value, json};

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "policy",
        version: "v1",
        kind: "PodDisruptionBudget",
        plural: "poddisruptionbudgets",
        singular: "poddisruptionbudget",
        namespaced: true,
        short_names: &["pdb"],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[Subresource {
            name: "status",
            group: "policy",
            version: "v1",
            kind: "PodDisruptionBudget",
            verbs: &["get", "patch", "update"],
        }],
    },
    body: Body::Typed(&POD_DISRUPTION_BUDGET),
    schema: "PodDisruptionBudget",
    rules: Rules {
        create: |o| o["status"] = json!({ "disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0 }),
        validate,
        validate_status: |new, _| {
            not_negative(&new["status"], "status", &["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"])
        },
        generation: true,
        warnings,
        unconditional: false,
        ..PLAIN
    },
    columns: COLUMNS,
    row,
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Min Available", "string", 0, "Pods that must stay available."),
    column("Max Unavailable", "string", 0, "Pods that may be unavailable."),
    column("Allowed Disruptions", "integer", 0, "Pods that may be evicted now."),
    AGE,
];

fn row(o: &Value, now: i64) -> Vec<Value> {
    let amount = |field: &str| match &o["spec"][field] {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => "N/A".into(),
    };
    vec![
        name(o),
        amount("minAvailable").into(),
        amount("maxUnavailable").into(),
        o["status"]["disruptionsAllowed"].as_i64().unwrap_or_default().into(),
        age(o, now),
    ]
}

fn validate(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let mut faults = Vec::new();
    if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
        faults.push(FieldError::invalid("spec", spec.clone(), "minAvailable and maxUnavailable cannot be both set"));
    }
    for field in ["minAvailable", "maxUnavailable"] {
        let path = format!("spec.{field}");
        faults.extend(int_or_percent(&spec[field], &path));
        faults.extend(at_most_100_percent(&spec[field], &path));
    }
    faults.extend(selector(&spec["selector"], "spec.selector"));
    if let Some(policy) = spec["unhealthyPodEvictionPolicy"].as_str().filter(|p| !matches!(*p, "AlwaysAllow" | "IfHealthyBudget")) {
        faults.push(FieldError::not_supported("spec.unhealthyPodEvictionPolicy", policy, &["AlwaysAllow", "IfHealthyBudget"]));
    }
    faults
}

fn warnings(new: &Value, _old: Option<&Value>) -> Vec<String> {
    let selector = &new["spec"]["selector"];
    let empty = |field: &str| match &selector[field] {
        Value::Object(labels) => labels.is_empty(),
        Value::Array(expressions) => expressions.is_empty(),
        _ => true,
    };
    let all = selector.is_object() && empty("matchLabels") && empty("matchExpressions");
    if all { vec!["spec.selector: an empty selector selects all pods in the namespace".into()] } else { Vec::new() }
}

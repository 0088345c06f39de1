//! `autoscaling/v2 HorizontalPodAutoscaler`: the version that is stored.
use super::{behavior, metrics};
use crate::actors::kinds::apps::checks::not_negative;
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::HORIZONTAL_POD_AUTOSCALER;
use crate::protocol::names::name_is_path_segment;
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::defaults::{member, members, object, set};
use serde_json::{Value, json};

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "autoscaling",
        version: "v2",
        kind: "HorizontalPodAutoscaler",
        plural: "horizontalpodautoscalers",
        singular: "horizontalpodautoscaler",
        namespaced: true,
        short_names: &["hpa"],
        categories: &["all"],
        verbs: ALL_VERBS,
        subresources: &[Subresource {
            name: "status",
            group: "autoscaling",
            version: "v2",
            kind: "HorizontalPodAutoscaler",
            verbs: &["get", "patch", "update"],
        }],
    },
    body: Body::Typed(&HORIZONTAL_POD_AUTOSCALER),
    schema: "HorizontalPodAutoscaler",
    rules: RULES,
    columns: COLUMNS,
    row,
    view: None,
};

pub(super) const RULES: Rules = Rules {
    default,
    create: |o| o["status"] = json!({ "desiredReplicas": 0 }),
    validate,
    validate_create,
    validate_update,
    validate_status: |new, _| not_negative(&new["status"], "status", &["currentReplicas", "desiredReplicas"]),
    ..PLAIN
};

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    column("Reference", "string", 0, "What is scaled."),
    column("Targets", "string", 0, "Measured and wanted values of the metrics."),
    column("MinPods", "string", 0, "Fewest pods."),
    column("MaxPods", "string", 0, "Most pods."),
    column("Replicas", "string", 0, "Pods when last looked at."),
    AGE,
];

pub(super) fn row(o: &Value, now: i64) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let target = |field: &str| spec["scaleTargetRef"][field].as_str().unwrap_or_default();
    vec![
        name(o),
        format!("{}/{}", target("kind"), target("name")).into(),
        metrics::summary(&spec["metrics"], &status["currentMetrics"]).into(),
        spec["minReplicas"].as_i64().map_or("<unset>".into(), |n| n.to_string()).into(),
        spec["maxReplicas"].as_i64().unwrap_or_default().into(),
        status["currentReplicas"].as_i64().unwrap_or_default().into(),
        age(o, now),
    ]
}

/// Percent of the CPU request at which to scale when the writer names no metric.
const DEFAULT_UTILIZATION: i64 = 80;

pub(super) fn default(autoscaler: &mut Value) {
    let spec = member(members(autoscaler), "spec");
    set(spec, "minReplicas", 1);
    if spec.get("metrics").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        let target = json!({ "type": "Utilization", "averageUtilization": DEFAULT_UTILIZATION });
        spec.insert("metrics".into(), json!([{ "type": "Resource", "resource": { "name": "cpu", "target": target } }]));
    }
    if let Some(rules) = object(spec, "behavior") {
        behavior::default(rules);
    }
}

fn validate(autoscaler: &Value) -> Vec<FieldError> {
    let spec = &autoscaler["spec"];
    let mut faults = Vec::new();
    let (fewest, most) = (spec["minReplicas"].as_i64(), spec["maxReplicas"].as_i64().unwrap_or_default());
    if most < 1 {
        faults.push(FieldError::invalid("spec.maxReplicas", most, "must be greater than 0"));
    }
    if fewest.is_some_and(|n| most < n) {
        faults.push(FieldError::invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"));
    }
    faults.extend(reference(&spec["scaleTargetRef"], "spec.scaleTargetRef"));
    faults.extend(metrics::validate(&spec["metrics"], "spec.metrics", fewest));
    faults.extend(behavior::validate(&spec["behavior"], "spec.behavior"));
    faults
}

fn validate_create(autoscaler: &Value) -> Vec<FieldError> {
    too_few(autoscaler, 1)
}

/// One that is stored with zero may stay so.
fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    too_few(new, i64::from(old["spec"]["minReplicas"].as_i64() != Some(0)))
}

fn too_few(autoscaler: &Value, limit: i64) -> Vec<FieldError> {
    let fewest = autoscaler["spec"]["minReplicas"].as_i64().filter(|found| *found < limit);
    let why = || format!("must be greater than or equal to {limit}");
    fewest.map(|found| FieldError::invalid("spec.minReplicas", found, why())).into_iter().collect()
}

/// A reference to an object of any kind.
pub(super) fn reference(to: &Value, path: &str) -> Vec<FieldError> {
    let mut faults = Vec::new();
    for field in ["kind", "name"] {
        let text = to[field].as_str().unwrap_or_default();
        let path = format!("{path}.{field}");
        if text.is_empty() {
            faults.push(FieldError::required(path, ""));
        } else {
            faults.extend(name_is_path_segment(text, false).into_iter().map(|why| FieldError::invalid(&*path, text, why)));
        }
    }
    faults
}

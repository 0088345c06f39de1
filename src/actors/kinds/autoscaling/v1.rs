//! `autoscaling/v1 HorizontalPodAutoscaler`: a view of the stored `v2`. What `v1` has no field for travels in annotations.
use super::horizontal_pod_autoscaler::{COLUMNS, RULES, default, row};
use super::v1_metrics::{self, Direction};
use crate::actors::kinds::{Body, Kind, Rules, View};
use crate::protocol::codec::kinds::HORIZONTAL_POD_AUTOSCALER_V1;
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::validation::defaults::{member, members};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

type Object = Map<String, Value>;

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// Its rules are those of the stored kind, whichever form they are given.
pub static KIND: Kind = Kind {
    resource: Resource {
        group: "autoscaling",
        version: "v1",
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
            version: "v1",
            kind: "HorizontalPodAutoscaler",
            verbs: &["get", "patch", "update"],
        }],
    },
    body: Body::Typed(&HORIZONTAL_POD_AUTOSCALER_V1),
    schema: "HorizontalPodAutoscaler",
    rules: Rules {
        default: |o| {
            let ours = is_view(o);
            if ours {
                to_stored(o);
            }
            default(o);
            if ours {
                from_stored(o);
            }
        },
        create: |o| {
            let zero = if is_view(o) { json!({ "currentReplicas": 0, "desiredReplicas": 0 }) } else { json!({ "desiredReplicas": 0 }) };
            o["status"] = zero;
        },
        validate: |o| (RULES.validate)(&stored(o)),
        validate_update: |new, old| (RULES.validate_update)(&stored(new), &stored(old)),
        ..RULES
    },
    columns: COLUMNS,
    row: |o, now| row(&stored(o), now),
    view: Some(&VIEW),
};

fn is_view(object: &Value) -> bool {
    object["apiVersion"] == "autoscaling/v1"
}

/// The stored form of either form.
fn stored(object: &Value) -> Cow<'_, Value> {
    if !is_view(object) {
        return Cow::Borrowed(object);
    }
    let mut object = object.clone();
    to_stored(&mut object);
    Cow::Owned(object)
}

static VIEW: View = View { stored: "horizontalpodautoscalers.autoscaling", to_stored, from_stored };

/// Makes a `v1` autoscaler one of `v2`.
pub(super) fn to_stored(value: &mut Value) {
    let top = members(value);
    top.insert("apiVersion".into(), "autoscaling/v2".into());
    let mut carried = take_annotations(top);
    let spec = member(top, "spec");
    let mut metrics = carried.remove(METRICS).and_then(|v| v1_metrics::convert(v, Direction::ToV2)).unwrap_or_default();
    if let Some(percent) = spec.remove("targetCPUUtilizationPercentage").filter(|v| !v.is_null()) {
        let target = json!({ "type": "Utilization", "averageUtilization": percent });
        metrics.push(json!({ "type": "Resource", "resource": { "name": "cpu", "target": target } }));
    }
    if !metrics.is_empty() {
        spec.insert("metrics".into(), metrics.into());
    }
    if let Some(behavior) =
        carried.remove(BEHAVIOR).map(|v| renamed(v, lower_first)).filter(|b| b.as_object().is_some_and(|m| !m.is_empty()))
    {
        spec.insert("behavior".into(), behavior);
    }
    let Some(status) = top.get_mut("status").and_then(Value::as_object_mut) else { return };
    let percent = status.remove("currentCPUUtilizationPercentage").filter(|v| !v.is_null());
    let current = carried.remove(CURRENT_METRICS).and_then(|v| v1_metrics::convert(v, Direction::StatusToV2));
    let current = current.or_else(|| {
        let resource = json!({ "name": "cpu", "current": { "averageUtilization": percent? } });
        Some(vec![json!({ "type": "Resource", "resource": resource })])
    });
    if let Some(current) = current {
        status.insert("currentMetrics".into(), current.into());
    }
    if let Some(conditions @ Value::Array(_)) = carried.remove(CONDITIONS) {
        status.insert("conditions".into(), conditions);
    }
}

/// Makes a stored `v2` autoscaler one of `v1`.
pub(super) fn from_stored(value: &mut Value) {
    let top = members(value);
    top.insert("apiVersion".into(), "autoscaling/v1".into());
    take_annotations(top);
    let mut carried: Vec<(&str, Value)> = Vec::new();
    let spec = member(top, "spec");
    let mut others = Vec::new();
    for metric in list(spec.remove("metrics")) {
        let percent = &metric["resource"]["target"]["averageUtilization"];
        if metric["type"] != "Resource" || metric["resource"]["name"] != "cpu" || percent.is_null() {
            others.push(metric);
        } else if !spec.contains_key("targetCPUUtilizationPercentage") {
            spec.insert("targetCPUUtilizationPercentage".into(), percent.clone());
        }
    }
    if !others.is_empty() {
        carried.extend(v1_metrics::convert(others.into(), Direction::ToV1).map(|m| (METRICS, m.into())));
    }
    if let Some(behavior) = spec.remove("behavior").filter(|b| !b.is_null()) {
        carried.push((BEHAVIOR, renamed(behavior, upper_first)));
    }
    if let Some(status) = top.get_mut("status").and_then(Value::as_object_mut) {
        let current = list(status.remove("currentMetrics"));
        let cpu = current.iter().find(|m| m["type"] == "Resource" && m["resource"]["name"] == "cpu");
        if let Some(percent) = cpu.map(|m| &m["resource"]["current"]["averageUtilization"]).filter(|p| !p.is_null()) {
            status.insert("currentCPUUtilizationPercentage".into(), percent.clone());
        }
        if !current.is_empty() {
            carried.extend(v1_metrics::convert(current.into(), Direction::StatusToV1).map(|m| (CURRENT_METRICS, m.into())));
        }
        if let Some(conditions) = status.remove("conditions").filter(|c| c.as_array().is_some_and(|l| !l.is_empty())) {
            carried.push((CONDITIONS, conditions));
        }
        for field in ["currentReplicas", "desiredReplicas"] {
            status.entry(field).or_insert_with(|| 0.into());
        }
    }
    if !carried.is_empty() {
        let annotations = member(member(top, "metadata"), "annotations");
        annotations.extend(carried.into_iter().map(|(key, value)| (key.to_string(), value.to_string().into())));
    }
}

fn list(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

/// Takes the annotations of this view off the object; those that are not JSON are gone.
fn take_annotations(top: &mut Object) -> Map<String, Value> {
    let mut taken = Map::new();
    let Some(meta) = top.get_mut("metadata").and_then(Value::as_object_mut) else { return taken };
    let Some(annotations) = meta.get_mut("annotations").and_then(Value::as_object_mut) else { return taken };
    for key in [METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR] {
        let parsed = annotations.remove(key).and_then(|v| serde_json::from_str(v.as_str()?).ok());
        taken.extend(parsed.map(|value: Value| (key.to_string(), value)));
    }
    if annotations.is_empty() {
        meta.remove("annotations");
    }
    taken
}

/// The behaviour's annotation spells its fields as Go does: with a capital.
fn renamed(value: Value, rename: fn(&str) -> String) -> Value {
    match value {
        Value::Object(fields) => {
            fields.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (rename(&k), renamed(v, rename))).collect::<Object>().into()
        }
        Value::Array(items) => items.into_iter().map(|item| renamed(item, rename)).collect(),
        other => other,
    }
}

fn lower_first(key: &str) -> String {
    let mut letters = key.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

fn upper_first(key: &str) -> String {
    let mut letters = key.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

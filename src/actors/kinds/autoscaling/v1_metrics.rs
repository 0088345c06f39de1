//! Metrics between the flat form that `v1` keeps in annotations and the nested one of `v2`.
use serde_json::{Map, Value, json};

type Object = Map<String, Value>;

/// Which way, and whether the metrics are wanted or measured ones.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Direction {
    ToV2,
    ToV1,
    StatusToV2,
    StatusToV1,
}

/// The flat names of a source's values, with their names in `target` or `current`: first those of a specification, then of a status.
fn values(field: &str) -> [&'static [(&'static str, &'static str)]; 2] {
    match field {
        "resource" | "containerResource" => [
            &[("targetAverageUtilization", "averageUtilization"), ("targetAverageValue", "averageValue")],
            &[("currentAverageUtilization", "averageUtilization"), ("currentAverageValue", "averageValue")],
        ],
        "pods" => [&[("targetAverageValue", "averageValue")], &[("currentAverageValue", "averageValue")]],
        "object" => {
            [&[("targetValue", "value"), ("averageValue", "averageValue")], &[("currentValue", "value"), ("averageValue", "averageValue")]]
        }
        _ => [
            &[("targetValue", "value"), ("targetAverageValue", "averageValue")],
            &[("currentValue", "value"), ("currentAverageValue", "averageValue")],
        ],
    }
}

/// All metrics of a list converted; `None` when it is no list.
pub(super) fn convert(metrics: Value, direction: Direction) -> Option<Vec<Value>> {
    let Value::Array(metrics) = metrics else { return None };
    Some(metrics.into_iter().map(|metric| convert_one(metric, direction)).collect())
}

fn convert_one(mut metric: Value, direction: Direction) -> Value {
    let status = matches!(direction, Direction::StatusToV1 | Direction::StatusToV2);
    let Some(fields) = metric.as_object_mut() else { return metric };
    for field in ["object", "pods", "resource", "containerResource", "external"] {
        let Some(source) = fields.get_mut(field).and_then(Value::as_object_mut) else { continue };
        match direction {
            Direction::ToV2 | Direction::StatusToV2 => nest(source, field, status),
            Direction::ToV1 | Direction::StatusToV1 => flatten(source, field, status),
        }
    }
    metric
}

/// What a selector is called in the flat form.
fn selector_name(field: &str) -> &'static str {
    if field == "external" { "metricSelector" } else { "selector" }
}

fn nest(source: &mut Object, field: &str, status: bool) {
    let named = matches!(field, "object" | "pods" | "external");
    if let Some(object) = source.remove("target").filter(|_| field == "object") {
        source.insert("describedObject".into(), object);
    }
    if named {
        let mut metric = json!({ "name": source.remove("metricName").unwrap_or_default() });
        if let Some(selector) = source.remove(selector_name(field)).filter(|s| !s.is_null()) {
            metric["selector"] = selector;
        }
        source.insert("metric".into(), metric);
    }
    let [wanted, measured] = values(field);
    let mut nested = Object::new();
    for (flat, name) in if status { measured } else { wanted } {
        // A flat form has its zero where there is no value.
        let value = source.remove(*flat).filter(|v| !v.is_null() && v.as_str() != Some("0"));
        nested.extend(value.map(|v| (name.to_string(), v)));
    }
    if !status {
        let type_ = match nested.contains_key("averageUtilization") {
            true => "Utilization",
            false if nested.contains_key("averageValue") => "AverageValue",
            false => "Value",
        };
        nested.insert("type".into(), type_.into());
    }
    source.insert(if status { "current" } else { "target" }.into(), nested.into());
}

fn flatten(source: &mut Object, field: &str, status: bool) {
    let nested = source.remove(if status { "current" } else { "target" }).unwrap_or_default();
    if let Some(object) = source.remove("describedObject") {
        source.insert("target".into(), object);
    }
    if let Some(metric) = source.remove("metric") {
        source.insert("metricName".into(), metric["name"].clone());
        if !metric["selector"].is_null() {
            source.insert(selector_name(field).into(), metric["selector"].clone());
        }
    }
    let [wanted, measured] = values(field);
    for (flat, name) in if status { measured } else { wanted } {
        if !nested[*name].is_null() {
            source.insert(flat.to_string(), nested[*name].clone());
        } else if field == "object" && *name == "value" {
            // Not a pointer in the flat form: there always is one.
            source.insert(flat.to_string(), "0".into());
        }
    }
}

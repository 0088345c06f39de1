//! `HorizontalPodAutoscaler` of `autoscaling/v2beta1`: targets and current values were flat fields with names of their own.
//! `v2beta2` already had today's shape.
use super::fields::{annotate, each, gathered, put, rename, take, take_annotation};
use serde_json::{Value, json};

/// Where `spec.behavior` is kept for readers of `v2beta1`, so that what they write back still has it.
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
/// Source member and kind of source, as in `{type: ContainerResource, containerResource: {…}}`.
const SOURCES: [&str; 5] = ["resource", "containerResource", "pods", "object", "external"];

pub(super) fn to_today(autoscaler: &mut Value) {
    if let Some(text) = take_annotation(autoscaler, BEHAVIOR)
        && let Some(spec) = autoscaler.get_mut("spec")
        && spec.get("behavior").is_none_or(Value::is_null)
    {
        put(spec, "behavior", serde_json::from_str(&text).ok());
    }
    change(autoscaler, "spec", "metrics", spec_to_today);
    change(autoscaler, "status", "currentMetrics", status_to_today);
}

pub(super) fn from_today(autoscaler: &mut Value) {
    if let Some(behavior) = autoscaler.get_mut("spec").and_then(|spec| take(spec, "behavior")) {
        annotate(autoscaler, BEHAVIOR, behavior.to_string());
    }
    change(autoscaler, "spec", "metrics", spec_from_today);
    change(autoscaler, "status", "currentMetrics", status_from_today);
}

fn change(autoscaler: &mut Value, part: &str, list: &str, change: fn(&str, &mut Value)) {
    let Some(part) = autoscaler.get_mut(part) else { return };
    for metric in each(part, list) {
        for name in SOURCES {
            if let Some(source) = metric.get_mut(name).filter(|s| s.is_object()) {
                change(name, source);
            }
        }
    }
}

fn has_metric(name: &str) -> bool {
    matches!(name, "pods" | "object" | "external")
}

/// The field that a metric's selector was in.
fn selector_field(name: &str) -> &'static str {
    if name == "external" { "metricSelector" } else { "selector" }
}

fn metric_to_today(name: &str, source: &mut Value) {
    if !has_metric(name) || source.get("metric").is_some() {
        return;
    }
    let metric = gathered([("name", take(source, "metricName")), ("selector", take(source, selector_field(name)))]);
    put(source, "metric", Some(metric));
}

fn metric_from_today(name: &str, source: &mut Value) {
    let Some(mut metric) = take(source, "metric") else { return };
    put(source, "metricName", take(&mut metric, "name"));
    put(source, selector_field(name), take(&mut metric, "selector"));
}

fn spec_to_today(name: &str, source: &mut Value) {
    // Already today's: `target` has a `type` there; an Object metric's old `target` has a `kind`.
    if source["target"].get("type").is_some() {
        return;
    }
    if name == "object" {
        rename(source, "target", "describedObject");
    }
    metric_to_today(name, source);
    let utilization = take(source, "targetAverageUtilization");
    let average = take(source, if name == "object" { "averageValue" } else { "targetAverageValue" });
    let value = take(source, "targetValue");
    let target = match (utilization, average, value) {
        (Some(percent), _, _) => json!({ "type": "Utilization", "averageUtilization": percent }),
        (None, Some(average), _) => json!({ "type": "AverageValue", "averageValue": average }),
        (None, None, Some(value)) => json!({ "type": "Value", "value": value }),
        (None, None, None) => return,
    };
    put(source, "target", Some(target));
}

fn spec_from_today(name: &str, source: &mut Value) {
    metric_from_today(name, source);
    let mut target = take(source, "target").unwrap_or_default();
    let (percent, average, value) =
        (take(&mut target, "averageUtilization"), take(&mut target, "averageValue"), take(&mut target, "value"));
    put(source, "targetAverageUtilization", percent);
    if name == "object" {
        rename(source, "describedObject", "target");
        // The old field was required; upstream wrote a zero for averages.
        put(source, "targetValue", value.or_else(|| Some("0".into())));
        put(source, "averageValue", average);
    } else {
        put(source, "targetValue", value);
        put(source, "targetAverageValue", average);
    }
}

fn status_to_today(name: &str, source: &mut Value) {
    if source.get("current").is_some() {
        return;
    }
    if name == "object" {
        rename(source, "target", "describedObject");
    }
    metric_to_today(name, source);
    let average = if name == "object" { "averageValue" } else { "currentAverageValue" };
    let current = gathered([
        ("averageUtilization", take(source, "currentAverageUtilization")),
        ("averageValue", take(source, average)),
        ("value", take(source, "currentValue")),
    ]);
    put(source, "current", Some(current));
}

fn status_from_today(name: &str, source: &mut Value) {
    metric_from_today(name, source);
    let mut current = take(source, "current").unwrap_or_default();
    put(source, "currentAverageUtilization", take(&mut current, "averageUtilization"));
    let (average, value) = (take(&mut current, "averageValue"), take(&mut current, "value"));
    if name == "object" {
        rename(source, "describedObject", "target");
        put(source, "currentValue", value.or_else(|| Some("0".into())));
        put(source, "averageValue", average);
    } else {
        put(source, "currentValue", value);
        put(source, "currentAverageValue", average.or_else(|| (name != "external").then(|| "0".into())));
    }
}

//! What an autoscaler looks at.
use super::horizontal_pod_autoscaler::reference;
use crate::protocol::names::{self, name_is_path_segment};
use crate::protocol::quantity::Quantity;
use crate::protocol::status::FieldError;
use crate::protocol::validation::container_resource_name;
use serde_json::Value;

/// The types of metrics, each with the field that describes it, in the order in which the fields are looked at.
const SOURCES: [(&str, &str); 5] = [
    ("Object", "object"),
    ("External", "external"),
    ("Pods", "pods"),
    ("Resource", "resource"),
    ("ContainerResource", "containerResource"),
];
const TYPES: [&str; 5] = ["ContainerResource", "External", "Object", "Pods", "Resource"];
/// So many metrics are shown in a table.
const SHOWN: usize = 2;

pub(super) fn validate(metrics: &Value, path: &str, min_replicas: Option<i64>) -> Vec<FieldError> {
    let metrics = metrics.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut faults = Vec::new();
    for (index, metric) in metrics.iter().enumerate() {
        validate_one(metric, &format!("{path}[{index}]"), &mut faults);
    }
    // Without a pod nothing is measured in pods.
    if min_replicas == Some(0) && !metrics.iter().any(|m| m["type"] == "Object" || m["type"] == "External") {
        let why = "must specify at least one Object or External metric to support scaling to zero replicas";
        faults.push(FieldError::forbidden(path, why));
    }
    faults
}

fn validate_one(metric: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let type_ = metric["type"].as_str().unwrap_or_default();
    if type_.is_empty() {
        faults.push(FieldError::required(format!("{path}.type"), "must specify a metric source type"));
    }
    let expected = SOURCES.iter().find(|(name, _)| *name == type_).map(|(_, field)| *field);
    if expected.is_none() {
        faults.push(FieldError::not_supported(format!("{path}.type"), type_, &TYPES));
    }
    let given: Vec<&str> = SOURCES.iter().map(|(_, field)| *field).filter(|field| metric[*field].is_object()).collect();
    if let Some(first) = given.first() {
        source(&metric[*first], first, &format!("{path}.{first}"), faults);
    }
    match expected {
        Some(field) if !given.contains(&field) => {
            faults.push(FieldError::required(format!("{path}.{field}"), "must populate information for the given metric source"));
        }
        Some(_) => {}
        None => faults.push(FieldError::not_supported(format!("{path}.type"), type_, &TYPES)),
    }
    if given.len() > 1 {
        for field in given.iter().filter(|f| Some(**f) != expected) {
            faults.push(FieldError::forbidden(format!("{path}.{field}"), "must populate the given metric source only"));
        }
    }
}

fn source(source: &Value, field: &str, path: &str, faults: &mut Vec<FieldError>) {
    let target = &source["target"];
    let has = |name: &str| !target[name].is_null();
    let at = |name: &str| format!("{path}.target.{name}");
    match field {
        "object" => faults.extend(reference(&source["describedObject"], &format!("{path}.describedObject"))),
        "resource" | "containerResource" => resource(source, field, path, faults),
        _ => {}
    }
    if matches!(field, "object" | "external" | "pods") {
        identifier(&source["metric"], &format!("{path}.metric"), faults);
    }
    validate_target(target, &format!("{path}.target"), faults);
    match field {
        "object" if !has("value") && !has("averageValue") => {
            faults.push(FieldError::required(at("averageValue"), "must set either a target value or averageValue"));
        }
        "external" if !has("value") && !has("averageValue") => {
            faults.push(FieldError::required(at("averageValue"), "must set either a target value for metric or a per-pod target"));
        }
        "external" if has("value") && has("averageValue") => {
            faults.push(FieldError::forbidden(at("value"), "may not set both a target value for metric and a per-pod target"));
        }
        "pods" if !has("averageValue") => {
            faults.push(FieldError::required(at("averageValue"), "must specify a positive target averageValue"));
        }
        "resource" | "containerResource" if !has("averageUtilization") && !has("averageValue") => {
            let why = "must set either a target raw value or a target utilization";
            faults.push(FieldError::required(at("averageUtilization"), why));
        }
        "resource" | "containerResource" if has("averageUtilization") && has("averageValue") => {
            faults.push(FieldError::forbidden(at("averageValue"), "may not set both a target raw value and a target utilization"));
        }
        _ => {}
    }
}

fn resource(source: &Value, field: &str, path: &str, faults: &mut Vec<FieldError>) {
    let resource = source["name"].as_str().unwrap_or_default();
    if resource.is_empty() {
        faults.push(FieldError::required(format!("{path}.name"), "must specify a resource name"));
    } else if field == "containerResource" {
        faults.extend(container_resource_name(resource, &format!("{path}.name")));
    }
    if field == "containerResource" {
        let container = source["container"].as_str().unwrap_or_default();
        let path = format!("{path}.container");
        if container.is_empty() {
            faults.push(FieldError::required(path, "must specify a container"));
        } else {
            faults.extend(names::dns1123_label(container).into_iter().map(|why| FieldError::invalid(&*path, container, why)));
        }
    }
}

fn identifier(metric: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let name = metric["name"].as_str().unwrap_or_default();
    let path = format!("{path}.name");
    if name.is_empty() {
        faults.push(FieldError::required(path, "must specify a metric name"));
    } else {
        faults.extend(name_is_path_segment(name, false).into_iter().map(|why| FieldError::invalid(&*path, name, why)));
    }
}

fn validate_target(target: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let type_ = target["type"].as_str().unwrap_or_default();
    if type_.is_empty() {
        faults.push(FieldError::required(format!("{path}.type"), "must specify a metric target type"));
    }
    if !matches!(type_, "Utilization" | "Value" | "AverageValue") {
        faults.push(FieldError::invalid(format!("{path}.type"), type_, "must be either Utilization, Value, or AverageValue"));
    }
    for field in ["value", "averageValue"] {
        if let Some(text) = target[field].as_str()
            && text.parse::<Quantity>().is_ok_and(|q| q.signum() <= 0)
        {
            faults.push(FieldError::invalid(format!("{path}.{field}"), text, "must be positive"));
        }
    }
    if let Some(percent) = target["averageUtilization"].as_i64().filter(|p| *p < 1) {
        faults.push(FieldError::invalid(format!("{path}.averageUtilization"), percent, "must be greater than 0"));
    }
}

/// The `Targets` cell: `cpu: 20%/80%, 3/10 + 1 more...`.
pub(super) fn summary(metrics: &Value, current: &Value) -> String {
    let metrics = metrics.as_array().map(Vec::as_slice).unwrap_or_default();
    if metrics.is_empty() {
        return "<none>".into();
    }
    let shown: Vec<String> = metrics.iter().enumerate().take(SHOWN).map(|(index, metric)| describe(metric, &current[index])).collect();
    let text = shown.join(", ");
    if metrics.len() > SHOWN { format!("{text} + {} more...", metrics.len() - SHOWN) } else { text }
}

fn describe(metric: &Value, status: &Value) -> String {
    let type_ = metric["type"].as_str().unwrap_or_default();
    let Some((_, field)) = SOURCES.iter().find(|(name, _)| *name == type_) else { return "<unknown type>".into() };
    let (target, current) = (&metric[*field]["target"], &status[*field]["current"]);
    let text = |of: &Value, name: &str| of[name].as_str().map(str::to_string);
    let unknown = || "<unknown>".to_string();
    let percent = |of: &Value| of["averageUtilization"].as_i64().map(|p| format!("{p}%"));
    let average = text(target, "averageValue");
    match *field {
        "resource" | "containerResource" => {
            let name = metric[*field]["name"].as_str().unwrap_or_default();
            let (now, wanted) = match average {
                Some(wanted) => (text(current, "averageValue"), wanted),
                None => (percent(current), percent(target).unwrap_or_else(|| "<auto>".into())),
            };
            format!("{name}: {}/{wanted}", now.unwrap_or_else(unknown))
        }
        "pods" => format!("{}/{}", text(current, "averageValue").unwrap_or_else(unknown), average.unwrap_or_default()),
        _ => match average {
            Some(wanted) => format!("{}/{wanted} (avg)", text(current, "averageValue").unwrap_or_else(unknown)),
            None => format!("{}/{}", text(current, "value").unwrap_or_else(unknown), text(target, "value").unwrap_or_default()),
        },
    }
}

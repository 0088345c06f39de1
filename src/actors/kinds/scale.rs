//! The `scale` subresource: `autoscaling/v1 Scale` made from, and written back to, a workload.
use super::Kind;
use crate::protocol::status::{ApiError, FieldError};
use serde_json::{Value, json};

/// The Scale of an object whose kind has that subresource.
pub fn scale_of(kind: &Kind, object: &Value) -> Value {
    let meta = &object["metadata"];
    let mut kept = serde_json::Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = meta.get(field) {
            kept.insert(field.into(), value.clone());
        }
    }
    let paths = kind.scale_paths();
    let at = |path: &str| path.split('.').try_fold(object, |value, part| value.get(part)).filter(|_| !path.is_empty());
    let number = |path: &str| at(path).and_then(Value::as_i64).unwrap_or(0);
    let mut status = json!({ "replicas": number(&paths.status_replicas) });
    let selector = at(&paths.selector).map(selector_text).unwrap_or_default();
    if !selector.is_empty() {
        status["selector"] = selector.into();
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": kept,
        "spec": { "replicas": number(&paths.spec_replicas) }, "status": status,
    })
}

/// The object with the replicas that the Scale asks for.
pub fn set_replicas(kind: &Kind, old: &Value, scale: &Value) -> Result<Value, ApiError> {
    let name = old["metadata"]["name"].as_str().unwrap_or_default();
    let wanted = scale["spec"]["replicas"].as_i64().unwrap_or(0);
    if wanted < 0 {
        let error = FieldError::invalid("spec.replicas", wanted, "must be greater than or equal to 0");
        return Err(ApiError::invalid("autoscaling", "Scale", name, &[error]));
    }
    if let Some(version) = scale["metadata"]["resourceVersion"].as_str().filter(|v| !v.is_empty())
        && old["metadata"]["resourceVersion"] != version
    {
        return Err(ApiError::modified(kind.resource.group, kind.resource.plural, name));
    }
    let mut new = old.clone();
    let mut place = &mut new;
    for part in kind.scale_paths().spec_replicas.split('.') {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[part];
    }
    *place = wanted.into();
    Ok(new)
}

/// A selector in the text form that autoscalers parse; both the map and the LabelSelector form.
fn selector_text(selector: &Value) -> String {
    if let Some(text) = selector.as_str() {
        return text.to_string();
    }
    let Some(map) = selector.as_object() else { return String::new() };
    if map.contains_key("matchLabels") || map.contains_key("matchExpressions") {
        return crate::protocol::selector::LabelSelector::from_object(selector).map(|s| s.to_string()).unwrap_or_default();
    }
    map.iter().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect::<Vec<_>>().join(",")
}

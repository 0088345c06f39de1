//! RuntimeClass: what a class costs, and where its pods can run.
use crate::actors::admission::refusal::{append, forbidden, list, text};
use crate::actors::kinds::Attributes;
use crate::protocol::status::ApiError;
use serde_json::{Value, json};

/// Sets the overhead and the constraints of the pod's class.
pub fn mutate(a: &Attributes<'_>, pod: &mut Value, classes: &[Value]) -> Result<(), ApiError> {
    let Some(class) = class_of(a, pod, classes)? else { return Ok(()) };
    let overhead = &class["overhead"]["podFixed"];
    if overhead.as_object().is_some_and(|o| !o.is_empty()) {
        let held = &pod["spec"]["overhead"];
        if held.is_object() && held != overhead {
            return Err(forbidden(a, Some(pod), "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"));
        }
        pod["spec"]["overhead"] = overhead.clone();
    }
    for (key, value) in class["scheduling"]["nodeSelector"].as_object().into_iter().flatten() {
        let (value, held) = (value.as_str().unwrap_or_default(), text(&pod["spec"]["nodeSelector"], key).to_string());
        if pod["spec"]["nodeSelector"].get(key).is_some() && held != value {
            let why = format!("conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = {held}");
            return Err(forbidden(a, Some(pod), &why));
        }
        if !pod["spec"]["nodeSelector"].is_object() {
            pod["spec"]["nodeSelector"] = json!({});
        }
        pod["spec"]["nodeSelector"][key] = value.into();
    }
    for toleration in list(&class["scheduling"], "tolerations") {
        if !list(&pod["spec"], "tolerations").contains(toleration) {
            append(&mut pod["spec"], "tolerations", [toleration.clone()]);
        }
    }
    Ok(())
}

/// A pod says no overhead but its class's.
pub fn validate(a: &Attributes<'_>, pod: &Value, classes: &[Value]) -> Result<(), ApiError> {
    let class = class_of(a, pod, classes)?;
    let wanted = class.map_or(&Value::Null, |c| &c["overhead"]["podFixed"]);
    let held = &pod["spec"]["overhead"];
    let empty = |value: &Value| value.as_object().is_none_or(|o| o.is_empty());
    if empty(wanted) && !empty(held) {
        return Err(forbidden(a, Some(pod), "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"));
    }
    if !empty(wanted) && held != wanted {
        return Err(forbidden(a, Some(pod), "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"));
    }
    Ok(())
}

fn class_of<'a>(a: &Attributes<'_>, pod: &Value, classes: &'a [Value]) -> Result<Option<&'a Value>, ApiError> {
    let name = text(&pod["spec"], "runtimeClassName");
    if name.is_empty() {
        return Ok(None);
    }
    let found = classes.iter().find(|c| text(&c["metadata"], "name") == name);
    found.map(Some).ok_or_else(|| forbidden(a, Some(pod), &format!("pod rejected: RuntimeClass \"{name}\" not found")))
}

//! The subresources that write something else than the object or its status: `scale`, `binding`, `approval`,
//! `ephemeralcontainers` and `resize`.
use super::certificates::signing_request::{merge_approval, validate_approval};
use super::scale::set_replicas;
use super::{Kind, Part, merge_ephemeral_containers, merge_resize, validate_ephemeral_containers, validate_resize};
use crate::protocol::status::{ApiError, FieldError};
use crate::protocol::time;
use serde_json::{Value, json};

/// The object after a Scale, a Binding or an approval was written to it.
pub(super) fn merge(kind: &Kind, part: Part, old: &Value, body: &Value) -> Result<Value, ApiError> {
    match part {
        Part::Scale => set_replicas(kind, old, body),
        Part::Approval => approve(kind, old, body),
        Part::EphemeralContainers => checked(kind, old, merge_ephemeral_containers(old, body), validate_ephemeral_containers),
        Part::Resize => checked(kind, old, merge_resize(old, body), validate_resize),
        _ => bind(kind, old, body),
    }
}

/// What a part of a pod comes to, by the rules of that part.
fn checked(kind: &Kind, old: &Value, new: Value, rules: fn(&Value, &Value) -> Vec<FieldError>) -> Result<Value, ApiError> {
    let errors = rules(&new, old);
    if errors.is_empty() {
        return Ok(new);
    }
    let name = old["metadata"]["name"].as_str().unwrap_or_default();
    Err(ApiError::invalid(kind.resource.group, kind.resource.kind, name, &errors))
}

/// Takes over the conditions of a certificate request.
fn approve(kind: &Kind, old: &Value, body: &Value) -> Result<Value, ApiError> {
    let new = merge_approval(old, body, &time::rfc3339(time::now()));
    let errors = validate_approval(&new, old);
    if errors.is_empty() {
        return Ok(new);
    }
    let name = old["metadata"]["name"].as_str().unwrap_or_default();
    Err(ApiError::invalid(kind.resource.group, kind.resource.kind, name, &errors))
}

/// Assigns a pod to a node, as upstream's binding storage does.
fn bind(kind: &Kind, old: &Value, body: &Value) -> Result<Value, ApiError> {
    let resource = &kind.resource;
    let name = old["metadata"]["name"].as_str().unwrap_or_default();
    let target = body["target"]["name"].as_str().unwrap_or_default();
    let target_kind = body["target"]["kind"].as_str().unwrap_or_default();
    if !matches!(target_kind, "" | "Node" | "Minion") {
        let error = FieldError::not_supported("target.kind", target_kind, &["Node", "<empty>"]);
        return Err(ApiError::invalid("", "Binding", name, &[error]));
    }
    if target.is_empty() {
        return Err(ApiError::invalid("", "Binding", name, &[FieldError::required("target.name", "")]));
    }
    let conflict = |why: String| Err(ApiError::conflict(resource.group, resource.plural, name, &why));
    if !old["metadata"]["deletionTimestamp"].is_null() {
        return conflict(format!("pod {name} is being deleted, cannot be assigned to a host"));
    }
    if let Some(node) = old["spec"]["nodeName"].as_str().filter(|n| !n.is_empty()) {
        return conflict(format!("pod {name} is already assigned to node \"{node}\""));
    }
    let mut new = old.clone();
    new["spec"]["nodeName"] = target.into();
    // The Binding's labels and annotations are for the pod: admission tells it its node's zone this way.
    for field in ["labels", "annotations"] {
        for (key, value) in body["metadata"][field].as_object().into_iter().flatten() {
            new["metadata"][field][key] = value.clone();
        }
    }
    let condition = json!({
        "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": time::rfc3339(time::now()),
        "observedGeneration": old["metadata"]["generation"],
    });
    if !new["status"].is_object() {
        new["status"] = json!({});
    }
    if !new["status"]["conditions"].is_array() {
        new["status"]["conditions"] = json!([]);
    }
    // Where it was expected is of no use any more.
    if let Some(status) = new["status"].as_object_mut() {
        status.remove("nominatedNodeName");
    }
    if let Some(conditions) = new["status"]["conditions"].as_array_mut() {
        conditions.retain(|c| c["type"] != "PodScheduled");
        conditions.push(condition);
    }
    Ok(new)
}

//! What makes a stateful pod itself: its name, labels, host name and volumes.
use super::{Set, claims, meta_patch};
use crate::actors::controllers::owned::template_meta;
use crate::actors::controllers::plan::Plan;
use crate::actors::controllers::replication::Pod;
use crate::actors::controllers::revisions::POD_LABEL;
use serde_json::{Map, Value, json};

const NAME_LABEL: &str = "statefulset.kubernetes.io/pod-name";
const INDEX_LABEL: &str = "apps.kubernetes.io/pod-index";

pub fn pod_name(set: &str, ordinal: i64) -> String {
    format!("{set}-{ordinal}")
}

/// The number in a pod's name, when the name is one of this set's.
pub fn ordinal(set: &str, pod: &str) -> Option<i64> {
    let digits = pod.strip_prefix(set)?.strip_prefix('-')?;
    let number: i64 = digits.parse().ok().filter(|n| *n >= 0 && *n <= i64::from(i32::MAX))?;
    // `web-01` is not `web-1`.
    (number.to_string() == digits).then_some(number)
}

/// The pod with a number, of a template.
pub fn pod(set: &Set<'_>, ordinal: i64, template: &Value, revision: &str) -> Value {
    let name = pod_name(&set.entry.key.name, ordinal);
    let mut meta = Value::Object(template_meta(template));
    meta["name"] = name.as_str().into();
    meta["ownerReferences"] = json!([super::FAMILY.reference(set.entry)]);
    for (label, value) in [(NAME_LABEL, name.as_str()), (INDEX_LABEL, &ordinal.to_string()), (POD_LABEL, revision)] {
        meta["labels"][label] = value.into();
    }
    let mut spec = template["spec"].clone();
    spec["hostname"] = name.into();
    if let Some(service) = set.object["spec"]["serviceName"].as_str().filter(|s| !s.is_empty()) {
        spec["subdomain"] = service.into();
    }
    let volumes = claims::volumes(set, ordinal, &spec["volumes"]);
    if !volumes.is_empty() {
        spec["volumes"] = volumes.into();
    }
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec })
}

/// Puts back labels that somebody took from a pod.
pub fn restore(set: &Set<'_>, ordinal: i64, pod: &Pod, plan: &mut Plan) {
    let wanted = [(NAME_LABEL, pod_name(&set.entry.key.name, ordinal)), (INDEX_LABEL, ordinal.to_string())];
    let lost: Map<String, Value> = wanted
        .into_iter()
        .filter(|(label, value)| pod.entry.meta.label(label) != Some(value))
        .map(|(label, value)| (label.to_string(), value.into()))
        .collect();
    if !lost.is_empty() {
        plan.because(super::FAMILY.subject(set.entry), format_args!("pod {} has lost its labels", pod.entry.key.name));
        plan.actions.push(meta_patch("pods", &pod.entry, json!({ "labels": lost }), false));
    }
}

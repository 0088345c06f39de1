//! A daemon's pod: how it is made, and which node it is for.
use super::{FAMILY, Set, fit};
use crate::actors::controllers::owned::template_meta;
use crate::actors::controllers::replication::Pod;
use crate::actors::controllers::revisions::POD_LABEL;
use serde_json::{Value, json};

const GENERATION_LABEL: &str = "pod-template-generation";
const GENERATION: &str = "deprecated.daemonset.template.generation";

/// The node that a pod runs on or is meant for; empty when it is meant for none.
pub fn node_of(pod: &Pod) -> String {
    if !pod.light.node.is_empty() {
        return pod.light.node.to_string();
    }
    let object = pod.entry.parse();
    let required = &object["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"];
    let terms = required.as_array().into_iter().flatten();
    let fields = terms.flat_map(|term| term["matchFields"].as_array().into_iter().flatten());
    let named =
        fields.filter(|f| f["key"] == "metadata.name" && f["operator"] == "In").find_map(|f| match f["values"].as_array()?.as_slice() {
            [one] => one.as_str(),
            _ => None,
        });
    named.unwrap_or_default().to_string()
}

/// The pod for one node. What the template says of node affinity was heeded in choosing the node; the pod names only that.
pub(super) fn pod(set: &Set<'_>, node: &str) -> Value {
    let template = &set.object["spec"]["template"];
    let mut meta = Value::Object(template_meta(template));
    meta["generateName"] = format!("{}-", set.entry.key.name).into();
    meta["ownerReferences"] = json!([FAMILY.reference(set.entry)]);
    meta["labels"][POD_LABEL] = set.hash.as_str().into();
    if let Some(generation) = set.object["metadata"]["annotations"][GENERATION].as_str() {
        meta["labels"][GENERATION_LABEL] = generation.into();
    }
    let mut spec = template["spec"].clone();
    let only = json!({ "key": "metadata.name", "operator": "In", "values": [node] });
    spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
        json!({ "nodeSelectorTerms": [{ "matchFields": [only] }] });
    spec["tolerations"] = fit::tolerations(&template["spec"]).into();
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec })
}

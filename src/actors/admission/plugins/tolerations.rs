//! DefaultTolerationSeconds and ExtendedResourceToleration.
use crate::actors::admission::refusal::{append, list, text};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Five minutes on a node that is not ready or not reachable, unless the pod says something else.
pub fn default_seconds(pod: &mut Value) {
    let spec = &mut pod["spec"];
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let covered = list(spec, "tolerations").iter().any(|t| {
            let (given, effect) = (text(t, "key"), text(t, "effect"));
            (given.is_empty() || given == key) && (effect.is_empty() || effect == "NoExecute")
        });
        if !covered {
            append(spec, "tolerations", [json!({ "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 })]);
        }
    }
}

/// A pod that asks for an extended resource tolerates the taint of the nodes that are kept for it.
pub fn extended_resources(pod: &mut Value) {
    let spec = &mut pod["spec"];
    let mut resources = BTreeSet::new();
    for container in list(spec, "containers").iter().chain(list(spec, "initContainers")) {
        let requests = container["resources"]["requests"].as_object();
        resources.extend(requests.into_iter().flatten().map(|(name, _)| name.clone()).filter(|name| is_extended(name)));
    }
    for key in resources {
        if !list(spec, "tolerations").iter().any(|t| t["key"] == *key && t["operator"] == "Exists") {
            append(spec, "tolerations", [json!({ "key": key, "operator": "Exists", "effect": "NoSchedule" })]);
        }
    }
}

/// Whether a resource's name is of somebody else's domain: `example.com/gpu`.
pub fn is_extended(name: &str) -> bool {
    name.split_once('/').is_some_and(|(domain, _)| !domain.ends_with("kubernetes.io")) && !name.starts_with("requests.")
}

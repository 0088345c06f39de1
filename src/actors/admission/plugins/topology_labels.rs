//! PodTopologyLabels: a pod that is bound learns the zone and region of its node.
use super::World;
use crate::actors::admission::refusal::text;
use crate::protocol::meta::ObjectKey;
use serde_json::{Value, json};

const LABELS: [&str; 2] = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"];

/// Puts the node's labels on the Binding, whose labels the pod takes over.
pub fn mutate(binding: &mut Value, world: &World) {
    let kind = text(&binding["target"], "kind");
    if !matches!(kind, "" | "Node") {
        return;
    }
    let Some(node) = world.nodes.snapshot().get(&ObjectKey::new("", text(&binding["target"], "name"))).cloned() else { return };
    for label in LABELS {
        let Some(value) = node.meta.label(label) else { continue };
        if !binding["metadata"]["labels"].is_object() {
            binding["metadata"]["labels"] = json!({});
        }
        binding["metadata"]["labels"][label] = value.into();
    }
}

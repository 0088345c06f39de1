//! PodPreset: gives new pods what the presets of their namespace say.
use super::World;
use crate::actors::kinds::Attributes;
use crate::protocol::legacy::pod_preset::{Outcome, apply_presets};
use serde_json::Value;

/// Merges the presets that select a new pod into it. Answers what speaks against it, as a warning: the pod is made as it is then.
pub fn mutate(a: &Attributes<'_>, pod: &mut Value, world: &World) -> Vec<String> {
    let snapshot = world.presets.snapshot();
    if snapshot.namespace_len(&a.key.namespace) == 0 {
        return Vec::new();
    }
    let presets: Vec<Value> = snapshot.iter_namespace(&a.key.namespace).map(|entry| entry.parse()).collect();
    match apply_presets(pod, &presets) {
        Outcome::Unchanged => Vec::new(),
        Outcome::Changed(changed) => {
            *pod = changed;
            // What presets bring is written as tersely as what pods bring.
            a.kind.default(pod);
            Vec::new()
        }
        Outcome::Conflict(why) => {
            tracing::warn!(namespace = %a.key.namespace, pod = %a.key.name, "{why}");
            vec![why]
        }
    }
}

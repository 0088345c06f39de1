//! TaintNodesByCondition: a new node takes no pods until the node lifecycle controller has seen that it is ready.
use crate::actors::admission::refusal::{append, list};
use serde_json::{Value, json};

const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// Taints a new node.
pub fn mutate(node: &mut Value) {
    if !node["spec"].is_object() {
        node["spec"] = json!({});
    }
    let spec = &mut node["spec"];
    if !list(spec, "taints").iter().any(|t| t["key"] == NOT_READY && t["effect"] == "NoSchedule") {
        append(spec, "taints", [json!({ "key": NOT_READY, "effect": "NoSchedule" })]);
    }
}

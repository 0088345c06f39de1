//! What upstream fills in when a service leaves it out.
use super::changes::is_external;
use crate::actors::kinds::fields::{fill, items_mut, remove};
use crate::protocol::validation::text;
use serde_json::{Value, json};

/// How long a client keeps its endpoint, seconds.
const AFFINITY_SECONDS: i64 = 10_800;

pub(super) fn default(object: &mut Value) {
    let Some(spec) = object.get_mut("spec").filter(|s| s.is_object()) else { return };
    fill(spec, "sessionAffinity", "None");
    match text(spec, "sessionAffinity") {
        "None" => remove(spec, "sessionAffinityConfig"),
        "ClientIP" if spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"].is_null() => {
            spec["sessionAffinityConfig"] = json!({ "clientIP": { "timeoutSeconds": AFFINITY_SECONDS } });
        }
        _ => {}
    }
    fill(spec, "type", "ClusterIP");
    for port in items_mut(spec, "ports") {
        fill(port, "protocol", "TCP");
        if port["targetPort"].is_null() || port["targetPort"] == 0 || port["targetPort"] == "" {
            port["targetPort"] = port["port"].clone();
        }
        // Go leaves a port of zero out.
        if port["nodePort"] == 0 || port["nodePort"].is_null() {
            remove(port, "nodePort");
        }
    }
    if is_external(spec) {
        fill(spec, "externalTrafficPolicy", "Cluster");
    }
    let type_ = text(spec, "type").to_string();
    if matches!(type_.as_str(), "ClusterIP" | "NodePort" | "LoadBalancer") {
        fill(spec, "internalTrafficPolicy", "Cluster");
    }
    if spec["healthCheckNodePort"] == 0 || spec["healthCheckNodePort"].is_null() {
        remove(spec, "healthCheckNodePort");
    }
    if type_ == "LoadBalancer" {
        fill(spec, "allocateLoadBalancerNodePorts", true);
        if let Some(balancer) = object.get_mut("status").and_then(|s| s.get_mut("loadBalancer")) {
            for ingress in items_mut(balancer, "ingress").filter(|i| !text(i, "ip").is_empty()) {
                fill(ingress, "ipMode", "VIP");
            }
        }
    }
}

//! What an update of a service carries over, and what it drops: a service has many fields that hang on its type, and clients that
//! know only some of them.
use crate::actors::kinds::fields::{items_mut, remove, texts};
use crate::protocol::validation::text;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Every type but ExternalName has addresses in the cluster (`None` counts as one).
pub fn needs_address(spec: &Value) -> bool {
    text(spec, "type") != "ExternalName"
}

/// Whether the nodes open ports for it.
pub fn needs_node_ports(spec: &Value) -> bool {
    matches!(text(spec, "type"), "NodePort" | "LoadBalancer")
}

/// Whether load balancers ask the nodes if they have an endpoint.
pub fn needs_health_check(spec: &Value) -> bool {
    text(spec, "type") == "LoadBalancer" && text(spec, "externalTrafficPolicy") == "Local"
}

/// Whether anybody outside of the cluster can reach it.
pub(super) fn is_external(spec: &Value) -> bool {
    needs_node_ports(spec) || (text(spec, "type") == "ClusterIP" && !texts(&spec["externalIPs"]).is_empty())
}

/// The only address is `None`.
pub(super) fn is_headless(spec: &Value) -> bool {
    texts(&spec["clusterIPs"]) == ["None"]
}

pub(super) fn update(new: &mut Value, old: &Value) {
    keep_allocated(&mut new["spec"], &old["spec"]);
    align_addresses(new, Some(old));
    drop_unused(new, old);
}

/// Clients may leave out what was allocated for them.
fn keep_allocated(new: &mut Value, old: &Value) {
    if needs_address(old) && needs_address(new) {
        if text(new, "clusterIP").is_empty() && !text(old, "clusterIP").is_empty() {
            new["clusterIP"] = old["clusterIP"].clone();
        }
        if texts(&new["clusterIPs"]).is_empty() && new["clusterIP"] == old["clusterIP"] && old["clusterIPs"].is_array() {
            new["clusterIPs"] = old["clusterIPs"].clone();
        }
    }
    if needs_node_ports(old) && needs_node_ports(new) {
        keep_node_ports(new, old);
    }
    if needs_health_check(old) && needs_health_check(new) && number(new, "healthCheckNodePort") == 0 {
        copy(new, old, "healthCheckNodePort");
    }
}

/// Ports without a node port get that of the old port of the same name, unless another port has taken it.
fn keep_node_ports(new: &mut Value, old: &Value) {
    let mut used: BTreeSet<i64> = node_ports(old).intersection(&node_ports(new)).copied().collect();
    let by_name: BTreeMap<&str, i64> =
        old["ports"].as_array().into_iter().flatten().map(|p| (text(p, "name"), number(p, "nodePort"))).collect();
    for port in items_mut(new, "ports").filter(|p| number(p, "nodePort") == 0) {
        let held = by_name.get(text(port, "name")).copied().unwrap_or(0);
        if held != 0 && used.insert(held) {
            port["nodePort"] = held.into();
        }
    }
}

/// `clusterIP` and the first of `clusterIPs` are the same, whichever of them a client knows.
pub(super) fn align_addresses(new: &mut Value, old: Option<&Value>) {
    let spec = &mut new["spec"];
    let single = text(spec, "clusterIP").to_string();
    let Some(old) = old.map(|o| &o["spec"]) else {
        if !single.is_empty() && texts(&spec["clusterIPs"]).is_empty() {
            spec["clusterIPs"] = json!([single]);
        }
        return;
    };
    if single == text(old, "clusterIP") || texts(&spec["clusterIPs"]) != texts(&old["clusterIPs"]) {
        return;
    }
    if single.is_empty() {
        remove(spec, "clusterIPs");
    } else {
        spec["clusterIPs"] = json!([single]);
    }
}

/// Fields that mean nothing for the new type go, if the client did not touch them.
fn drop_unused(new: &mut Value, old: &Value) {
    let (spec, held) = (&mut new["spec"], &old["spec"]);
    if needs_address(held) && !needs_address(spec) {
        if spec["clusterIP"] == held["clusterIP"] && spec["clusterIPs"] == held["clusterIPs"] {
            remove(spec, "clusterIP");
            remove(spec, "clusterIPs");
        }
        drop_same(spec, held, "ipFamilies");
        drop_same(spec, held, "ipFamilyPolicy");
    }
    if needs_node_ports(held) && !needs_node_ports(spec) && node_ports(held).is_superset(&node_ports(spec)) {
        items_mut(spec, "ports").for_each(|port| remove(port, "nodePort"));
    }
    if needs_health_check(held) && !needs_health_check(spec) {
        drop_same(spec, held, "healthCheckNodePort");
    }
    if text(held, "type") == "LoadBalancer" && text(spec, "type") != "LoadBalancer" {
        drop_same(spec, held, "allocateLoadBalancerNodePorts");
        drop_same(spec, held, "loadBalancerClass");
    }
    if needs_node_ports(held) && !is_external(spec) {
        drop_same(spec, held, "externalTrafficPolicy");
    }
    let balanced = text(spec, "type") == "LoadBalancer";
    if !balanced && new["status"].is_object() {
        new["status"]["loadBalancer"] = json!({});
    }
}

fn drop_same(new: &mut Value, old: &Value, field: &str) {
    if new.get(field) == old.get(field) {
        remove(new, field);
    }
}

fn copy(new: &mut Value, old: &Value, field: &str) {
    if let Some(value) = old.get(field) {
        new[field] = value.clone();
    }
}

pub(super) fn number(object: &Value, field: &str) -> i64 {
    object[field].as_i64().unwrap_or(0)
}

/// The node ports of a service's ports.
pub(in crate::actors::kinds::core) fn node_ports(spec: &Value) -> BTreeSet<i64> {
    let ports = spec["ports"].as_array().into_iter().flatten();
    ports.map(|port| number(port, "nodePort")).filter(|port| *port != 0).collect()
}

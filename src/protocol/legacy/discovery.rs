//! `EndpointSlice` of `discovery.k8s.io/v1beta1`: zone and node were entries of a map, `topology`.
use super::fields::{default, each, object, put, take};
use serde_json::Value;

const ZONE: &str = "topology.kubernetes.io/zone";
const HOST: &str = "kubernetes.io/hostname";

pub(super) fn slice_to_today(slice: &mut Value) {
    for endpoint in each(slice, "endpoints") {
        let Some(mut topology) = take(endpoint, "topology") else { continue };
        let zone = take(&mut topology, ZONE);
        // A host that says what `nodeName` says is not kept twice.
        if topology[HOST] == endpoint["nodeName"] {
            take(&mut topology, HOST);
        }
        put(endpoint, "zone", zone);
        let rest = topology.as_object().is_some_and(|t| !t.is_empty());
        put(endpoint, "deprecatedTopology", rest.then_some(topology));
    }
}

pub(super) fn slice_from_today(slice: &mut Value) {
    for endpoint in each(slice, "endpoints") {
        let (kept, zone, node) = (take(endpoint, "deprecatedTopology"), take(endpoint, "zone"), endpoint.get("nodeName").cloned());
        if kept.is_none() && zone.is_none() && node.is_none() {
            continue;
        }
        put(endpoint, "topology", kept);
        let Some(topology) = object(endpoint, "topology") else { continue };
        put(topology, ZONE, zone);
        if let Some(node) = node {
            default(topology, HOST, node);
        }
    }
}

//! Upstream's default plugins, one file each: pure functions on a pod, a node and the model of the cluster.
pub mod balanced_allocation;
pub mod default_binder;
pub mod default_preemption;
pub mod dynamic_resources;
pub mod image_locality;
pub mod inter_pod_affinity;
pub mod node_affinity;
pub mod node_name;
pub mod node_ports;
pub mod node_resources_fit;
pub mod node_unschedulable;
pub mod node_volume_limits;
pub mod pod_topology_spread;
pub mod priority_sort;
pub mod resource_strategy;
pub mod scheduling_gates;
mod spread_score;
pub mod taint_toleration;
pub mod volume_binding;
pub mod volume_restrictions;
pub mod volume_zone;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_devices;

use crate::actors::scheduler::cluster::Cluster;
use crate::actors::scheduler::cluster::node::NodeInfo;
use crate::actors::scheduler::cluster::storage::Claim;
use crate::actors::scheduler::framework::happening::{self, Happening};
use crate::actors::scheduler::framework::state::State;
use crate::actors::scheduler::framework::{MAX_SCORE, Plugin, Points, PreFilter, Reason, normalise_by_max};
use crate::actors::scheduler::pod::PodInfo;
use crate::protocol::meta::ObjectKey;

/// Whether the pod mounts a claim.
fn mounts(pod: &PodInfo, claim: &ObjectKey) -> bool {
    pod.volumes.iter().flat_map(|v| &v.claims).any(|used| used.key == *claim)
}

/// The pod's claims that there are.
fn claims_of<'a>(pod: &'a PodInfo, cluster: &'a Cluster) -> impl Iterator<Item = &'a Claim> {
    pod.volumes.iter().flat_map(|v| &v.claims).filter_map(|used| cluster.storage.claims.get(&used.key))
}

/// The node that something happened to, when it is one.
fn node_of<'a>(happening: &Happening, cluster: &'a Cluster) -> Option<(usize, &'a NodeInfo)> {
    let (Happening::Node { slot, .. } | Happening::PodLeft { slot, .. } | Happening::PodCame { slot, .. }) = happening else { return None };
    cluster.node(*slot).filter(|n| n.exists).map(|n| (*slot, n))
}

//! Pre-emption: pods of lower priority make room. Which node, and which of its pods, by upstream's rules.
mod choice;
mod victims;

#[cfg(test)]
mod tests;

use super::cluster::Cluster;
use super::decide::{Filters, Preemption};
use super::framework::state::State;
use super::pod::PodInfo;
use super::refusal::{Refusals, in_vain};
use crate::protocol::meta::ObjectKey;
use std::sync::Arc;
pub use victims::Candidate;

/// Who makes room, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Victims {
    pub slot: usize,
    pub node: Arc<str>,
    /// Key and uid, the most important first.
    pub pods: Vec<(ObjectKey, Arc<str>)>,
}

/// Whether others make room for a pod that no node would take, and what is told about it. `None`: pre-emption is off.
pub fn consider(
    pod: &PodInfo,
    cluster: &Cluster,
    filters: &Filters<'_>,
    state: &mut State,
    refusals: &Refusals,
) -> Option<(Preemption, String)> {
    let settings = filters.profile.preemption.as_ref()?;
    let nodes = cluster.count();
    if nodes == 0 {
        return Some((Preemption::Nowhere, String::new()));
    }
    if pod.meek {
        return Some((Preemption::Waits, "not eligible due to preemptionPolicy=Never.".into()));
    }
    if waits(pod, cluster, refusals) {
        return Some((Preemption::Waits, "not eligible due to a terminating pod on the nominated node.".into()));
    }
    let occupied = refusals.occupied();
    let enough = settings.tried(occupied.len());
    // Where to begin changes from pod to pod, so that not all look at the same nodes.
    let start = if occupied.is_empty() { 0 } else { pod.shape as usize % occupied.len() };
    let (mut candidates, mut harmless, mut tried) = (Vec::new(), 0, 0);
    for slot in occupied[start..].iter().chain(&occupied[..start]) {
        tried += 1;
        if let Some(candidate) = victims::on_node(pod, *slot, cluster, filters, state) {
            harmless += usize::from(candidate.broken_budgets == 0);
            candidates.push(candidate);
        }
        if candidates.len() >= enough && harmless > 0 {
            break;
        }
    }
    debug_assert!(tried <= nodes);
    Some(match choice::best(candidates) {
        Some(best) => {
            let node = cluster.node(best.slot).map(|n| n.name.clone()).unwrap_or_default();
            let pods = best.victims.iter().map(|v| (v.key.clone(), v.uid.clone())).collect();
            (Preemption::Victims(Victims { slot: best.slot, node, pods }), String::new())
        }
        None => (Preemption::Nowhere, in_vain(nodes, occupied.len())),
    })
}

/// Whether room is being made already: somebody of lower priority is on the way out of the node that the pod was promised.
fn waits(pod: &PodInfo, cluster: &Cluster, refusals: &Refusals) -> bool {
    let promised = pod.nominated.as_ref().and_then(|name| cluster.slot(name)).filter(|slot| refusals.occupied().contains(slot));
    let Some(node) = promised.and_then(|slot| cluster.node(slot)) else { return false };
    cluster.residents(node).any(|(_, other)| other.leaving() && other.priority() < pod.priority)
}

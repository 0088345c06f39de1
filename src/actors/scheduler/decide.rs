//! The decision: the best of the nodes that will do. Pure; all state is in its arguments.
use super::cluster::Cluster;
use super::filters::{self, Refusals};
use super::pod::PodInfo;
use super::scores::{self, Field};

/// Clusters up to this size are searched whole; in larger ones the search ends when enough nodes will do.
const SEARCH_ALL: usize = 100;

/// Where a pod goes, or why nowhere.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// The slot of the node in the cluster.
    Node { slot: usize, score: i64, feasible: usize },
    /// In upstream's words; `waits_for_room`: pods leaving a node could change it.
    Unschedulable { message: String, waits_for_room: bool },
}

/// What outlives one decision: where the next search begins (so that a sampled search reaches every node in turn), and
/// buffers.
#[derive(Debug, Default)]
pub struct Search {
    next: usize,
    feasible: Vec<(usize, u32)>,
}

/// How many feasible nodes are enough: half of a cluster of 100, less of larger ones, never under 5 % or 100.
pub fn enough(nodes: usize) -> usize {
    if nodes < SEARCH_ALL {
        return nodes;
    }
    let percent = 50usize.saturating_sub(nodes / 125).max(5);
    (nodes * percent / 100).max(SEARCH_ALL)
}

/// Decides where `pod` goes.
pub fn decide(pod: &PodInfo, cluster: &Cluster, search: &mut Search) -> Decision {
    let nodes = cluster.nodes();
    let enough = enough(cluster.count());
    search.feasible.clear();
    let group = cluster.group(pod.demand.group);
    let mut field = Field::default();
    let mut visit = |slot: usize, feasible: &mut Vec<(usize, u32)>| {
        let Some(node) = nodes.get(slot).filter(|n| n.exists && filters::passes(pod, n)) else { return };
        let of_group = group.and_then(|g| g.get(&slot)).copied().unwrap_or_default();
        field.see(pod, node, of_group);
        feasible.push((slot, of_group));
    };
    if let Some(name) = &pod.node_name {
        if let Some(slot) = cluster.slot(name) {
            visit(slot, &mut search.feasible);
        }
    } else if !nodes.is_empty() {
        let start = search.next % nodes.len();
        let mut looked = 0;
        for slot in (start..nodes.len()).chain(0..start) {
            if search.feasible.len() >= enough {
                break;
            }
            visit(slot, &mut search.feasible);
            looked += 1;
        }
        search.next = (start + looked) % nodes.len();
    }
    let mut best: Option<(i64, usize)> = None;
    for (slot, of_group) in &search.feasible {
        let Some(node) = nodes.get(*slot) else { continue };
        let score = scores::score(pod, node, *of_group, &field);
        if best.is_none_or(|(top, _)| score > top) {
            best = Some((score, *slot));
        }
    }
    match best {
        Some((score, slot)) => Decision::Node { slot, score, feasible: search.feasible.len() },
        None => explain(pod, cluster),
    }
}

/// Why no node will do: the slow path.
fn explain(pod: &PodInfo, cluster: &Cluster) -> Decision {
    let mut refusals = Refusals::default();
    let mut reasons = Vec::new();
    for node in cluster.nodes().iter().filter(|n| n.exists) {
        filters::reasons(pod, node, &mut reasons);
        refusals.count(&reasons);
    }
    Decision::Unschedulable { message: refusals.message(cluster.count()), waits_for_room: refusals.waits_for_room() }
}

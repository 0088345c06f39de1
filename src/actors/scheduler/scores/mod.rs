//! Scores: how good is a node that would do? 0 to 100 each, weighed as upstream weighs them.
mod balanced;
mod least_allocated;
mod node_affinity;
mod spread;
mod taint_preference;

use super::cluster::NodeInfo;
use super::pod::PodInfo;

/// The best that a score can say.
pub const MAX: i64 = 100;

/// What is the same for all nodes of one decision, or must be known of all of them before one is scored.
#[derive(Debug, Default)]
pub struct Field {
    /// Most pods of the pod's group on any feasible node.
    pub most_of_group: u32,
    /// Most untolerated `PreferNoSchedule` taints on any feasible node.
    pub most_taints: i64,
    /// Highest sum of matching preferences.
    pub most_preferred: i64,
}

impl Field {
    /// Takes one feasible node into account. `of_group`: pods of the same group on it.
    pub fn see(&mut self, pod: &PodInfo, node: &NodeInfo, of_group: u32) {
        self.most_of_group = self.most_of_group.max(of_group);
        self.most_taints = self.most_taints.max(taint_preference::disliked(pod, node));
        self.most_preferred = self.most_preferred.max(node_affinity::preferred(pod, node));
    }
}

/// The weighed sum.
pub fn score(pod: &PodInfo, node: &NodeInfo, of_group: u32, field: &Field) -> i64 {
    least_allocated::score(pod, node)
        + balanced::score(pod, node)
        + 2 * spread::score(of_group, field)
        + 2 * node_affinity::score(pod, node, field)
        + 3 * taint_preference::score(pod, node, field)
}

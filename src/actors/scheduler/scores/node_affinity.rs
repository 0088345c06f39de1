//! Preferred node affinity: the sum of the weights of the preferences that match.
use super::{Field, MAX, NodeInfo, PodInfo};

pub(super) fn preferred(pod: &PodInfo, node: &NodeInfo) -> i64 {
    pod.preferred.iter().filter(|(_, term)| term.matches(&node.name, &node.meta)).map(|(weight, _)| weight).sum()
}

pub(super) fn score(pod: &PodInfo, node: &NodeInfo, field: &Field) -> i64 {
    if field.most_preferred <= 0 { 0 } else { MAX * preferred(pod, node).max(0) / field.most_preferred }
}

//! Affinity by `metadata.name` alone, the way DaemonSet pods name their node: those nodes need no search, only a look.
//! Pods with `spec.nodeName` never come here: they are bound already.
use super::{NodeInfo, PodInfo};

pub(super) fn allows(pod: &PodInfo, node: &NodeInfo) -> bool {
    pod.node_name.as_ref().is_none_or(|name| **name == *node.name)
}

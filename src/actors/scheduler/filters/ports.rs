//! `hostPort`: a node has each of its ports once.
use super::{NodeInfo, PodInfo};

pub(super) fn allows(pod: &PodInfo, node: &NodeInfo) -> bool {
    pod.demand.ports.iter().all(|wanted| !node.ports.iter().any(|taken| taken.clashes(wanted)))
}

//! Taints that keep pods away: every `NoSchedule` and `NoExecute` taint must be tolerated.
use super::{NodeInfo, PodInfo};

pub(super) fn allows(pod: &PodInfo, node: &NodeInfo) -> bool {
    let repelling = node.light.taints.iter().filter(|t| &*t.effect != "PreferNoSchedule");
    repelling.into_iter().all(|taint| pod.tolerations.iter().any(|t| t.covers(taint)))
}

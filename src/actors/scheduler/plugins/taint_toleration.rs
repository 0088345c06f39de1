//! TaintToleration: every `NoSchedule` and `NoExecute` taint must be tolerated; untolerated `PreferNoSchedule` ones cost.
use super::{Cluster, Happening, NodeInfo, Plugin, PodInfo, Points, Reason, State, happening, node_of, normalise_by_max};
use crate::actors::scheduler::terms::{tolerated, tolerates_all};

/// See the module.
pub struct TaintToleration;

impl Plugin for TaintToleration {
    fn name(&self) -> &'static str {
        "TaintToleration"
    }

    fn points(&self) -> Points {
        Points::FILTER.and(Points::SCORE)
    }

    fn filter(&self, pod: &PodInfo, _slot: usize, node: &NodeInfo, _cluster: &Cluster, _state: &State) -> Result<(), Reason> {
        if node.taints.is_empty() || tolerates_all(&pod.tolerations, &node.taints) {
            return Ok(());
        }
        Err(Reason::unresolvable("node(s) had untolerated taint(s)"))
    }

    fn score(&self, pod: &PodInfo, _slot: usize, node: &NodeInfo, _cluster: &Cluster, _state: &State) -> i64 {
        let soft = node.taints.iter().filter(|t| &*t.effect == "PreferNoSchedule");
        soft.filter(|taint| !tolerated(&pod.tolerations, taint)).count() as i64
    }

    fn normalise(&self, scores: &mut [i64], _slots: &[usize], _state: &State) {
        normalise_by_max(scores, true);
    }

    fn interests(&self) -> u32 {
        happening::NODE_ADDED | happening::NODE_TAINTS
    }

    fn helps(&self, pod: &PodInfo, happening: &Happening, cluster: &Cluster) -> bool {
        node_of(happening, cluster).is_some_and(|(_, node)| tolerates_all(&pod.tolerations, &node.taints))
    }
}

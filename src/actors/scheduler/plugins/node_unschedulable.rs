//! NodeUnschedulable: `spec.unschedulable` (`kubectl cordon`), unless the pod tolerates the taint that stands for it.
use super::{Cluster, Happening, NodeInfo, Plugin, PodInfo, Points, PreFilter, Reason, State, happening, node_of};
use crate::actors::scheduler::terms::tolerated;
use crate::protocol::light::Taint;

/// See the module.
pub struct NodeUnschedulable;

fn tolerates(pod: &PodInfo) -> bool {
    !pod.tolerations.is_empty() && {
        let taint = Taint { key: "node.kubernetes.io/unschedulable".into(), value: "".into(), effect: "NoSchedule".into() };
        tolerated(&pod.tolerations, &taint)
    }
}

impl Plugin for NodeUnschedulable {
    fn name(&self) -> &'static str {
        "NodeUnschedulable"
    }

    fn points(&self) -> Points {
        Points::PRE_FILTER.and(Points::FILTER)
    }

    fn pre_filter(&self, pod: &PodInfo, _cluster: &Cluster, _state: &mut State) -> PreFilter {
        if tolerates(pod) { PreFilter::Skip } else { PreFilter::Go }
    }

    fn filter(&self, _pod: &PodInfo, _slot: usize, node: &NodeInfo, _cluster: &Cluster, _state: &State) -> Result<(), Reason> {
        if node.unschedulable { Err(Reason::unresolvable("node(s) were unschedulable")) } else { Ok(()) }
    }

    fn interests(&self) -> u32 {
        happening::NODE_ADDED | happening::NODE_TAINTS
    }

    fn helps(&self, pod: &PodInfo, happening: &Happening, cluster: &Cluster) -> bool {
        node_of(happening, cluster).is_some_and(|(_, node)| !node.unschedulable || tolerates(pod))
    }
}

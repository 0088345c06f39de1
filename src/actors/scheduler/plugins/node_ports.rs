//! NodePorts: a node has each of its ports once.
use super::{Cluster, Happening, NodeInfo, Plugin, PodInfo, Points, PreFilter, Reason, State, happening, node_of};

/// See the module.
pub struct NodePorts;

fn free(pod: &PodInfo, node: &NodeInfo) -> bool {
    pod.demand.ports.iter().all(|wanted| !node.ports.iter().any(|taken| taken.clashes(wanted)))
}

impl Plugin for NodePorts {
    fn name(&self) -> &'static str {
        "NodePorts"
    }

    fn points(&self) -> Points {
        Points::PRE_FILTER.and(Points::FILTER)
    }

    fn pre_filter(&self, pod: &PodInfo, _cluster: &Cluster, _state: &mut State) -> PreFilter {
        if pod.demand.ports.is_empty() { PreFilter::Skip } else { PreFilter::Go }
    }

    fn filter(&self, pod: &PodInfo, _slot: usize, node: &NodeInfo, _cluster: &Cluster, _state: &State) -> Result<(), Reason> {
        if free(pod, node) { Ok(()) } else { Err(Reason::unschedulable("node(s) didn't have free ports for the requested pod ports")) }
    }

    fn interests(&self) -> u32 {
        happening::NODE_ADDED | happening::POD_LEFT
    }

    fn helps(&self, pod: &PodInfo, happening: &Happening, cluster: &Cluster) -> bool {
        if let Happening::PodLeft { pod: left, .. } = happening
            && !left.demand.ports.iter().any(|p| pod.demand.ports.iter().any(|wanted| wanted.clashes(p)))
        {
            return false;
        }
        node_of(happening, cluster).is_some_and(|(_, node)| free(pod, node))
    }
}

//! NodeResourcesFit: what the pod asks for must be free: cpu, memory, a place among the node's pods, and whatever else it
//! names. Scores by one of three strategies.
use super::resource_strategy::Strategy;
use super::{Cluster, Happening, NodeInfo, Plugin, PodInfo, Points, Reason, State, happening, node_of};
use crate::actors::scheduler::framework::args::NodeResourcesFitArgs;

/// See the module.
#[derive(Default)]
pub struct NodeResourcesFit {
    strategy: Strategy,
    ignored: Vec<String>,
    ignored_groups: Vec<String>,
}

impl NodeResourcesFit {
    /// With the profile's `NodeResourcesFitArgs`.
    pub fn new(args: NodeResourcesFitArgs) -> Self {
        NodeResourcesFit {
            strategy: args.scoring_strategy.as_ref().map(Strategy::new).unwrap_or_default(),
            ignored: args.ignored_resources,
            ignored_groups: args.ignored_resource_groups,
        }
    }

    fn counts(&self, name: &str) -> bool {
        let group = name.split_once('/').map_or("", |(group, _)| group);
        !self.ignored.iter().any(|n| n == name) && (group.is_empty() || !self.ignored_groups.iter().any(|g| g == group))
    }

    fn fits(&self, pod: &PodInfo, node: &NodeInfo) -> bool {
        let want = &pod.demand;
        node.pods < node.max_pods
            && fits(want.cpu_milli, node.used_cpu, node.cpu_milli)
            && fits(want.memory, node.used_memory, node.memory)
            && want.others.iter().all(|(name, n)| fits(*n, node.used(name), node.offered(name)) || !self.counts(name))
    }
}

/// Who asks for nothing fits even where too much is taken.
fn fits(want: i64, used: i64, have: i64) -> bool {
    want == 0 || want <= have.saturating_sub(used)
}

fn insufficient(name: &str, want: i64, have: i64) -> Reason {
    let text = match name {
        "cpu" => "Insufficient cpu".into(),
        "memory" => "Insufficient memory".into(),
        other => format!("Insufficient {other}").into(),
    };
    Reason { text, resolvable: want <= have }
}

impl Plugin for NodeResourcesFit {
    fn name(&self) -> &'static str {
        "NodeResourcesFit"
    }

    fn points(&self) -> Points {
        Points::FILTER.and(Points::SCORE)
    }

    fn filter(&self, pod: &PodInfo, _slot: usize, node: &NodeInfo, _cluster: &Cluster, _state: &State) -> Result<(), Reason> {
        if self.fits(pod, node) { Ok(()) } else { Err(Reason::unschedulable("Insufficient resources")) }
    }

    fn reasons(&self, pod: &PodInfo, _slot: usize, node: &NodeInfo, _cluster: &Cluster, _state: &State) -> Vec<Reason> {
        let (want, mut out) = (&pod.demand, Vec::new());
        if node.pods >= node.max_pods {
            out.push(Reason { text: "Too many pods".into(), resolvable: node.max_pods > 0 });
        }
        if !fits(want.cpu_milli, node.used_cpu, node.cpu_milli) {
            out.push(insufficient("cpu", want.cpu_milli, node.cpu_milli));
        }
        if !fits(want.memory, node.used_memory, node.memory) {
            out.push(insufficient("memory", want.memory, node.memory));
        }
        for (name, amount) in &want.others {
            if self.counts(name) && !fits(*amount, node.used(name), node.offered(name)) {
                out.push(insufficient(name, *amount, node.offered(name)));
            }
        }
        out
    }

    fn score(&self, pod: &PodInfo, _slot: usize, node: &NodeInfo, _cluster: &Cluster, _state: &State) -> i64 {
        self.strategy.score(&pod.demand, node)
    }

    fn interests(&self) -> u32 {
        happening::NODE_ADDED | happening::NODE_ALLOCATABLE | happening::POD_LEFT
    }

    fn helps(&self, pod: &PodInfo, happening: &Happening, cluster: &Cluster) -> bool {
        node_of(happening, cluster).is_some_and(|(_, node)| self.fits(pod, node))
    }
}

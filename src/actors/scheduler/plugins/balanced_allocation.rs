//! NodeResourcesBalancedAllocation: prefer nodes on which resources would be used up evenly.
use super::resource_strategy::{requested, resources};
use super::{Cluster, MAX_SCORE, NodeInfo, Plugin, PodInfo, Points, State};
use crate::actors::scheduler::framework::args::BalancedAllocationArgs;

/// See the module.
pub struct BalancedAllocation {
    resources: Vec<(String, i64)>,
}

impl BalancedAllocation {
    /// With the profile's `NodeResourcesBalancedAllocationArgs`.
    pub fn new(args: &BalancedAllocationArgs) -> Self {
        BalancedAllocation { resources: resources(&args.resources) }
    }
}

impl Plugin for BalancedAllocation {
    fn name(&self) -> &'static str {
        "NodeResourcesBalancedAllocation"
    }

    fn points(&self) -> Points {
        Points::PRE_SCORE.and(Points::SCORE)
    }

    /// Pods that ask for nothing change no balance.
    fn pre_score(&self, pod: &PodInfo, _slots: &[usize], _cluster: &Cluster, _state: &mut State) -> bool {
        pod.demand.cpu_milli > 0 || pod.demand.memory > 0 || !pod.demand.others.is_empty()
    }

    fn score(&self, pod: &PodInfo, _slot: usize, node: &NodeInfo, _cluster: &Cluster, _state: &State) -> i64 {
        let (mut count, mut sum, mut squares, mut ends) = (0.0, 0.0, 0.0, (f64::MAX, f64::MIN));
        for (name, _) in &self.resources {
            let Some((taken, have)) = requested(name, &pod.demand, node, false) else { continue };
            let share = (taken as f64 / have as f64).min(1.0);
            count += 1.0;
            sum += share;
            squares += share * share;
            ends = (ends.0.min(share), ends.1.max(share));
        }
        let deviation = match count {
            c if c < 2.0 => 0.0,
            2.0 => (ends.1 - ends.0) / 2.0,
            c => (squares / c - (sum / c) * (sum / c)).max(0.0).sqrt(),
        };
        ((1.0 - deviation) * MAX_SCORE as f64) as i64
    }
}

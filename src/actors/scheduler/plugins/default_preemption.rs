//! DefaultPreemption: when no node will do, whether pods of lower priority should make room. How many nodes are tried; the
//! trial itself is [`crate::actors::scheduler::preemption`].
use super::{Plugin, Points};
use crate::actors::scheduler::framework::args::DefaultPreemptionArgs;

/// See the module.
pub struct DefaultPreemption {
    /// Of the nodes in question, this many per cent are tried …
    pub percentage: usize,
    /// … and at least this many.
    pub minimum: usize,
}

impl DefaultPreemption {
    /// With the profile's `DefaultPreemptionArgs`.
    pub fn new(args: &DefaultPreemptionArgs) -> Self {
        let number = |n: i32| usize::try_from(n).unwrap_or_default();
        DefaultPreemption { percentage: number(args.min_candidate_nodes_percentage), minimum: number(args.min_candidate_nodes_absolute) }
    }

    /// How many of the nodes in question are tried.
    pub fn tried(&self, nodes: usize) -> usize {
        (nodes * self.percentage / 100).max(self.minimum).min(nodes)
    }
}

impl Plugin for DefaultPreemption {
    fn name(&self) -> &'static str {
        "DefaultPreemption"
    }

    fn points(&self) -> Points {
        Points::POST_FILTER
    }
}

//! DefaultPreemption: when no node will do, whether pods of lower priority should make room. How many nodes are tried; the
//! trial itself is [`crate::actors::scheduler::preemption`].
use super::{Plugin, Points};
use serde_json::Value;

/// See the module.
pub struct DefaultPreemption {
    /// Of the nodes in question, this many per cent are tried …
    pub percentage: usize,
    /// … and at least this many.
    pub minimum: usize,
}

impl DefaultPreemption {
    /// With the profile's `DefaultPreemptionArgs`.
    pub fn new(args: &Value) -> Self {
        let number = |field: &str, usual: usize| args[field].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(usual);
        DefaultPreemption { percentage: number("minCandidateNodesPercentage", 10), minimum: number("minCandidateNodesAbsolute", 100) }
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

//! PrioritySort: higher priority first, then who came first.
use super::{Plugin, PodInfo, Points};
use crate::actors::scheduler::framework::Rank;

/// See the module.
pub struct PrioritySort;

impl Plugin for PrioritySort {
    fn name(&self) -> &'static str {
        "PrioritySort"
    }

    fn points(&self) -> Points {
        Points::QUEUE_SORT
    }

    fn rank(&self, pod: &PodInfo, number: u64) -> Rank {
        (-i64::from(pod.priority), number)
    }
}

//! SchedulingGates: a pod behind gates does not enter the queue.
use super::{Plugin, PodInfo, Points};

/// See the module.
pub struct SchedulingGates;

impl Plugin for SchedulingGates {
    fn name(&self) -> &'static str {
        "SchedulingGates"
    }

    fn points(&self) -> Points {
        Points::PRE_ENQUEUE
    }

    fn pre_enqueue(&self, pod: &PodInfo) -> bool {
        !pod.gated
    }
}

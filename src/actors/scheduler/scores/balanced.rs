//! Prefer nodes on which cpu and memory would be used up evenly.
use super::{MAX, NodeInfo, PodInfo};

pub(super) fn score(pod: &PodInfo, node: &NodeInfo) -> i64 {
    let share = |used: i64, have: i64| if have <= 0 { 1.0 } else { (used as f64 / have as f64).min(1.0) };
    let cpu = share(node.used_cpu.saturating_add(pod.demand.cpu_milli), node.light.cpu_milli);
    let memory = share(node.used_memory.saturating_add(pod.demand.memory), node.light.memory);
    // The standard deviation of two numbers is half their distance.
    ((1.0 - (cpu - memory).abs() / 2.0) * MAX as f64) as i64
}

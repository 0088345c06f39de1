//! Prefer nodes that keep the larger share of cpu and memory free.
use super::{MAX, NodeInfo, PodInfo};

pub(super) fn score(pod: &PodInfo, node: &NodeInfo) -> i64 {
    let cpu = free_share(node.scored_cpu.saturating_add(pod.demand.scored_cpu), node.light.cpu_milli);
    let memory = free_share(node.scored_memory.saturating_add(pod.demand.scored_memory), node.light.memory);
    (cpu + memory) / 2
}

fn free_share(used: i64, have: i64) -> i64 {
    if have <= 0 || used > have {
        return 0;
    }
    // In 128 bits: bytes times 100 would pass an i64 on absurdly large nodes.
    i64::try_from(i128::from(have - used) * i128::from(MAX) / i128::from(have)).unwrap_or_default()
}

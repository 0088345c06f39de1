//! What the pod asks for must be free: cpu, memory, a place among the node's pods, and whatever else it names.
use super::{NodeInfo, PodInfo, Reason};

pub(super) fn allows(pod: &PodInfo, node: &NodeInfo) -> bool {
    let (want, have) = (&pod.demand, &node.light);
    node.pods < have.pods
        && fits(want.cpu_milli, node.used_cpu, have.cpu_milli)
        && fits(want.memory, node.used_memory, have.memory)
        && want.others.iter().all(|(name, amount)| fits(*amount, used(node, name), offered(node, name)))
}

pub(super) fn reasons(pod: &PodInfo, node: &NodeInfo, out: &mut Vec<Reason>) {
    let (want, have) = (&pod.demand, &node.light);
    if node.pods >= have.pods {
        out.push(Reason::Pods { never: have.pods == 0 });
    }
    if !fits(want.cpu_milli, node.used_cpu, have.cpu_milli) {
        out.push(Reason::Cpu { never: want.cpu_milli > have.cpu_milli });
    }
    if !fits(want.memory, node.used_memory, have.memory) {
        out.push(Reason::Memory { never: want.memory > have.memory });
    }
    for (name, amount) in &want.others {
        if !fits(*amount, used(node, name), offered(node, name)) {
            out.push(Reason::Other { name: name.clone(), never: *amount > offered(node, name) });
        }
    }
}

/// Who asks for nothing fits even where too much is taken.
fn fits(want: i64, used: i64, have: i64) -> bool {
    want == 0 || want <= have.saturating_sub(used)
}

fn used(node: &NodeInfo, name: &str) -> i64 {
    node.used_others.get(name).copied().unwrap_or_default()
}

fn offered(node: &NodeInfo, name: &str) -> i64 {
    node.others.get(name).copied().unwrap_or_default()
}

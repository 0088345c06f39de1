//! `spec.unschedulable` (`kubectl cordon`), unless the pod tolerates the taint that stands for it.
use super::{NodeInfo, PodInfo};
use crate::protocol::light::Taint;

pub(super) fn allows(pod: &PodInfo, node: &NodeInfo) -> bool {
    if !node.light.unschedulable {
        return true;
    }
    let taint = Taint { key: "node.kubernetes.io/unschedulable".into(), value: "".into(), effect: "NoSchedule".into() };
    pod.tolerations.iter().any(|t| t.covers(&taint))
}

//! Prefer nodes with fewer `PreferNoSchedule` taints that the pod does not tolerate.
use super::{Field, MAX, NodeInfo, PodInfo};

pub(super) fn disliked(pod: &PodInfo, node: &NodeInfo) -> i64 {
    let soft = node.light.taints.iter().filter(|t| &*t.effect == "PreferNoSchedule");
    soft.filter(|taint| !pod.tolerations.iter().any(|t| t.covers(taint))).count() as i64
}

pub(super) fn score(pod: &PodInfo, node: &NodeInfo, field: &Field) -> i64 {
    if field.most_taints == 0 { MAX } else { MAX * (field.most_taints - disliked(pod, node)) / field.most_taints }
}

//! `spec.nodeSelector` and required node affinity: all labels of the former, one term of the latter.
use super::{NodeInfo, PodInfo};

pub(super) fn allows(pod: &PodInfo, node: &NodeInfo) -> bool {
    pod.selector.iter().all(|r| r.holds(node.meta.label(&r.key)))
        && pod.required.as_ref().is_none_or(|terms| terms.iter().any(|t| t.matches(&node.name, &node.meta)))
}

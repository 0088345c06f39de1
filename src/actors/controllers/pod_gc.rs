//! Pods that nobody can finish any more: bound to a node that does not exist, or ending before they were ever bound.
use super::plan::{Action, Deletion, Plan, Propagation};
use super::taint_eviction::disruption;
use crate::protocol::light::Light;
use crate::storage::entry::Entry;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// How long a node must be missing before its pods are given up, seconds.
const QUARANTINE: i64 = 40;

/// Decides about one pod. `missing_since`: since when its node is known not to exist.
pub fn plan(pod: &Arc<Entry>, missing_since: Option<Timestamp>, now: Timestamp) -> Plan {
    let Light::Pod(light) = &pod.light else { return Plan::quiet() };
    if light.node.is_empty() {
        if pod.meta.deleting.is_none() {
            return Plan::quiet();
        }
        return remove(pod, "PodGC: unscheduled and terminating", None, !light.phase.finished(), now);
    }
    let Some(since) = missing_since else { return Plan::quiet() };
    let waited = now.as_second().saturating_sub(since.as_second());
    if waited < QUARANTINE {
        let requeue_after = Some(Duration::from_secs((QUARANTINE - waited).unsigned_abs()));
        return Plan { requeue_after, ..Plan::quiet() };
    }
    remove(pod, "PodGC: node no longer exists", Some("DeletionByPodGC"), !light.phase.finished(), now)
}

fn remove(pod: &Arc<Entry>, why: &str, reason: Option<&str>, fail: bool, now: Timestamp) -> Plan {
    let mut plan = Plan { why: format!("pod {}: {why}", pod.key), ..Plan::quiet() };
    if let (true, Some(reason)) = (fail, reason) {
        plan.actions.push(disruption(pod, &pod.parse(), reason, why, Some("Failed"), now));
    }
    plan.actions.push(Action::Delete(Deletion {
        kind: "pods".into(),
        key: pod.key.clone(),
        uid: pod.meta.uid.clone(),
        propagation: Propagation::Background,
        grace: Some(0),
        report: None,
    }));
    plan
}

//! Pods that nobody can finish any more: bound to a node that does not exist, or ending before they were ever bound; and those that
//! ended long ago.
use super::feed::Change;
use super::index::Parts;
use super::plan::{Action, Deletion, Failure, Patch, Plan, Propagation};
use super::runner::{Controller, Key};
use super::taint_eviction::disruption;
use super::world::World;
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use jiff::Timestamp;
use serde_json::json;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How long a node must be missing before its pods are given up.
const QUARANTINE: Duration = Duration::from_secs(40);
/// Pods that have ended and are kept, as upstream.
const FINISHED_MAX: usize = 12_500;

/// Decides about one pod. `missing_for`: how long its node is known not to exist.
pub fn plan(pod: &Arc<Entry>, missing_for: Option<Duration>, now: Timestamp) -> Plan {
    let Light::Pod(light) = &pod.light else { return Plan::quiet() };
    if light.node.is_empty() {
        if pod.meta.deleting.is_none() {
            return Plan::quiet();
        }
        return remove(pod, "PodGC: unscheduled and terminating", None, !light.phase.finished(), now);
    }
    let Some(waited) = missing_for else { return Plan::quiet() };
    if waited < QUARANTINE {
        let requeue_after = Some(QUARANTINE - waited);
        return Plan { requeue_after, ..Plan::quiet() };
    }
    remove(pod, "PodGC: node no longer exists", Some("DeletionByPodGC"), !light.phase.finished(), now)
}

fn remove(pod: &Arc<Entry>, why: &str, reason: Option<&str>, fail: bool, now: Timestamp) -> Plan {
    let mut plan = Plan { why: format!("pod {}: {why}", pod.key), ..Plan::quiet() };
    if fail {
        // Whoever counts this pod must learn that it will not run any more.
        plan.actions.push(match reason {
            Some(reason) => disruption(pod, &pod.parse(), reason, why, Some("Failed"), now),
            None => failed(pod),
        });
    }
    plan.actions.push(delete(pod));
    plan
}

fn delete(pod: &Entry) -> Action {
    Action::Delete(Deletion {
        kind: "pods".into(),
        key: pod.key.clone(),
        uid: pod.meta.uid.clone(),
        propagation: Propagation::Background,
        grace: Some(0),
        report: None,
    })
}

fn failed(pod: &Entry) -> Action {
    Action::Patch(Patch {
        kind: "pods".into(),
        key: pod.key.clone(),
        uid: Some(pod.meta.uid.clone()),
        subresource: Some("status"),
        patch: json!({"status": {"phase": "Failed"}}),
        expect_revision: None,
    })
}

/// Keeps pods that have ended from piling up: beyond a bound the oldest go.
pub struct FinishedPods {
    bound: usize,
    /// Fed by every change, so that nobody counts all pods because one has ended.
    ended: RefCell<BTreeSet<ObjectKey>>,
}

impl Default for FinishedPods {
    fn default() -> Self {
        FinishedPods { bound: FINISHED_MAX, ended: RefCell::default() }
    }
}

impl Controller for FinishedPods {
    fn name(&self) -> &'static str {
        "finishedpods"
    }

    fn parts(&self) -> Parts {
        Parts::default()
    }

    fn watches(&self, kind: &str) -> bool {
        kind == "pods"
    }

    fn keys(&self, change: &Change, _before: Option<&Entry>, _world: &dyn World, out: &mut Vec<Key>) {
        let Light::Pod(light) = &change.entry.light else { return };
        let mut ended = self.ended.borrow_mut();
        if change.deleted || !light.phase.finished() {
            ended.remove(&change.entry.key);
        } else if ended.insert(change.entry.key.clone()) && ended.len() > self.bound {
            out.push(Key::of("pods", &ObjectKey::new("", "")));
        }
    }

    fn plan(&mut self, _key: &Key, world: &dyn World, _now: Timestamp, _failure: Option<&Failure>) -> Plan {
        let ended = self.ended.borrow();
        let surplus = ended.len().saturating_sub(self.bound);
        if surplus == 0 {
            return Plan::quiet();
        }
        let mut pods: Vec<Arc<Entry>> = ended.iter().filter_map(|key| world.get("pods", key)).collect();
        pods.retain(|pod| matches!(&pod.light, Light::Pod(light) if light.phase.finished()));
        pods.sort_by_key(|pod| pod.meta.created);
        let oldest = pods.into_iter().take(surplus).filter(|pod| pod.meta.deleting.is_none());
        let actions: Vec<Action> = oldest.map(|pod| delete(&pod)).collect();
        let why = format!("{} pods have ended, of which {} are kept", ended.len(), self.bound);
        Plan { actions, requeue_after: None, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::controllers::feed::Objects;
    use crate::actors::controllers::testing::{Bench, Model, at, mk_pod};

    #[test]
    fn the_oldest_go_first() {
        let model = Model::default();
        for (name, created, phase) in [("a", 3, "Failed"), ("b", 1, "Succeeded"), ("c", 2, "Failed"), ("d", 0, "Running")] {
            let mut pod = mk_pod(name, json!({}));
            pod["metadata"]["creationTimestamp"] = crate::protocol::time::rfc3339(at(created)).into();
            pod["status"] = json!({ "phase": phase });
            model.put("pods", pod);
        }
        let mut controller = FinishedPods { bound: 1, ended: RefCell::default() };
        Bench::new(&model, &mut controller).converge(&mut controller, 0);
        let left: Vec<String> = model.list("pods", None).iter().map(|p| p.key.name.to_string()).collect();
        assert_eq!(left, ["a", "d"]);
    }
}

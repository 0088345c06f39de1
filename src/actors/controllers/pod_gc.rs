//! Pods that nobody can finish any more: bound to a node that does not exist or is out of service, or ending before they were ever
//! bound; and those that ended long ago.
use super::feed::Change;
use super::index::Parts;
use super::plan::{Action, Deletion, Failure, Patch, Plan, Propagation};
use super::runner::{Controller, Key};
use super::taint_eviction::disruption;
use super::world::World;
use crate::protocol::light::{Light, Phase};
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use jiff::Timestamp;
use serde_json::json;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a node must be missing before its pods are given up.
const QUARANTINE: Duration = Duration::from_secs(40);
/// Somebody vouches that the node is off: what runs there will never say that it has ended.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";
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

/// Whether a node is said to be off, and does not say otherwise itself.
pub fn out_of_service(node: &Entry) -> bool {
    matches!(&node.light, Light::Node(light) if !light.ready && light.taints.iter().any(|taint| &*taint.key == OUT_OF_SERVICE))
}

/// Removes the pods that wait on a node out of service for their end.
pub fn free(node: &Entry, pods: &[Arc<Entry>], now: Timestamp, plan: &mut Plan) {
    let mut ending: Vec<&Arc<Entry>> = pods.iter().filter(|pod| pod.meta.deleting.is_some()).collect();
    ending.sort_by_cached_key(|pod| rank(pod));
    for pod in ending {
        let removal = remove(pod, "terminating on a node that is out of service", None, !finished(pod), now);
        plan.because(format_args!("node {}", node.key.name), format_args!("out of service, removing {}", pod.key.name));
        plan.actions.extend(removal.actions);
    }
}

fn finished(pod: &Entry) -> bool {
    matches!(&pod.light, Light::Pod(light) if light.phase.finished())
}

/// Which pods go first: those that were evicted, then the oldest.
type Rank = (bool, i64, Arc<str>);

fn rank(pod: &Entry) -> Rank {
    let failed = matches!(&pod.light, Light::Pod(light) if light.phase == Phase::Failed);
    let evicted = failed && pod.parse()["status"]["reason"] == "Evicted";
    (!evicted, pod.meta.created, pod.key.name.clone())
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

/// Keeps pods that have ended from piling up: beyond a bound those that were evicted go, and then the oldest.
pub struct FinishedPods {
    bound: usize,
    /// Fed by every change, so that nobody counts all pods because one has ended.
    ended: RefCell<BTreeMap<ObjectKey, Rank>>,
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
        } else if !ended.contains_key(&change.entry.key) {
            ended.insert(change.entry.key.clone(), rank(&change.entry));
            if ended.len() > self.bound {
                out.push(Key::of("pods", &ObjectKey::new("", "")));
            }
        }
    }

    fn plan(&mut self, _key: &Key, world: &dyn World, _now: Timestamp, _failure: Option<&Failure>) -> Plan {
        let ended = self.ended.borrow();
        let surplus = ended.len().saturating_sub(self.bound);
        if surplus == 0 {
            return Plan::quiet();
        }
        let mut ranked: Vec<(&ObjectKey, &Rank)> = ended.iter().collect();
        ranked.sort_by_key(|(_, rank)| *rank);
        let pods = ranked.into_iter().filter_map(|(key, _)| world.get("pods", key)).filter(|pod| finished(pod));
        let first = pods.take(surplus).filter(|pod| pod.meta.deleting.is_none());
        let actions: Vec<Action> = first.map(|pod| delete(&pod)).collect();
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
    fn evicted_pods_go_first_and_then_the_oldest() {
        let model = Model::default();
        let pods = [("a", 3, "Failed"), ("b", 1, "Succeeded"), ("c", 2, "Failed"), ("d", 0, "Running"), ("evicted", 9, "Failed")];
        for (name, created, phase) in pods {
            let mut pod = mk_pod(name, json!({}));
            pod["metadata"]["creationTimestamp"] = crate::protocol::time::rfc3339(at(created)).into();
            pod["status"] = json!({ "phase": phase });
            if name == "evicted" {
                pod["status"]["reason"] = "Evicted".into();
            }
            model.put("pods", pod);
        }
        for (bound, wanted) in [(3, vec!["a", "b", "c", "d"]), (1, vec!["a", "d"])] {
            let mut controller = FinishedPods { bound, ended: RefCell::default() };
            Bench::new(&model, &mut controller).converge(&mut controller, 0);
            let left: Vec<String> = model.list("pods", None).iter().map(|p| p.key.name.to_string()).collect();
            assert_eq!(left, wanted);
        }
    }
}

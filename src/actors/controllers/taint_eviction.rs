//! `NoExecute` taints: pods that do not tolerate them go, at once or when their `tolerationSeconds` are over.
use super::plan::{Action, Deletion, EventNote, ObjectRef, Patch, Plan, Propagation};
use crate::protocol::light::{Light, Taint};
use crate::protocol::time::rfc3339;
use crate::storage::entry::Entry;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// Since when each node has each of its `NoExecute` taints, and each pod has been on it since. Clients need not write
/// `timeAdded`, and clocks jump, so this is observed.
#[derive(Debug, Default)]
pub struct TaintAges {
    since: HashMap<Arc<str>, Tainted>,
    /// The pods of each node that will be evicted later, by uid.
    waiting: HashMap<Arc<str>, HashSet<Arc<str>>>,
}

/// What was observed of one node, by the clock that never jumps.
#[derive(Clone, Debug, Default)]
pub struct Tainted {
    taints: Vec<(Taint, Timestamp)>,
    /// By uid.
    pods: HashMap<Arc<str>, Timestamp>,
}

impl Tainted {
    pub fn is_empty(&self) -> bool {
        self.taints.is_empty()
    }
}

impl TaintAges {
    /// Takes note of a node's taints and pods, and answers with their ages.
    pub fn observe(&mut self, node: &Entry, pods: &[Arc<Entry>], now: Timestamp) -> Tainted {
        let Light::Node(light) = &node.light else { return Tainted::default() };
        let known = self.since.remove(&node.key.name).unwrap_or_default();
        let executing = light.taints.iter().filter(|t| &*t.effect == "NoExecute");
        let age = |taint: &Taint| known.taints.iter().find(|(k, _)| k == taint).map_or(now, |(_, since)| *since);
        let taints: Vec<(Taint, Timestamp)> = executing.map(|t| (t.clone(), age(t))).collect();
        if taints.is_empty() {
            return Tainted::default();
        }
        let seen = |pod: &Entry| (pod.meta.uid.clone(), known.pods.get(&pod.meta.uid).copied().unwrap_or(now));
        let tainted = Tainted { taints, pods: pods.iter().map(|pod| seen(pod)).collect() };
        self.since.insert(node.key.name.clone(), tainted.clone());
        tainted
    }

    pub fn forget(&mut self, node: &str) {
        self.since.remove(node);
        self.waiting.remove(node);
    }

    /// Takes note of which pods are to be evicted later, and tells of those that were to be and now may stay.
    pub fn wait(&mut self, node: &Entry, waiting: HashSet<Arc<str>>, pods: &[Arc<Entry>], plan: &mut Plan) {
        let name = &node.key.name;
        let before = self.waiting.remove(name).unwrap_or_default();
        let evicted = |pod: &Entry| plan.actions.iter().any(|a| matches!(a, Action::Delete(d) if d.uid == pod.meta.uid));
        let spared = |pod: &&Arc<Entry>| before.contains(&pod.meta.uid) && !waiting.contains(&pod.meta.uid) && stays(pod) && !evicted(pod);
        let told: Vec<Action> =
            pods.iter().filter(spared).map(|pod| event(pod, format!("Cancelling deletion of Pod {}", pod.key))).collect();
        plan.actions.extend(told);
        if !waiting.is_empty() {
            self.waiting.insert(name.clone(), waiting);
        }
    }
}

/// Neither over nor on its way out.
fn stays(pod: &Entry) -> bool {
    pod.meta.deleting.is_none() && matches!(&pod.light, Light::Pod(light) if !light.phase.finished())
}

/// Adds the evictions that a node's taints ask for now, and the look at the next one due; answers with the pods that will be evicted
/// later. `steady` is the time that the ages are measured by, `now` the one that is written.
pub fn plan(node: &Tainted, pods: &[Arc<Entry>], steady: Timestamp, now: Timestamp, plan: &mut Plan) -> HashSet<Arc<str>> {
    let mut waiting = HashSet::new();
    if node.is_empty() {
        return waiting;
    }
    for pod in pods.iter().filter(|pod| stays(pod)) {
        let object = pod.parse();
        let arrived = node.pods.get(&pod.meta.uid).copied().unwrap_or(steady);
        match deadline(&node.taints, &object["spec"]["tolerations"], arrived) {
            Some(due) if due <= steady.as_second() => {
                plan.why = format!("pod {}: does not tolerate {} any longer", pod.key, names(&node.taints));
                evict(pod, &object, now, plan);
            }
            Some(due) => {
                plan.requeue(Duration::from_secs((due - steady.as_second()).unsigned_abs()));
                waiting.insert(pod.meta.uid.clone());
            }
            None => {}
        }
    }
    waiting
}

/// When a pod has to go, seconds by the steady clock; `None` when it tolerates everything for good. `arrived`: since when the pod
/// is known to be there.
fn deadline(taints: &[(Taint, Timestamp)], tolerations: &Value, arrived: Timestamp) -> Option<i64> {
    let due = taints.iter().map(|(taint, since)| {
        let start = since.as_second().max(arrived.as_second());
        let mut matching = tolerations.as_array().into_iter().flatten().filter(|t| tolerates(t, taint)).peekable();
        if matching.peek().is_none() {
            return Some(start);
        }
        let limits = matching.filter_map(|t| t["tolerationSeconds"].as_i64());
        limits.min().map(|seconds| start.saturating_add(seconds.max(0)))
    });
    due.flatten().min()
}

/// Whether one toleration covers one taint.
pub fn tolerates(toleration: &Value, taint: &Taint) -> bool {
    let said = |field: &str| toleration[field].as_str().unwrap_or_default();
    let effect_fits = said("effect").is_empty() || *said("effect") == *taint.effect;
    let key_fits = said("key").is_empty() || *said("key") == *taint.key;
    let value_fits = match said("operator") {
        "Exists" => true,
        "" | "Equal" => !said("key").is_empty() && *said("value") == *taint.value,
        _ => false,
    };
    effect_fits && key_fits && value_fits
}

fn names(taints: &[(Taint, Timestamp)]) -> String {
    taints.iter().map(|(t, _)| &*t.key).collect::<Vec<_>>().join(", ")
}

fn event(pod: &Entry, message: String) -> Action {
    let regarding = ObjectRef::to("v1", "Pod", pod);
    Action::Event(EventNote { regarding, kind: "Normal", reason: "TaintManagerEviction", message, component: "taint-eviction-controller" })
}

fn evict(pod: &Arc<Entry>, object: &Value, now: Timestamp, plan: &mut Plan) {
    plan.actions.push(event(pod, format!("Marking for deletion Pod {}", pod.key)));
    plan.actions.push(disruption(pod, object, "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint", None, now));
    plan.actions.push(Action::Delete(Deletion {
        kind: "pods".into(),
        key: pod.key.clone(),
        uid: pod.meta.uid.clone(),
        propagation: Propagation::Background,
        grace: None,
        report: None,
    }));
}

/// The status patch that says why a pod is taken away; `phase` replaces its phase.
pub(super) fn disruption(pod: &Entry, object: &Value, reason: &str, message: &str, phase: Option<&str>, now: Timestamp) -> Action {
    let mut conditions: Vec<Value> = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.retain(|c| c["type"] != "DisruptionTarget");
    conditions.push(json!({
        "type": "DisruptionTarget", "status": "True", "reason": reason, "message": message, "lastTransitionTime": rfc3339(now),
        "observedGeneration": pod.meta.generation,
    }));
    let mut status = json!({ "conditions": conditions });
    if let Some(phase) = phase {
        status["phase"] = phase.into();
    }
    Action::Patch(Patch {
        kind: "pods".into(),
        key: pod.key.clone(),
        uid: Some(pod.meta.uid.clone()),
        subresource: Some("status"),
        patch: json!({ "status": status }),
        expect_revision: None,
    })
}

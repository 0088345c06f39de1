//! Node health: a node that falls silent becomes `Unknown`, is tainted, and its pods are no longer ready.
//!
//! Heartbeats live in memory ([`Heartbeats`]); a node that was never heard counts from when the controller first saw it, so a
//! restart of the server condemns nobody. What is measured is measured by the clock that never jumps ([`super::steady`]), so
//! somebody who sets the wall clock condemns nobody either. The taints that evict come at the pace of [`super::node_zones`].
use super::feed::Change;
use super::index::Parts;
use super::node_ipam::{Cidr, Ipam};
use super::node_zones::{Verdict, Zones, emptied};
use super::plan::{Action, EventNote, Failure, ObjectRef, Patch, Plan};
use super::pod_gc;
use super::runner::{Controller, Key};
use super::taint_eviction::{self, TaintAges};
use super::world::World;
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use crate::protocol::time::rfc3339;
use crate::storage::entry::Entry;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const COMPONENT: &str = "node-controller";
pub(super) const NOT_READY: &str = "node.kubernetes.io/not-ready";
pub(super) const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// Conditions that a silent node can no longer vouch for.
const VOUCHED: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];
/// A condition that is True, and the `NoSchedule` taint it means.
const CONDITION_TAINTS: [(&str, &str); 4] = [
    ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "node.kubernetes.io/network-unavailable"),
];

/// Decides about one node's health. `silence` is how long it was not heard, `grace` how long it may be silent; `evicting`
/// whether the taints that evict may be set.
pub fn plan(node: &Entry, silence: Duration, grace: Duration, pods: &[Arc<Entry>], evicting: Verdict, now: Timestamp) -> Plan {
    let mut plan = Plan::quiet();
    if node.meta.deleting.is_some() {
        return plan;
    }
    let object = node.parse();
    let conditions = &object["status"]["conditions"];
    let silent = silence > grace;
    let health = if silent { "Unknown".to_string() } else { status_of(conditions, "Ready").to_string() };
    let mut told = false;
    if silent {
        told = mark_unknown(node, conditions, now, &mut plan);
        mark_pods(pods, now, &mut plan);
    } else {
        plan.requeue(grace - silence + Duration::from_secs(1));
    }
    // The status patch moves the node to a new revision; the run that follows it sets the taints.
    if !told {
        taint(node, &object, &health, evicting, now, &mut plan);
    }
    plan
}

/// How long ago, by one clock; nothing when it lies ahead.
fn since(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

/// When the node says that it last wrote its status: a sign of life from nodes that do not ride the mesh. Its clock is not
/// ours, so only that it changes counts.
fn posted(node: &Entry) -> String {
    let object = node.parse();
    let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let ready = conditions.find(|c| c["type"] == "Ready" && c["status"] != "Unknown");
    ready.and_then(|c| c["lastHeartbeatTime"].as_str()).unwrap_or_default().to_string()
}

fn status_of<'a>(conditions: &'a Value, kind: &str) -> &'a str {
    let found = conditions.as_array().into_iter().flatten().find(|c| c["type"] == kind);
    found.and_then(|c| c["status"].as_str()).unwrap_or("")
}

/// True when the status had to be written.
fn mark_unknown(node: &Entry, conditions: &Value, now: Timestamp, plan: &mut Plan) -> bool {
    let mut list: Vec<Value> = conditions.as_array().cloned().unwrap_or_default();
    let was_ready = status_of(conditions, "Ready") == "True";
    let mut changed = false;
    for kind in VOUCHED {
        match list.iter_mut().find(|c| c["type"] == kind) {
            Some(c) if c["status"] == "Unknown" => {}
            Some(c) => {
                c["status"] = "Unknown".into();
                c["reason"] = "NodeStatusUnknown".into();
                c["message"] = "Kubelet stopped posting node status.".into();
                c["lastTransitionTime"] = rfc3339(now).into();
                changed = true;
            }
            None => {
                list.push(json!({
                    "type": kind, "status": "Unknown", "reason": "NodeStatusNeverUpdated",
                    "message": "Kubelet never posted node status.",
                    "lastHeartbeatTime": rfc3339(Timestamp::from_second(node.meta.created).unwrap_or(now)),
                    "lastTransitionTime": rfc3339(now),
                }));
                changed = true;
            }
        }
    }
    if !changed {
        return false;
    }
    plan.why = format!("node {}: silent for longer than its grace, now Unknown", node.key.name);
    plan.actions.push(patch("nodes", node, Some("status"), json!({"status": {"conditions": list}}), Some(node.revision)));
    if was_ready {
        plan.actions.push(Action::Event(EventNote {
            regarding: ObjectRef::to("v1", "Node", node),
            kind: "Normal",
            reason: "NodeNotReady",
            message: format!("Node {} status is now: NodeNotReady", node.key.name),
            component: COMPONENT,
        }));
    }
    true
}

fn mark_pods(pods: &[Arc<Entry>], now: Timestamp, plan: &mut Plan) {
    for pod in pods {
        let Light::Pod(light) = &pod.light else { continue };
        if !light.ready {
            continue;
        }
        let mut conditions = pod.parse()["status"]["conditions"].take();
        for c in conditions.as_array_mut().into_iter().flatten().filter(|c| c["type"] == "Ready") {
            c["status"] = "False".into();
            c["lastTransitionTime"] = rfc3339(now).into();
        }
        let body = json!({"status": {"conditions": conditions}});
        plan.actions.push(patch("pods", pod, Some("status"), body, Some(pod.revision)));
        plan.actions.push(Action::Event(EventNote {
            regarding: ObjectRef::to("v1", "Pod", pod),
            kind: "Warning",
            reason: "NodeNotReady",
            message: "Node is not ready".into(),
            component: COMPONENT,
        }));
    }
}

/// Sets the taints that the node's state means, and removes those it no longer means; foreign ones stay.
fn taint(node: &Entry, object: &Value, health: &str, evicting: Verdict, now: Timestamp, plan: &mut Plan) {
    let mut wanted: Vec<(&str, &str)> = Vec::new();
    let trouble = match health {
        "True" => None,
        "Unknown" => Some(UNREACHABLE),
        _ => Some(NOT_READY),
    };
    if let Some(key) = trouble {
        wanted.push((key, "NoSchedule"));
        match evicting {
            Verdict::Evict => wanted.push((key, "NoExecute")),
            Verdict::Wait(rest) => plan.requeue(rest),
            Verdict::Hold | Verdict::Stop => {}
        }
    }
    let conditions = &object["status"]["conditions"];
    wanted.extend(CONDITION_TAINTS.iter().filter(|(c, _)| status_of(conditions, c) == "True").map(|(_, key)| (*key, "NoSchedule")));
    if object["spec"]["unschedulable"] == true {
        wanted.push((UNSCHEDULABLE, "NoSchedule"));
    }
    let ours = |key: &str| [NOT_READY, UNREACHABLE, UNSCHEDULABLE].contains(&key) || CONDITION_TAINTS.iter().any(|(_, k)| *k == key);
    let current: Vec<Value> = object["spec"]["taints"].as_array().cloned().unwrap_or_default();
    let is = |t: &Value, (key, effect): (&str, &str)| t["key"] == key && t["effect"] == effect;
    let mut taints: Vec<Value> = current.clone();
    taints.retain(|t| !ours(t["key"].as_str().unwrap_or_default()) || wanted.iter().any(|w| is(t, *w)));
    for want in wanted {
        if !taints.iter().any(|t| is(t, want)) {
            taints.push(json!({"key": want.0, "effect": want.1, "timeAdded": rfc3339(now)}));
        }
    }
    if taints != current {
        if plan.why.is_empty() {
            plan.why =
                format!("node {}: taints follow its state ({})", node.key.name, if health.is_empty() { "no status" } else { health });
        }
        let taints = if taints.is_empty() { Value::Null } else { taints.into() };
        plan.actions.push(patch("nodes", node, None, json!({"spec": {"taints": taints}}), Some(node.revision)));
    }
}

/// An event of the node controller's about a node that comes or goes.
fn node_event(regarding: ObjectRef, reason: &'static str, what: impl fmt::Display) -> Action {
    let message = format!("Node {} event: {what}", regarding.name);
    Action::Event(EventNote { regarding, kind: "Normal", reason, message, component: COMPONENT })
}

fn patch(kind: &str, entry: &Entry, subresource: Option<&'static str>, patch: Value, expect_revision: Option<u64>) -> Action {
    let (key, uid) = (entry.key.clone(), Some(entry.meta.uid.clone()));
    Action::Patch(Patch { kind: kind.into(), key, uid, subresource, patch, expect_revision })
}

/// When each node was last heard. Shared between the mesh, which writes, and the controller.
#[derive(Clone, Debug, Default)]
pub struct Heartbeats {
    seen: Arc<Mutex<HashMap<Arc<str>, Timestamp>>>,
}

impl Heartbeats {
    pub fn heard(&self, node: &str, at: Timestamp) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(node.into(), at);
    }

    pub fn last(&self, node: &str) -> Option<Timestamp> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(node).copied()
    }

    fn forget(&self, node: &str) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(node);
    }
}

/// When a node was first seen, or last seen to have written its status; by the clock that never jumps.
struct Probe {
    posted: String,
    /// The node's revision when it was read.
    revision: u64,
    at: Timestamp,
}

/// The controller around node health, taint eviction, pod clean-up and the nodes' address ranges.
pub struct NodeLifecycle {
    pub heartbeats: Heartbeats,
    pub grace: Duration,
    /// The clock that never jumps; it is told what the wall clock says.
    clock: Clock,
    probes: HashMap<Arc<str>, Probe>,
    zones: RefCell<Zones>,
    ages: TaintAges,
    missing: HashMap<Arc<str>, Timestamp>,
    /// Nodes that were seen, by what events say they are.
    known: HashMap<Arc<str>, ObjectRef>,
    /// Nodes for which nothing was to be done at this revision: while they are heard they need not be parsed again.
    calm: HashMap<Arc<str>, u64>,
    ipam: Option<Ipam>,
}

/// The steady time, given the time of the wall.
pub type Clock = Box<dyn Fn(Timestamp) -> Timestamp + Send>;

impl NodeLifecycle {
    /// `cluster`: the pods' address range, out of which each node gets a /24 (none: nodes get no range). `clock` is the
    /// clock that the heartbeats are noted by.
    pub fn new(heartbeats: Heartbeats, cluster: Option<Cidr>, clock: Clock) -> Self {
        NodeLifecycle {
            heartbeats,
            grace: Duration::from_secs(40),
            clock,
            probes: HashMap::new(),
            zones: RefCell::default(),
            ages: TaintAges::default(),
            missing: HashMap::new(),
            known: HashMap::new(),
            calm: HashMap::new(),
            ipam: cluster.map(Ipam::new),
        }
    }

    fn forget(&mut self, name: &str) {
        self.heartbeats.forget(name);
        self.ages.forget(name);
        self.probes.remove(name);
        self.calm.remove(name);
        if let Some(ipam) = &mut self.ipam {
            ipam.release(name);
        }
    }

    /// When a node was last heard, by whatever sign.
    fn last_seen(&mut self, node: &Entry, steady: Timestamp) -> Timestamp {
        let name = &node.key.name;
        let fresh = || Probe { posted: posted(node), revision: node.revision, at: steady };
        let probe = self.probes.entry(name.clone()).or_insert_with(fresh);
        if probe.revision != node.revision {
            probe.revision = node.revision;
            let posted = posted(node);
            // A node that we ourselves called Unknown has not posted anything.
            if !posted.is_empty() && posted != probe.posted {
                probe.posted = posted;
                probe.at = steady;
            }
        }
        self.heartbeats.last(name).map_or(probe.at, |heard| heard.max(probe.at))
    }

    /// Whether the taints that evict may be set on a node, if it is in trouble.
    fn evicting(&self, node: &Entry, steady: Timestamp) -> Verdict {
        let Light::Node(light) = &node.light else { return Verdict::Hold };
        if light.ready {
            // One that has just fallen silent has its status written first, and the zone hears of it.
            return Verdict::Hold;
        }
        let mut zones = self.zones.borrow_mut();
        if emptied(node) {
            zones.grant(&node.key.name);
        }
        zones.verdict(&node.key.name, steady)
    }

    fn plan_node(&mut self, key: &Key, world: &dyn World, now: Timestamp) -> Plan {
        let name = &key.object.name;
        let Some(node) = world.get("nodes", &key.object) else {
            self.forget(name);
            let mut plan = Plan::quiet();
            if let Some(was) = self.known.remove(name) {
                plan.actions.push(node_event(was, "RemovingNode", format_args!("Removing Node {name} from Controller")));
            }
            return plan;
        };
        let steady = (self.clock)(now);
        let quiet = since(self.last_seen(&node, steady), steady);
        let known = self.known.get(name).is_some_and(|known| known.uid == node.meta.uid);
        if known && quiet <= self.grace && self.calm.get(name) == Some(&node.revision) {
            let requeue_after = Some(self.grace - quiet + Duration::from_secs(1));
            return Plan { requeue_after, ..Plan::quiet() };
        }
        let pods = world.pods_of_node(name);
        let evicting = self.evicting(&node, steady);
        let mut plan = plan(&node, quiet, self.grace, &pods, evicting, now);
        if let Some(ipam) = &mut self.ipam {
            ipam.plan(&node, world, &mut plan);
        }
        if !known {
            let regarding = ObjectRef::to("v1", "Node", &node);
            self.known.insert(name.clone(), regarding.clone());
            plan.actions.push(node_event(regarding, "RegisteredNode", format_args!("Registered Node {name} in Controller")));
        }
        let taints = self.ages.observe(&node, &pods, steady);
        let waiting = taint_eviction::plan(&taints, &pods, steady, now, &mut plan);
        self.ages.wait(&node, waiting, &pods, &mut plan);
        if pod_gc::out_of_service(&node) {
            pod_gc::free(&node, &pods, now, &mut plan);
        }
        let ready = matches!(&node.light, Light::Node(light) if light.ready);
        if plan.actions.is_empty() && taints.is_empty() && ready {
            self.calm.insert(name.clone(), node.revision);
        } else {
            self.calm.remove(name);
        }
        plan
    }

    fn plan_pod(&mut self, key: &Key, world: &dyn World, now: Timestamp) -> Plan {
        let Some(pod) = world.get("pods", &key.object) else { return Plan::quiet() };
        let Light::Pod(light) = &pod.light else { return Plan::quiet() };
        let node_exists = world.get("nodes", &ObjectKey::new("", light.node.clone())).is_some();
        let steady = (self.clock)(now);
        let missing_for = if light.node.is_empty() || node_exists {
            self.missing.remove(&light.node);
            None
        } else {
            Some(since(*self.missing.entry(light.node.clone()).or_insert(steady), steady))
        };
        pod_gc::plan(&pod, missing_for, now)
    }
}

impl Controller for NodeLifecycle {
    fn name(&self) -> &'static str {
        "nodelifecycle"
    }

    fn parts(&self) -> Parts {
        Parts { nodes: true, ..Parts::default() }
    }

    fn watches(&self, kind: &str) -> bool {
        matches!(kind, "nodes" | "pods")
    }

    fn keys(&self, change: &Change, _before: Option<&Entry>, world: &dyn World, out: &mut Vec<Key>) {
        let entry = &change.entry;
        if &*change.kind == "nodes" {
            out.push(Key::of("nodes", &entry.key));
            let mut zones = self.zones.borrow_mut();
            let concerned = if change.deleted { zones.forget(&entry.key.name) } else { zones.observe(entry) };
            out.extend(concerned.into_iter().map(|name| Key { kind: "nodes".into(), object: ObjectKey::new("", name) }));
            if change.deleted {
                out.extend(world.pods_of_node(&entry.key.name).iter().map(|pod| Key::of("pods", &pod.key)));
            }
            return;
        }
        let Light::Pod(light) = &entry.light else { return };
        if change.deleted {
            return;
        }
        let node = ObjectKey::new("", light.node.clone());
        match world.get("nodes", &node) {
            // Only a node in trouble cares about its pods here.
            Some(found) => {
                let Light::Node(health) = &found.light else { return };
                let ends = entry.meta.deleting.is_some() && pod_gc::out_of_service(&found);
                if health.taints.iter().any(|t| &*t.effect == "NoExecute") || (!health.ready && light.ready) || ends {
                    out.push(Key { kind: "nodes".into(), object: node });
                }
            }
            None if !light.node.is_empty() || entry.meta.deleting.is_some() => out.push(Key::of("pods", &entry.key)),
            None => {}
        }
    }

    fn plan(&mut self, key: &Key, world: &dyn World, now: Timestamp, _failure: Option<&Failure>) -> Plan {
        if &*key.kind == "nodes" { self.plan_node(key, world, now) } else { self.plan_pod(key, world, now) }
    }
}

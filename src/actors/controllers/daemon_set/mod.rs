//! DaemonSets: one pod on every node that suits the template.
//!
//! A run places a pod on each node that should have one and has none, removes pods that have no business where they are,
//! then renews pods of old revisions as the strategy allows. Pods are made with a node affinity for their one node; the
//! scheduler binds them.
mod backoff;
mod fit;
mod pods;
mod renewal;
mod status;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(super) use pods::node_of;

use super::feed::Change;
use super::index::Parts;
use super::owned::Family;
use super::plan::{Action, Creation, Deletion, Failure, Plan, Propagation};
use super::replication::Pod;
use super::revisions::{History, POD_LABEL, SHELF as REVISIONS};
use super::runner::{Controller, Key};
use super::world::World;
use crate::protocol::light::{Light, NodeLight, Phase, Taint};
use crate::storage::entry::Entry;
use backoff::Backoffs;
use fit::Fit;
use jiff::Timestamp;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

const FAMILY: Family = Family { shelf: "daemonsets.apps", kind: "DaemonSet", component: "daemonset-controller" };
/// The most pods that one run creates or deletes, as upstream.
const BURST: usize = 250;

/// One node with the set's pods on it.
struct Place {
    name: Arc<str>,
    /// Should the pod run here, and may it stay?
    fit: Fit,
    /// The oldest first; those on their way out included.
    pods: Vec<Pod>,
}

/// A DaemonSet with what belongs to it.
struct Set<'a> {
    entry: &'a Entry,
    object: Value,
    history: History,
    /// The hash of the current template's revision.
    hash: String,
    min_ready: i64,
    now: i64,
    places: Vec<Place>,
}

/// Decides about one DaemonSet. `backoffs` remembers where its pods have failed.
fn plan(entry: &Arc<Entry>, world: &dyn World, now: Timestamp, backoffs: &mut Backoffs) -> Plan {
    let mut plan = Plan::quiet();
    let object = entry.parse();
    let claimed = FAMILY.claim(entry, "pods", world, |_| true, &mut plan);
    let history = History::resolve(FAMILY, entry, &object, POD_LABEL, world, &mut plan);
    let hash = history.latest().map(|r| r.hash.clone()).unwrap_or_default();
    let (places, lost) = places(&object, world, claimed);
    let min_ready = object["spec"]["minReadySeconds"].as_i64().unwrap_or_default();
    let set = Set { entry, object, history, hash, min_ready, now: now.as_second(), places };
    if entry.meta.deleting.is_none() {
        let failing = set.failing(now, backoffs, &mut plan);
        set.work(lost, &failing, &mut plan);
    }
    status::add(&set, &mut plan);
    plan
}

/// Every node with its pods, and the pods that wait for a node that is not there.
fn places(object: &Value, world: &dyn World, claimed: Vec<Arc<Entry>>) -> (Vec<Place>, Vec<Pod>) {
    let mut by_node: HashMap<String, Vec<Pod>> = HashMap::new();
    for pod in claimed.into_iter().filter_map(Pod::of) {
        by_node.entry(pods::node_of(&pod)).or_default().push(pod);
    }
    let rules = fit::Rules::of(&object["spec"]["template"]);
    let mut places = Vec::new();
    for node in world.list("nodes", None) {
        let Light::Node(light) = &node.light else { continue };
        let mut pods = by_node.remove(&*node.key.name).unwrap_or_default();
        pods.sort_by(|a, b| (a.entry.meta.created, &a.entry.key.name).cmp(&(b.entry.meta.created, &b.entry.key.name)));
        let fit = rules.fit(&node.key.name, &node.meta, &light.taints);
        places.push(Place { name: node.key.name.clone(), fit, pods });
    }
    // Bound pods of vanished nodes are the collector's.
    let lost = by_node.into_values().flatten().filter(|pod| pod.light.node.is_empty()).collect();
    (places, lost)
}

impl Place {
    /// Pods that are neither over nor on their way out.
    fn running(&self) -> impl Iterator<Item = &Pod> {
        self.pods.iter().filter(|pod| pod.active())
    }
}

impl Set<'_> {
    fn fresh(&self, pod: &Pod) -> bool {
        pod.entry.meta.label(POD_LABEL) == Some(&self.hash)
    }

    fn available(&self, pod: &Pod) -> bool {
        pod.available(self.min_ready, self.now)
    }

    /// The nodes on which a failed pod stays for a while, so that one that fails at once is not made again and again.
    fn failing(&self, now: Timestamp, backoffs: &mut Backoffs, plan: &mut Plan) -> BTreeSet<Arc<str>> {
        let generation = self.object["status"]["observedGeneration"].as_i64().unwrap_or_default();
        let failed = |pod: &Pod| pod.entry.meta.deleting.is_none() && pod.light.phase == Phase::Failed;
        let mut failing = BTreeSet::new();
        for place in self.places.iter().filter(|place| place.fit.may_stay && place.pods.iter().any(failed)) {
            if let Err(pause) = backoffs.failed(&self.entry.meta.uid, generation, &place.name, now) {
                plan.requeue(pause);
                failing.insert(place.name.clone());
            }
        }
        failing
    }

    fn work(&self, lost: Vec<Pod>, failing: &BTreeSet<Arc<str>>, plan: &mut Plan) {
        let mut wanted: Vec<Arc<str>> = Vec::new();
        let mut doomed: Vec<&Pod> = lost.iter().filter(|pod| pod.entry.meta.deleting.is_none()).collect();
        for place in &self.places {
            self.tend(place, failing.contains(&place.name), &mut wanted, &mut doomed, plan);
        }
        if self.object["spec"]["updateStrategy"]["type"] == "RollingUpdate" {
            renewal::renew(self, &mut wanted, &mut doomed);
        }
        if !(wanted.is_empty() && doomed.is_empty()) {
            plan.because(FAMILY.subject(self.entry), format_args!("creating {} pods, deleting {}", wanted.len(), doomed.len()));
        }
        let mut seen = BTreeSet::new();
        doomed.retain(|pod| seen.insert(pod.entry.key.clone()));
        plan.actions.extend(wanted.iter().take(BURST).map(|node| self.create(node)));
        plan.actions.extend(doomed.into_iter().take(BURST).map(|pod| self.delete(pod)));
        let live: Vec<&str> = self.places.iter().flat_map(|p| &p.pods).filter_map(|pod| pod.entry.meta.label(POD_LABEL)).collect();
        let limit = self.object["spec"]["revisionHistoryLimit"].as_i64().unwrap_or(10);
        self.history.truncate(FAMILY, self.entry, limit, |revision| live.contains(&revision.hash.as_str()), plan);
    }

    /// What one node wants: a pod, or to be rid of some.
    fn tend<'p>(&self, place: &'p Place, failing: bool, wanted: &mut Vec<Arc<str>>, doomed: &mut Vec<&'p Pod>, plan: &mut Plan) {
        if !place.fit.may_stay {
            doomed.extend(place.pods.iter().filter(|pod| pod.entry.meta.deleting.is_none()));
            return;
        }
        if place.pods.is_empty() {
            if place.fit.should_run {
                wanted.push(place.name.clone());
            }
            return;
        }
        for pod in place.pods.iter().filter(|pod| pod.entry.meta.deleting.is_none() && pod.light.phase.finished()) {
            if failing && pod.light.phase == Phase::Failed {
                continue;
            }
            plan.actions.push(self.over_event(place, pod));
            doomed.push(pod);
        }
        let running: Vec<&Pod> = place.running().collect();
        if running.len() <= 1 {
            return;
        }
        if !renewal::surges(self) {
            doomed.extend(running.into_iter().skip(1));
            return;
        }
        let oldest = |fresh: bool| running.iter().copied().find(|pod| self.fresh(pod) == fresh);
        let (new, old) = (oldest(true), oldest(false));
        let kept = |pod: &Pod| [new, old].into_iter().flatten().any(|k| k.entry.meta.uid == pod.entry.meta.uid);
        doomed.extend(running.iter().copied().filter(|pod| !kept(pod)));
        if let (Some(new), Some(old)) = (new, old)
            && (!old.light.ready || self.available(new))
        {
            doomed.push(old);
        }
    }

    fn over_event(&self, place: &Place, pod: &Pod) -> Action {
        let key = &pod.entry.key;
        if pod.light.phase == Phase::Failed {
            let message = format!("Found failed daemon pod {key} on node {}, will try to kill it", place.name);
            FAMILY.event(self.entry, "Warning", "FailedDaemonPod", message)
        } else {
            let message = format!("Found succeeded daemon pod {key} on node {}, will try to delete it", place.name);
            FAMILY.event(self.entry, "Normal", "SucceededDaemonPod", message)
        }
    }

    fn create(&self, node: &str) -> Action {
        let report = FAMILY.report(self.entry, ("SuccessfulCreate", "Created pod: "), ("FailedCreate", "Error creating: "));
        Action::Create(Creation {
            kind: "pods".into(),
            namespace: self.entry.key.namespace.clone(),
            object: pods::pod(self, node),
            report: Some(report),
        })
    }

    fn delete(&self, pod: &Pod) -> Action {
        let report = FAMILY.report(self.entry, ("SuccessfulDelete", "Deleted pod: "), ("FailedDelete", "Error deleting: "));
        Action::Delete(Deletion {
            kind: "pods".into(),
            key: pod.entry.key.clone(),
            uid: pod.entry.meta.uid.clone(),
            propagation: Propagation::Background,
            grace: None,
            report: Some(report),
        })
    }
}

/// What of a node bears on daemons.
#[derive(PartialEq)]
struct Traits {
    labels: Box<[(Arc<str>, Arc<str>)]>,
    taints: Box<[Taint]>,
}

/// The controller around [`plan`].
#[derive(Default)]
pub struct DaemonSets {
    /// As last seen, so that a node's heartbeats concern nobody.
    nodes: RefCell<BTreeMap<Arc<str>, Traits>>,
    backoffs: Backoffs,
}

impl DaemonSets {
    /// Takes a node's change in; true when it bears on daemons.
    fn matters(&self, change: &Change) -> bool {
        let name = &change.entry.key.name;
        let mut nodes = self.nodes.borrow_mut();
        if change.deleted {
            return nodes.remove(name).is_some();
        }
        let Light::Node(light) = &change.entry.light else { return false };
        let NodeLight { taints, .. } = &**light;
        let traits = Traits { labels: change.entry.meta.labels.clone(), taints: taints.clone() };
        if nodes.get(name) == Some(&traits) {
            return false;
        }
        nodes.insert(name.clone(), traits);
        true
    }
}

impl Controller for DaemonSets {
    fn name(&self) -> &'static str {
        "daemonset"
    }

    fn parts(&self) -> Parts {
        Parts { owners: true, orphans: &["pods", REVISIONS], ..Parts::default() }
    }

    fn watches(&self, kind: &str) -> bool {
        matches!(kind, "pods" | "nodes" | REVISIONS) || kind == FAMILY.shelf
    }

    fn keys(&self, change: &Change, before: Option<&Entry>, world: &dyn World, out: &mut Vec<Key>) {
        if &*change.kind != "nodes" {
            FAMILY.keys(change, before, world, out);
        } else if self.matters(change) {
            out.extend(world.list(FAMILY.shelf, None).iter().map(|set| Key::of(FAMILY.shelf, &set.key)));
        }
    }

    fn plan(&mut self, key: &Key, world: &dyn World, now: Timestamp, _failure: Option<&Failure>) -> Plan {
        match world.get(&key.kind, &key.object) {
            Some(entry) => plan(&entry, world, now, &mut self.backoffs),
            None => Plan::quiet(),
        }
    }
}

//! StatefulSets: pods with a number, a name that stays, and storage of their own.
//!
//! A run decides in upstream's order: missing pods are made from the lowest number up, surplus ones go from the highest
//! down, and then pods of old revisions are deleted from the highest down, to be made anew by the next run. With the
//! policy `OrderedReady` each of these waits for what comes before it.
mod claims;
mod identity;
mod status;
#[cfg(test)]
mod tests;

use super::feed::Change;
use super::index::Parts;
use super::owned::Family;
use super::plan::{Action, Creation, Deletion, Failure, Patch, Plan, Prerequisite, Propagation};
use super::replication::Pod;
use super::revisions::{HASH_LABEL, History, POD_LABEL, SHELF as REVISIONS};
use super::runner::{Controller, Key};
use super::share::scaled;
use super::world::World;
use crate::protocol::light::Phase;
use crate::storage::entry::Entry;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const FAMILY: Family = Family { shelf: "statefulsets.apps", kind: "StatefulSet", component: "statefulset-controller" };

/// A StatefulSet with what belongs to it.
struct Set<'a> {
    entry: &'a Entry,
    object: Value,
    world: &'a dyn World,
    history: History,
    /// The revision that the set is at; another than the latest while an update goes on.
    current: String,
    /// The latest.
    update: String,
    start: i64,
    replicas: i64,
    min_ready: i64,
    /// One step at a time.
    ordered: bool,
    now: i64,
    /// Every pod of the set by its number.
    pods: BTreeMap<i64, Pod>,
}

/// Decides about one StatefulSet.
pub fn plan(entry: &Arc<Entry>, world: &dyn World, now: Timestamp) -> Plan {
    let mut plan = Plan::quiet();
    let object = entry.parse();
    let member = |pod: &Entry| identity::ordinal(&entry.key.name, &pod.key.name).is_some();
    let claimed = FAMILY.claim(entry, "pods", world, member, &mut plan);
    let history = History::resolve(FAMILY, entry, &object, HASH_LABEL, world, &mut plan);
    let update = history.latest().map(|r| r.name.clone()).unwrap_or_default();
    let current = object["status"]["currentRevision"].as_str().filter(|name| history.named(name).is_some()).unwrap_or(&update).to_string();
    let numbered = claimed.into_iter().filter_map(|e| Some((identity::ordinal(&entry.key.name, &e.key.name)?, Pod::of(e)?)));
    let spec = &object["spec"];
    let set = Set {
        entry,
        world,
        current,
        update,
        start: spec["ordinals"]["start"].as_i64().unwrap_or_default(),
        replicas: spec["replicas"].as_i64().unwrap_or(1),
        min_ready: spec["minReadySeconds"].as_i64().unwrap_or_default(),
        ordered: spec["podManagementPolicy"] != "Parallel",
        now: now.as_second(),
        pods: numbered.collect(),
        object,
        history,
    };
    if entry.meta.deleting.is_none() {
        set.work(&mut plan);
        let limit = set.object["spec"]["revisionHistoryLimit"].as_i64().unwrap_or(10);
        let live = |name: &str| name == set.current || set.pods.values().any(|pod| revision_of(pod) == name);
        set.history.truncate(FAMILY, entry, limit, |revision| live(&revision.name), &mut plan);
    }
    status::add(&set, now, &mut plan);
    plan
}

/// The revision that a pod was made of.
fn revision_of(pod: &Pod) -> &str {
    pod.entry.meta.label(POD_LABEL).unwrap_or_default()
}

impl Set<'_> {
    fn in_range(&self, ordinal: i64) -> bool {
        (self.start..self.start.saturating_add(self.replicas)).contains(&ordinal)
    }

    fn ready(pod: &Pod) -> bool {
        pod.light.phase == Phase::Running && pod.light.ready
    }

    /// Ready for long enough, and not on its way out.
    fn healthy(&self, pod: &Pod) -> bool {
        Self::ready(pod) && pod.available(self.min_ready, self.now) && pod.entry.meta.deleting.is_none()
    }

    fn work(&self, plan: &mut Plan) {
        if self.fill(plan) || self.shrink(plan) || self.object["spec"]["updateStrategy"]["type"] == "OnDelete" {
            return;
        }
        self.renew(plan);
    }

    /// Makes what is missing; true when the rest of the work has to wait.
    fn fill(&self, plan: &mut Plan) -> bool {
        for ordinal in self.start..self.start.saturating_add(self.replicas) {
            let wait = match self.pods.get(&ordinal) {
                None => {
                    if !claims::stale(self, ordinal) {
                        self.create(ordinal, plan);
                    }
                    true
                }
                Some(pod) if pod.light.phase.finished() => {
                    // Its number is free only when it is gone.
                    self.delete(pod, "is over", plan);
                    true
                }
                Some(pod) => {
                    if pod.light.phase == Phase::Pending {
                        self.make_claims(&pod.entry.key.name, claims::missing(self, ordinal), plan);
                    }
                    let wait = !self.healthy(pod);
                    if !(self.ordered && wait) {
                        identity::restore(self, ordinal, pod, plan);
                        claims::keep_owners(self, ordinal, pod, false, plan);
                    }
                    wait
                }
            };
            if wait && self.ordered {
                return true;
            }
        }
        false
    }

    /// Deletes pods outside of the range, the highest number first; true when the update has to wait. An ordered set waits for pods
    /// that may still get well, except for the lowest of them. Upstream also waits for those that are over, and so for ever.
    fn shrink(&self, plan: &mut Plan) -> bool {
        let condemned: Vec<(&i64, &Pod)> = self.pods.iter().rev().filter(|(ordinal, _)| !self.in_range(**ordinal)).collect();
        for (ordinal, pod) in &condemned {
            claims::keep_owners(self, **ordinal, pod, true, plan);
        }
        let unhealthy = |pod: &Pod| !self.healthy(pod) && !pod.light.phase.finished();
        let first_unhealthy = condemned.iter().rev().find(|(_, pod)| unhealthy(pod)).map(|(ordinal, _)| **ordinal);
        for (ordinal, pod) in condemned {
            if pod.entry.meta.deleting.is_some() {
                if self.ordered {
                    return true;
                }
                continue;
            }
            if self.ordered && unhealthy(pod) && first_unhealthy != Some(*ordinal) {
                return true;
            }
            self.delete(pod, "is surplus", plan);
            if self.ordered {
                return true;
            }
        }
        false
    }

    /// Deletes pods of old revisions as far as may be unavailable at once, from the highest number down to the partition.
    fn renew(&self, plan: &mut Plan) {
        let rolling = &self.object["spec"]["updateStrategy"]["rollingUpdate"];
        let most = scaled(&rolling["maxUnavailable"], self.replicas, false).unwrap_or(1).max(1);
        let range = self.start..self.start.saturating_add(self.replicas);
        let missing = |ordinal: &i64| self.pods.get(ordinal).is_none_or(|pod| !self.healthy(pod));
        let mut unavailable = i64::try_from(range.clone().filter(missing).count()).unwrap_or(i64::MAX);
        for ordinal in range.rev() {
            if ordinal < self.partition_end() {
                return;
            }
            let Some(pod) = self.pods.get(&ordinal) else { continue };
            if revision_of(pod) == self.update || pod.entry.meta.deleting.is_some() {
                continue;
            }
            // One that does not work anyway costs nothing.
            let costs = i64::from(self.healthy(pod));
            if unavailable + costs > most {
                return;
            }
            unavailable += costs;
            self.delete(pod, "is of an old revision", plan);
        }
    }

    /// Whether a pod with this number is made of the revision that the set is at, and not of the latest.
    fn takes_current(&self, ordinal: i64) -> bool {
        let strategy = &self.object["spec"]["updateStrategy"];
        if strategy["type"] != "RollingUpdate" {
            return false;
        }
        ordinal < self.partition_end()
    }

    /// The first number that an update reaches.
    fn partition_end(&self) -> i64 {
        let partition = self.object["spec"]["updateStrategy"]["rollingUpdate"]["partition"].as_i64().unwrap_or_default();
        self.start.saturating_add(partition)
    }

    fn create(&self, ordinal: i64, plan: &mut Plan) {
        let name = if self.takes_current(ordinal) { &self.current } else { &self.update };
        let Some(revision) = self.history.named(name) else { return };
        let pod = identity::pod_name(&self.entry.key.name, ordinal);
        let (needs, leaving) = (claims::missing(self, ordinal), claims::leaving(self, ordinal));
        if !leaving.is_empty() {
            self.wait_for(&pod, &leaving, needs, plan);
            return;
        }
        let report = FAMILY.report(
            self.entry,
            ("SuccessfulCreate", format!("create Pod {{}} in StatefulSet {} successful", self.entry.key.name)),
            ("FailedCreate", format!("create Pod {pod} in StatefulSet {} failed error: {{}}", self.entry.key.name)),
        );
        plan.because(FAMILY.subject(self.entry), format_args!("pod {pod} is missing"));
        let creation = Creation {
            kind: "pods".into(),
            namespace: self.entry.key.namespace.clone(),
            object: identity::pod(self, ordinal, &revision.template(), name),
            report: Some(report),
        };
        plan.actions.push(Action::CreateAfter(creation, needs));
    }

    fn make_claims(&self, pod: &str, needs: Vec<Prerequisite>, plan: &mut Plan) {
        for need in needs {
            plan.because(FAMILY.subject(self.entry), format_args!("pod {pod} lacks a claim"));
            plan.actions.push(Action::Create(need.creation));
        }
    }

    /// A pod is not made with claims that are on their way out; that they have gone brings the set back. Its other claims are made.
    fn wait_for(&self, pod: &str, leaving: &[String], needs: Vec<Prerequisite>, plan: &mut Plan) {
        self.make_claims(pod, needs, plan);
        let each: Vec<String> = leaving.iter().map(|claim| format!("pvc {claim} is being deleted")).collect();
        let error = if let [only] = each.as_slice() { only.clone() } else { format!("[{}]", each.join(", ")) };
        let message = format!("create Pod {pod} in StatefulSet {} failed error: {error}", self.entry.key.name);
        plan.actions.push(FAMILY.event(self.entry, "Warning", "FailedCreate", message));
    }

    fn delete(&self, pod: &Pod, why: &str, plan: &mut Plan) {
        if pod.entry.meta.deleting.is_some() {
            return;
        }
        let report = FAMILY.report(
            self.entry,
            ("SuccessfulDelete", format!("delete Pod {{}} in StatefulSet {} successful", self.entry.key.name)),
            ("FailedDelete", format!("delete Pod {} in StatefulSet {} failed error: {{}}", pod.entry.key.name, self.entry.key.name)),
        );
        plan.because(FAMILY.subject(self.entry), format_args!("pod {} {why}", pod.entry.key.name));
        plan.actions.push(Action::Delete(Deletion {
            kind: "pods".into(),
            key: pod.entry.key.clone(),
            uid: pod.entry.meta.uid.clone(),
            propagation: Propagation::Background,
            grace: None,
            report: Some(report),
        }));
    }
}

/// A patch of one object's metadata.
fn meta_patch(shelf: &str, entry: &Entry, meta: Value, expect: bool) -> Action {
    Action::Patch(Patch {
        kind: shelf.into(),
        key: entry.key.clone(),
        uid: Some(entry.meta.uid.clone()),
        subresource: None,
        patch: json!({ "metadata": meta }),
        expect_revision: expect.then_some(entry.revision),
    })
}

/// The controller around [`plan`].
pub struct StatefulSets;

impl Controller for StatefulSets {
    fn name(&self) -> &'static str {
        "statefulset"
    }

    fn parts(&self) -> Parts {
        Parts { owners: true, orphans: &["pods", REVISIONS], ..Parts::default() }
    }

    fn watches(&self, kind: &str) -> bool {
        matches!(kind, "pods" | REVISIONS | claims::SHELF) || kind == FAMILY.shelf
    }

    fn keys(&self, change: &Change, before: Option<&Entry>, world: &dyn World, out: &mut Vec<Key>) {
        if &*change.kind == claims::SHELF {
            if change.deleted {
                let sets = world.list(FAMILY.shelf, Some(&change.entry.key.namespace));
                let waiting = sets.iter().filter(|set| claims::named_by(&set.key.name, &change.entry.key.name));
                out.extend(waiting.map(|set| Key::of(FAMILY.shelf, &set.key)));
            }
            return;
        }
        FAMILY.keys(change, before, world, out);
    }

    fn plan(&mut self, key: &Key, world: &dyn World, now: Timestamp, _failure: Option<&Failure>) -> Plan {
        match world.get(&key.kind, &key.object) {
            Some(entry) => plan(&entry, world, now),
            None => Plan::quiet(),
        }
    }
}

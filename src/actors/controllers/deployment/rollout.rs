//! A Deployment with its replica sets: finding and making the new one, revisions, pauses, clean-up.
use super::sets::{HASH, REVISION, Set, without_hash};
use super::{FAMILY, SETS, conditions};
use crate::actors::controllers::hash::template_hash;
use crate::actors::controllers::plan::{Action, Creation, Deletion, Failure, Plan, Propagation};
use crate::actors::controllers::share::surge_and_unavailable;
use crate::actors::controllers::world::World;
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Deployments whose history or deadline is this long have none.
const NEVER: i64 = i32::MAX as i64;

/// See the module.
pub struct Rollout<'a> {
    pub entry: &'a Arc<Entry>,
    pub object: &'a Value,
    /// `spec.replicas`.
    pub wanted: i64,
    /// Pods above and below `wanted` that are allowed; 0 for `Recreate`.
    pub surge: i64,
    pub unavailable: i64,
    /// By age, the oldest first.
    pub sets: Vec<Set>,
    /// The one with the current template.
    pub new: Option<usize>,
    /// Messages of events about scaling.
    pub notes: Vec<String>,
    /// The conditions as they shall be.
    pub conditions: Vec<Value>,
    /// Annotations of the Deployment that change.
    pub annotations: Map<String, Value>,
    pub collisions: Option<i64>,
    pub now: Timestamp,
}

impl<'a> Rollout<'a> {
    pub fn new(entry: &'a Arc<Entry>, object: &'a Value, claimed: Vec<Arc<Entry>>, now: Timestamp) -> Self {
        let spec = &object["spec"];
        let wanted = spec["replicas"].as_i64().unwrap_or(1);
        let rolling = &spec["strategy"]["rollingUpdate"];
        let (surge, mut unavailable) = surge_and_unavailable(&rolling["maxSurge"], &rolling["maxUnavailable"], wanted);
        let recreate = spec["strategy"]["type"] == "Recreate";
        unavailable = if recreate { 0 } else { unavailable.min(wanted) };
        let mut sets: Vec<Set> = claimed.into_iter().map(Set::of).collect();
        sets.sort_by(|a, b| a.age().cmp(&b.age()));
        Rollout {
            entry,
            object,
            wanted,
            surge: if recreate { 0 } else { surge },
            unavailable,
            sets,
            new: None,
            notes: Vec::new(),
            conditions: object["status"]["conditions"].as_array().cloned().unwrap_or_default(),
            annotations: Map::new(),
            collisions: object["status"]["collisionCount"].as_i64(),
            now,
        }
    }

    pub fn paused(&self) -> bool {
        self.object["spec"]["paused"] == true
    }

    pub fn recreates(&self) -> bool {
        self.object["spec"]["strategy"]["type"] == "Recreate"
    }

    /// The seconds that a rollout may go without progress.
    pub fn deadline(&self) -> Option<i64> {
        self.object["spec"]["progressDeadlineSeconds"].as_i64().filter(|d| *d < NEVER)
    }

    pub fn find_new(&mut self) {
        let template = &self.object["spec"]["template"];
        self.new = self.sets.iter().position(|set| set.has_template(template));
    }

    pub fn old(&self) -> impl Iterator<Item = usize> + use<> {
        let new = self.new;
        (0..self.sets.len()).filter(move |at| Some(*at) != new)
    }

    /// The sum of a number over all sets.
    pub fn total(&self, of: impl Fn(&Set) -> i64) -> i64 {
        self.sets.iter().map(of).sum()
    }

    fn set_progressing(&mut self, status: &str, reason: &str, message: &str) {
        conditions::set(&mut self.conditions, "Progressing", status, reason, message, self.now);
    }

    fn progress_reason(&self) -> Option<&str> {
        conditions::get(&self.conditions, "Progressing").and_then(|c| c["reason"].as_str())
    }

    /// A pause and its end show in the condition, so that the deadline does not count the time between.
    pub fn note_pause(&mut self) {
        let reason = self.progress_reason().unwrap_or_default().to_string();
        if self.deadline().is_none() || reason == "ProgressDeadlineExceeded" {
            return;
        }
        let was = reason == "DeploymentPaused";
        if self.paused() && !was {
            self.set_progressing("Unknown", "DeploymentPaused", "Deployment is paused");
        } else if !self.paused() && was {
            self.set_progressing("Unknown", "DeploymentResumed", "Deployment is resumed");
        }
    }

    /// Finds the new set if there is one and makes it the latest revision.
    pub fn sync_revisions(&mut self) {
        self.find_new();
        let Some(at) = self.new else { return };
        let revision = self.next_revision();
        let min_ready = self.object["spec"]["minReadySeconds"].as_i64().unwrap_or_default();
        let Some(set) = self.sets.get_mut(at) else { return };
        set.follow(self.object, revision);
        set.want_min_ready(min_ready);
        let (revision, name) = (set.revision(), set.name().to_string());
        self.note_revision(revision);
        if self.deadline().is_some() && conditions::get(&self.conditions, "Progressing").is_none() {
            self.set_progressing("True", "FoundNewReplicaSet", &format!("Found new replica set \"{name}\""));
        }
    }

    /// One more than the highest revision of the old sets.
    fn next_revision(&self) -> i64 {
        self.old().filter_map(|at| self.sets.get(at)).map(Set::revision).max().unwrap_or_default() + 1
    }

    fn note_revision(&mut self, revision: i64) {
        let revision = revision.to_string();
        if self.object["metadata"]["annotations"][REVISION] != revision.as_str() {
            self.annotations.insert(REVISION.into(), revision.into());
        }
    }

    /// Makes the new set when there is none; true when it did, or tried.
    pub fn ensure_new(&mut self, world: &dyn World, failure: Option<&Failure>, plan: &mut Plan) -> bool {
        if self.new.is_some() {
            return false;
        }
        let template = without_hash(&self.object["spec"]["template"]);
        let hash = template_hash(&template, self.collisions.unwrap_or_default());
        let name = format!("{}-{hash}", self.entry.key.name);
        if world.get(SETS, &ObjectKey::new(self.entry.key.namespace.clone(), name.as_str())).is_some() {
            // Somebody else's: the next run tries another name.
            self.collisions = Some(self.collisions.unwrap_or_default() + 1);
            plan.requeue(Duration::from_secs(1));
            return true;
        }
        let replicas = if self.recreates() { self.wanted } else { self.room_for_new(0) };
        let mut set = Set::made(self.new_object(&template, &hash, &name, replicas));
        let revision = self.next_revision();
        set.follow(self.object, revision);
        set.note_size(self.wanted, self.wanted + self.surge);
        let success = if replicas > 0 { "ScalingReplicaSet" } else { "" };
        let report = FAMILY.report(
            self.entry,
            (success, format!("Scaled up replica set {{}} from 0 to {replicas}")),
            ("ReplicaSetCreateError", format!("Failed to create new replica set \"{name}\": {{}}")),
        );
        plan.because(FAMILY.subject(self.entry), format_args!("new replica set {name} with {replicas} pods"));
        plan.actions.push(Action::Create(Creation {
            kind: SETS.into(),
            namespace: self.entry.key.namespace.clone(),
            object: set.creation(),
            report: Some(report),
        }));
        self.note_revision(revision);
        if self.deadline().is_some() {
            match failure.filter(|f| f.reason == "ReplicaSetCreateError") {
                Some(failure) => {
                    let message = format!("Failed to create new replica set \"{name}\": {}", failure.message);
                    self.set_progressing("False", "ReplicaSetCreateError", &message);
                }
                None => self.set_progressing("True", "NewReplicaSetCreated", &format!("Created new replica set \"{name}\"")),
            }
        }
        self.new = Some(self.sets.len());
        self.sets.push(set);
        // The name may have been taken between this look and the creation.
        plan.requeue(Duration::from_secs(1));
        true
    }

    fn new_object(&self, template: &Value, hash: &str, name: &str, replicas: i64) -> Value {
        let mut template = template.clone();
        template["metadata"]["labels"][HASH] = hash.into();
        let mut selector = self.object["spec"]["selector"].clone();
        selector["matchLabels"][HASH] = hash.into();
        let mut spec = json!({ "replicas": replicas, "selector": selector, "template": template });
        if let Some(seconds) = self.object["spec"]["minReadySeconds"].as_i64().filter(|s| *s > 0) {
            spec["minReadySeconds"] = seconds.into();
        }
        json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": name, "labels": spec["template"]["metadata"]["labels"], "ownerReferences": [FAMILY.reference(self.entry)],
            },
            "spec": spec,
        })
    }

    /// Deletes sets of old revisions beyond the limit, the oldest revisions first; only empty ones.
    pub fn clean_up(&self, plan: &mut Plan) {
        let Some(limit) = self.object["spec"]["revisionHistoryLimit"].as_i64().filter(|l| *l < NEVER) else { return };
        let alive = |set: &&Set| set.entry.as_ref().is_some_and(|e| e.meta.deleting.is_none());
        let mut old: Vec<&Set> = self.old().filter_map(|at| self.sets.get(at)).filter(alive).collect();
        let surplus = old.len().saturating_sub(usize::try_from(limit).unwrap_or_default());
        old.sort_by_key(|set| (set.revision(), set.age()));
        for set in old.into_iter().take(surplus).filter(|set| set.spent()) {
            let Some(entry) = &set.entry else { continue };
            plan.because(
                FAMILY.subject(self.entry),
                format_args!("replica set {} is beyond the revision history limit {limit}", set.name()),
            );
            plan.actions.push(Action::Delete(Deletion {
                kind: SETS.into(),
                key: entry.key.clone(),
                uid: entry.meta.uid.clone(),
                propagation: Propagation::Background,
                grace: None,
                report: None,
            }));
        }
    }
}

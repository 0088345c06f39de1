//! ReplicaSets and ReplicationControllers: keep exactly `spec.replicas` pods of a template alive.
//!
//! One logic for both kinds, as upstream has it. A run adopts matching orphans and releases pods that no longer match,
//! then creates or deletes the difference, then writes the status that the pods at hand justify.
mod ranking;
mod status;

use super::feed::Change;
use super::index::Parts;
use super::labels::LabelSelector;
use super::plan::{Action, Creation, Deletion, Failure, ObjectRef, Patch, Plan, Propagation, Report};
use super::runner::{Controller, Key};
use super::world::World;
use crate::protocol::light::{Light, PodLight};
use crate::storage::entry::Entry;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The most pods that one run creates or deletes, as upstream.
const BURST: usize = 500;

/// Which of the two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    ReplicaSet,
    ReplicationController,
}

impl Flavour {
    pub fn shelf(self) -> &'static str {
        match self {
            Flavour::ReplicaSet => "replicasets.apps",
            Flavour::ReplicationController => "replicationcontrollers",
        }
    }

    pub fn kind(self) -> &'static str {
        match self {
            Flavour::ReplicaSet => "ReplicaSet",
            Flavour::ReplicationController => "ReplicationController",
        }
    }

    pub fn api_version(self) -> &'static str {
        match self {
            Flavour::ReplicaSet => "apps/v1",
            Flavour::ReplicationController => "v1",
        }
    }

    fn component(self) -> &'static str {
        match self {
            Flavour::ReplicaSet => "replicaset-controller",
            Flavour::ReplicationController => "replication-controller",
        }
    }
}

/// A pod with its light index at hand.
pub(super) struct Pod {
    pub entry: Arc<Entry>,
    pub light: PodLight,
}

impl Pod {
    pub fn of(entry: Arc<Entry>) -> Option<Pod> {
        let Light::Pod(light) = &entry.light else { return None };
        let light = (**light).clone();
        Some(Pod { entry, light })
    }

    pub fn active(&self) -> bool {
        !self.light.phase.finished() && self.entry.meta.deleting.is_none()
    }

    /// Ready for at least `min_ready` seconds.
    pub fn available(&self, min_ready: i64, now: i64) -> bool {
        self.light.ready && (min_ready == 0 || (self.light.ready_since > 0 && self.light.ready_since + min_ready <= now))
    }
}

/// Decides about one object. `failure` is how the previous run of this key ended, if badly.
pub fn plan(flavour: Flavour, owner: &Arc<Entry>, world: &dyn World, now: Timestamp, failure: Option<&Failure>) -> Plan {
    let Light::Workload(light) = &owner.light else { return Plan::quiet() };
    let object = owner.parse();
    let selector = LabelSelector::parse(&light.selector);
    let mut plan = Plan::quiet();
    let owned: Vec<Pod> = controlled(world, "pods", &owner.meta.uid).into_iter().filter_map(Pod::of).collect();
    let terminating = owned.iter().filter(|p| p.entry.meta.deleting.is_some() && !p.light.phase.finished()).count();
    let mut active: Vec<Pod> = owned.into_iter().filter(Pod::active).collect();
    claim(flavour, owner, selector.as_ref(), world, &mut active, &mut plan);

    let wanted = usize::try_from(light.replicas).unwrap_or_default();
    let have = active.len();
    if owner.meta.deleting.is_none() && have < wanted {
        let missing = (wanted - have).min(BURST);
        plan.actions.extend((0..missing).map(|_| create(flavour, owner, &object)));
        plan.because(format_args!("{} {}", flavour.kind(), owner.key), format_args!("{have} of {wanted} pods, creating {missing}"));
    } else if owner.meta.deleting.is_none() && have > wanted {
        let surplus = (have - wanted).min(BURST);
        let related = related_pods(owner, world);
        let doomed = ranking::first_to_go(&active, &related, surplus, wanted, now.as_second());
        plan.actions.extend(doomed.into_iter().map(|pod| delete(flavour, owner, pod)));
        plan.because(format_args!("{} {}", flavour.kind(), owner.key), format_args!("{have} of {wanted} pods, deleting {surplus}"));
    }
    status::add(&mut plan, &status::Facts { flavour, owner, object: &object, active: &active, terminating, failure, now });
    plan
}

/// Objects of a shelf whose controller has this uid.
fn controlled(world: &dyn World, kind: &str, uid: &str) -> Vec<Arc<Entry>> {
    let mut owned = world.owned_by(kind, uid);
    owned.retain(|e| e.meta.controller().is_some_and(|c| *c.uid == *uid));
    owned
}

/// Adopts matching orphans into `active`, releases what no longer matches.
fn claim(
    flavour: Flavour,
    owner: &Arc<Entry>,
    selector: Option<&LabelSelector>,
    world: &dyn World,
    active: &mut Vec<Pod>,
    plan: &mut Plan,
) {
    let subject = || format!("{} {}", flavour.kind(), owner.key);
    let matches = |pod: &Pod| selector.is_some_and(|s| s.matches(&pod.entry.meta));
    let deleting = owner.meta.deleting.is_some();
    active.retain(|pod| {
        let mine = matches(pod);
        if !mine && !deleting {
            plan.because(subject(), format_args!("releases {}", pod.entry.key.name));
            plan.actions.push(owners_patch(pod, owner, None));
        }
        mine
    });
    if deleting {
        return;
    }
    for pod in world.orphans("pods", &owner.key.namespace).into_iter().filter_map(Pod::of) {
        if pod.active() && matches(&pod) {
            plan.because(subject(), format_args!("adopts {}", pod.entry.key.name));
            plan.actions.push(owners_patch(&pod, owner, Some(flavour)));
            active.push(pod);
        }
    }
}

/// Sets a pod's owner references: without `owner`, and then with it as controller when `adopt` is given. The list is
/// replaced whole, hence the expected revision.
fn owners_patch(pod: &Pod, owner: &Entry, adopt: Option<Flavour>) -> Action {
    let mut owners: Vec<Value> = match pod.entry.parse()["metadata"]["ownerReferences"].take() {
        Value::Array(owners) => owners,
        _ => Vec::new(),
    };
    owners.retain(|o| o["uid"] != *owner.meta.uid);
    owners.extend(adopt.map(|flavour| owner_reference(flavour, owner)));
    let owners = if owners.is_empty() { Value::Null } else { owners.into() };
    Action::Patch(Patch {
        kind: "pods".into(),
        key: pod.entry.key.clone(),
        uid: Some(pod.entry.meta.uid.clone()),
        subresource: None,
        patch: json!({"metadata": {"ownerReferences": owners}}),
        expect_revision: Some(pod.entry.revision),
    })
}

fn owner_reference(flavour: Flavour, owner: &Entry) -> Value {
    json!({
        "apiVersion": flavour.api_version(), "kind": flavour.kind(), "name": &*owner.key.name, "uid": &*owner.meta.uid,
        "controller": true, "blockOwnerDeletion": true,
    })
}

fn create(flavour: Flavour, owner: &Entry, object: &Value) -> Action {
    let template = &object["spec"]["template"];
    let mut meta = json!({
        "generateName": format!("{}-", owner.key.name),
        "ownerReferences": [owner_reference(flavour, owner)],
    });
    for field in ["labels", "annotations", "finalizers"] {
        if !template["metadata"][field].is_null() {
            meta[field] = template["metadata"][field].clone();
        }
    }
    Action::Create(Creation {
        kind: "pods".into(),
        namespace: owner.key.namespace.clone(),
        object: json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}),
        report: Some(report(flavour, owner, ("SuccessfulCreate", "Created pod: "), ("FailedCreate", "Error creating: "))),
    })
}

fn delete(flavour: Flavour, owner: &Entry, pod: &Pod) -> Action {
    Action::Delete(Deletion {
        kind: "pods".into(),
        key: pod.entry.key.clone(),
        uid: pod.entry.meta.uid.clone(),
        propagation: Propagation::Background,
        grace: None,
        report: Some(report(flavour, owner, ("SuccessfulDelete", "Deleted pod: "), ("FailedDelete", "Error deleting: "))),
    })
}

fn report(flavour: Flavour, owner: &Entry, success: (&'static str, &'static str), failure: (&'static str, &'static str)) -> Report {
    let regarding = ObjectRef::to(flavour.api_version(), flavour.kind(), owner);
    let (success, failure) = ((success.0, success.1.into()), (failure.0, failure.1.into()));
    Report { regarding, component: flavour.component(), success, failure }
}

/// Active pods of every ReplicaSet that has the same controller (of one Deployment): scaling down spares nodes on which
/// few of them run.
fn related_pods(owner: &Entry, world: &dyn World) -> Vec<Pod> {
    let siblings = match owner.meta.controller() {
        Some(controller) => controlled(world, Flavour::ReplicaSet.shelf(), &controller.uid),
        None => Vec::new(),
    };
    let mut uids: Vec<Arc<str>> = siblings.iter().map(|s| s.meta.uid.clone()).collect();
    if !uids.contains(&owner.meta.uid) {
        uids.push(owner.meta.uid.clone());
    }
    let pods = uids.iter().flat_map(|uid| controlled(world, "pods", uid));
    pods.filter_map(Pod::of).filter(Pod::active).collect()
}

/// The controller around [`plan`].
pub struct Replication {
    pub flavour: Flavour,
}

impl Controller for Replication {
    fn name(&self) -> &'static str {
        match self.flavour {
            Flavour::ReplicaSet => "replicaset",
            Flavour::ReplicationController => "replicationcontroller",
        }
    }

    fn parts(&self) -> Parts {
        Parts { owners: true, orphans: &["pods"], ..Parts::default() }
    }

    fn watches(&self, kind: &str) -> bool {
        kind == "pods" || kind == self.flavour.shelf()
    }

    fn keys(&self, change: &Change, before: Option<&Entry>, world: &dyn World, out: &mut Vec<Key>) {
        let shelf = self.flavour.shelf();
        if *change.kind == *shelf {
            out.push(Key::of(shelf, &change.entry.key));
            return;
        }
        let namespace = &change.entry.key.namespace;
        let states = [before, Some(&*change.entry)];
        for owner in states.into_iter().flatten().filter_map(|e| e.meta.controller()) {
            if &*owner.kind == self.flavour.kind() && &*owner.api_version == self.flavour.api_version() {
                out.push(Key { kind: shelf.into(), object: crate::protocol::meta::ObjectKey::new(namespace.clone(), owner.name.clone()) });
            }
        }
        if !change.deleted && change.entry.meta.controller().is_none() {
            // An orphan concerns whoever selects it.
            for owner in world.list(shelf, Some(namespace)) {
                let Light::Workload(light) = &owner.light else { continue };
                if LabelSelector::parse(&light.selector).is_some_and(|s| s.matches(&change.entry.meta)) {
                    out.push(Key::of(shelf, &owner.key));
                }
            }
        }
    }

    fn plan(&mut self, key: &Key, world: &dyn World, now: Timestamp, failure: Option<&Failure>) -> Plan {
        match world.get(&key.kind, &key.object) {
            Some(owner) => plan(self.flavour, &owner, world, now, failure),
            None => Plan::quiet(),
        }
    }
}

/// Whole seconds as a delay; at least one.
fn seconds(count: i64) -> Duration {
    Duration::from_secs(u64::try_from(count).unwrap_or_default().max(1))
}

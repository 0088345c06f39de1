//! Garbage collection by owner references.
//!
//! Every object is looked at when it changes: one whose owners are all gone is deleted; one that waits with the
//! `orphan` or `foregroundDeletion` finalizer is let go once its dependents are cut loose, or gone. An owner counts only
//! when name *and* uid fit. References to kinds that nobody serves are left alone.
use super::feed::{Change, KindInfo};
use super::index::Parts;
use super::plan::{Action, Deletion, EventNote, Failure, ObjectRef, Patch, Plan, Propagation};
use super::runner::{Controller, Key};
use super::world::World;
use crate::protocol::meta::{ObjectKey, OwnerRef};
use crate::storage::entry::Entry;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";
const COMPONENT: &str = "garbage-collector-controller";

/// The kinds served, by group and kind.
#[derive(Debug, Default)]
pub struct Kinds {
    by_name: HashMap<(Arc<str>, Arc<str>), KindInfo>,
    by_shelf: HashMap<Arc<str>, (Arc<str>, Arc<str>)>,
}

impl Kinds {
    pub fn new(kinds: Vec<KindInfo>) -> Kinds {
        let mut all = Kinds::default();
        for info in kinds {
            let name = (info.group.clone(), info.kind.clone());
            all.by_shelf.insert(info.shelf.clone(), name.clone());
            all.by_name.insert(name, info);
        }
        all
    }

    fn of_owner(&self, owner: &OwnerRef) -> Option<&KindInfo> {
        let group = owner.api_version.rsplit_once('/').map_or("", |(group, _)| group);
        self.by_name.get(&(group.into(), owner.kind.clone()))
    }

    fn of_shelf(&self, shelf: &str) -> Option<&KindInfo> {
        self.by_name.get(self.by_shelf.get(shelf)?)
    }
}

/// What an owner reference points at.
enum Owner {
    /// It exists and keeps its dependents.
    Solid,
    /// It exists, and waits in foreground deletion for its dependents to go.
    Waiting,
    /// It does not exist.
    Absent,
    /// Nobody can say: the kind is unknown, or a cluster-scoped object names a namespaced owner.
    Unknown,
}

/// Decides about one object of the shelf `kind`.
pub fn plan(kind: &Arc<str>, entry: &Entry, kinds: &Kinds, world: &dyn World) -> Plan {
    let waits = |finalizer: &str| entry.meta.deleting.is_some() && entry.meta.finalizers.iter().any(|f| **f == *finalizer);
    if waits(ORPHAN) {
        return cut_loose(kind, entry, world);
    }
    let mut plan = Plan::quiet();
    if waits(FOREGROUND) {
        plan = delete_dependents(kind, entry, world);
    }
    if entry.meta.deleting.is_none() {
        judge(kind, entry, kinds, world, &mut plan);
    }
    plan
}

/// `orphan`: first strip the reference from every dependent; when none is left, drop the finalizer.
fn cut_loose(kind: &Arc<str>, entry: &Entry, world: &dyn World) -> Plan {
    let dependents = in_reach(entry, world);
    if dependents.is_empty() {
        return drop_finalizer(kind, entry, ORPHAN);
    }
    let why = format!("{kind} {}: orphaning {} dependents", entry.key, dependents.len());
    let uid = entry.meta.uid.clone();
    let actions = dependents.iter().map(|(kind, dependent)| strip_owners(kind, dependent, std::slice::from_ref(&uid))).collect();
    Plan { actions, requeue_after: None, why }
}

/// `foregroundDeletion`: delete the dependents, those that block their owner first; when none of those is left, drop the
/// finalizer.
fn delete_dependents(kind: &Arc<str>, entry: &Entry, world: &dyn World) -> Plan {
    let mut dependents = in_reach(entry, world);
    let blocks = |e: &Entry| e.meta.owners.iter().any(|o| o.uid == entry.meta.uid && o.block_owner_deletion);
    if !dependents.iter().any(|(_, e)| blocks(e)) {
        return drop_finalizer(kind, entry, FOREGROUND);
    }
    dependents.sort_by_key(|(_, e)| !blocks(e));
    // Each dependent judges itself when it sees its owner waiting; here only those that have no other reason to live.
    let doomed = dependents.iter().filter(|(_, e)| e.meta.deleting.is_none() && e.meta.owners.len() == 1);
    let actions: Vec<Action> = doomed.map(|(kind, e)| delete(kind, e, propagation_below(e, world))).collect();
    let why = if actions.is_empty() { String::new() } else { format!("{kind} {}: deleting {} dependents first", entry.key, actions.len()) };
    Plan { actions, requeue_after: None, why }
}

/// A dependent of an owner in foreground deletion is itself deleted in the foreground when it has dependents.
fn propagation_below(entry: &Entry, world: &dyn World) -> Propagation {
    match own_policy(entry) {
        Propagation::Background if !world.dependents(&entry.meta.uid).is_empty() => Propagation::Foreground,
        policy => policy,
    }
}

/// The policy that the object's own finalizers ask for.
fn own_policy(entry: &Entry) -> Propagation {
    let has = |finalizer: &str| entry.meta.finalizers.iter().any(|f| **f == *finalizer);
    if has(ORPHAN) {
        Propagation::Orphan
    } else if has(FOREGROUND) {
        Propagation::Foreground
    } else {
        Propagation::Background
    }
}

/// Deletes an object whose owners are gone, or strips the references to those that are.
fn judge(kind: &Arc<str>, entry: &Entry, kinds: &Kinds, world: &dyn World, plan: &mut Plan) {
    let mut gone: Vec<Arc<str>> = Vec::new();
    let mut waiting: Vec<Arc<str>> = Vec::new();
    let (mut solid, mut unknown) = (false, false);
    for owner in &entry.meta.owners {
        match state_of(owner, entry, kinds, world) {
            Owner::Solid => solid = true,
            Owner::Waiting => waiting.push(owner.uid.clone()),
            Owner::Absent => gone.push(owner.uid.clone()),
            Owner::Unknown => unknown = true,
        }
        plan.actions.extend(misplaced(kind, owner, entry, kinds, world));
    }
    if unknown || (gone.is_empty() && waiting.is_empty()) {
        return;
    }
    if solid {
        gone.append(&mut waiting);
        plan.why = format!("{kind} {}: dropping {} references to owners that are gone", entry.key, gone.len());
        plan.actions.push(strip_owners(kind, entry, &gone));
    } else {
        let policy = if waiting.is_empty() { own_policy(entry) } else { propagation_below(entry, world) };
        plan.why = format!("{kind} {}: no owner is left", entry.key);
        plan.actions.push(delete(kind, entry, policy));
    }
}

fn state_of(owner: &OwnerRef, entry: &Entry, kinds: &Kinds, world: &dyn World) -> Owner {
    let Some(info) = kinds.of_owner(owner) else { return Owner::Unknown };
    let namespace: Arc<str> = if info.namespaced { entry.key.namespace.clone() } else { "".into() };
    if info.namespaced && namespace.is_empty() {
        return Owner::Unknown;
    }
    match world.get(&info.shelf, &ObjectKey::new(namespace, owner.name.clone())) {
        Some(found) if found.meta.uid == owner.uid => {
            let waits = found.meta.deleting.is_some() && found.meta.finalizers.iter().any(|f| **f == *FOREGROUND);
            if waits { Owner::Waiting } else { Owner::Solid }
        }
        _ => Owner::Absent,
    }
}

/// The warning about an owner that lives in another namespace.
fn misplaced(kind: &Arc<str>, owner: &OwnerRef, entry: &Entry, kinds: &Kinds, world: &dyn World) -> Option<Action> {
    let (info, me) = (kinds.of_owner(owner)?, kinds.of_shelf(kind)?);
    let elsewhere = info.namespaced && world.namespace_of_uid(&owner.uid).is_some_and(|n| n != entry.key.namespace);
    if !elsewhere {
        return None;
    }
    let own = &entry.key.namespace;
    let message = format!(
        "ownerRef [{}/{}, namespace: {own}, name: {}, uid: {}] does not exist in namespace \"{own}\"",
        owner.api_version, owner.kind, owner.name, owner.uid
    );
    Some(Action::Event(EventNote {
        regarding: ObjectRef::to(&me.api_version(), &me.kind, entry),
        kind: "Warning",
        reason: "OwnerRefInvalidNamespace",
        message,
        component: COMPONENT,
    }))
}

/// Dependents that can have this owner at all: of a namespaced owner, only those in its namespace.
fn in_reach(entry: &Entry, world: &dyn World) -> Vec<(Arc<str>, Arc<Entry>)> {
    let mut all = world.dependents(&entry.meta.uid);
    all.retain(|(_, e)| entry.key.namespace.is_empty() || e.key.namespace == entry.key.namespace);
    all
}

fn drop_finalizer(kind: &Arc<str>, entry: &Entry, finalizer: &str) -> Plan {
    let rest: Vec<&str> = entry.meta.finalizers.iter().map(|f| &**f).filter(|f| *f != finalizer).collect();
    let patch = json!({"metadata": {"finalizers": if rest.is_empty() { Value::Null } else { json!(rest) }}});
    let why = format!("{kind} {}: no dependents hold it any more, removing {finalizer}", entry.key);
    Plan { actions: vec![patch_of(kind, entry, patch)], requeue_after: None, why }
}

fn strip_owners(kind: &Arc<str>, entry: &Entry, uids: &[Arc<str>]) -> Action {
    let mut owners = match entry.parse()["metadata"]["ownerReferences"].take() {
        Value::Array(owners) => owners,
        _ => Vec::new(),
    };
    owners.retain(|o| !uids.iter().any(|uid| o["uid"] == **uid));
    let owners = if owners.is_empty() { Value::Null } else { owners.into() };
    patch_of(kind, entry, json!({"metadata": {"ownerReferences": owners}}))
}

fn patch_of(kind: &Arc<str>, entry: &Entry, patch: Value) -> Action {
    Action::Patch(Patch {
        kind: kind.clone(),
        key: entry.key.clone(),
        uid: Some(entry.meta.uid.clone()),
        subresource: None,
        patch,
        expect_revision: Some(entry.revision),
    })
}

fn delete(kind: &Arc<str>, entry: &Entry, propagation: Propagation) -> Action {
    let (key, uid) = (entry.key.clone(), entry.meta.uid.clone());
    Action::Delete(Deletion { kind: kind.clone(), key, uid, propagation, grace: None, report: None })
}

/// The controller around [`plan`].
#[derive(Default)]
pub struct Garbage {
    kinds: Kinds,
}

impl Controller for Garbage {
    fn name(&self) -> &'static str {
        "garbage"
    }

    fn parts(&self) -> Parts {
        Parts { owners: true, uids: true, ..Parts::default() }
    }

    fn watches(&self, kind: &str) -> bool {
        kind != "events" && kind != "events.events.k8s.io"
    }

    fn kinds_changed(&mut self, kinds: Vec<KindInfo>) {
        self.kinds = Kinds::new(kinds);
    }

    fn keys(&self, change: &Change, before: Option<&Entry>, world: &dyn World, out: &mut Vec<Key>) {
        let entry = &change.entry;
        if !change.deleted && (!entry.meta.owners.is_empty() || entry.meta.deleting.is_some()) {
            out.push(Key::of(&change.kind, &entry.key));
        }
        // What is gone, or waits for its dependents, concerns those. While it merely ends they need not look.
        if change.deleted || entry.meta.finalizers.iter().any(|f| **f == *FOREGROUND) {
            out.extend(world.dependents(&entry.meta.uid).iter().map(|(kind, e)| Key::of(kind, &e.key)));
        }
        // An owner that waits may go once this one is gone or cut loose.
        let left = before.into_iter().chain(change.deleted.then_some(&**entry)).flat_map(|e| e.meta.owners.iter());
        for owner in left {
            let Some(info) = self.kinds.of_owner(owner) else { continue };
            let namespace: Arc<str> = if info.namespaced { entry.key.namespace.clone() } else { "".into() };
            let key = ObjectKey::new(namespace, owner.name.clone());
            if world.get(&info.shelf, &key).is_some_and(|o| o.meta.deleting.is_some()) {
                out.push(Key { kind: info.shelf.clone(), object: key });
            }
        }
    }

    fn plan(&mut self, key: &Key, world: &dyn World, _now: Timestamp, _failure: Option<&Failure>) -> Plan {
        match world.get(&key.kind, &key.object) {
            Some(entry) => plan(&key.kind, &entry, &self.kinds, world),
            None => Plan::quiet(),
        }
    }
}

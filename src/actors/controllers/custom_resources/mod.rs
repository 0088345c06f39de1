//! CustomResourceDefinitions come to life: names are accepted, kinds registered, instances cleaned up.
//!
//! The decisions are [`decide`]'s, which is pure. Registering a kind is no write of an object, so it is no [`Action`]: the controller
//! does it between deciding and the status that tells of it, so that whoever reads `Established` finds the kind served.
mod decide;
mod registry;
#[cfg(test)]
mod tests;

pub use decide::{Names, Verdict, decide};
pub use registry::{KindRegistry, Register, register_stored};

use super::feed::Change;
use super::index::Parts;
use super::plan::{Action, Deletion, Failure, Patch, Plan, Propagation};
use super::runner::{Controller, Key};
use super::world::World;
use crate::actors::kinds::apiextensions::SHELF;
use crate::protocol::meta::ObjectKey;
use crate::storage::Entry;
use jiff::Timestamp;
use serde_json::Value;
use std::sync::Arc;

/// The controller around [`decide`].
pub struct CustomResources<R> {
    pub register: R,
}

impl<R: Register> Controller for CustomResources<R> {
    fn name(&self) -> &'static str {
        "customresources"
    }

    fn parts(&self) -> Parts {
        Parts::default()
    }

    /// The definitions, and what they define: the last instance to leave lets its definition go.
    fn watches(&self, kind: &str) -> bool {
        kind == SHELF || self.register.is_custom(kind)
    }

    fn keys(&self, change: &Change, _before: Option<&Entry>, world: &dyn World, out: &mut Vec<Key>) {
        if &*change.kind != SHELF {
            // A definition is named as its shelf is.
            let key = ObjectKey::new("", change.kind.clone());
            if world.get(SHELF, &key).is_some_and(|crd| crd.meta.deleting.is_some()) {
                out.push(Key { kind: SHELF.into(), object: key });
            }
            return;
        }
        out.push(Key::of(SHELF, &change.entry.key));
        // Names that become free may be what another definition of the group waits for.
        let group = group_of(&change.entry.key.name);
        let others = world.list(SHELF, None).into_iter().filter(|e| group_of(&e.key.name) == group && e.key != change.entry.key);
        out.extend(others.filter(waits_for_names).map(|e| Key::of(SHELF, &e.key)));
    }

    fn plan(&mut self, key: &Key, world: &dyn World, now: Timestamp, _failure: Option<&Failure>) -> Plan {
        let Some(entry) = world.get(SHELF, &key.object) else {
            self.register.withdraw(&key.object.name);
            return Plan::quiet();
        };
        let crd = entry.parse();
        let instances = if entry.meta.deleting.is_some() { world.list(&key.object.name, None) } else { Vec::new() };
        let taken = taken_names(world, &entry);
        let verdict = decide(&crd, &taken, instances.len(), now);
        if verdict.serve {
            if let Err(why) = self.register.serve(&verdict.crd) {
                tracing::error!(definition = %key.object.name, %why, "a definition could not be brought to life");
            }
        } else {
            self.register.withdraw(&key.object.name);
        }
        let mut plan = Plan::quiet();
        plan.why = verdict.why;
        let doomed = instances.iter().filter(|e| verdict.delete_instances && e.meta.deleting.is_none());
        plan.actions.extend(doomed.map(|e| {
            let (object, uid) = (e.key.clone(), e.meta.uid.clone());
            let propagation = Propagation::Background;
            Action::Delete(Deletion { kind: key.object.name.clone(), key: object, uid, propagation, grace: None, report: None })
        }));
        plan.actions.extend(verdict.status.map(|patch| write(&entry, Some("status"), patch)));
        plan.actions.extend(verdict.metadata.map(|patch| write(&entry, None, patch)));
        plan
    }
}

fn write(entry: &Entry, subresource: Option<&'static str>, patch: Value) -> Action {
    Action::Patch(Patch {
        kind: SHELF.into(),
        key: entry.key.clone(),
        uid: Some(entry.meta.uid.clone()),
        subresource,
        patch,
        expect_revision: None,
    })
}

fn group_of(name: &str) -> &str {
    name.split_once('.').map_or("", |(_, group)| group)
}

fn waits_for_names(entry: &Arc<Entry>) -> bool {
    !crate::actors::kinds::apiextensions::conditions::is_true(&entry.parse(), "NamesAccepted")
}

/// What other definitions of the group have accepted.
fn taken_names(world: &dyn World, me: &Entry) -> Names {
    let mut taken = Names::default();
    let group = group_of(&me.key.name);
    for other in world.list(SHELF, None).iter().filter(|e| group_of(&e.key.name) == group && e.key != me.key) {
        taken.take(&other.parse()["status"]["acceptedNames"]);
    }
    taken
}

//! Counts for quotas: when one appears or its limits change, and now and then in case a count went wrong. In between, writes
//! keep the books themselves (see [`crate::actors::admission::quota`]).
use super::feed::Change;
use super::index::Parts;
use super::plan::{Action, Failure, Patch, Plan};
use super::runner::{Controller, Key};
use super::world::World;
use crate::actors::admission::quota::{self, Amounts};
use crate::storage::entry::Entry;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

#[cfg(test)]
mod tests;

const QUOTAS: &str = "resourcequotas";
/// How often everything is counted anew, as upstream does.
const RESYNC: Duration = Duration::from_secs(300);
/// A young quota is counted once more soon: a write may have been on its way that did not see it yet.
const SECOND_LOOK: Duration = Duration::from_secs(10);

/// Decides about one quota: the status that it should have.
pub fn plan(entry: &Entry, world: &dyn World, now: Timestamp) -> Plan {
    let mut plan = Plan::quiet();
    if entry.meta.deleting.is_some() {
        return plan;
    }
    let young = now.as_second().saturating_sub(entry.meta.created) < 10;
    plan.requeue(if young { SECOND_LOOK } else { RESYNC });
    // The quota was read before its objects: a write in between makes the patch below fail, and the count starts over.
    let object = entry.parse();
    let hard = quota::amounts(&object["spec"]["hard"]);
    let used = count(entry, &object, &hard, world);
    let (held_hard, held_used) = (quota::amounts(&object["status"]["hard"]), quota::amounts(&object["status"]["used"]));
    if held_hard == hard && same(&held_used, &used) {
        return plan;
    }
    plan.why = format!("resource quota {}: used is {}", entry.key, quota::printed(&used));
    plan.actions.push(Action::Patch(Patch {
        kind: QUOTAS.into(),
        key: entry.key.clone(),
        uid: Some(entry.meta.uid.clone()),
        subresource: Some("status"),
        patch: json!({ "status": replaced(&object["status"], &quota::status_of(&hard, &used)) }),
        expect_revision: Some(entry.revision),
    }));
    plan
}

fn same(a: &Amounts, b: &Amounts) -> bool {
    a.len() == b.len() && a.iter().all(|(name, quantity)| b.get(name).is_some_and(|other| other.compare(quantity).is_eq()))
}

/// What the objects of the namespace use.
fn count(entry: &Entry, object: &Value, hard: &Amounts, world: &dyn World) -> Amounts {
    let selectors = quota::selectors(object);
    let mut total: Amounts = hard.iter().map(|(name, quantity)| (name.clone(), quantity.sub(quantity))).collect();
    for (plural, group) in quota::shelves_of(hard.keys().map(String::as_str)) {
        let shelf = if group.is_empty() { plural.clone() } else { format!("{plural}.{group}") };
        for held in world.list(&shelf, Some(&entry.key.namespace)) {
            let item = held.parse();
            if quota::matches(&selectors, &group, &plural, &item) {
                let mut used = quota::usage(&group, &plural, &item);
                used.retain(|name, _| hard.contains_key(name) && quota::concerns(&group, &plural, name));
                total = quota::add(&total, &used);
            }
        }
    }
    total
}

/// A merge patch that leaves no member of the old status over.
fn replaced(old: &Value, new: &Value) -> Value {
    let mut patch = new.clone();
    for field in ["hard", "used"] {
        for (name, _) in old[field].as_object().into_iter().flatten() {
            if new[field].get(name).is_none() {
                patch[field][name] = Value::Null;
            }
        }
    }
    patch
}

/// The controller around [`plan`].
#[derive(Default)]
pub struct ResourceQuotas {
    /// Quotas that were counted for once: charges to them need no count.
    seen: RefCell<HashSet<Arc<str>>>,
}

impl Controller for ResourceQuotas {
    fn name(&self) -> &'static str {
        "resourcequota"
    }

    fn parts(&self) -> Parts {
        Parts::default()
    }

    fn watches(&self, kind: &str) -> bool {
        kind == QUOTAS
    }

    fn keys(&self, change: &Change, _before: Option<&Entry>, _world: &dyn World, out: &mut Vec<Key>) {
        let entry = &change.entry;
        if change.deleted {
            self.seen.borrow_mut().remove(&entry.meta.uid);
            return;
        }
        let first = self.seen.borrow_mut().insert(entry.meta.uid.clone());
        if first || !counted(&entry.parse()) {
            out.push(Key::of(QUOTAS, &entry.key));
        }
    }

    fn plan(&mut self, key: &Key, world: &dyn World, now: Timestamp, _failure: Option<&Failure>) -> Plan {
        world.get(&key.kind, &key.object).map_or_else(Plan::quiet, |entry| plan(&entry, world, now))
    }
}

/// Whether the status is about the limits that the quota has now.
fn counted(object: &Value) -> bool {
    let hard = quota::amounts(&object["spec"]["hard"]);
    let used = quota::amounts(&object["status"]["used"]);
    quota::amounts(&object["status"]["hard"]) == hard && hard.keys().all(|name| used.contains_key(name))
}

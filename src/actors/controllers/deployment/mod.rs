//! Deployments: one replica set per pod template, and a gradual change from one to the next.
//!
//! A run claims the replica sets, finds or makes the one of the current template, moves replicas between them as the
//! strategy allows, and writes the status that the replica sets' own statuses justify. Whether old pods are really gone
//! (for `Recreate`) is read there too, so pods need not be followed.
mod conditions;
mod rollout;
mod scaling;
mod sets;
mod status;
#[cfg(test)]
mod tests;

use super::feed::Change;
use super::index::Parts;
use super::owned::Family;
use super::plan::{Action, Failure, Patch, Plan};
use super::runner::{Controller, Key};
use super::world::World;
use crate::storage::entry::Entry;
use jiff::Timestamp;
use rollout::Rollout;
use serde_json::{Map, Value};
use std::sync::Arc;

const FAMILY: Family = Family { shelf: "deployments.apps", kind: "Deployment", component: "deployment-controller" };
const SETS: &str = "replicasets.apps";

/// Decides about one Deployment. `failure` is how the previous run ended, if badly.
pub fn plan(entry: &Arc<Entry>, world: &dyn World, now: Timestamp, failure: Option<&Failure>) -> Plan {
    let mut plan = Plan::quiet();
    let object = entry.parse();
    let claimed = FAMILY.claim(entry, SETS, world, |_| true, &mut plan);
    let mut rollout = Rollout::new(entry, &object, claimed, now);
    if entry.meta.deleting.is_some() {
        rollout.find_new();
        status::finish(&rollout, status::calculate(&rollout), &mut plan);
        return plan;
    }
    rollout.note_pause();
    let paused = rollout.paused();
    rollout.sync_revisions();
    if paused || (rollout.resized() && !rollout.recreates()) {
        rollout.scale();
        if paused {
            rollout.clean_up(&mut plan);
        }
        let status = status::calculate(&rollout);
        return carried(rollout, status, plan);
    }
    if rollout.recreates() {
        recreate(&mut rollout, world, failure, &mut plan);
    } else {
        roll(&mut rollout, world, failure, &mut plan);
    }
    let mut status = status::calculate(&rollout);
    status::judge_progress(&rollout, &mut status, &mut plan);
    carried(rollout, status, plan)
}

/// One step of a rolling update: the new set grows, else the old ones shrink, else it is done.
fn roll(rollout: &mut Rollout<'_>, world: &dyn World, failure: Option<&Failure>, plan: &mut Plan) {
    if rollout.ensure_new(world, failure, plan) || rollout.grow_new() || rollout.shrink_old() {
        return;
    }
    if status::complete(rollout, &rollout.object["status"]) {
        rollout.clean_up(plan);
    }
}

/// One step of a recreation: the old sets go to nothing, and only then the new one is made.
fn recreate(rollout: &mut Rollout<'_>, world: &dyn World, failure: Option<&Failure>, plan: &mut Plan) {
    if rollout.empty_old() || rollout.old_pods_run() || rollout.ensure_new(world, failure, plan) {
        return;
    }
    rollout.fill_new();
    if status::complete(rollout, &rollout.object["status"]) {
        rollout.clean_up(plan);
    }
}

/// The plan with what the rollout decided, and the status last.
fn carried(rollout: Rollout<'_>, status: Map<String, Value>, mut plan: Plan) -> Plan {
    for set in &rollout.sets {
        let (Some(entry), Some(patch)) = (&set.entry, set.patch()) else { continue };
        if rollout.notes.is_empty() {
            plan.because(FAMILY.subject(rollout.entry), format_args!("replica set {} is brought up to date", set.name()));
        }
        plan.actions.push(Action::Patch(Patch {
            kind: SETS.into(),
            key: entry.key.clone(),
            uid: Some(entry.meta.uid.clone()),
            subresource: None,
            patch,
            expect_revision: None,
        }));
    }
    if let Some(first) = rollout.notes.first() {
        plan.because(FAMILY.subject(rollout.entry), first);
    }
    for message in &rollout.notes {
        plan.actions.push(FAMILY.event(rollout.entry, "Normal", "ScalingReplicaSet", message.clone()));
    }
    status::finish(&rollout, status, &mut plan);
    plan
}

/// The controller around [`plan`].
pub struct Deployments;

impl Controller for Deployments {
    fn name(&self) -> &'static str {
        "deployment"
    }

    fn parts(&self) -> Parts {
        Parts { owners: true, orphans: &[SETS], ..Parts::default() }
    }

    fn watches(&self, kind: &str) -> bool {
        kind == FAMILY.shelf || kind == SETS
    }

    fn keys(&self, change: &Change, before: Option<&Entry>, world: &dyn World, out: &mut Vec<Key>) {
        FAMILY.keys(change, before, world, out);
    }

    fn plan(&mut self, key: &Key, world: &dyn World, now: Timestamp, failure: Option<&Failure>) -> Plan {
        match world.get(&key.kind, &key.object) {
            Some(entry) => plan(&entry, world, now, failure),
            None => Plan::quiet(),
        }
    }
}

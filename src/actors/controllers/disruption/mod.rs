//! PodDisruptionBudgets: how many of their pods may be taken away right now.
//!
//! The eviction subresource takes from `status.disruptionsAllowed` and notes the pod in `disruptedPods`; here the pods are counted
//! and the note is dropped when the pod has gone, or has not after two minutes. The mark on the pod itself goes the same way.
mod expected;
mod stale;

#[cfg(test)]
mod tests;

use super::difference::{set_condition, status_patch};
use super::feed::Change;
use super::index::Parts;
use super::plan::{Action, EventNote, Failure, ObjectRef, Plan};
use super::runner::{Controller, Key};
use super::world::World;
use crate::protocol::light::Light;
use crate::protocol::selector::LabelSelector;
use crate::protocol::time::{parse_seconds, rfc3339};
use crate::storage::entry::Entry;
pub use expected::Scales;
use expected::{Wish, wish};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

pub const BUDGETS: &str = "poddisruptionbudgets.policy";
/// How long an evicted pod is counted as gone before it is, seconds.
const DELETION_TIMEOUT: i64 = 120;

/// Decides about one budget.
pub fn plan(budget: &Arc<Entry>, world: &dyn World, scales: &dyn Scales, now: Timestamp) -> Plan {
    let object = budget.parse();
    let mut plan = Plan::quiet();
    if budget.meta.deleting.is_some() {
        return plan;
    }
    let Some(selector) = selector(&object) else { return plan };
    let mut pods = world.list("pods", Some(&budget.key.namespace));
    pods.retain(|pod| selector.matches(&pod.meta.labels));
    let mut notes = Vec::new();
    if pods.is_empty() {
        notes.push(event(budget, "Normal", "NoPods", "No matching pods found".into()));
    }
    let old = &object["status"];
    let mut status = if old.is_object() { old.clone() } else { json!({}) };
    let (disrupted, recheck) = disrupted(&old["disruptedPods"], &pods, now.as_second());
    if let Some(seconds) = recheck {
        plan.requeue(Duration::from_secs(seconds));
    }
    let time = rfc3339(now);
    match wish(&object["spec"], &pods, world, scales) {
        Ok(wish) => {
            if wish.unmanaged > 0 {
                let text = format!(
                    "Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be unmanaged. As a result, the \
                     status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these \
                     pods please set \".spec.minAvailable\" field of the PDB to an integer value."
                );
                notes.push(event(budget, "Warning", "UnmanagedPods", text));
            }
            count(&mut status, budget, &wish, &pods, disrupted, &time);
        }
        Err(why) => {
            let text = format!("Failed to calculate the number of expected pods: {why}");
            notes.push(event(budget, "Warning", "CalculateExpectedPodCountFailed", text));
            status["disruptionsAllowed"] = 0.into();
            status["observedGeneration"] = budget.meta.generation.into();
            let condition = condition(budget, "False", "SyncFailed", &why);
            set_condition(&mut status, condition, &time);
        }
    }
    if let Some(write) = status_patch(BUDGETS, budget, old, &status) {
        plan.why = format!("PodDisruptionBudget {}: {} disruptions allowed", budget.key, status["disruptionsAllowed"]);
        plan.actions.push(write);
        plan.actions.extend(notes);
    }
    plan
}

/// The selector of a budget: none selects nothing, an empty one everything.
fn selector(object: &Value) -> Option<LabelSelector> {
    let selector = &object["spec"]["selector"];
    if selector.is_null() { Some(LabelSelector::nothing()) } else { LabelSelector::from_object(selector).ok() }
}

fn count(status: &mut Value, budget: &Entry, wish: &Wish, pods: &[Arc<Entry>], disrupted: Map<String, Value>, time: &str) {
    let healthy = |pod: &&Arc<Entry>| {
        let ready = matches!(&pod.light, Light::Pod(light) if light.ready);
        ready && pod.meta.deleting.is_none() && !disrupted.contains_key(&*pod.key.name)
    };
    let current = i64::try_from(pods.iter().filter(healthy).count()).unwrap_or(i64::MAX);
    let allowed = if wish.expected <= 0 { 0 } else { (current - wish.desired).max(0) };
    status["currentHealthy"] = current.into();
    status["desiredHealthy"] = wish.desired.into();
    status["expectedPods"] = wish.expected.into();
    status["disruptionsAllowed"] = allowed.into();
    status["observedGeneration"] = budget.meta.generation.into();
    status["disruptedPods"] = if disrupted.is_empty() { Value::Null } else { disrupted.into() };
    let (truth, reason) = if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let condition = condition(budget, truth, reason, "");
    set_condition(status, condition, time);
}

fn condition(budget: &Entry, truth: &str, reason: &str, message: &str) -> Value {
    json!({
        "type": "DisruptionAllowed", "status": truth, "reason": reason, "message": message, "observedGeneration": budget.meta.generation,
    })
}

/// Those of the evicted pods that still have to go, and when to look again, seconds.
fn disrupted(noted: &Value, pods: &[Arc<Entry>], now: i64) -> (Map<String, Value>, Option<u64>) {
    let mut kept = Map::new();
    let mut recheck: Option<u64> = None;
    for pod in pods.iter().filter(|p| p.meta.deleting.is_none()) {
        let Some(since) = noted[&*pod.key.name].as_str() else { continue };
        // A clock that was set back does not keep the note for longer.
        let left = (parse_seconds(since).unwrap_or(now) + DELETION_TIMEOUT - now).min(DELETION_TIMEOUT);
        if let Ok(left @ 1..) = u64::try_from(left) {
            kept.insert(pod.key.name.to_string(), since.into());
            recheck = Some(recheck.map_or(left, |r| r.min(left)));
        }
    }
    (kept, recheck)
}

fn event(budget: &Entry, kind: &'static str, reason: &'static str, message: String) -> Action {
    let regarding = ObjectRef::to("policy/v1", "PodDisruptionBudget", budget);
    Action::Event(EventNote { regarding, kind, reason, message, component: "controllermanager" })
}

/// The controller around [`plan`]; it also looks after pods that were marked to go and did not.
pub struct Disruption {
    scales: Box<dyn Scales>,
}

impl Disruption {
    pub fn new(scales: Box<dyn Scales>) -> Self {
        Disruption { scales }
    }
}

impl Controller for Disruption {
    fn name(&self) -> &'static str {
        "disruption"
    }

    fn parts(&self) -> Parts {
        // Every pod is filed, so that the labels that it had are known.
        Parts { owners: true, orphans: &["pods"], ..Parts::default() }
    }

    fn watches(&self, kind: &str) -> bool {
        matches!(kind, "pods" | BUDGETS)
    }

    fn keys(&self, change: &Change, before: Option<&Entry>, world: &dyn World, out: &mut Vec<Key>) {
        if &*change.kind == BUDGETS {
            out.push(Key::of(BUDGETS, &change.entry.key));
            return;
        }
        if !change.deleted && stale::marked(&change.entry) {
            out.push(Key::of("pods", &change.entry.key));
        }
        for budget in world.list(BUDGETS, Some(&change.entry.key.namespace)) {
            let Some(selector) = selector(&budget.parse()) else { continue };
            if [before, Some(&*change.entry)].into_iter().flatten().any(|pod| selector.matches(&pod.meta.labels)) {
                out.push(Key::of(BUDGETS, &budget.key));
            }
        }
    }

    fn plan(&mut self, key: &Key, world: &dyn World, now: Timestamp, _failure: Option<&Failure>) -> Plan {
        match world.get(&key.kind, &key.object) {
            Some(entry) if &*key.kind == BUDGETS => plan(&entry, world, &*self.scales, now),
            Some(pod) => stale::plan(&pod, now),
            None => Plan::quiet(),
        }
    }
}

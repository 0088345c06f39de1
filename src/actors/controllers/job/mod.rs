//! Jobs: pods that run until enough of them have succeeded, or too many have failed.
mod facts;
mod indexes;
mod manage;
mod outcome;
mod policies;
mod tracking;

#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;

use super::difference::{set_condition, status_patch};
use super::feed::Change;
use super::index::Parts;
use super::labels::LabelSelector;
use super::plan::{Action, Deletion, EventNote, Failure, ObjectRef, Patch, Plan, Propagation};
use super::runner::{Controller, Key};
use super::world::World;
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use crate::protocol::time::rfc3339;
use crate::storage::entry::Entry;
use facts::{FINALIZER, Facts, Pod, is_tracked};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

pub const JOBS: &str = "jobs.batch";

/// Decides about one job.
pub fn plan(job: &Arc<Entry>, world: &dyn World, now: Timestamp) -> Plan {
    let object = job.parse();
    let ours = matches!(object["spec"]["managedBy"].as_str(), None | Some("kubernetes.io/job-controller"));
    if outcome::finished(&object["status"]) || !ours {
        return expire(job, &object, now);
    }
    let mut plan = Plan::quiet();
    let pods = claim(job, world, &mut plan);
    let facts = Facts { entry: job, object, pods, now: now.as_second() };
    let tally = tracking::tally(&facts);
    let mut target = outcome::target(&facts, &tally, &mut plan);
    if let Some(target) = &target {
        plan.why = format!("Job {}: {}", job.key, target.message);
        plan.actions.extend(facts.pods.iter().filter(|p| p.active()).map(|p| manage::stop(&facts, p)));
    } else if job.meta.deleting.is_none() {
        manage::pods(&facts, &tally, &mut plan);
        target = outcome::complete(&facts, &tally);
        if let Some(target) = &target {
            plan.because(format_args!("Job {}", job.key), &target.message);
        }
    }
    report(&facts, &tally, target.as_ref(), now, &mut plan);
    plan
}

/// The status, with everything that goes with it.
fn report(facts: &Facts<'_>, tally: &tracking::Tally, target: Option<&outcome::Target>, now: Timestamp, plan: &mut Plan) {
    let old = facts.status().clone();
    let mut status = if old.is_object() { old.clone() } else { json!({}) };
    let count = |test: &dyn Fn(&Pod) -> bool| i64::try_from(facts.pods.iter().filter(|p| test(p)).count()).unwrap_or(i64::MAX);
    let (active, terminating) = (count(&Pod::active), count(&Pod::terminating));
    tracking::set(&mut status, "active", active);
    status["terminating"] = terminating.into();
    status["ready"] = count(&|p| p.active() && p.light.ready).into();
    let time = rfc3339(now);
    let mut events = Vec::new();
    suspension(facts, target, &time, &mut status, &mut events);
    tracking::advance(facts, tally, target.map(|t| t.failed), &mut status, &mut plan.actions);
    if let Some(target) = target {
        if facts.condition(if target.failed { "FailureTarget" } else { "SuccessCriteriaMet" }).is_none() {
            set_condition(&mut status, target.interim(), &time);
        } else if active + terminating == 0 && !facts.pods.iter().any(Pod::tracked) && status["uncountedTerminatedPods"] == json!({}) {
            if status["startTime"].is_null() {
                status["startTime"] = time.clone().into();
            }
            end(facts, target, &time, &mut status, &mut events);
        }
    }
    let write = status_patch(JOBS, facts.entry, &old, &status);
    if plan.why.is_empty() && !(write.is_none() && plan.actions.is_empty()) {
        plan.why = format!("Job {}: {} succeeded, {} failed, {active} active", facts.entry.key, tally.succeeded, tally.failed);
    }
    if let Some(write) = write {
        plan.actions.push(write);
        plan.actions.extend(events);
    }
}

fn suspension(facts: &Facts<'_>, target: Option<&outcome::Target>, time: &str, status: &mut Value, events: &mut Vec<Action>) {
    let was = facts.condition("Suspended").is_some();
    if target.is_some() || facts.entry.meta.deleting.is_some() {
        return;
    }
    if facts.suspended() {
        status["startTime"] = Value::Null;
        let told = json!({"type": "Suspended", "status": "True", "reason": "JobSuspended", "message": "Job suspended"});
        if !was {
            set_condition(status, told, time);
            events.push(event(facts, "Normal", "Suspended", "Job suspended".into()));
        }
        return;
    }
    if was {
        let told = json!({"type": "Suspended", "status": "False", "reason": "JobResumed", "message": "Job resumed"});
        set_condition(status, told, time);
        events.push(event(facts, "Normal", "Resumed", "Job resumed".into()));
    }
    if status["startTime"].is_null() {
        status["startTime"] = time.into();
    }
}

fn end(facts: &Facts<'_>, target: &outcome::Target, time: &str, status: &mut Value, events: &mut Vec<Action>) {
    set_condition(status, target.terminal(), time);
    if target.failed {
        let reason = match target.reason.as_str() {
            "BackoffLimitExceeded" => "BackoffLimitExceeded",
            "DeadlineExceeded" => "DeadlineExceeded",
            "PodFailurePolicy" => "PodFailurePolicy",
            "FailedIndexes" => "FailedIndexes",
            "MaxFailedIndexesExceeded" => "MaxFailedIndexesExceeded",
            _ => "Failed",
        };
        events.push(event(facts, "Warning", reason, target.message.clone()));
        return;
    }
    status["completionTime"] = time.into();
    if facts.completions().is_some_and(|wanted| status["succeeded"].as_i64().unwrap_or_default() > wanted) {
        let message = "Too many succeeded pods running after completion count reached";
        events.push(event(facts, "Warning", "TooManySucceeded", message.into()));
    }
    events.push(event(facts, "Normal", "Completed", "Job completed".into()));
}

fn event(facts: &Facts<'_>, kind: &'static str, reason: &'static str, message: String) -> Action {
    let regarding = ObjectRef::to("batch/v1", "Job", facts.entry);
    Action::Event(EventNote { regarding, kind, reason, message, component: "job-controller" })
}

/// A job that is over goes when its time to live has passed.
fn expire(job: &Arc<Entry>, object: &Value, now: Timestamp) -> Plan {
    let ttl = object["spec"]["ttlSecondsAfterFinished"].as_i64();
    let (Some(ttl), Some(end), None) = (ttl, outcome::finished_at(&object["status"]), job.meta.deleting) else { return Plan::quiet() };
    let left = end.saturating_add(ttl).saturating_sub(now.as_second());
    if let Ok(left @ 1..) = u64::try_from(left) {
        return Plan { requeue_after: Some(Duration::from_secs(left)), ..Plan::quiet() };
    }
    let (key, uid) = (job.key.clone(), job.meta.uid.clone());
    let gone = Deletion { kind: JOBS.into(), key, uid, propagation: Propagation::Foreground, grace: None, report: None };
    Plan { actions: vec![Action::Delete(gone)], requeue_after: None, why: format!("Job {}: over for more than {ttl} s", job.key) }
}

/// The job's pods: those it owns and selects, and orphans that it may adopt. Those that it no longer selects are let go.
fn claim(job: &Arc<Entry>, world: &dyn World, plan: &mut Plan) -> Vec<Pod> {
    let Light::Workload(light) = &job.light else { return Vec::new() };
    let selector = LabelSelector::parse(&light.selector);
    let selects = |pod: &Entry| selector.as_ref().is_some_and(|s| s.matches(&pod.meta));
    let mut owned = world.owned_by("pods", &job.meta.uid);
    owned.retain(|pod| pod.meta.controller().is_some_and(|c| c.uid == job.meta.uid));
    let (mine, strangers): (Vec<_>, Vec<_>) = owned.into_iter().partition(|pod| selects(pod));
    let mut pods: Vec<Pod> = mine.into_iter().filter_map(Pod::of).collect();
    if job.meta.deleting.is_some() {
        pods.extend(strangers.into_iter().filter_map(Pod::of));
        return pods;
    }
    for pod in strangers {
        plan.because(format_args!("Job {}", job.key), format_args!("releases {}", pod.key.name));
        plan.actions.push(ownership(&pod, owners(&pod, job, false), tracking::other_finalizers(&pod)));
    }
    for pod in world.orphans("pods", &job.key.namespace) {
        // One that has ended may have been counted in another life.
        let alive = Pod::of(pod.clone()).is_some_and(|p| p.active());
        if alive && selects(&pod) {
            let mut finalizers: Vec<&str> = pod.meta.finalizers.iter().map(|f| &**f).filter(|f| *f != FINALIZER).collect();
            finalizers.push(FINALIZER);
            plan.because(format_args!("Job {}", job.key), format_args!("adopts {}", pod.key.name));
            plan.actions.push(ownership(&pod, owners(&pod, job, true), json!(finalizers)));
            pods.extend(Pod::of(pod.clone()));
        }
    }
    pods
}

fn owners(pod: &Entry, job: &Entry, adopt: bool) -> Value {
    let mut owners = pod.parse()["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
    owners.retain(|o| o["uid"] != *job.meta.uid);
    if adopt {
        owners.push(manage::owner_reference(job));
    }
    if owners.is_empty() { Value::Null } else { owners.into() }
}

fn ownership(pod: &Entry, owners: Value, finalizers: Value) -> Action {
    Action::Patch(Patch {
        kind: "pods".into(),
        key: pod.key.clone(),
        uid: Some(pod.meta.uid.clone()),
        subresource: None,
        patch: json!({"metadata": {"ownerReferences": owners, "finalizers": finalizers}}),
        expect_revision: Some(pod.revision),
    })
}

/// The job that a pod belongs to, by its reference.
fn job_of(pod: &Entry) -> Option<ObjectKey> {
    let owner = pod.meta.controller().filter(|o| &*o.kind == "Job" && o.api_version.starts_with("batch/"))?;
    Some(ObjectKey::new(pod.key.namespace.clone(), owner.name.clone()))
}

/// A pod that still waits to be counted although nobody will: its job is gone, or over.
fn abandoned(pod: &Entry, world: &dyn World) -> bool {
    let Some(owner) = pod.meta.controller() else { return is_tracked(pod) };
    let Some(key) = job_of(pod) else { return is_tracked(pod) };
    let job = world.get(JOBS, &key).filter(|job| job.meta.uid == owner.uid);
    is_tracked(pod) && job.is_none_or(|job| outcome::finished(&job.parse()["status"]))
}

/// The controller around [`plan`].
pub struct Jobs;

impl Controller for Jobs {
    fn name(&self) -> &'static str {
        "job"
    }

    fn parts(&self) -> Parts {
        Parts { owners: true, orphans: &["pods"], ..Parts::default() }
    }

    fn watches(&self, kind: &str) -> bool {
        matches!(kind, "pods" | JOBS)
    }

    fn keys(&self, change: &Change, before: Option<&Entry>, world: &dyn World, out: &mut Vec<Key>) {
        let entry = &change.entry;
        if &*change.kind == JOBS {
            out.push(Key::of(JOBS, &entry.key));
            if change.deleted {
                let left = world.owned_by("pods", &entry.meta.uid);
                out.extend(left.iter().filter(|pod| is_tracked(pod)).map(|pod| Key::of("pods", &pod.key)));
            }
            return;
        }
        for job in [before, Some(&**entry)].into_iter().flatten().filter_map(job_of) {
            let key = Key { kind: JOBS.into(), object: job };
            if !out.contains(&key) {
                out.push(key);
            }
        }
        if change.deleted {
            return;
        }
        if is_tracked(entry) && abandoned(entry, world) {
            out.push(Key::of("pods", &entry.key));
        }
        if entry.meta.controller().is_none() {
            for job in world.list(JOBS, Some(&entry.key.namespace)) {
                let Light::Workload(light) = &job.light else { continue };
                if LabelSelector::parse(&light.selector).is_some_and(|s| s.matches(&entry.meta)) {
                    out.push(Key::of(JOBS, &job.key));
                }
            }
        }
    }

    fn plan(&mut self, key: &Key, world: &dyn World, now: Timestamp, _failure: Option<&Failure>) -> Plan {
        let Some(entry) = world.get(&key.kind, &key.object) else { return Plan::quiet() };
        if &*key.kind == JOBS {
            return plan(&entry, world, now);
        }
        match abandoned(&entry, world).then(|| Pod::of(entry.clone())).flatten() {
            Some(pod) => {
                let why = format!("pod {}: its job is gone, nobody counts it", entry.key);
                Plan { actions: vec![tracking::release(&pod)], requeue_after: None, why }
            }
            None => Plan::quiet(),
        }
    }
}

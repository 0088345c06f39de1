//! CronJobs: a job whenever the schedule says so.
//!
//! The name of a job says which time it is for, and the job carries that time: a crash between the job and the cron job's status
//! starts nothing twice, nor does a clock that goes back.
mod times;

#[cfg(test)]
mod tests;

use super::difference::status_patch;
use super::feed::Change;
use super::index::Parts;
use super::job::JOBS;
use super::plan::{Action, Creation, Deletion, EventNote, Failure, ObjectRef, Plan, Propagation, Report};
use super::runner::{Controller, Key};
use super::world::World;
use crate::actors::kinds::batch::schedule::{self, Schedule};
use crate::protocol::meta::ObjectKey;
use crate::protocol::time::{parse_seconds, rfc3339};
use crate::storage::entry::Entry;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

pub const CRON_JOBS: &str = "cronjobs.batch";
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";
/// Clocks jump: the time is looked at again after this at the latest.
const LONGEST_REST: Duration = Duration::from_secs(60);

struct Child {
    entry: Arc<Entry>,
    body: Value,
}

impl Child {
    /// The end that the job came to: `Complete` or `Failed`.
    fn end(&self) -> Option<&'static str> {
        let is = |kind: &str| {
            let mut conditions = self.body["status"]["conditions"].as_array().into_iter().flatten();
            conditions.any(|c| c["type"] == kind && c["status"] == "True")
        };
        ["Complete", "Failed"].into_iter().find(|kind| is(kind))
    }

    /// The time that it was made for, seconds since the epoch; none when somebody else made it.
    fn scheduled(&self) -> Option<i64> {
        self.body["metadata"]["annotations"][SCHEDULED].as_str().and_then(parse_seconds)
    }

    fn started(&self) -> i64 {
        self.body["status"]["startTime"].as_str().and_then(parse_seconds).unwrap_or(self.entry.meta.created)
    }

    fn reference(&self) -> Value {
        let key = &self.entry.key;
        json!({
            "apiVersion": "batch/v1", "kind": "Job", "namespace": &*key.namespace, "name": &*key.name, "uid": &*self.entry.meta.uid,
            "resourceVersion": self.entry.revision.to_string(),
        })
    }
}

/// Decides about one cron job.
pub fn plan(entry: &Arc<Entry>, world: &dyn World, now: Timestamp) -> Plan {
    let object = entry.parse();
    let mut plan = Plan::quiet();
    let mut owned = world.owned_by(JOBS, &entry.meta.uid);
    owned.retain(|job| job.meta.controller().is_some_and(|c| c.uid == entry.meta.uid));
    let children: Vec<Child> = owned.into_iter().map(|entry| Child { body: entry.parse(), entry }).collect();
    let mut notes = Vec::new();
    let status = observe(entry, &object, &children, &mut notes);
    let last = status["lastScheduleTime"].as_str().and_then(parse_seconds);
    let told = object["status"]["lastScheduleTime"] == status["lastScheduleTime"];
    plan.actions.extend(status_patch(CRON_JOBS, entry, &object["status"], &status));
    plan.actions.extend(notes);
    if told {
        // A job that goes before its time is written down would be made again.
        history(entry, &object["spec"], &children, &mut plan);
    }
    if entry.meta.deleting.is_none() && object["spec"]["suspend"] != true {
        start(entry, &object, &children, last, now, &mut plan);
    }
    plan
}

/// The status that the jobs justify, and what is worth telling about them.
fn observe(entry: &Entry, object: &Value, children: &[Child], notes: &mut Vec<Action>) -> Value {
    let old = &object["status"];
    let mut status = if old.is_object() { old.clone() } else { json!({}) };
    let known: Vec<&Value> = old["active"].as_array().into_iter().flatten().collect();
    let is_known = |child: &Child| known.iter().find(|r| r["uid"] == *child.entry.meta.uid).copied();
    let mut active = Vec::new();
    for child in children {
        let name = &child.entry.key.name;
        match (is_known(child), child.end()) {
            (Some(reference), None) => active.push(reference.clone()),
            (Some(_), Some(end)) => {
                notes.push(event(entry, "Normal", "SawCompletedJob", format!("Saw completed job: {name}, condition: {end}")));
            }
            (None, None) if child.scheduled().is_some() => active.push(child.reference()),
            (None, None) => {
                let text = format!("Saw a job that the controller did not create or forgot: {name}");
                notes.push(event(entry, "Warning", "UnexpectedJob", text));
            }
            (None, Some(_)) => {}
        }
    }
    for gone in known.iter().filter(|r| !children.iter().any(|c| r["uid"] == *c.entry.meta.uid)) {
        let name = gone["name"].as_str().unwrap_or_default();
        notes.push(event(entry, "Normal", "MissingJob", format!("Active job went missing: {name}")));
    }
    status["active"] = if active.is_empty() { Value::Null } else { active.into() };
    let latest = |field: &str, times: &mut dyn Iterator<Item = i64>| {
        let stored = old[field].as_str().and_then(parse_seconds);
        times.chain(stored).max().and_then(|t| Timestamp::from_second(t).ok()).map_or(Value::Null, |t| rfc3339(t).into())
    };
    let scheduled = latest("lastScheduleTime", &mut children.iter().filter_map(Child::scheduled));
    let complete = children.iter().filter(|c| c.end() == Some("Complete"));
    let ended = |c: &Child| c.body["status"]["completionTime"].as_str().and_then(parse_seconds);
    let successful = latest("lastSuccessfulTime", &mut complete.filter_map(ended));
    status["lastScheduleTime"] = scheduled;
    status["lastSuccessfulTime"] = successful;
    status
}

/// Deletes the oldest of the jobs that ended beyond the limits.
fn history(entry: &Entry, spec: &Value, children: &[Child], plan: &mut Plan) {
    for (end, field) in [("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")] {
        let Some(limit) = spec[field].as_u64() else { continue };
        let mut over: Vec<&Child> = children.iter().filter(|c| c.end() == Some(end)).collect();
        over.sort_by_key(|c| (c.started(), c.entry.key.name.clone()));
        let surplus = over.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        let doomed = over.into_iter().take(surplus).filter(|c| c.entry.meta.deleting.is_none());
        for child in doomed {
            let name = &child.entry.key.name;
            plan.because(format_args!("CronJob {}", entry.key), format_args!("job {name} is over and beyond {field} {limit}"));
            plan.actions.push(delete(entry, child));
        }
    }
}

/// Starts the job that is due, if any, and looks again when the next one is.
fn start(entry: &Arc<Entry>, object: &Value, children: &[Child], last: Option<i64>, now: Timestamp, plan: &mut Plan) {
    let spec = &object["spec"];
    let text = spec["schedule"].as_str().unwrap_or_default();
    let (schedule, zone) = match read(spec, text) {
        Ok(found) => found,
        Err(note) => {
            plan.actions.push(event(entry, "Warning", note.0, note.1));
            return;
        }
    };
    if let Some(next) = times::next(&schedule, &zone, now) {
        let rest = Duration::try_from(next.duration_since(now)).unwrap_or_default();
        plan.requeue(rest.saturating_add(Duration::from_millis(100)).min(LONGEST_REST));
    }
    let mut since = last.unwrap_or(entry.meta.created);
    let deadline = spec["startingDeadlineSeconds"].as_i64();
    if let Some(deadline) = deadline {
        since = since.max(now.as_second().saturating_sub(deadline));
    }
    let Some(due) = Timestamp::from_second(since).ok().and_then(|since| times::due(&schedule, &zone, since, now)) else { return };
    if due.many {
        let why = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
        plan.actions.push(event(entry, "Warning", "TooManyMissedTimes", why.into()));
    }
    let late = now.as_second().saturating_sub(due.latest.as_second());
    if deadline.is_some_and(|deadline| late > deadline) {
        let when = due.latest.to_zoned(zone).strftime("%a, %d %b %Y %H:%M:%S %z").to_string();
        plan.actions.push(event(entry, "Warning", "MissSchedule", format!("Missed scheduled time to start a job: {when}")));
        return;
    }
    let running: Vec<&Child> = children.iter().filter(|c| c.end().is_none() && c.scheduled().is_some()).collect();
    match spec["concurrencyPolicy"].as_str() {
        Some("Forbid") if !running.is_empty() => {
            let why = "Not starting job because prior execution is running and concurrency policy is Forbid";
            plan.actions.push(event(entry, "Normal", "JobAlreadyActive", why.into()));
            return;
        }
        Some("Replace") => {
            plan.actions.extend(running.iter().filter(|c| c.entry.meta.deleting.is_none()).map(|c| delete(entry, c)));
        }
        _ => {}
    }
    plan.because(format_args!("CronJob {}", entry.key), format_args!("due at {}", rfc3339(due.latest)));
    plan.actions.push(create(entry, spec, due.latest, &zone));
}

/// The schedule and its zone; or the reason and the text of the event that tells why there is none.
fn read(spec: &Value, text: &str) -> Result<(Schedule, TimeZone), (&'static str, String)> {
    let schedule = schedule::parse(text).map_err(|why| ("UnparseableSchedule", format!("unparseable schedule: {text:?} : {why}")))?;
    let named = spec["timeZone"].as_str().or(schedule.zone.as_deref());
    let zone = match named {
        None | Some("" | "UTC") => TimeZone::UTC,
        Some(name) => TimeZone::get(name).map_err(|why| ("UnknownTimeZone", format!("invalid timeZone: {name:?}: {why}")))?,
    };
    Ok((schedule, zone))
}

fn create(entry: &Entry, spec: &Value, at: Timestamp, zone: &TimeZone) -> Action {
    let template = &spec["jobTemplate"];
    let mut meta = json!({
        "name": format!("{}-{}", entry.key.name, at.as_second().div_euclid(60)),
        "ownerReferences": [{
            "apiVersion": "batch/v1", "kind": "CronJob", "name": &*entry.key.name, "uid": &*entry.meta.uid,
            "controller": true, "blockOwnerDeletion": true,
        }],
    });
    for field in ["labels", "annotations"] {
        if !template["metadata"][field].is_null() {
            meta[field] = template["metadata"][field].clone();
        }
    }
    let shown = at.to_zoned(zone.clone());
    let offset = if shown.offset() == jiff::tz::Offset::UTC { "Z".to_string() } else { shown.strftime("%:z").to_string() };
    meta["annotations"][SCHEDULED] = format!("{}{offset}", shown.strftime("%Y-%m-%dT%H:%M:%S")).into();
    Action::Create(Creation {
        kind: JOBS.into(),
        namespace: entry.key.namespace.clone(),
        object: json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": template["spec"]}),
        report: Some(report(entry)),
    })
}

fn delete(entry: &Entry, job: &Child) -> Action {
    Action::Delete(Deletion {
        kind: JOBS.into(),
        key: job.entry.key.clone(),
        uid: job.entry.meta.uid.clone(),
        propagation: Propagation::Background,
        grace: None,
        report: Some(Report {
            success: ("SuccessfulDelete", "Deleted job ".into()),
            failure: ("FailedDelete", "Deleted job: ".into()),
            ..report(entry)
        }),
    })
}

fn report(entry: &Entry) -> Report {
    let regarding = ObjectRef::to("batch/v1", "CronJob", entry);
    let (success, failure) = (("SuccessfulCreate", "Created job ".into()), ("FailedCreate", "Error creating job: ".into()));
    Report { regarding, component: "cronjob-controller", success, failure }
}

fn event(entry: &Entry, kind: &'static str, reason: &'static str, message: String) -> Action {
    let regarding = ObjectRef::to("batch/v1", "CronJob", entry);
    Action::Event(EventNote { regarding, kind, reason, message, component: "cronjob-controller" })
}

/// The controller around [`plan`].
pub struct CronJobs;

impl Controller for CronJobs {
    fn name(&self) -> &'static str {
        "cronjob"
    }

    fn parts(&self) -> Parts {
        Parts { owners: true, ..Parts::default() }
    }

    fn watches(&self, kind: &str) -> bool {
        matches!(kind, JOBS | CRON_JOBS)
    }

    fn keys(&self, change: &Change, before: Option<&Entry>, _world: &dyn World, out: &mut Vec<Key>) {
        if &*change.kind == CRON_JOBS {
            out.push(Key::of(CRON_JOBS, &change.entry.key));
            return;
        }
        let states = [before, Some(&*change.entry)];
        for owner in states.into_iter().flatten().filter_map(|job| job.meta.controller()).filter(|o| &*o.kind == "CronJob") {
            let object = ObjectKey::new(change.entry.key.namespace.clone(), owner.name.clone());
            out.push(Key { kind: CRON_JOBS.into(), object });
        }
    }

    fn plan(&mut self, key: &Key, world: &dyn World, now: Timestamp, _failure: Option<&Failure>) -> Plan {
        world.get(&key.kind, &key.object).map_or_else(Plan::quiet, |entry| plan(&entry, world, now))
    }
}

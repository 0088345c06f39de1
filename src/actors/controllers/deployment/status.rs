//! What a Deployment says of itself.
use super::rollout::Rollout;
use super::sets::Set;
use super::{FAMILY, conditions};
use crate::actors::controllers::plan::Plan;
use crate::protocol::time::parse_seconds;
use serde_json::{Map, Value};
use std::time::Duration;

const TIMED_OUT: &str = "ProgressDeadlineExceeded";
const DONE: &str = "NewReplicaSetAvailable";

/// The status that the sets justify, with the condition `Available`.
pub fn calculate(rollout: &Rollout<'_>) -> Map<String, Value> {
    let sum = |field: &str| rollout.total(|set| set.status(field));
    let updated = rollout.new.and_then(|at| rollout.sets.get(at)).map_or(0, |set| set.status("replicas"));
    let available = sum("availableReplicas");
    let unavailable = (rollout.total(|set| set.replicas) - available).max(0);
    let mut conditions = rollout.conditions.clone();
    let (status, reason, message) = if available >= rollout.wanted - rollout.unavailable {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    conditions::set(&mut conditions, "Available", status, reason, message, rollout.now);
    let counts = [
        ("observedGeneration", rollout.entry.meta.generation),
        ("replicas", sum("replicas")),
        ("updatedReplicas", updated),
        ("readyReplicas", sum("readyReplicas")),
        ("availableReplicas", available),
        ("unavailableReplicas", unavailable),
    ];
    let mut wanted: Map<String, Value> =
        counts.into_iter().filter(|(_, count)| *count > 0).map(|(field, count)| (field.to_string(), count.into())).collect();
    wanted.insert("terminatingReplicas".into(), sum("terminatingReplicas").into());
    wanted.extend(rollout.collisions.map(|count| ("collisionCount".to_string(), count.into())));
    wanted.insert("conditions".into(), conditions.into());
    wanted
}

/// Sets the conditions `Progressing` and `ReplicaFailure`, and a look at the time when the deadline passes.
pub fn judge_progress(rollout: &Rollout<'_>, status: &mut Map<String, Value>, plan: &mut Plan) {
    let mut list = match status.remove("conditions") {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    let held = &rollout.object["status"];
    let counted = Value::Object(status.clone());
    match rollout.deadline() {
        None => conditions::remove(&mut list, "Progressing"),
        Some(deadline) => {
            let current = conditions::get(&list, "Progressing").cloned();
            let at_rest = number(&counted, "replicas") == number(&counted, "updatedReplicas") && reason(current.as_ref()) == DONE;
            if !at_rest {
                progressing(rollout, &mut list, &counted, held, deadline);
            }
            if !complete(rollout, &counted) {
                watch_deadline(rollout, conditions::get(&list, "Progressing"), deadline, plan);
            }
        }
    }
    match replica_failure(rollout) {
        Some(c) => {
            let text = |field: &str| c[field].as_str().unwrap_or_default();
            conditions::set(&mut list, "ReplicaFailure", text("status"), text("reason"), text("message"), rollout.now);
        }
        None => conditions::remove(&mut list, "ReplicaFailure"),
    }
    status.insert("conditions".into(), list.into());
}

fn progressing(rollout: &Rollout<'_>, list: &mut Vec<Value>, counted: &Value, held: &Value, deadline: i64) {
    let subject = match rollout.new.and_then(|at| rollout.sets.get(at)) {
        Some(set) => format!("ReplicaSet \"{}\"", set.name()),
        None => format!("Deployment \"{}\"", rollout.entry.key.name),
    };
    let now = rollout.now;
    if complete(rollout, counted) {
        conditions::set(list, "Progressing", "True", DONE, &format!("{subject} has successfully progressed."), now);
    } else if moved(counted, held) {
        // Each step renews the time from which the deadline counts, but not the transition.
        let before = conditions::get(list, "Progressing").filter(|c| c["status"] == "True").cloned();
        conditions::remove(list, "Progressing");
        conditions::set(list, "Progressing", "True", "ReplicaSetUpdated", &format!("{subject} is progressing."), now);
        if let (Some(before), Some(last)) = (before, list.last_mut()) {
            last["lastTransitionTime"] = before["lastTransitionTime"].clone();
        }
    } else if overdue(conditions::get(list, "Progressing"), deadline, now.as_second()) {
        conditions::set(list, "Progressing", "False", TIMED_OUT, &format!("{subject} has timed out progressing."), now);
    }
}

fn number(status: &Value, field: &str) -> i64 {
    status[field].as_i64().unwrap_or_default()
}

fn reason(condition: Option<&Value>) -> &str {
    condition.and_then(|c| c["reason"].as_str()).unwrap_or_default()
}

/// Whether a status says that all is done.
pub fn complete(rollout: &Rollout<'_>, status: &Value) -> bool {
    ["updatedReplicas", "replicas", "availableReplicas"].into_iter().all(|field| number(status, field) == rollout.wanted)
        && number(status, "observedGeneration") >= rollout.entry.meta.generation
}

/// Whether a rollout got on since the status was last written.
fn moved(new: &Value, old: &Value) -> bool {
    let grew = |field: &str| number(new, field) > number(old, field);
    let of_old = |status: &Value| number(status, "replicas") - number(status, "updatedReplicas");
    grew("updatedReplicas") || of_old(new) < of_old(old) || grew("readyReplicas") || grew("availableReplicas")
}

fn overdue(condition: Option<&Value>, deadline: i64, now: i64) -> bool {
    let Some(condition) = condition else { return false };
    match reason(Some(condition)) {
        DONE => false,
        TIMED_OUT => true,
        _ => updated(condition) + deadline < now,
    }
}

fn updated(condition: &Value) -> i64 {
    condition["lastUpdateTime"].as_str().and_then(parse_seconds).unwrap_or_default()
}

/// Looks again a second after the deadline, when nothing else happens until then.
fn watch_deadline(rollout: &Rollout<'_>, condition: Option<&Value>, deadline: i64, plan: &mut Plan) {
    let Some(condition) = condition.filter(|c| reason(Some(c)) != TIMED_OUT) else { return };
    let rest = (updated(condition) + deadline - rollout.now.as_second()).max(0) + 1;
    plan.requeue(Duration::from_secs(u64::try_from(rest).unwrap_or(1)));
}

/// The failure condition of the new set, or of any.
fn replica_failure<'a>(rollout: &'a Rollout<'_>) -> Option<&'a Value> {
    let new = rollout.new.and_then(|at| rollout.sets.get(at)).into_iter();
    new.chain(&rollout.sets).find_map(failure_of)
}

fn failure_of(set: &Set) -> Option<&Value> {
    set.object["status"]["conditions"].as_array()?.iter().find(|c| c["type"] == "ReplicaFailure")
}

/// Adds the status to the plan if it differs from what is there.
pub fn finish(rollout: &Rollout<'_>, status: Map<String, Value>, plan: &mut Plan) {
    FAMILY.write_status(rollout.entry, rollout.object, &status, rollout.annotations.clone(), plan);
}

//! What may be said of a job's progress. Most rules hold only for what an update changes, so that a status that an older server
//! let pass can still be worked on.
use super::indexes::{overlap, parse_indexes};
use crate::actors::kinds::apps::checks::not_negative;
use crate::protocol::status::FieldError;
use crate::protocol::validation::{same, unfit};
use serde_json::Value;
use std::collections::HashSet;

/// Whether a condition holds.
pub(super) fn has_condition(status: &Value, type_: &str) -> bool {
    status["conditions"].as_array().into_iter().flatten().any(|c| c["type"] == type_ && c["status"] == "True")
}

/// Checks an update of the status.
pub(super) fn validate(new: &Value, old: &Value) -> Vec<FieldError> {
    let (status, before) = (&new["status"], &old["status"]);
    let mut faults = not_negative(status, "status", &["active", "succeeded", "failed", "ready", "terminating"]);
    uncounted(&status["uncountedTerminatedPods"], &mut faults);
    outcome(new, old, &mut faults);
    times(status, before, &mut faults);
    indexes(new, old, &mut faults);
    changes(new, old, &mut faults);
    faults
}

fn finished(status: &Value) -> bool {
    has_condition(status, "Complete") || has_condition(status, "Failed")
}

fn uncounted(pods: &Value, faults: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for list in ["succeeded", "failed"] {
        for (index, uid) in pods[list].as_array().into_iter().flatten().filter_map(Value::as_str).enumerate() {
            let path = format!("status.uncountedTerminatedPods.{list}[{index}]");
            if uid.is_empty() {
                faults.push(FieldError::invalid(path, uid, "must not be empty"));
            } else if !seen.insert(uid) {
                faults.push(FieldError::duplicate(path, uid));
            }
        }
    }
}

/// Conditions that exclude each other, and what a finished job looks like.
fn outcome(new: &Value, old: &Value, faults: &mut Vec<FieldError>) {
    let (status, before) = (&new["status"], &old["status"]);
    let is = |type_: &str| has_condition(status, type_);
    let changed = |type_: &str| is(type_) != has_condition(before, type_);
    let field_changed = |field: &str| !same(&status[field], &before[field]);
    let mut refuse = |why: &str| faults.push(unfit("status.conditions", why));
    if (changed("Complete") || changed("Failed")) && is("Complete") && is("Failed") {
        refuse("cannot set Complete=True and Failed=true conditions");
    }
    if (changed("Complete") || changed("FailureTarget")) && is("Complete") && is("FailureTarget") {
        refuse("cannot set Complete=True and FailureTarget=true conditions");
    }
    let met = is("SuccessCriteriaMet");
    if met && is("Failed") {
        refuse("cannot set SuccessCriteriaMet=True and Failed=true conditions");
    }
    if met && is("FailureTarget") {
        refuse("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
    }
    if !met && is("Complete") && new["spec"]["successPolicy"].is_object() {
        refuse("cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True");
    }
    if !finished(status) {
        return;
    }
    let ended = !finished(before);
    let active = status["active"].as_i64().unwrap_or_default();
    if (ended || field_changed("active")) && active > 0 {
        faults.push(FieldError::invalid("status.active", active, "active>0 is invalid for finished job"));
    }
    if (ended || field_changed("startTime")) && status["startTime"].is_null() {
        faults.push(FieldError::required("status.startTime", "startTime is required for finished job"));
    }
    let pods = &status["uncountedTerminatedPods"];
    if (ended || field_changed("uncountedTerminatedPods")) && !same(pods, &Value::Null) {
        let why = "uncountedTerminatedPods needs to be empty for finished job";
        faults.push(FieldError::invalid("status.uncountedTerminatedPods", pods.clone(), why));
    }
}

fn times(status: &Value, before: &Value, faults: &mut Vec<FieldError>) {
    let path = "status.completionTime";
    let (start, end) = (&status["startTime"], &status["completionTime"]);
    let complete = has_condition(status, "Complete");
    let end_changed = end != &before["completionTime"];
    if end_changed || complete != has_condition(before, "Complete") {
        if !end.is_null() && !complete {
            let why = "cannot set completionTime when there is no Complete=True condition";
            faults.push(FieldError::invalid(path, end.clone(), why));
        }
        if end.is_null() && complete {
            faults.push(FieldError::required(path, "completionTime is required for Complete jobs"));
        }
    }
    // Both are in the same form, in which texts sort as the times do.
    if let (Some(from), Some(to)) = (start.as_str(), end.as_str())
        && (end_changed || start != &before["startTime"])
        && to < from
    {
        faults.push(FieldError::invalid(path, to, "completionTime cannot be set before startTime"));
    }
    if !end.is_null() && !before["completionTime"].is_null() && end_changed {
        faults.push(FieldError::invalid(path, end.clone(), "completionTime cannot be mutated"));
    }
}

fn indexes(new: &Value, old: &Value, faults: &mut Vec<FieldError>) {
    let (spec, status, before) = (&new["spec"], &new["status"], &old["status"]);
    let completed = status["completedIndexes"].as_str().unwrap_or_default();
    let failed = status["failedIndexes"].as_str();
    let completions = spec["completions"].as_i64();
    let completed_changed = completed != before["completedIndexes"].as_str().unwrap_or_default();
    let failed_changed = failed != before["failedIndexes"].as_str();
    let mut check = |field: &str, text: &str| {
        if let Some(Err(why)) = completions.map(|n| parse_indexes(text, n)) {
            faults.push(FieldError::invalid(format!("status.{field}"), text, format!("error parsing {field}: {why}")));
        }
    };
    if completed_changed {
        check("completedIndexes", completed);
    }
    if let Some(failed) = failed.filter(|_| failed_changed && !spec["backoffLimitPerIndex"].is_null()) {
        check("failedIndexes", failed);
    }
    if completed_changed && !completed.is_empty() && spec["completionMode"] != "Indexed" {
        let why = "cannot set non-empty completedIndexes when non-indexed completion mode";
        faults.push(FieldError::invalid("status.completedIndexes", completed, why));
    }
    let Some(failed) = failed else { return };
    if failed_changed && spec["backoffLimitPerIndex"].is_null() {
        let why = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
        faults.push(FieldError::invalid("status.failedIndexes", failed, why));
    }
    if (completed_changed || failed_changed)
        && let Some(index) = completions.and_then(|n| overlap(completed, failed, n))
    {
        let why = format!("failedIndexes and completedIndexes overlap at index: {index}");
        faults.push(FieldError::invalid("status.failedIndexes", failed, why));
    }
}

/// What must not be taken back.
fn changes(new: &Value, old: &Value, faults: &mut Vec<FieldError>) {
    let (spec, status, before) = (&new["spec"], &new["status"], &old["status"]);
    for type_ in ["Failed", "Complete", "FailureTarget"] {
        if has_condition(before, type_) && !has_condition(status, type_) {
            faults.push(unfit("status.conditions", format!("cannot disable the terminal {type_}=True condition")));
        }
    }
    let number = |of: &Value, field: &str| of[field].as_i64().unwrap_or_default();
    // An elastic job that shrinks forgets the indexes beyond its end.
    let elastic = spec["completionMode"] == "Indexed" && spec["completions"] == spec["parallelism"];
    for (field, checked) in [("failed", true), ("succeeded", !elastic)] {
        if checked && number(status, field) < number(before, field) {
            let why = format!("cannot decrease the {field} counter");
            faults.push(FieldError::invalid(format!("status.{field}"), number(status, field), why));
        }
    }
    let started = &before["startTime"];
    if !started.is_null() && started != &status["startTime"] && spec["suspend"] != true {
        faults.push(FieldError::required("status.startTime", "startTime cannot be removed for unsuspended job"));
    }
    let (met, was_met) = (has_condition(status, "SuccessCriteriaMet"), has_condition(before, "SuccessCriteriaMet"));
    if was_met && !met {
        faults.push(unfit("status.conditions", "cannot disable the SuccessCriteriaMet=True condition"));
    }
    if met && !was_met && has_condition(before, "Complete") {
        let why = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions";
        faults.push(unfit("status.conditions", why));
    }
}

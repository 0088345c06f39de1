//! A pod's conditions.
use super::object::Role;
use super::plan::initialized;
use super::state::{PodState, Record};
use super::status::{Around, is_ready};
use crate::protocol::time::rfc3339;
use serde_json::{Value, json};

const OURS: [&str; 5] = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];

/// A condition before its times are known: status, reason, message.
struct Verdict(bool, &'static str, String);

impl Verdict {
    fn yes() -> Verdict {
        Verdict(true, "", String::new())
    }
}

/// All conditions: ours, and those of others as the object has them.
pub fn conditions(state: &PodState, phase: &str, around: &Around<'_>) -> Vec<Value> {
    let containers = containers_ready(state, phase);
    let verdicts = [
        ("PodReadyToStartContainers", Verdict(state.sandbox().is_some(), "", String::new())),
        ("Initialized", initialized_verdict(state, phase)),
        ("Ready", ready(state, &containers)),
        ("ContainersReady", containers),
    ];
    let mut all: Vec<Value> = verdicts.into_iter().map(|(type_, verdict)| condition(state, type_, &verdict, around)).collect();
    let existing = state.object.raw["status"]["conditions"].as_array();
    let scheduled = existing.into_iter().flatten().find(|c| c["type"] == "PodScheduled" && c["status"] == "True").cloned();
    all.push(scheduled.unwrap_or_else(|| condition(state, "PodScheduled", &Verdict::yes(), around)));
    let foreign = existing.into_iter().flatten().filter(|c| c["type"].as_str().is_some_and(|t| !OURS.contains(&t)));
    all.extend(foreign.cloned());
    all
}

fn condition(state: &PodState, type_: &str, verdict: &Verdict, around: &Around<'_>) -> Value {
    let Verdict(yes, reason, message) = verdict;
    let word = if *yes { "True" } else { "False" };
    let before = around.last["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == type_ && c["status"] == word);
    let since = before.and_then(|c| c["lastTransitionTime"].as_str()).map_or_else(|| rfc3339(around.now), String::from);
    let mut shown = json!({ "type": type_, "status": word, "lastProbeTime": null, "lastTransitionTime": since });
    if !reason.is_empty() {
        shown["reason"] = (*reason).into();
    }
    if !message.is_empty() {
        shown["message"] = message.as_str().into();
    }
    if let Some(generation) = state.object.raw["metadata"]["generation"].as_i64() {
        shown["observedGeneration"] = generation.into();
    }
    shown
}

fn initialized_verdict(state: &PodState, phase: &str) -> Verdict {
    if phase == "Succeeded" {
        return Verdict(true, "PodCompleted", String::new());
    }
    if initialized(state) {
        return Verdict::yes();
    }
    let done = |r: &&Record| match r.role {
        Role::Init => is_ready(r),
        _ => r.is_running() && r.started,
    };
    let open = state.records.iter().filter(|r| r.role != Role::App).filter(|r| !done(r));
    let text = format!("containers with incomplete status: [{}]", names(open));
    Verdict(false, "ContainersNotInitialized", text)
}

fn containers_ready(state: &PodState, phase: &str) -> Verdict {
    match phase {
        "Succeeded" => return Verdict(false, "PodCompleted", String::new()),
        "Failed" => return Verdict(false, "PodFailed", String::new()),
        _ => {}
    }
    let open: Vec<&Record> = state.records.iter().filter(|r| r.role != Role::Init && !is_ready(r)).collect();
    if open.is_empty() {
        return Verdict::yes();
    }
    Verdict(false, "ContainersNotReady", format!("containers with unready status: [{}]", names(open.into_iter())))
}

fn ready(state: &PodState, containers: &Verdict) -> Verdict {
    let Verdict(yes, reason, message) = containers;
    if !yes {
        return Verdict(false, reason, message.clone());
    }
    let existing = state.object.raw["status"]["conditions"].as_array();
    let value = |type_: &str| existing.into_iter().flatten().find(|c| c["type"] == type_).map(|c| c["status"] == "True");
    for gate in state.object.spec.readiness_gates.iter().flatten() {
        let gate = &gate.condition_type;
        match value(gate) {
            Some(true) => {}
            Some(false) => {
                return Verdict(
                    false,
                    "ReadinessGatesNotReady",
                    format!("the status of pod readiness gate \"{gate}\" is not \"True\", but False"),
                );
            }
            None => {
                return Verdict(
                    false,
                    "ReadinessGatesNotReady",
                    format!("corresponding condition of pod readiness gate \"{gate}\" does not exist."),
                );
            }
        }
    }
    Verdict::yes()
}

fn names<'a>(records: impl Iterator<Item = &'a Record>) -> String {
    records.map(|r| r.name.as_str()).collect::<Vec<_>>().join(" ")
}

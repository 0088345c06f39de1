//! Phases by table.
use super::object::PodObject;
use super::state::{Current, Ending, Finished, PodState, SetUp, TearDown};
use super::status::{Around, patch, phase, pod_status};
use crate::runtime::api::{Exit, Sandbox, SandboxSpec};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

fn state(policy: &str, init: &[&str], apps: &[&str]) -> PodState {
    let list = |prefix: &str, given: &[&str]| -> Vec<Value> {
        given.iter().enumerate().map(|(i, _)| json!({ "name": format!("{prefix}{i}"), "image": "i" })).collect()
    };
    let object = json!({
        "metadata": { "name": "p", "namespace": "n", "uid": "u", "generation": 2 },
        "spec": { "restartPolicy": policy, "initContainers": list("i", init), "containers": list("c", apps) },
        "status": { "qosClass": "BestEffort" },
    });
    let mut state = PodState::new(Arc::new(PodObject::from_value(object).unwrap()), 0);
    let sandbox = Sandbox { spec: SandboxSpec::default(), ips: vec!["10.0.0.2".parse().unwrap()], created_ms: 0 };
    state.set_up = SetUp::Done { sandbox, volumes: Default::default() };
    for (record, word) in state.records.iter_mut().zip(init.iter().chain(apps)) {
        let finished = |code| Current::Exited(Finished { id: "x".into(), exit: Exit { code, ..Default::default() }, start_failed: false });
        record.current = match *word {
            "run" => Current::Running { id: "x".into(), started_ms: 0 },
            "ok" => finished(0),
            "bad" => finished(1),
            _ => Current::Absent,
        };
        record.ready = *word == "run";
        record.started = record.ready;
    }
    state
}

#[test]
fn phases_follow_upstream() {
    let table: &[(&str, &[&str], &[&str], &str)] = &[
        ("Always", &[], &["-"], "Pending"),
        ("Always", &[], &["run", "-"], "Pending"),
        ("Always", &[], &["run"], "Running"),
        ("Always", &[], &["bad"], "Running"),
        ("Always", &[], &["ok"], "Running"),
        ("OnFailure", &[], &["bad", "ok"], "Running"),
        ("OnFailure", &[], &["ok", "ok"], "Succeeded"),
        ("Never", &[], &["ok", "run"], "Running"),
        ("Never", &[], &["ok", "ok"], "Succeeded"),
        ("Never", &[], &["ok", "bad"], "Failed"),
        ("Always", &["run"], &["-"], "Pending"),
        ("Always", &["bad"], &["-"], "Pending"),
        ("Never", &["bad"], &["-"], "Failed"),
        ("Never", &["ok"], &["run"], "Running"),
    ];
    for (policy, init, apps, wanted) in table {
        assert_eq!(phase(&state(policy, init, apps)), *wanted, "{policy} {init:?} {apps:?}");
    }
    let mut deleted = state("Always", &[], &["ok"]);
    deleted.ending = Some(Ending::Deleted);
    assert_eq!(phase(&deleted), "Succeeded");
}

#[test]
fn transition_times_are_kept_and_gone_members_are_nulled() {
    let now = Timestamp::from_second(1_000).unwrap();
    let first = pod_status(&state("Always", &[], &["run"]), &Around { host_ip: "1.2.3.4", last: &Value::Null, now });
    let later = Timestamp::from_second(2_000).unwrap();
    let second = pod_status(&state("Always", &[], &["run"]), &Around { host_ip: "1.2.3.4", last: &first, now: later });
    assert_eq!(first, second);
    let mut ended = state("Always", &[], &["bad"]);
    ended.ending = Some(Ending::Deadline);
    ended.tear_down = TearDown::Done;
    let third = pod_status(&ended, &Around { host_ip: "1.2.3.4", last: &second, now: later });
    assert_eq!((&third["phase"], &third["reason"]), (&json!("Failed"), &json!("DeadlineExceeded")));
    assert_eq!(patch("u", &third, &second)["status"]["reason"], Value::Null);
    let ready = third["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "Ready").unwrap();
    assert_eq!((&ready["reason"], &ready["lastTransitionTime"]), (&json!("PodFailed"), &json!("1970-01-01T00:33:20Z")));
}

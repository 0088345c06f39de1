//! What becomes of pods, by the clock; and chance that repeats itself.
use super::super::object::PodObject;
use super::super::status::{Around, pod_status};
use super::pod::{SimPod, Stage};
use super::profile::{Delay, Dice, Profile};
use super::usage::{Meter, summary};
use bytes::Bytes;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

const NOW: i64 = 1_800_000_000_000;

fn object(restart: &str, annotations: Value) -> PodObject {
    let metadata = json!({ "uid": "u", "namespace": "n", "name": "p", "annotations": annotations });
    let spec = json!({ "containers": [{ "name": "c", "image": "i" }], "initContainers": [{ "name": "first", "image": "i" }], "restartPolicy": restart, "nodeName": "sim-00001" });
    PodObject::from_value(json!({ "metadata": metadata, "spec": spec, "status": { "phase": "Pending" } })).unwrap()
}

fn pod(object: &PodObject, profile: &Profile) -> SimPod {
    let bytes = Bytes::from(object.raw.to_string());
    SimPod::new(bytes, object, Ipv4Addr::new(100, 64, 0, 1), profile, Dice::new(7), NOW)
}

fn shown(pod: &SimPod, object: &PodObject) -> Value {
    let now = jiff::Timestamp::from_millisecond(NOW).unwrap();
    pod_status(&pod.state(Arc::new(object.clone())), &Around { host_ip: "198.18.0.1", last: &Value::Null, now })
}

fn condition<'a>(status: &'a Value, type_: &str) -> &'a str {
    status["conditions"].as_array().unwrap().iter().find(|c| c["type"] == type_).unwrap()["status"].as_str().unwrap()
}

#[test]
fn an_instant_pod_is_ready_in_one_step_and_goes_when_told() {
    let (profile, object) = (Profile::default(), object("Always", json!({})));
    let mut pod = pod(&object, &profile);
    assert!(!pod.dirty, "there is nothing to tell before it runs");
    assert!(pod.step(&object, &profile, Dice::new(7), NOW));
    assert_eq!((pod.stage, pod.dirty, pod.due), (Stage::Ready, true, None));
    let status = shown(&pod, &object);
    assert_eq!((&status["phase"], &status["podIP"]), (&json!("Running"), &json!("100.64.0.1")));
    assert_eq!((condition(&status, "Ready"), condition(&status, "Initialized")), ("True", "True"));
    assert_eq!(status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"], 0);
    pod.dirty = false;
    assert!(pod.end(30, &profile, Dice::new(7), NOW + 5) && !pod.end(0, &profile, Dice::new(7), NOW + 5));
    pod.step(&object, &profile, Dice::new(7), NOW + 5);
    assert!(!pod.may_go(), "its end is told first");
    assert_eq!(shown(&pod, &object)["containerStatuses"][0]["state"]["terminated"]["exitCode"], 143);
    pod.dirty = false;
    assert!(pod.may_go());
}

#[test]
fn a_slow_pod_says_so_and_a_job_ends() {
    let fixed = |median_ms| Delay { median_ms, p99_ms: 0 };
    let profile = Profile { start: fixed(100), ready: fixed(50), ..Profile::default() };
    let object = object("Never", json!({ "simulate.impresario.dev/run-seconds": "2.5", "simulate.impresario.dev/exit-code": "3" }));
    let mut pod = pod(&object, &profile);
    assert!(pod.dirty);
    assert_eq!(shown(&pod, &object)["containerStatuses"][0]["state"]["waiting"]["reason"], "PodInitializing");
    assert!(!pod.step(&object, &profile, Dice::new(7), NOW + 99));
    assert!(pod.step(&object, &profile, Dice::new(7), NOW + 100));
    assert_eq!((pod.stage, pod.due), (Stage::Running, Some(NOW + 150)));
    assert_eq!(condition(&shown(&pod, &object), "Ready"), "False");
    pod.step(&object, &profile, Dice::new(7), NOW + 150);
    assert_eq!((pod.stage, pod.due), (Stage::Ready, Some(NOW + 2600)));
    pod.step(&object, &profile, Dice::new(7), NOW + 2600);
    let status = shown(&pod, &object);
    assert_eq!((pod.stage, &status["phase"]), (Stage::Over, &json!("Failed")));
    assert_eq!(status["containerStatuses"][0]["state"]["terminated"]["exitCode"], 3);
}

#[test]
fn what_fails_comes_again_after_the_back_off() {
    let (profile, object) = (Profile { failure_rate: 1.0, ..Profile::default() }, object("Always", json!({})));
    let mut pod = pod(&object, &profile);
    pod.step(&object, &profile, Dice::new(7), NOW);
    assert_eq!((pod.stage, pod.due), (Stage::Waiting, Some(NOW)), "the first restart comes at once");
    pod.step(&object, &profile, Dice::new(7), NOW);
    assert_eq!((pod.stage, pod.due), (Stage::Waiting, Some(NOW + 10_000)));
    let status = shown(&pod, &object);
    assert_eq!(status["containerStatuses"][0]["state"]["waiting"]["reason"], "CrashLoopBackOff");
    assert_eq!(status["containerStatuses"][0]["restartCount"], 1);
}

#[test]
fn a_pod_that_ran_before_runs_on() {
    let profile = Profile { start: Delay { median_ms: 9000, p99_ms: 0 }, ..Profile::default() };
    let mut before = object("Always", json!({})).raw;
    before["status"] = json!({ "phase": "Running", "containerStatuses": [{ "restartCount": 2, "state": { "running": { "startedAt": "2026-01-01T00:00:00Z" } } }] });
    let object = PodObject::from_value(before).unwrap();
    let mut pod = pod(&object, &profile);
    assert_eq!(pod.stage, Stage::Running);
    pod.step(&object, &profile, Dice::new(7), NOW);
    let status = shown(&pod, &object);
    assert_eq!((pod.stage, &status["containerStatuses"][0]["restartCount"]), (Stage::Ready, &json!(2)));
    assert_eq!(status["containerStatuses"][0]["state"]["running"]["startedAt"], "2026-01-01T00:00:00Z");
}

#[test]
fn chance_repeats_itself_and_keeps_to_its_median() {
    let delay = Delay { median_ms: 900, p99_ms: 4000 };
    let mut spans: Vec<Duration> = (0..1000).map(|n| delay.sample(Dice::new(1).of(&format!("pod-{n}")))).collect();
    assert_eq!(spans[17], delay.sample(Dice::new(1).of("pod-17")));
    assert_ne!(spans[17], delay.sample(Dice::new(2).of("pod-17")));
    spans.sort_unstable();
    assert!((700..1100).contains(&spans[500].as_millis()), "{:?}", spans[500]);
    assert!((2500..8000).contains(&spans[990].as_millis()), "{:?}", spans[990]);
}

#[test]
fn profiles_are_read_strictly() {
    let profile = Profile::parse("f", "start: {medianMs: 5}\nfailureRate: 0.5\nlabels: {a: b}\nzones: 2").unwrap();
    assert_eq!((profile.start.median_ms, profile.max_pods), (5, 110));
    assert_eq!(profile.labels_of(3).get("topology.kubernetes.io/zone").map(String::as_str), Some("zone-2"));
    for wrong in ["failureRate: 2", "usage: -1", "maxPods: 300", "speed: 3", "cpus: 0"] {
        assert!(Profile::parse("f", wrong).is_err(), "{wrong}");
    }
    assert!(Profile::named("/nowhere").unwrap_err().to_string().starts_with("there is no profile \"/nowhere\""));
}

#[test]
fn pods_use_a_share_of_their_requests() {
    let mut asking = object("Always", json!({ "simulate.impresario.dev/usage": "1.5" })).raw;
    asking["spec"]["containers"][0]["resources"] = json!({ "requests": { "cpu": "200m", "memory": "1Mi" } });
    let (profile, object) = (Profile::default(), PodObject::from_value(asking).unwrap());
    let mut pod = pod(&object, &profile);
    pod.step(&object, &profile, Dice::new(7), NOW);
    let (uid, mut meter): (Arc<str>, _) = ("u".into(), Meter::default());
    let mut look = |millis: i64| -> Value {
        let at = jiff::Timestamp::from_millisecond(NOW + millis).unwrap();
        serde_json::from_slice(&summary("n", (&profile, Dice::new(7)), [(&uid, &pod)].into_iter(), &mut meter, at)).unwrap()
    };
    let (first, second) = (look(1000), look(3000));
    let cpu = |stats: &Value| stats["cpu"]["usageCoreNanoSeconds"].as_u64().unwrap();
    let container = |summary: &Value| summary["pods"][0]["containers"][0].clone();
    assert_eq!(cpu(&container(&second)) - cpu(&container(&first)), 600_000_000, "300m for two seconds");
    assert_eq!(container(&second)["memory"]["workingSetBytes"], 1 << 20, "no more memory than it asks for");
    assert_eq!(cpu(&second["node"]) - cpu(&first["node"]), (640 + 300) * 2_000_000);
}

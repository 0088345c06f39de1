//! A pod's `status`, computed: from what the node knows of the pod to what the API shows.
use super::conditions::conditions;
use super::object::Role;
use super::plan::{completed, crash_pause, init_failed, initialized, restarts};
use super::state::{Current, Ending, Finished, PodState, Record, Step};
use crate::protocol::time::rfc3339;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// What container ids begin with.
const ID_SCHEME: &str = "impresario://";

/// What the status needs beyond the pod itself.
pub struct Around<'a> {
    /// The node's own address.
    pub host_ip: &'a str,
    /// The newest status that this node has sent, for transition times; before the first, the object's own.
    pub last: &'a Value,
    pub now: Timestamp,
}

/// The complete status as this node sees it.
pub fn pod_status(state: &PodState, around: &Around<'_>) -> Value {
    let phase = phase(state);
    let object = &state.object.raw;
    let mut status = Map::new();
    status.insert("phase".into(), phase.into());
    if let Some(class) = object["status"].get("qosClass") {
        status.insert("qosClass".into(), class.clone());
    }
    if state.ending == Some(Ending::Deadline) {
        status.insert("reason".into(), "DeadlineExceeded".into());
        status.insert("message".into(), "Pod was active on the node longer than the specified deadline".into());
    }
    if let Some(generation) = object["metadata"]["generation"].as_i64() {
        status.insert("observedGeneration".into(), generation.into());
    }
    status.insert("hostIP".into(), around.host_ip.into());
    status.insert("hostIPs".into(), json!([{ "ip": around.host_ip }]));
    addresses(state, around, &mut status);
    let started = object["status"]["startTime"].as_str().map_or_else(|| time(state.seen_ms), Value::from);
    status.insert("startTime".into(), started);
    status.insert("conditions".into(), conditions(state, phase, around).into());
    let of = |wanted: fn(Role) -> bool| -> Vec<Value> {
        let records = state.records.iter().enumerate().filter(|(_, r)| wanted(r.role));
        records.map(|(index, r)| container_status(state, index, r)).collect()
    };
    let init = of(|role| role != Role::App);
    if !init.is_empty() {
        status.insert("initContainerStatuses".into(), init.into());
    }
    status.insert("containerStatuses".into(), of(|role| role == Role::App).into());
    Value::Object(status)
}

fn addresses(state: &PodState, around: &Around<'_>, status: &mut Map<String, Value>) {
    let ips: Vec<String> = match state.sandbox() {
        Some(_) if state.object.spec.host_network == Some(true) => vec![around.host_ip.to_string()],
        Some(sandbox) => sandbox.ips.iter().map(ToString::to_string).collect(),
        // A pod that is over keeps the address that it had.
        None => {
            let had = around.last["podIPs"].as_array().into_iter().flatten();
            had.filter_map(|ip| ip["ip"].as_str().map(String::from)).collect()
        }
    };
    if let Some(first) = ips.first() {
        status.insert("podIP".into(), first.as_str().into());
        status.insert("podIPs".into(), ips.iter().map(|ip| json!({ "ip": ip })).collect());
    }
}

/// `status.phase`, by upstream's rules.
pub fn phase(state: &PodState) -> &'static str {
    if state.object.is_terminal() {
        return if state.object.raw["status"]["phase"] == "Failed" { "Failed" } else { "Succeeded" };
    }
    let apps = || state.records.iter().filter(|r| r.role == Role::App);
    if state.ending == Some(Ending::Deadline) {
        return if state.quiet() { "Failed" } else { running_phase(state) };
    }
    if state.ending.is_some() && state.quiet() && apps().any(|r| r.current != Current::Absent) {
        let good = apps().all(|r| r.finished().is_some_and(|f| f.exit.code == 0));
        return if good { "Succeeded" } else { "Failed" };
    }
    if init_failed(state) {
        return if state.quiet() { "Failed" } else { "Pending" };
    }
    if completed(state) && state.quiet() {
        return if apps().all(|r| r.finished().is_some_and(|f| f.exit.code == 0)) { "Succeeded" } else { "Failed" };
    }
    running_phase(state)
}

fn running_phase(state: &PodState) -> &'static str {
    let waiting = |r: &Record| r.role == Role::App && r.current == Current::Absent;
    if !initialized(state) || state.records.iter().any(waiting) { "Pending" } else { "Running" }
}

fn container_status(state: &PodState, index: usize, record: &Record) -> Value {
    let spec_image = state.object.container(index).and_then(|c| c.image.clone()).unwrap_or_default();
    let image = if record.image.is_empty() { spec_image } else { record.image.clone() };
    let (shown, last) = states(state, record);
    let mut status = json!({
        "name": record.name,
        "state": shown,
        "lastState": last,
        "ready": is_ready(record),
        "restartCount": record.attempt,
        "image": image,
        "imageID": record.image_id,
        "started": record.is_running() && record.started && !record.hook_pending,
    });
    if let Some(id) = record.id() {
        status["containerID"] = format!("{ID_SCHEME}{id}").into();
    }
    status
}

/// An init container that has succeeded counts as ready, as upstream has it.
pub fn is_ready(record: &Record) -> bool {
    match record.role {
        Role::Init => record.finished().is_some_and(|f| f.exit.code == 0),
        _ => record.is_running() && record.ready && !record.hook_pending,
    }
}

/// `state` and `lastState`.
fn states(state: &PodState, record: &Record) -> (Value, Value) {
    let previous = record.previous.as_ref().map_or_else(|| json!({}), terminated);
    match &record.current {
        Current::Running { started_ms, .. } => (json!({ "running": { "startedAt": time(*started_ms) } }), previous),
        Current::Absent => (waiting(state, record), previous),
        Current::Exited(finished) => {
            let again = state.ending.is_none() && restarts(state, record, finished) && !completed(state);
            match &record.waiting {
                Some((reason, message)) if again => (json!({ "waiting": { "reason": reason, "message": message } }), terminated(finished)),
                _ if again && record.step == Step::Held => (crash_loop(state, record), terminated(finished)),
                _ => (terminated(finished), previous),
            }
        }
    }
}

fn waiting(state: &PodState, record: &Record) -> Value {
    if let Some((reason, message)) = &record.waiting {
        return json!({ "waiting": { "reason": reason, "message": message } });
    }
    let has_init = state.records.iter().any(|r| r.role != Role::App);
    let reason = if has_init && !initialized(state) { "PodInitializing" } else { "ContainerCreating" };
    json!({ "waiting": { "reason": reason } })
}

fn crash_loop(state: &PodState, record: &Record) -> Value {
    json!({ "waiting": { "reason": "CrashLoopBackOff", "message": crash_loop_message(state, record) } })
}

/// `back-off 10s restarting failed container=c pod=p_ns(uid)`.
pub fn crash_loop_message(state: &PodState, record: &Record) -> String {
    let pause = crash_pause(record.crashes).as_secs();
    let pause = if pause >= 60 { format!("{}m{}s", pause / 60, pause % 60) } else { format!("{pause}s") };
    format!("back-off {pause} restarting failed container={} pod={}", record.name, full_name(state))
}

/// `name_namespace(uid)`: how the kubelet names a pod in messages.
pub fn full_name(state: &PodState) -> String {
    format!("{}_{}({})", state.object.name, state.object.namespace, state.object.uid)
}

fn terminated(finished: &Finished) -> Value {
    let exit = &finished.exit;
    let reason = match exit {
        _ if finished.start_failed => "StartError",
        exit if exit.oom_killed => "OOMKilled",
        exit if exit.code == 0 => "Completed",
        _ => "Error",
    };
    let mut shown = json!({
        "exitCode": exit.code,
        "reason": reason,
        "startedAt": time(exit.started_ms),
        "finishedAt": time(exit.finished_ms),
        "containerID": format!("{ID_SCHEME}{}", finished.id),
    });
    if !exit.message.is_empty() {
        shown["message"] = exit.message.as_str().into();
    }
    json!({ "terminated": shown })
}

fn time(ms: i64) -> Value {
    Timestamp::from_millisecond(ms).map_or(Value::Null, |t| rfc3339(t).into())
}

/// The merge patch that turns what was sent before into `status`: members that are gone are set to null.
pub fn patch(uid: &str, before: &Value, status: &Value) -> Value {
    let mut body = status.clone();
    if let (Some(body), Some(before)) = (body.as_object_mut(), before.as_object()) {
        for name in ["reason", "message", "podIP", "podIPs"] {
            if before.contains_key(name) && !body.contains_key(name) {
                body.insert(name.into(), Value::Null);
            }
        }
    }
    json!({ "metadata": { "uid": uid }, "status": body })
}

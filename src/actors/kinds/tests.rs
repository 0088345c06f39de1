//! The pure decisions, by table.
use super::*;
use crate::protocol::status::ApiError;
use jiff::Timestamp;
use serde_json::{Value, json};

const NOW: &str = "2026-01-01T00:00:00Z";

fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

pub(super) fn kind(name: &str) -> &'static Kind {
    all().into_iter().find(|k| k.resource.kind == name).expect("a kind that is served")
}

/// The body decoded and made ready as `create` would.
pub(super) fn create(name: &str, body: Value) -> Result<Value, ApiError> {
    let kind = kind(name);
    let checked = kind.check(body.to_string().as_bytes()).expect("a body of that kind");
    let namespace = if kind.resource.namespaced { "ns" } else { "" };
    let mut object = checked.value;
    begin_create(kind, namespace, &mut object)?;
    prepare_create(kind, object, NOW, "uid-1", *b"abcde")
}

/// The same, stored as revision 7.
pub(super) fn stored(name: &str, body: Value) -> Value {
    let mut object = create(name, body).expect("a good body");
    object["metadata"]["resourceVersion"] = "7".into();
    object
}

pub(super) fn update(name: &str, part: Part, old: &Value, change: impl FnOnce(&mut Value)) -> Result<Value, ApiError> {
    let mut body = old.clone();
    change(&mut body);
    prepare_update(kind(name), part, old, body)
}

/// The findings about a body, or none when it is good.
pub(super) fn findings(result: Result<Value, ApiError>) -> Vec<String> {
    let details = result.err().and_then(|e| e.details);
    details.map(|d| d.causes.into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect()).unwrap_or_default()
}

/// Defaulting what was defaulted already changes nothing.
pub(super) fn settled(name: &str, object: &Value) {
    let mut again = object.clone();
    kind(name).default(&mut again);
    assert_eq!(again, *object, "{name}");
}

fn pod_body() -> Value {
    json!({ "metadata": { "name": "p" }, "spec": { "containers": [{ "name": "c", "image": "i" }] } })
}

fn replica_set() -> Value {
    let template = json!({ "metadata": { "labels": { "a": "b" } }, "spec": pod_body()["spec"] });
    json!({ "metadata": { "name": "r" }, "spec": { "selector": { "matchLabels": { "a": "b" } }, "template": template } })
}

#[test]
fn a_creator_sets_no_system_field() {
    let object = create(
        "Pod",
        json!({
            "metadata": {
                "generateName": "p-", "uid": "mine", "generation": 9, "deletionTimestamp": NOW, "deletionGracePeriodSeconds": 5,
                "creationTimestamp": "2001-01-01T00:00:00Z", "selfLink": "/x", "labels": { "a": "b" },
            },
            "spec": pod_body()["spec"], "status": { "phase": "Running", "podIP": "1.2.3.4" },
        }),
    )
    .expect("a good body");
    let meta = &object["metadata"];
    assert_eq!((&meta["uid"], &meta["creationTimestamp"], &meta["namespace"]), (&json!("uid-1"), &json!(NOW), &json!("ns")));
    assert_eq!((&meta["generation"], &meta["labels"]), (&json!(1), &json!({ "a": "b" })));
    assert!(meta.get("deletionTimestamp").is_none() && meta.get("deletionGracePeriodSeconds").is_none() && meta.get("selfLink").is_none());
    assert!(meta["name"].as_str().is_some_and(|n| n.starts_with("p-") && n.len() == 7), "{meta}");
    assert_eq!(object["status"], json!({ "phase": "Pending", "qosClass": "BestEffort" }));
}

#[test]
fn an_update_keeps_what_it_may_not_change() {
    let old = stored("Pod", pod_body());
    let new = update("Pod", Part::Main, &old, |o| {
        o["metadata"] = json!({ "name": "p", "labels": { "new": "1" }, "creationTimestamp": "2001-01-01T00:00:00Z", "generation": 40 });
        o["status"] = json!({ "phase": "Running" });
    })
    .expect("a good update");
    for field in ["uid", "creationTimestamp", "namespace", "generation", "resourceVersion"] {
        assert_eq!(new["metadata"][field], old["metadata"][field], "{field}");
    }
    assert_eq!((&new["status"], &new["metadata"]["labels"]["new"]), (&old["status"], &json!("1")));
    let status = update("Pod", Part::Status, &old, |o| {
        o["status"]["phase"] = "Running".into();
        o["spec"]["nodeName"] = "sneaked-in".into();
        o["metadata"]["ownerReferences"] = json!([{ "apiVersion": "v1", "kind": "X", "name": "x", "uid": "x" }]);
    })
    .expect("a good update");
    assert_eq!((&status["status"]["phase"], status["spec"].get("nodeName")), (&json!("Running"), None));
    assert!(status["metadata"].get("ownerReferences").is_none());
}

#[test]
fn the_generation_counts_changes_of_the_specification() {
    let old = stored("ReplicaSet", replica_set());
    assert_eq!(old["metadata"]["generation"], 1);
    let cases: [(Part, fn(&mut Value), i64); 5] = [
        (Part::Main, |o| o["metadata"]["labels"] = json!({ "x": "y" }), 1),
        (Part::Main, |o| o["status"]["replicas"] = 5.into(), 1),
        (Part::Main, |o| o["spec"]["replicas"] = 5.into(), 2),
        (Part::Status, |o| o["status"]["replicas"] = 5.into(), 1),
        (Part::Scale, |o| *o = json!({ "spec": { "replicas": 4 } }), 2),
    ];
    for (index, (part, change, generation)) in cases.into_iter().enumerate() {
        let new = update("ReplicaSet", part, &old, change).expect("a good update");
        assert_eq!(new["metadata"]["generation"], generation, "case {index}");
    }
}

#[test]
fn what_an_update_may_not_do_is_said() {
    let map = stored("ConfigMap", json!({ "metadata": { "name": "m" }, "immutable": true, "data": { "a": "1" } }));
    let mut pod = stored("Pod", pod_body());
    pod["spec"]["tolerations"] = json!([{ "key": "k", "operator": "Exists" }]);
    let set = stored("ReplicaSet", replica_set());
    let mut node = stored("Node", json!({ "metadata": { "name": "n" } }));
    node["spec"]["podCIDR"] = "10.0.0.0/24".into();
    let mut going = stored("ConfigMap", json!({ "metadata": { "name": "m", "finalizers": ["a.example/x"] } }));
    going["metadata"]["deletionTimestamp"] = NOW.into();
    let cases: [(&str, &Value, fn(&mut Value), u16, &str); 9] = [
        ("ConfigMap", &map, |o| o["data"]["a"] = "2".into(), 422, "data: Forbidden: field is immutable when `immutable` is set"),
        ("ConfigMap", &map, |o| o["immutable"] = false.into(), 422, "immutable: Forbidden: field is immutable"),
        ("ConfigMap", &map, |o| o["metadata"]["resourceVersion"] = "6".into(), 409, "the object has been modified"),
        ("ConfigMap", &map, |o| o["metadata"]["uid"] = "other".into(), 409, "Precondition failed: UID in precondition: other"),
        ("Pod", &pod, |o| o["spec"]["nodeName"] = "n".into(), 422, "spec: Forbidden: pod updates may not change fields other than"),
        (
            "Pod",
            &pod,
            |o| o["spec"]["tolerations"] = json!([]),
            422,
            "spec.tolerations: Forbidden: existing toleration can not be modified",
        ),
        (
            "ReplicaSet",
            &set,
            |o| {
                o["spec"]["selector"]["matchLabels"]["a"] = "c".into();
                o["spec"]["template"]["metadata"]["labels"]["a"] = "c".into();
            },
            422,
            "spec.selector: Invalid value",
        ),
        ("Node", &node, |o| o["spec"]["podCIDR"] = "10.1.0.0/24".into(), 422, "may not change podCIDR"),
        ("ConfigMap", &going, |o| o["metadata"]["finalizers"] = json!(["a.example/x", "a.example/y"]), 422, "no new finalizers"),
    ];
    for (name, old, change, code, words) in cases {
        let error = update(name, Part::Main, old, change).expect_err(words);
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(words), "{error}");
    }
    assert!(update("Pod", Part::Main, &pod, |o| o["spec"]["containers"][0]["image"] = "i2".into()).is_ok());
}

fn delete(name: &str, old: &Value, options: DeleteOptions) -> (Outcome, Value) {
    let removal = remove::decide(kind(name), old, &options, now()).expect("a granted deletion");
    (removal.outcome, removal.object["metadata"].clone())
}

#[test]
fn deletion_waits_for_grace_and_finalizers() {
    let plain = stored("ConfigMap", json!({ "metadata": { "name": "m" } }));
    let held = stored("ConfigMap", json!({ "metadata": { "name": "m", "finalizers": ["a.example/x"] } }));
    let pending = stored("Pod", pod_body());
    let mut bound = pending.clone();
    bound["spec"]["nodeName"] = "n".into();
    let mut finished = bound.clone();
    finished["status"]["phase"] = "Succeeded".into();
    let grace = |seconds| DeleteOptions { grace_seconds: Some(seconds), ..Default::default() };
    let cases: [(&str, &Value, DeleteOptions, Outcome, Option<i64>); 9] = [
        ("ConfigMap", &plain, DeleteOptions::default(), Outcome::Deleted, None),
        ("ConfigMap", &plain, grace(60), Outcome::Deleted, None),
        ("ConfigMap", &held, DeleteOptions::default(), Outcome::Deleting, Some(0)),
        ("Pod", &pending, DeleteOptions::default(), Outcome::Deleted, None),
        ("Pod", &finished, grace(60), Outcome::Deleted, None),
        ("Pod", &bound, DeleteOptions::default(), Outcome::Deleting, Some(30)),
        ("Pod", &bound, grace(5), Outcome::Deleting, Some(5)),
        ("Pod", &bound, grace(60), Outcome::Deleting, Some(60)),
        ("Pod", &bound, grace(0), Outcome::Deleted, None),
    ];
    for (index, (name, old, options, outcome, seconds)) in cases.into_iter().enumerate() {
        let (found, meta) = delete(name, old, options);
        assert_eq!((found, meta["deletionGracePeriodSeconds"].as_i64()), (outcome, seconds), "case {index}");
    }
    let (_, meta) = delete("Pod", &bound, grace(5));
    assert_eq!((&meta["deletionTimestamp"], &meta["generation"]), (&json!("2026-01-01T00:00:05Z"), &json!(2)));
}

#[test]
fn a_second_deletion_may_only_shorten() {
    let mut bound = stored("Pod", pod_body());
    bound["spec"]["nodeName"] = "n".into();
    bound["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:30Z".into();
    bound["metadata"]["deletionGracePeriodSeconds"] = 30.into();
    let again = |seconds: Option<i64>| delete("Pod", &bound, DeleteOptions { grace_seconds: seconds, ..Default::default() });
    for (asked, outcome, left, end) in [
        (None, Outcome::Deleting, 30, "2026-01-01T00:00:30Z"),
        (Some(90), Outcome::Deleting, 30, "2026-01-01T00:00:30Z"),
        (Some(10), Outcome::Deleting, 10, "2026-01-01T00:00:10Z"),
        (Some(0), Outcome::Deleted, 30, "2026-01-01T00:00:30Z"),
    ] {
        let (found, meta) = again(asked);
        let said = (found, meta["deletionGracePeriodSeconds"].as_i64(), meta["deletionTimestamp"].as_str());
        assert_eq!(said, (outcome, Some(left), Some(end)), "{asked:?}");
    }
}

#[test]
fn propagation_becomes_finalizers() {
    let map = stored("ConfigMap", json!({ "metadata": { "name": "m" } }));
    let mut controller = replica_set();
    controller["spec"]["selector"] = json!({ "a": "b" });
    let controller = stored("ReplicationController", controller);
    let by = |propagation| DeleteOptions { propagation, ..Default::default() };
    let cases = [
        ("ConfigMap", &map, None, Outcome::Deleted, Value::Null),
        ("ConfigMap", &map, Some(Propagation::Background), Outcome::Deleted, Value::Null),
        ("ConfigMap", &map, Some(Propagation::Foreground), Outcome::Deleting, json!(["foregroundDeletion"])),
        ("ConfigMap", &map, Some(Propagation::Orphan), Outcome::Deleting, json!(["orphan"])),
        ("ReplicationController", &controller, None, Outcome::Deleting, json!(["orphan"])),
        ("ReplicationController", &controller, Some(Propagation::Background), Outcome::Deleted, Value::Null),
    ];
    for (name, old, propagation, outcome, finalizers) in cases {
        let (found, meta) = delete(name, old, by(propagation));
        assert_eq!((found, &meta["finalizers"]), (outcome, &finalizers), "{name} {propagation:?}");
    }
    // Somebody who waits in the foreground keeps waiting when asked again without a word.
    let (_, meta) = delete("ConfigMap", &map, by(Some(Propagation::Foreground)));
    let mut waiting = map.clone();
    waiting["metadata"] = meta;
    assert_eq!(delete("ConfigMap", &waiting, by(None)).1["finalizers"], json!(["foregroundDeletion"]));
}

#[test]
fn preconditions_and_the_end() {
    let map = stored("ConfigMap", json!({ "metadata": { "name": "m" } }));
    for (uid, version, good) in [(Some("uid-1"), Some("7"), true), (Some("uid-2"), None, false), (None, Some("8"), false)] {
        let options = DeleteOptions { uid: uid.map(Into::into), resource_version: version.map(Into::into), ..Default::default() };
        let outcome = remove::decide(kind("ConfigMap"), &map, &options, now());
        assert_eq!(outcome.map(|r| r.outcome).map_err(|e| e.code), if good { Ok(Outcome::Deleted) } else { Err(409) });
    }
    let going = |finalizers: Value, grace: i64| json!({ "metadata": { "deletionTimestamp": NOW, "finalizers": finalizers, "deletionGracePeriodSeconds": grace } });
    let complete = |object: &Value| remove::complete(kind("Pod"), object);
    assert!(!complete(&map));
    assert!(complete(&going(json!([]), 0)));
    assert!(!complete(&going(json!(["x"]), 0)));
    assert!(!complete(&going(json!([]), 30)));
}

#[test]
fn a_namespace_ends_in_steps() {
    let space = stored("Namespace", json!({ "metadata": { "name": "n" } }));
    assert_eq!((&space["spec"]["finalizers"], &space["status"]["phase"]), (&json!(["kubernetes"]), &json!("Active")));
    assert_eq!(space["metadata"]["labels"]["kubernetes.io/metadata.name"], "n");
    let removal = remove::decide(kind("Namespace"), &space, &DeleteOptions::default(), now()).expect("granted");
    assert_eq!((removal.outcome, &removal.object["status"]["phase"]), (Outcome::Deleting, &json!("Terminating")));
    let space = removal.object;
    assert!(!remove::complete(kind("Namespace"), &space));
    // Its finalizers go through `finalize` only.
    let kept = update("Namespace", Part::Main, &space, |o| o["spec"]["finalizers"] = json!([])).expect("a good update");
    assert_eq!(kept["spec"]["finalizers"], json!(["kubernetes"]));
    let done = update("Namespace", Part::Finalize, &space, |o| o["spec"]["finalizers"] = json!([])).expect("a good update");
    assert!(remove::complete(kind("Namespace"), &done));
    let bad = findings(update("Namespace", Part::Finalize, &space, |o| o["spec"]["finalizers"] = json!(["kubernetes", "mine"])));
    assert_eq!(bad, ["spec.finalizers[1]: Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully qualified"]);
}

#[test]
fn a_volumes_change_of_phase_is_noted() {
    let source = json!({ "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteOnce"], "hostPath": { "path": "/x" } });
    let volume = stored("PersistentVolume", json!({ "metadata": { "name": "v" }, "spec": source }));
    let noted = |change: &dyn Fn(&mut Value)| {
        let next = update("PersistentVolume", Part::Status, &volume, |o| change(o)).expect("a good update");
        next["status"]["lastPhaseTransitionTime"].clone()
    };
    assert_eq!(noted(&|o| o["status"]["message"] = "m".into()), NOW);
    assert_ne!(noted(&|o| o["status"]["phase"] = "Available".into()), NOW);
    let own = |o: &mut Value| o["status"] = json!({ "phase": "Bound", "lastPhaseTransitionTime": "2020-01-01T00:00:00Z" });
    assert_eq!(noted(&own), "2020-01-01T00:00:00Z");
}

#[test]
fn scale_and_binding() {
    let old = stored("ReplicaSet", replica_set());
    let scale = scale_of(kind("ReplicaSet"), &old);
    assert_eq!((&scale["spec"]["replicas"], &scale["status"]["selector"]), (&json!(1), &json!("a=b")));
    let set = |scale: Value| set_replicas(kind("ReplicaSet"), &old, &scale);
    assert_eq!(set(json!({ "spec": { "replicas": 3 } })).expect("granted")["spec"]["replicas"], 3);
    assert_eq!(set(json!({ "spec": { "replicas": -1 } })).expect_err("negative").code, 422);
    assert_eq!(set(json!({ "metadata": { "resourceVersion": "6" }, "spec": { "replicas": 3 } })).expect_err("stale").code, 409);

    let mut pod = stored("Pod", pod_body());
    pod["metadata"]["generation"] = 3.into();
    pod["status"]["nominatedNodeName"] = "m".into();
    let bind = |pod: &Value, target: Value| update("Pod", Part::Binding, pod, |o| *o = json!({ "target": target }));
    let bound = bind(&pod, json!({ "kind": "Node", "name": "n" })).expect("granted");
    assert_eq!((&bound["spec"]["nodeName"], &bound["status"]["conditions"][0]["status"]), (&json!("n"), &json!("True")));
    // Where it was expected is forgotten, and its specification is the one that its author wrote.
    assert_eq!((&bound["status"]["nominatedNodeName"], &bound["metadata"]["generation"]), (&json!(null), &json!(3)));
    assert_eq!(bound["status"]["conditions"][0]["observedGeneration"], 3);
    assert_eq!(bind(&pod, json!({ "kind": "Pod", "name": "n" })).expect_err("no node").code, 422);
    assert_eq!(bind(&pod, json!({})).expect_err("nowhere").code, 422);
    assert_eq!(bind(&bound, json!({ "name": "m" })).expect_err("bound already").code, 409);
    let mut going = pod.clone();
    going["metadata"]["deletionTimestamp"] = NOW.into();
    assert!(bind(&going, json!({ "name": "m" })).expect_err("going").message.contains("is being deleted, cannot be assigned to a host"));
}

#[test]
fn the_printer_says_how_a_pod_is() {
    let waiting = |reason: &str| json!({ "waiting": { "reason": reason } });
    let ended = |code: i64, reason: &str| json!({ "terminated": { "exitCode": code, "reason": reason } });
    let cases = [
        (json!({ "phase": "Pending" }), false, "0/1", "Pending"),
        (json!({ "phase": "Running", "containerStatuses": [{ "ready": true, "state": { "running": {} } }] }), false, "1/1", "Running"),
        (json!({ "phase": "Pending", "containerStatuses": [{ "state": waiting("ErrImagePull") }] }), false, "0/1", "ErrImagePull"),
        (json!({ "phase": "Running", "containerStatuses": [{ "state": waiting("CrashLoopBackOff") }] }), false, "0/1", "CrashLoopBackOff"),
        (json!({ "phase": "Succeeded", "containerStatuses": [{ "state": ended(0, "Completed") }] }), false, "0/1", "Completed"),
        (json!({ "phase": "Failed", "containerStatuses": [{ "state": ended(3, "") }] }), false, "0/1", "ExitCode:3"),
        (json!({ "phase": "Failed", "reason": "Evicted" }), false, "0/1", "Evicted"),
        (json!({ "phase": "Running" }), true, "0/1", "Terminating"),
        (json!({ "phase": "Running", "reason": "NodeLost" }), true, "0/1", "Unknown"),
        (json!({ "phase": "Pending", "initContainerStatuses": [{ "name": "i", "state": { "running": {} } }] }), false, "0/1", "Init:0/1"),
        (json!({ "phase": "Pending", "initContainerStatuses": [{ "name": "i", "state": ended(1, "Error") }] }), false, "0/1", "Init:Error"),
    ];
    let pod = kind("Pod");
    for (status, going, ready, state) in cases {
        let mut object = stored("Pod", pod_body());
        object["spec"]["initContainers"] = json!([{ "name": "i", "image": "i" }]);
        object["status"] = status.clone();
        if going {
            object["metadata"]["deletionTimestamp"] = NOW.into();
        }
        let row = (pod.row)(&object, now().as_second() + 90);
        assert_eq!(row.len(), pod.columns.len());
        assert_eq!(row[..5], [json!("p"), json!(ready), json!(state), json!("0"), json!("90s")], "{status}");
    }
    let mut object = stored("Pod", pod_body());
    object["status"]["containerStatuses"] = json!([{ "restartCount": 4, "lastState": { "terminated": { "finishedAt": NOW } } }]);
    assert_eq!((pod.row)(&object, now().as_second() + 300)[3], "4 (5m ago)");
}

#[test]
fn a_status_is_checked_by_itself_as_within_the_whole() {
    let pod = kind("Pod");
    let container = json!({ "name": "c", "image": "i" });
    let old = create("Pod", json!({ "metadata": { "name": "p" }, "spec": { "containers": [container] } })).expect("a pod");
    let mut new = old.clone();
    new["status"] = json!({ "phase": "Running", "podIP": null, "conditions": [{ "type": "Ready", "status": "True", "colour": "red" }] });
    let part = pod.check_status(new.clone(), &old).expect("a good one");
    assert_eq!(part, pod.check_value(&new).expect("a good one"));
    assert_eq!(part.unknown, ["status.conditions[0].colour"]);
    new["status"]["phase"] = 5.into();
    let (apart, within) = (pod.check_status(new.clone(), &old), pod.check_value(&new));
    assert_eq!(apart.expect_err("a number"), within.expect_err("a number"));
    new["status"]["phase"] = "Running".into();
    new["spec"]["shape"] = "round".into();
    let more = pod.check_status(new, &old).expect("a good one");
    assert_eq!(more.unknown, ["spec.shape", "status.conditions[0].colour"], "more than the status differs");
    new = old.clone();
    new.as_object_mut().expect("an object").remove("status");
    assert_eq!(pod.check_status(new.clone(), &old).expect("a good one"), pod.check_value(&new).expect("a good one"), "no status");
}

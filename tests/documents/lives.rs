//! "Keeping pods healthy", and the chapters on what a pod goes through: probes, hooks, policies, phases.
use super::{LIVENESS, LIVENESS_LATER, cluster, container, events, place};
use crate::conformance_apps::{Place, name, ready, sleeper, template};
use serde_json::{Value, json};

/// A pod that runs a shell line.
fn pod(name: &str, line: &str) -> Value {
    let mut pod = template(name, line);
    pod["metadata"]["name"] = name.into();
    pod
}

fn restarts(pod: &Value) -> i64 {
    container(pod)["restartCount"].as_i64().unwrap_or(0)
}

fn time(value: &Value) -> i64 {
    value.as_str().and_then(|t| t.parse::<jiff::Timestamp>().ok()).map_or(0, jiff::Timestamp::as_second)
}

#[test]
fn who_does_not_answer_is_started_anew() {
    let (mut place, mut later) = (place("liveness"), place("liveness-later"));
    place.kubectl.feed("create", LIVENESS).ok();
    later.kubectl.feed("create", LIVENESS_LATER).ok();
    let before = place.until("it runs", "v1", "pods/kubia-liveness", |p| container(p)["state"]["running"].is_object());
    let after = place.until("it is started anew", "v1", "pods/kubia-liveness", |p| restarts(p) > 0);
    assert_eq!((&before["metadata"]["uid"], &before["status"]["podIP"]), (&after["metadata"]["uid"], &after["status"]["podIP"]));
    assert!(container(&after)["lastState"]["terminated"].is_object(), "{after}");
    assert!(
        events(&mut place, "kubia-liveness", "Unhealthy")[0].starts_with("Liveness probe failed: HTTP probe failed with statuscode: 404")
    );
    assert_eq!(events(&mut place, "kubia-liveness", "Killing"), ["Container kubia failed liveness probe, will be restarted"]);

    let list = "events?fieldSelector=involvedObject.name%3Dkubia-liveness%2Creason%3DUnhealthy";
    let asked = later.until_items("it was asked", "v1", list, |events| !events.is_empty());
    let pod = later.get("v1", "pods/kubia-liveness");
    let running = [&container(&pod)["state"]["running"]["startedAt"], &container(&pod)["lastState"]["terminated"]["startedAt"]];
    let begun = running.into_iter().map(time).filter(|t| *t > 0).min().unwrap_or(0);
    assert!(time(&asked[0]["firstTimestamp"]) - begun >= 15, "asked before its time: {asked:?} {pod}");
}

/// What is in the container goes with it, what is in a volume stays; readiness is about the traffic only.
#[test]
fn probes_by_command_and_by_connection() {
    let mut place = place("probes");
    let mut object = pod("probed", "trap exit TERM; while true; do sleep 0.2; done");
    object["spec"]["volumes"] = json!([{"name": "data", "emptyDir": {}}]);
    let main = &mut object["spec"]["containers"][0];
    main["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
    main["livenessProbe"] = json!({"exec": {"command": ["test", "!", "-f", "/tmp/ill"]}, "periodSeconds": 1, "failureThreshold": 1});
    main["readinessProbe"] = json!({"tcpSocket": {"port": 9000}, "periodSeconds": 1, "failureThreshold": 1});
    place.create("v1", "pods", &object);
    place.create(
        "v1",
        "services",
        &json!({"metadata": {"name": "front"}, "spec": {"selector": {"app": "probed"}, "ports": [{"port": 9000}]}}),
    );
    let endpoints = |place: &mut Place, ready: bool| {
        place.until("the endpoint", "v1", "endpoints/front", |e| {
            e["subsets"][0][if ready { "addresses" } else { "notReadyAddresses" }].as_array().is_some_and(|a| a.len() == 1)
        });
    };
    endpoints(&mut place, false);
    place.until("it is asked", "v1", "pods/probed", |p| container(p)["started"] == true);
    assert!(!ready(&place.get("v1", "pods/probed")));
    place.kubectl.ok("exec probed -- busybox ln -s /bin/busybox /tmp/httpd");
    place.kubectl.ok("exec probed -- /tmp/httpd -p 9000 -h /data");
    place.until("it listens", "v1", "pods/probed", ready);
    endpoints(&mut place, true);
    place.kubectl.ok("exec probed -- busybox killall httpd");
    place.until("it listens no more", "v1", "pods/probed", |p| !ready(p));
    endpoints(&mut place, false);
    assert_eq!(restarts(&place.get("v1", "pods/probed")), 0, "readiness does not restart");

    place.kubectl.ok("exec probed -- touch /data/kept /tmp/ill");
    place.until("it is started anew", "v1", "pods/probed", |p| restarts(p) == 1 && container(p)["state"]["running"].is_object());
    assert_eq!(place.kubectl.ok("exec probed -- ls /data /tmp"), "/data:\nkept\n\n/tmp:\n");
}

#[test]
fn policies_decide_whether_it_runs_again() {
    let mut place = place("policies");
    for (name, policy, line) in [
        ("always", "Always", "exit 0"),
        ("failing", "OnFailure", "exit 1"),
        ("fine", "OnFailure", "exit 0"),
        ("never", "Never", "echo last words; exit 3"),
        ("once", "Never", "exit 0"),
    ] {
        let mut object = pod(name, line);
        object["spec"]["restartPolicy"] = policy.into();
        place.create("v1", "pods", &object);
    }
    let mut two = pod("two", "exit 1");
    two["spec"]["restartPolicy"] = "Never".into();
    let mut other = sleeper("two")["spec"]["containers"][0].clone();
    other["name"] = "other".into();
    other["command"] = json!(["sh", "-c", "until test -f /tmp/enough; do sleep 0.1; done"]);
    two["spec"]["containers"].as_array_mut().expect("containers").push(other);
    place.create("v1", "pods", &two);

    let phase = |phase: &'static str| move |p: &Value| p["status"]["phase"] == phase;
    for (name, wanted) in [("fine", "Succeeded"), ("once", "Succeeded"), ("never", "Failed")] {
        let pod = place.until("it ends", "v1", &format!("pods/{name}"), phase(wanted));
        assert_eq!(restarts(&pod), 0, "{name}");
    }
    assert_eq!(place.kubectl.ok("logs never"), "last words\n");
    for name in ["always", "failing"] {
        place.until("it is started anew", "v1", &format!("pods/{name}"), |p| restarts(p) > 0 && phase("Running")(p));
    }
    // One of two has failed: the pod runs, and says how many are well.
    place.until("one is over", "v1", "pods/two", |p| {
        let ended = p["status"]["containerStatuses"].as_array().into_iter().flatten().filter(|c| c["state"]["terminated"].is_object());
        ended.count() == 1 && phase("Running")(p)
    });
    let row = place.kubectl.ok("get pod two --no-headers");
    assert_eq!(row.split_whitespace().nth(1), Some("1/2"), "{row}");
    place.kubectl.ok("exec two -c other -- touch /tmp/enough");
    place.until("all are over", "v1", "pods/two", phase("Failed"));
}

/// Init containers in their order, then the container with what is hooked to its start and its end.
#[test]
fn what_comes_before_and_after() {
    let mut place = place("hooks");
    let folder = cluster().scratch().join("hooks");
    std::fs::create_dir_all(&folder).expect("a folder");
    let said = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    let mut object =
        pod("hooked", "echo main >> /data/log; trap 'echo asked to end >> /data/log; exit' TERM; while true; do sleep 0.1; done");
    object["spec"]["terminationGracePeriodSeconds"] = 10.into();
    object["spec"]["volumes"] = json!([{"name": "data", "hostPath": {"path": folder}}]);
    let mut main = object["spec"]["containers"][0].clone();
    main["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
    let before = |name: &str, line: &str| {
        let mut container = main.clone();
        (container["name"], container["command"]) = (name.into(), json!(["sh", "-c", line]));
        container
    };
    object["spec"]["initContainers"] =
        json!([before("first", "sleep 0.3; echo first >> /data/log"), before("second", "echo second >> /data/log")]);
    // It waits for what the container itself does, so it runs beside it.
    let post = "until grep -q main /data/log; do sleep 0.1; done; echo started >> /data/log";
    let pre = "echo prepared >> /data/log; sleep 1; echo done >> /data/log";
    main["lifecycle"] =
        json!({"postStart": {"exec": {"command": ["sh", "-c", post]}}, "preStop": {"exec": {"command": ["sh", "-c", pre]}}});
    object["spec"]["containers"] = json!([main]);
    place.create("v1", "pods", &object);
    place.until("it is ready", "v1", "pods/hooked", ready);
    assert_eq!(said(), "first\nsecond\nmain\nstarted\n");
    place.kubectl.ok("delete pod hooked");
    assert_eq!(said(), "first\nsecond\nmain\nstarted\nprepared\ndone\nasked to end\n");

    let mut object = pod("unhooked", "trap exit TERM; while true; do sleep 0.1; done");
    object["spec"]["containers"][0]["lifecycle"] = json!({"postStart": {"exec": {"command": ["sh", "-c", "echo no good; exit 4"]}}});
    let made = place.create("v1", "pods", &object);
    place.until("it is started anew", "v1", "pods/unhooked", |p| restarts(p) > 0);
    assert!(!ready(&place.get("v1", &format!("pods/{}", name(&made)))));
    let told = events(&mut place, "unhooked", "FailedPostStartHook");
    assert!(told[0].starts_with("PostStartHook failed: "), "{told:?}");
}

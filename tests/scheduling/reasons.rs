//! Why a pod waits, gates, spreading, and schedulers of other names.
use super::{SOON, Scene};
use crate::run::{run_with, wait_for};
use serde_json::json;
use std::collections::BTreeMap;

#[test]
fn the_reason_is_said_as_upstream_says_it() {
    let scene = Scene::new("sched-reasons", 3);
    let (first, second) = (&scene.nodes[0], &scene.nodes[1]);
    scene.kubectl.ok(&format!("taint node {first} team=x:NoSchedule"));
    scene.kubectl.ok(&format!("cordon {second}"));
    scene.create(&scene.pod("big", "5", json!({})));
    let said = scene.refused("big", "Unschedulable");
    // Other scenes have nodes too.
    let nodes = said.strip_prefix("0/").and_then(|s| s.split_once(" nodes are available: ")).unwrap().0;
    for part in ["1 Insufficient cpu", "1 node(s) had untolerated taint(s)", "1 node(s) were unschedulable"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(
        said.contains(&format!("preemption: 0/{nodes} nodes are available: {nodes} Preemption is not helpful for scheduling.")),
        "{said}"
    );
    let event = scene.event("big", "FailedScheduling");
    assert_eq!((&event["type"], &event["source"]["component"]), (&"Warning".into(), &"default-scheduler".into()));
    assert!(event["message"].as_str().unwrap().contains(" nodes are available: 1 Insufficient cpu"), "{event}");
    // What helps wakes it: room alone does not, the right node does.
    scene.create(&scene.pod("picky", "1", json!({"spec": {"nodeSelector": {"disk": "ssd"}}})));
    scene.refused("picky", "Unschedulable");
    scene.kubectl.ok(&format!("label node {} disk=ssd", scene.nodes[2]));
    assert_eq!(scene.node_of("picky"), scene.nodes[2]);
    let event = scene.event("picky", "Scheduled");
    assert_eq!(event["message"], format!("Successfully assigned sched-reasons/picky to {}", scene.nodes[2]));
    let scheduled = scene.kubectl.ok("get pod picky -o jsonpath={.status.conditions[?(@.type=='PodScheduled')].status}");
    assert_eq!(scheduled, "True");
}

#[test]
fn gates_hold_a_pod_back() {
    let scene = Scene::new("sched-gates", 1);
    scene.create(&scene.pod("gated", "1", json!({"spec": {"schedulingGates": [{"name": "x.io/a"}, {"name": "x.io/b"}]}})));
    let said = scene.refused("gated", "SchedulingGated");
    assert_eq!(said, "Scheduling is blocked due to non-empty scheduling gates");
    assert!(scene.kubectl.ok("get pod gated --no-headers").contains("SchedulingGated"));
    let lift = |gates: &str| {
        scene.kubectl.ok_words(&["patch", "pod", "gated", "--type=merge", "-p", &format!("{{\"spec\":{{\"schedulingGates\":{gates}}}}}")])
    };
    lift("[{\"name\":\"x.io/b\"}]");
    scene.refused("gated", "SchedulingGated");
    lift("[]");
    assert_eq!(scene.node_of("gated"), scene.nodes[0]);
}

#[test]
fn constraints_spread_pods_over_zones() {
    let scene = Scene::new("sched-spread", 4);
    for at in 0..6 {
        let spread = json!([{"topologyKey": "topology.kubernetes.io/zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"group": "web"}}}]);
        let name = format!("web-{at}");
        scene.create(&scene.pod(
            &name,
            "100m",
            json!({"metadata": {"labels": {"group": "web"}}, "spec": {"topologySpreadConstraints": spread}}),
        ));
    }
    let mut zones: BTreeMap<usize, usize> = BTreeMap::new();
    for at in 0..6 {
        let node = scene.node_of(&format!("web-{at}"));
        let number = scene.nodes.iter().position(|n| *n == node).unwrap();
        *zones.entry(number % 2).or_default() += 1;
    }
    assert_eq!(zones, BTreeMap::from([(0, 3), (1, 3)]));
}

#[test]
fn another_scheduler_binds_its_own_pods() {
    let scene = Scene::new("sched-other", 2);
    scene.create(&scene.pod("mine", "1", json!({"spec": {"schedulerName": "mine"}})));
    scene.create(&scene.pod("theirs", "1", json!({})));
    let on = scene.node_of("theirs");
    let other = scene.nodes.iter().find(|n| **n != on).unwrap();
    assert_eq!(scene.kubectl.ok("get pod mine -o jsonpath={.spec.nodeName}{.status.conditions}"), "");
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "mine"}, "target": {"kind": "Node", "name": other}});
    let path = "/api/v1/namespaces/sched-other/pods/mine/binding";
    let mut post = scene.kubectl.command(&["create", "--raw", path, "-f", "-"]);
    run_with(&mut post, binding.to_string().as_bytes(), SOON).ok();
    assert_eq!(scene.node_of("mine"), *other);
    // What it takes counts for ours too.
    scene.create(&scene.pod("full", "4", json!({})));
    scene.refused("full", "Unschedulable");
    // A second profile of our own packs instead of spreading.
    for at in 0..2 {
        let name = format!("packed-{at}");
        scene.create(&scene.pod(&name, "500m", json!({"spec": {"schedulerName": "packing"}})));
        scene.node_of(&name);
        let event = scene.event(&name, "Scheduled");
        assert_eq!(event["source"]["component"], "packing");
    }
    assert_eq!(scene.node_of("packed-0"), scene.node_of("packed-1"));
}

#[test]
fn metrics_have_upstreams_names() {
    let scene = Scene::new("sched-metrics", 1);
    scene.create(&scene.pod("p", "1", json!({})));
    scene.node_of("p");
    let text = wait_for("the attempt is counted", SOON, || {
        let text = scene.kubectl.ok("get --raw /metrics");
        text.contains("scheduler_schedule_attempts_total{profile=\"default-scheduler\",result=\"scheduled\"}").then_some(text)
    });
    for name in [
        "scheduler_pending_pods{queue=\"active\"}",
        "scheduler_pod_scheduling_sli_duration_seconds_count",
        "scheduler_preemption_victims_total",
    ] {
        assert!(text.contains(name), "{name}");
    }
}

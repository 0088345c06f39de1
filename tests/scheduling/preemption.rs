//! Pods of lower priority make room.
use super::{SOON, Scene};
use crate::run::wait_for;
use serde_json::{Value, json};

/// Priority classes of one scene.
fn classes(scene: &Scene, values: &[(&str, i64)]) {
    for (name, value) in values {
        let name = format!("{}-{name}", scene.kubectl.namespace);
        let class = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": value});
        scene.kubectl.run(&format!("delete priorityclass {name} --ignore-not-found"));
        scene.create(&class);
    }
}

fn of_class(scene: &Scene, class: &str) -> Value {
    json!({"spec": {"priorityClassName": format!("{}-{class}", scene.kubectl.namespace)}})
}

#[test]
fn a_victim_is_marked_deleted_and_told() {
    let scene = Scene::new("sched-preempt", 2);
    classes(&scene, &[("low", 1), ("middle", 5), ("high", 100)]);
    let mut held = scene.pod("low", "3", of_class(&scene, "low"));
    held["metadata"]["finalizers"] = json!(["example.com/keep"]);
    scene.create(&held);
    let on = scene.node_of("low");
    scene.create(&scene.pod("middle", "3", of_class(&scene, "middle")));
    assert_ne!(scene.node_of("middle"), on);
    scene.create(&scene.pod("vip", "3", of_class(&scene, "high")));
    let victim = wait_for("the victim is on its way out", SOON, || {
        let object = scene.kubectl.json("get pod low");
        (!object["metadata"]["deletionTimestamp"].is_null()).then_some(object)
    });
    let condition = victim["status"]["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "DisruptionTarget").unwrap();
    assert_eq!((&condition["status"], &condition["reason"]), (&"True".into(), &"PreemptionByScheduler".into()));
    assert_eq!(condition["message"], "default-scheduler: preempting to accommodate a higher priority pod");
    let uid = scene.kubectl.ok("get pod vip -o jsonpath={.metadata.uid}");
    assert_eq!(scene.event("low", "Preempted")["message"], format!("Preempted by pod {uid} on node {on}"));
    wait_for("the node is promised", SOON, || {
        (scene.kubectl.ok("get pod vip -o jsonpath={.status.nominatedNodeName}") == on).then_some(())
    });
    scene.refused("vip", "Unschedulable");
    // The room is kept for whom it was made.
    scene.create(&scene.pod("late", "3", of_class(&scene, "middle")));
    scene.refused("late", "Unschedulable");
    scene.kubectl.ok_words(&["patch", "pod", "low", "--type=merge", "-p", "{\"metadata\":{\"finalizers\":null}}"]);
    scene.kubectl.ok("delete pod low --force --grace-period=0 --ignore-not-found");
    assert_eq!(scene.node_of("vip"), on);
    assert_eq!(scene.kubectl.ok("get pod late -o jsonpath={.spec.nodeName}"), "");
}

#[test]
fn a_critical_pod_makes_room_and_a_meek_one_does_not() {
    let scene = Scene::new("sched-critical", 1);
    classes(&scene, &[("low", 1)]);
    scene.create(&scene.pod("low", "3", of_class(&scene, "low")));
    scene.node_of("low");
    let meek = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "sched-critical-meek"}, "value": 50,
        "preemptionPolicy": "Never"});
    scene.create(&meek);
    scene.create(&scene.pod("meek", "3", of_class(&scene, "meek")));
    let said = scene.refused("meek", "Unschedulable");
    assert!(said.ends_with("preemption: not eligible due to preemptionPolicy=Never."), "{said}");
    scene.create(&scene.pod("critical", "3", json!({"spec": {"priorityClassName": "system-cluster-critical"}})));
    wait_for("the low one is on its way out", SOON, || {
        (!scene.kubectl.json("get pod low")["metadata"]["deletionTimestamp"].is_null()).then_some(())
    });
    scene.kubectl.ok("delete pod low --force --grace-period=0 --ignore-not-found");
    assert_eq!(scene.node_of("critical"), scene.nodes[0]);
}

#[test]
fn replica_sets_of_four_priorities() {
    let scene = Scene::new("sched-path", 1);
    scene.kubectl.ok_words(&[
        "patch",
        "node",
        &scene.nodes[0],
        "--subresource=status",
        "--type=merge",
        "-p",
        "{\"status\":{\"capacity\":{\"example.com/fakecpu\":\"1000\",\"pods\":\"110\"},\"allocatable\":{\"example.com/fakecpu\":\"1000\",\"pods\":\"110\"}}}",
    ]);
    classes(&scene, &[("p1", 1), ("p2", 2), ("p3", 3), ("p4", 4)]);
    let set = |name: &str, replicas: i64, amount: &str| {
        let mut pod = scene.pod(name, "1m", of_class(&scene, name));
        let resources = json!({"requests": {"example.com/fakecpu": amount}, "limits": {"example.com/fakecpu": amount}});
        pod["spec"]["containers"][0]["resources"] = resources;
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name}, "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod["spec"]},
        }})
    };
    let placed = |name: &str| {
        let list = scene.kubectl.json(&format!("get pods -l app={name}"));
        let on = |p: &&Value| p["spec"]["nodeName"].is_string() && p["metadata"]["deletionTimestamp"].is_null();
        list["items"].as_array().map_or(0, |all| all.iter().filter(on).count())
    };
    for (name, replicas, amount) in [("p1", 5, "40"), ("p2", 4, "50"), ("p3", 4, "95")] {
        scene.create(&set(name, replicas, amount));
        wait_for(&format!("{name} has its nodes"), SOON, || (placed(name) == replicas as usize).then_some(()));
    }
    scene.create(&set("p4", 1, "400"));
    // Of 1,000, 780 are taken and 400 wanted: 180 have to go, of the least important first.
    wait_for("p4 is there and the others stay within bounds", SOON, || {
        // Nobody else ends those that were asked to go.
        for pod in scene.kubectl.json("get pods")["items"].as_array()?.iter().filter(|p| !p["metadata"]["deletionTimestamp"].is_null()) {
            let name = pod["metadata"]["name"].as_str()?;
            scene.kubectl.run(&format!("delete pod {name} --force --grace-period=0 --ignore-not-found --wait=false"));
        }
        (placed("p4") == 1).then_some(())
    });
    assert_eq!((placed("p3"), placed("p2")), (4, 4));
}

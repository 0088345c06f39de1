//! The behaviours that the conformance suite names under sig-scheduling, as far as they can be seen without containers.
//! Pre-emption is in `preemption.rs`, LimitRanges are in the transcripts of admission.
use super::Scene;
use crate::run::run;
use serde_json::json;

#[test]
fn more_than_a_node_has_is_refused() {
    let scene = Scene::new("sched-limits", 2);
    for at in 0..2 {
        let name = format!("filler-{at}");
        scene.create(&scene.pod(&name, "3", json!({})));
        scene.node_of(&name);
    }
    scene.create(&scene.pod("additional", "2", json!({})));
    let said = scene.refused("additional", "Unschedulable");
    assert!(said.contains("2 Insufficient cpu"), "{said}");
}

#[test]
fn node_selectors_are_respected() {
    let scene = Scene::new("sched-selector", 2);
    scene.kubectl.ok(&format!("label node {} kubernetes.io/e2e-x=42", scene.nodes[1]));
    scene.create(&scene.pod("with-labels", "1", json!({"spec": {"nodeSelector": {"kubernetes.io/e2e-x": "42"}}})));
    assert_eq!(scene.node_of("with-labels"), scene.nodes[1]);
    scene.create(&scene.pod("restricted", "1", json!({"spec": {"nodeSelector": {"label": "nonempty"}}})));
    let said = scene.refused("restricted", "Unschedulable");
    assert!(said.contains("node(s) didn't match Pod's node affinity/selector"), "{said}");
}

#[test]
fn host_ports_clash_with_the_address_for_all() {
    let scene = Scene::new("sched-ports", 1);
    let with_port = |name: &str, ip: &str, protocol: &str| {
        let mut pod = scene.pod(name, "100m", json!({}));
        pod["spec"]["containers"][0]["ports"] = json!([{"containerPort": 80, "hostPort": 54322, "protocol": protocol, "hostIP": ip}]);
        pod
    };
    scene.create(&with_port("pod4", "0.0.0.0", "TCP"));
    scene.node_of("pod4");
    scene.create(&with_port("pod5", "127.0.0.1", "TCP"));
    let said = scene.refused("pod5", "Unschedulable");
    assert!(said.contains("1 node(s) didn't have free ports for the requested pod ports"), "{said}");
    scene.create(&with_port("pod6", "127.0.0.1", "UDP"));
    scene.node_of("pod6");
}

#[test]
fn priority_classes_can_be_changed_only_in_what_may_change() {
    let scene = Scene::new("sched-classes", 0);
    let class = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "sched-classes-p"}, "value": 7});
    scene.create(&class);
    let patch = |body: &str| run(&mut scene.kubectl.command(&["patch", "priorityclass", "sched-classes-p", "--type=merge", "-p", body]));
    patch("{\"description\":\"newDescription\"}").ok();
    let refused = patch("{\"value\":8}").refused();
    assert!(refused.contains("may not be changed in an update"), "{refused}");
    assert!(scene.kubectl.ok("get priorityclasses").contains("sched-classes-p"));
    scene.kubectl.ok("delete priorityclass sched-classes-p");
}

#[test]
fn limit_ranges_are_changed_and_deleted_by_collection() {
    let (scene, other) = (Scene::new("sched-limit-ranges", 0), Scene::new("sched-limit-ranges-2", 0));
    let range = |scene: &Scene| {
        json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "range", "namespace": scene.kubectl.namespace,
            "labels": {"sched-limit-ranges": "yes"}}, "spec": {"limits": [{"type": "Container", "max": {"cpu": "500m"}}]}})
    };
    for scene in [&scene, &other] {
        scene.create(&range(scene));
    }
    let listed = || scene.kubectl.ok("get limitranges --all-namespaces -l sched-limit-ranges=yes -o name").lines().count();
    assert_eq!(listed(), 2);
    let patch =
        "{\"metadata\":{\"labels\":{\"patched\":\"yes\"}},\"spec\":{\"limits\":[{\"type\":\"Container\",\"max\":{\"cpu\":\"600m\"}}]}}";
    scene.kubectl.ok_words(&["patch", "limitrange", "range", "--type=strategic", "-p", patch]);
    let changed = scene.kubectl.json("get limitrange range");
    assert_eq!((&changed["metadata"]["labels"]["patched"], &changed["spec"]["limits"][0]["max"]["cpu"]), (&"yes".into(), &"600m".into()));
    scene.kubectl.ok("delete limitranges -l patched=yes");
    assert_eq!(listed(), 1, "the other namespace keeps its own");
}

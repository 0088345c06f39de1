//! Who waits where, and what wakes whom.
use super::fixture::{Stage, cpu, pod, term};
use crate::actors::controllers::testing::mk_node;
use crate::actors::scheduler::cluster::devices;
use crate::actors::scheduler::cluster::node::NodeDelta;
use crate::actors::scheduler::cluster::storage::{CLAIMS, CLASSES, CSI_DRIVERS, CSI_NODES, VOLUMES};
use crate::actors::scheduler::decide::Outcome;
use crate::actors::scheduler::framework::happening::Happening;
use crate::actors::scheduler::framework::profile::Profile;
use crate::actors::scheduler::queue::{Depths, Queue};
use crate::protocol::meta::ObjectKey;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn taken(queue: &mut Queue) -> Option<String> {
    queue.take().map(|t| t.pod.key.name.to_string())
}

#[test]
fn order_rest_and_patience() {
    let (stage, mut queue, t0) = (Stage::new(1), Queue::default(), Instant::now());
    let profiles = [Profile::usual().unwrap()];
    let put = |queue: &mut Queue, name: &str, spec: Value| queue.put(Arc::new(stage.info(pod(name, json!({}), spec))), 0, &profiles, t0);
    put(&mut queue, "a", json!({}));
    put(&mut queue, "b", json!({}));
    put(&mut queue, "vip", json!({"priority": 9}));
    put(&mut queue, "gated", json!({"priority": 99, "schedulingGates": [{"name": "g"}]}));
    assert_eq!(queue.depths(), Depths { active: 3, gated: 1, ..Depths::default() });
    let (vip, a, b) = (queue.take().unwrap(), queue.take().unwrap(), queue.take().unwrap());
    assert_eq!([&vip, &a, &b].map(|t| &*t.pod.key.name), ["vip", "a", "b"]);
    assert!(queue.take().is_none());
    queue.retry(&vip.pod.key, &vip.pod.uid, t0);
    queue.refuse(a.pod.clone(), 0, &profiles, t0);
    queue.refuse(b.pod.clone(), 0, &profiles, t0);
    assert_eq!(queue.depths(), Depths { backoff: 1, unschedulable: 2, gated: 1, active: 0 });
    queue.tick(&profiles, t0 + Duration::from_secs(1));
    assert_eq!([taken(&mut queue), taken(&mut queue)], [Some("vip".into()), None]);
    // The second rest is longer.
    queue.retry(&vip.pod.key, &vip.pod.uid, t0);
    assert_eq!(queue.next_deadline(), Some(t0 + Duration::from_secs(2)));
    queue.remove(&vip.pod.key);
    // Nothing helped for five minutes.
    queue.tick(&profiles, t0 + Duration::from_secs(299));
    assert!(!queue.has_work());
    queue.tick(&profiles, t0 + Duration::from_secs(300));
    assert_eq!([taken(&mut queue), taken(&mut queue)], [Some("a".into()), Some("b".into())]);
    // The gate is lifted.
    put(&mut queue, "gated", json!({"priority": 99}));
    assert_eq!(taken(&mut queue), Some("gated".into()));
}

#[test]
fn only_what_could_help_wakes() {
    let mut stage = Stage::new(2);
    let (mut queue, t0) = (Queue::default(), Instant::now());
    let profiles = [Profile::usual().unwrap()];
    let bit = |name: &str| 1u32 << profiles[0].plugins.iter().position(|p| p.plugin.name() == name).unwrap();
    stage.on("n0", pod("q", json!({}), cpu("4"))).on("n1", pod("r", json!({}), cpu("4")));
    for (name, spec) in [("big", cpu("3")), ("small", cpu("1"))] {
        let info = Arc::new(stage.info(pod(name, json!({}), spec)));
        queue.put(info.clone(), 0, &profiles, t0);
        queue.take();
        queue.refuse(info, bit("NodeResourcesFit"), &profiles, t0);
    }
    let t1 = t0 + Duration::from_secs(5);
    let left = |slot: usize, object: Value, stage: &Stage| vec![Happening::PodLeft { slot, pod: Box::new(stage.info(object).resident) }];
    // Somebody came; labels changed; somebody left, but not enough is free for the big one.
    let came = vec![Happening::PodCame { slot: 0, pod: Box::new(stage.info(pod("x", json!({}), cpu("1"))).resident) }];
    queue.wake(&came, &stage.cluster, &profiles, t1);
    queue.wake(&[Happening::Node { slot: 0, delta: NodeDelta { labels: true, ..NodeDelta::default() } }], &stage.cluster, &profiles, t1);
    assert!(!queue.has_work());
    stage.on("n0", pod("q", json!({}), cpu("2")));
    let happened = left(0, pod("y", json!({}), cpu("2")), &stage);
    queue.wake(&happened, &stage.cluster, &profiles, t1);
    assert_eq!([taken(&mut queue), taken(&mut queue)], [Some("small".into()), None]);
    // A new node with room for it.
    stage.node(mk_node("n2", "4", "8Gi", 10));
    queue.wake(&[Happening::Node { slot: 2, delta: NodeDelta { added: true, ..NodeDelta::default() } }], &stage.cluster, &profiles, t1);
    assert_eq!(taken(&mut queue), Some("big".into()));
}

#[test]
fn hints_of_the_plugins() {
    let mut stage = Stage::new(2);
    let node = |delta: NodeDelta| Happening::Node { slot: 0, delta };
    let (taints, labels) = (NodeDelta { taints: true, ..NodeDelta::default() }, NodeDelta { labels: true, ..NodeDelta::default() });
    let left = |stage: &Stage, object: Value| Happening::PodLeft { slot: 0, pod: Box::new(stage.info(object).resident) };
    let came = |stage: &Stage, object: Value| Happening::PodCame { slot: 0, pod: Box::new(stage.info(object).resident) };
    let plain = || pod("p", json!({}), json!({}));
    assert!(stage.helps("TaintToleration", plain(), &node(taints.clone())));
    assert!(!stage.helps("TaintToleration", plain(), &node(labels.clone())));
    stage.spec("n0", json!({"taints": [{"key": "k", "effect": "NoSchedule"}], "unschedulable": true}));
    assert!(!stage.helps("TaintToleration", plain(), &node(taints.clone())));
    assert!(!stage.helps("NodeUnschedulable", plain(), &node(taints.clone())));
    let picky = pod("p", json!({}), json!({"nodeSelector": {"topology.kubernetes.io/zone": "z1"}}));
    assert!(stage.helps("NodeAffinity", picky.clone(), &node(labels.clone())));
    let other = pod("p", json!({}), json!({"nodeSelector": {"x": "y"}}));
    assert!(!stage.helps("NodeAffinity", other, &node(labels.clone())));
    let kinds = |kind: &str| json!({"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term("db", "kubernetes.io/hostname")]}}});
    let (near, far) = (pod("p", json!({}), kinds("podAffinity")), pod("p", json!({}), kinds("podAntiAffinity")));
    let (db, web) = (pod("q", json!({"app": "db"}), json!({})), pod("q", json!({"app": "web"}), json!({})));
    for (object, happening, want) in [
        (&near, came(&stage, db.clone()), true),
        (&near, came(&stage, web.clone()), false),
        (&far, came(&stage, db.clone()), false),
        (&far, left(&stage, db.clone()), true),
        (&far, left(&stage, web.clone()), false),
    ] {
        assert_eq!(stage.helps("InterPodAffinity", object.clone(), &happening), want, "{happening:?}");
    }
    let port = |number: u16| json!({"containers": [{"name": "c", "ports": [{"containerPort": 1, "hostPort": number}]}]});
    let wants = pod("p", json!({}), port(80));
    for (number, want) in [(80, true), (81, false)] {
        let happening = left(&stage, pod("q", json!({}), port(number)));
        assert_eq!(stage.helps("NodePorts", wants.clone(), &happening), want);
    }
    // A new node without the label that an affinity is about, and labels that no term is about.
    let nowhere = kinds_on("podAffinity", "rack");
    let added = node(NodeDelta { added: true, ..NodeDelta::default() });
    for (object, happening, want) in [
        (&near, &added, true),
        (&far, &added, true),
        (&nowhere, &added, false),
        (&near, &node(relabelled("kubernetes.io/hostname")), true),
        (&far, &node(relabelled("kubernetes.io/hostname")), true),
        (&near, &node(relabelled("rack")), false),
        (&nowhere, &node(relabelled("rack")), true),
    ] {
        assert_eq!(stage.helps("InterPodAffinity", object.clone(), happening), want, "{happening:?}");
    }
}

fn relabelled(key: &str) -> NodeDelta {
    NodeDelta { labels: true, keys: vec![key.into()], ..NodeDelta::default() }
}

fn kinds_on(kind: &str, key: &str) -> Value {
    pod("p", json!({}), json!({"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term("db", key)]}}}))
}

#[test]
fn hints_about_storage_and_devices() {
    let mut stage = Stage::new(1);
    let claim = |name: &str, class: &str| json!({"metadata": {"name": name, "namespace": "default"}, "spec": {"storageClassName": class}});
    stage
        .object(CLASSES, json!({"metadata": {"name": "waits"}, "provisioner": "x.io", "volumeBindingMode": "WaitForFirstConsumer"}))
        .object(CLAIMS, claim("mine", "waits"))
        .object(CLAIMS, claim("other", "waits"))
        .object(CLAIMS, claim("now", ""))
        .object(VOLUMES, json!({"metadata": {"name": "free"}, "spec": {"storageClassName": "waits"}}))
        .object(VOLUMES, json!({"metadata": {"name": "odd"}, "spec": {"storageClassName": "odd"}}))
        .object(VOLUMES, json!({"metadata": {"name": "theirs"}, "spec": {"claimRef": {"namespace": "default", "name": "other"}}}))
        .object(devices::CLAIMS, json!({"metadata": {"name": "d", "namespace": "default"}, "spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "gpu"}}]}}}));
    let mounts = |claim: &str| pod("p", json!({}), json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]}));
    let storage = |shelf: &'static str, name: &str| {
        let namespace = if shelf == CLAIMS { "default" } else { "" };
        Happening::Storage { shelf, key: ObjectKey::new(namespace, name) }
    };
    for (plugin, mounted, happening, want) in [
        ("VolumeBinding", "mine", storage(CLAIMS, "mine"), true),
        ("VolumeBinding", "mine", storage(CLAIMS, "other"), false),
        ("VolumeBinding", "mine", storage(VOLUMES, "free"), true),
        ("VolumeBinding", "mine", storage(VOLUMES, "odd"), false),
        ("VolumeBinding", "mine", storage(VOLUMES, "theirs"), false),
        ("VolumeBinding", "mine", storage(CLASSES, "waits"), true),
        ("VolumeBinding", "mine", storage(CLASSES, "another"), false),
        ("VolumeBinding", "mine", storage(CSI_DRIVERS, "x.io"), true),
        ("VolumeBinding", "mine", storage(CSI_NODES, "n0"), false),
        // A claim that is to be bound before is not: nothing else helps.
        ("VolumeBinding", "now", storage(CLAIMS, "now"), false),
        ("VolumeZone", "mine", storage(CLAIMS, "mine"), true),
        ("VolumeZone", "mine", storage(VOLUMES, "free"), false),
        ("VolumeRestrictions", "mine", storage(CLAIMS, "mine"), true),
        ("VolumeRestrictions", "mine", storage(CLAIMS, "other"), false),
        ("NodeVolumeLimits", "mine", storage(CSI_NODES, "n0"), true),
        ("NodeVolumeLimits", "mine", storage(CLAIMS, "other"), false),
        ("NodeResourcesFit", "mine", storage(CLAIMS, "mine"), false),
    ] {
        assert_eq!(stage.helps(plugin, mounts(mounted), &happening), want, "{plugin} {mounted} {happening:?}");
    }
    let asks = pod("p", json!({}), json!({"resourceClaims": [{"name": "c", "resourceClaimName": "d"}]}));
    let device = |shelf: &'static str, name: &str, freed: bool| {
        let namespace = if shelf == devices::CLAIMS { "default" } else { "" };
        Happening::Devices { shelf, key: ObjectKey::new(namespace, name), freed }
    };
    for (happening, want) in [
        (device(devices::CLAIMS, "d", false), true),
        (device(devices::CLAIMS, "other", false), false),
        (device(devices::CLAIMS, "other", true), true),
        (device(devices::CLASSES, "gpu", false), true),
        (device(devices::CLASSES, "nic", false), false),
        (device(devices::SLICES, "s", false), true),
    ] {
        assert_eq!(stage.helps("DynamicResources", asks.clone(), &happening), want, "{happening:?}");
    }
}

#[test]
fn pods_that_wait_for_claims_are_woken_once_each() {
    const PODS: usize = 100;
    let (mut stage, mut queue, t0) = (Stage::new(1), Queue::default(), Instant::now());
    let profiles = [Profile::usual().unwrap()];
    for at in 0..PODS {
        stage.object(CLAIMS, json!({"metadata": {"name": format!("c{at}"), "namespace": "default"}, "spec": {}}));
        let mounts = json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": format!("c{at}")}}]});
        queue.put(Arc::new(stage.info(pod(&format!("p{at}"), json!({}), mounts))), 0, &profiles, t0);
        let waits = queue.take().unwrap();
        let Outcome::Unschedulable { rejected_by, .. } = stage.decision(&waits.pod).outcome else { panic!("its claim is not bound") };
        queue.refuse(waits.pod, rejected_by, &profiles, t0);
    }
    let mut attempts = Vec::new();
    for at in 0..PODS {
        let (claim, volume) = (format!("c{at}"), format!("v{at}"));
        stage.object(VOLUMES, json!({"metadata": {"name": volume}, "spec": {"claimRef": {"namespace": "default", "name": claim}}}));
        let made = Happening::Storage { shelf: VOLUMES, key: ObjectKey::new("", volume.clone()) };
        queue.wake(&[made], &stage.cluster, &profiles, t0);
        let done = json!({"pv.kubernetes.io/bind-completed": "yes"});
        stage.object(
            CLAIMS,
            json!({"metadata": {"name": claim, "namespace": "default", "annotations": done}, "spec": {"volumeName": volume}}),
        );
        let bound = Happening::Storage { shelf: CLAIMS, key: ObjectKey::new("default", claim) };
        queue.wake(&[bound], &stage.cluster, &profiles, t0);
        while let Some(waits) = queue.take() {
            assert!(matches!(stage.decision(&waits.pod).outcome, Outcome::Node { .. }));
            attempts.push(waits.pod.key.name.to_string());
            queue.remove(&waits.pod.key);
        }
    }
    assert_eq!(attempts, (0..PODS).map(|at| format!("p{at}")).collect::<Vec<_>>());
}

#[test]
fn who_rests_is_taken_when_nobody_else_is_there() {
    let (mut stage, mut queue, t0) = (Stage::new(1), Queue::default(), Instant::now());
    let profiles = [Profile::usual().unwrap()];
    let fit = 1u32 << profiles[0].plugins.iter().position(|p| p.plugin.name() == "NodeResourcesFit").unwrap();
    for (name, priority) in [("low", 1), ("high", 2), ("failed", 3)] {
        let info = Arc::new(stage.info(pod(name, json!({}), json!({"priority": priority}))));
        queue.put(info.clone(), 0, &profiles, t0);
        queue.take();
        match name {
            "failed" => queue.retry(&info.key, &info.uid, t0),
            _ => queue.refuse(info, fit, &profiles, t0),
        }
    }
    stage.node(mk_node("n1", "4", "8Gi", 10));
    queue.wake(&[Happening::Node { slot: 1, delta: NodeDelta { added: true, ..NodeDelta::default() } }], &stage.cluster, &profiles, t0);
    assert_eq!(queue.depths(), Depths { backoff: 3, ..Depths::default() });
    queue.put(Arc::new(stage.info(pod("fresh", json!({}), json!({})))), 0, &profiles, t0);
    // Whoever is not resting comes first; who rests because something went wrong does so to the end.
    assert_eq!(std::iter::from_fn(|| taken(&mut queue)).collect::<Vec<_>>(), ["fresh", "high", "low"]);
    assert!(!queue.has_work());
    queue.tick(&profiles, t0 + Duration::from_secs(1));
    assert_eq!(taken(&mut queue), Some("failed".into()));
}

#[test]
fn a_pod_in_a_cluster_without_nodes_waits_for_the_first() {
    let (mut stage, mut queue, t0) = (Stage::new(0), Queue::default(), Instant::now());
    let profiles = [Profile::usual().unwrap()];
    let info = Arc::new(stage.info(pod("early", json!({}), json!({}))));
    queue.put(info.clone(), 0, &profiles, t0);
    queue.take();
    let Outcome::Unschedulable { rejected_by, .. } = stage.decision(&info).outcome else { panic!("there is a node") };
    queue.refuse(info, rejected_by, &profiles, t0);
    stage.node(mk_node("n0", "4", "8Gi", 10));
    let came = Happening::Node { slot: 0, delta: NodeDelta { added: true, ..NodeDelta::default() } };
    queue.wake(&[came], &stage.cluster, &profiles, t0 + Duration::from_secs(60));
    assert_eq!(taken(&mut queue), Some("early".into()));
}

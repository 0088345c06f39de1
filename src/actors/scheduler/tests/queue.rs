//! Who waits where, and what wakes whom.
use super::fixture::{Stage, cpu, pod, term};
use crate::actors::controllers::testing::mk_node;
use crate::actors::scheduler::cluster::node::NodeDelta;
use crate::actors::scheduler::decide::Outcome;
use crate::actors::scheduler::framework::happening::Happening;
use crate::actors::scheduler::framework::profile::Profile;
use crate::actors::scheduler::queue::{Depths, Queue};
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
    assert!(stage.helps("TaintToleration", plain(), &node(taints)));
    assert!(!stage.helps("TaintToleration", plain(), &node(labels)));
    stage.spec("n0", json!({"taints": [{"key": "k", "effect": "NoSchedule"}], "unschedulable": true}));
    assert!(!stage.helps("TaintToleration", plain(), &node(taints)));
    assert!(!stage.helps("NodeUnschedulable", plain(), &node(taints)));
    let picky = pod("p", json!({}), json!({"nodeSelector": {"topology.kubernetes.io/zone": "z1"}}));
    assert!(stage.helps("NodeAffinity", picky.clone(), &node(labels)));
    let other = pod("p", json!({}), json!({"nodeSelector": {"x": "y"}}));
    assert!(!stage.helps("NodeAffinity", other, &node(labels)));
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
    let storage = Happening::Storage { shelf: "persistentvolumeclaims" };
    assert!(stage.helps("VolumeBinding", plain(), &storage) && !stage.helps("NodeResourcesFit", plain(), &storage));
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

//! Decisions in a table, safety by chance, the actor on a model, and the pace of a large cluster.
use super::cluster::Cluster;
use super::decide::{Decision, Search, decide, enough};
use super::pod::{Demand, PodInfo};
use super::queue::{Queue, Wake};
use super::role::{CAPACITY, Scheduler};
use crate::actors::base::{Guardian, Mailbox, Registry, RestartPolicy};
use crate::actors::controllers::feed::Objects;
use crate::actors::controllers::plan::Propagation;
use crate::actors::controllers::testing::*;
use crate::protocol::light::Light;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn pod(spec: Value) -> PodInfo {
    let mut object = mk_pod("p", json!({}));
    object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    PodInfo::parse(&Model::default().put("pods", object)).unwrap()
}

fn asks(cpu: &str) -> Value {
    json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu, "memory": "64Mi"}}}]})
}

fn cluster(nodes: &[Value]) -> Cluster {
    let (model, mut cluster) = (Model::default(), Cluster::default());
    for node in nodes {
        cluster.node_set(&model.put("nodes", node.clone()));
    }
    cluster
}

fn with(mut node: Value, patch: Value) -> Value {
    for (field, value) in patch.as_object().unwrap() {
        node["spec"][field] = value.clone();
    }
    node
}

/// The node chosen, or the message.
fn outcome(pod: &PodInfo, cluster: &Cluster) -> String {
    match decide(pod, cluster, &mut Search::default()) {
        Decision::Node { slot, .. } => cluster.nodes()[slot].name.to_string(),
        Decision::Unschedulable { message, .. } => message,
    }
}

#[test]
fn the_words_of_a_refusal() {
    let tainted = with(mk_node("t", "4", "1Gi", 10), json!({"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}));
    let busy = mk_node("a", "2", "1Gi", 10);
    let mut nodes = cluster(&[busy.clone(), tainted.clone()]);
    let other = pod(asks("1500m"));
    nodes.place(&key("other"), &"u".into(), &"a".into(), other.demand.clone());
    assert_eq!(
        outcome(&pod(asks("1")), &nodes),
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s). preemption: 0/2 nodes are available: \
         1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling."
    );
    assert_eq!(outcome(&pod(asks("1")), &cluster(&[])), "no nodes available to schedule pods");
    let tolerant = json!({"tolerations": [{"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}]});
    assert_eq!(outcome(&pod(tolerant), &cluster(&[tainted])), "t");
    let cordoned = with(busy, json!({"unschedulable": true}));
    let message = outcome(&pod(json!({})), &cluster(&[cordoned]));
    assert!(message.starts_with("0/1 nodes are available: 1 node(s) were unschedulable. preemption:"), "{message}");
}

#[test]
fn selectors_affinity_ports_and_devices() {
    let mut gpu = mk_node("gpu", "4", "8Gi", 10);
    gpu["metadata"]["labels"]["disk"] = "ssd".into();
    gpu["status"]["allocatable"]["x.io/gpu"] = "1".into();
    let mut nodes = cluster(&[mk_node("plain", "64", "64Gi", 100), gpu]);
    let affinity = |kind: &str, body: Value| json!({"affinity": {"nodeAffinity": {kind: body}}});
    let term = json!({"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]});
    let field = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["gpu"]}]});
    let port = json!({"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}]});
    let device = json!({"containers": [{"name": "c", "resources": {"requests": {"x.io/gpu": "1"}}}]});
    for spec in [
        json!({"nodeSelector": {"disk": "ssd"}}),
        affinity("requiredDuringSchedulingIgnoredDuringExecution", json!({"nodeSelectorTerms": [term.clone()]})),
        affinity("requiredDuringSchedulingIgnoredDuringExecution", json!({"nodeSelectorTerms": [field]})),
        affinity("preferredDuringSchedulingIgnoredDuringExecution", json!([{"weight": 100, "preference": term}])),
        device.clone(),
    ] {
        assert_eq!(outcome(&pod(spec.clone()), &nodes), "gpu", "{spec}");
    }
    assert!(
        outcome(&pod(json!({"nodeSelector": {"disk": "tape"}})), &nodes).contains("2 node(s) didn't match Pod's node affinity/selector")
    );
    for node in ["plain", "gpu"] {
        nodes.place(&key(node), &node.into(), &node.into(), pod(port.clone()).demand);
    }
    assert!(outcome(&pod(port), &nodes).contains("2 node(s) didn't have free ports for the requested pod ports"));
    nodes.place(&key("d"), &"d".into(), &"gpu".into(), pod(device.clone()).demand);
    assert!(outcome(&pod(device.clone()), &nodes).contains("2 Insufficient x.io/gpu"));
    assert!(nodes.forget(&key("d"), Some("d")));
    assert_eq!(outcome(&pod(device), &nodes), "gpu");
}

#[test]
fn a_fresh_set_spreads_over_the_nodes() {
    let mut nodes = cluster(&(0..5).map(|i| mk_node(&format!("n{i}"), "64", "64Gi", 100)).collect::<Vec<_>>());
    let (one, mut search, mut on) = (pod(asks("10m")), Search::default(), HashMap::new());
    for i in 0..20 {
        let Decision::Node { slot, .. } = decide(&one, &nodes, &mut search) else { panic!("full?") };
        let name = nodes.nodes()[slot].name.clone();
        *on.entry(name.clone()).or_insert(0) += 1;
        nodes.place(&key(&format!("p{i}")), &format!("u{i}").into(), &name, one.demand.clone());
    }
    assert!(on.values().all(|n| *n == 4), "{on:?}");
}

#[test]
fn large_clusters_are_sampled() {
    assert_eq!([10, 100, 1000, 5000, 10_000].map(enough), [10, 100, 420, 500, 500]);
}

#[test]
fn the_queue_orders_rests_and_wakes() {
    let (mut queue, t0) = (Queue::default(), Instant::now());
    let named = |name: &str, priority: i32| PodInfo { key: key(name), uid: name.into(), priority, ..pod(json!({})) };
    queue.put(named("a", 0));
    queue.put(named("b", 0));
    queue.put(named("vip", 9));
    queue.put(PodInfo { gated: true, ..named("gated", 99) });
    let mut order = Vec::new();
    while let Some(pod) = queue.take() {
        order.push(pod.key.name.to_string());
    }
    assert_eq!(order, ["vip", "a", "b"]);
    queue.refuse(&key("a"), "a", true, "full", t0);
    queue.refuse(&key("b"), "b", false, "taint", t0);
    queue.retry(&key("vip"), "vip", t0);
    queue.wake(Wake::Room, t0);
    assert_eq!(queue.next_deadline(), Some(t0 + Duration::from_secs(1)));
    queue.tick(t0 + Duration::from_secs(1));
    assert_eq!(
        [queue.take(), queue.take(), queue.take()].map(|p| p.map(|p| p.key.name.to_string())),
        [Some("vip".into()), Some("a".into()), None]
    );
    queue.wake(Wake::Node, t0 + Duration::from_secs(2));
    assert_eq!(queue.take().map(|p| p.key), Some(key("b")));
    queue.put(named("gated", 99));
    assert_eq!(queue.take().map(|p| p.key), Some(key("gated")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// No node is ever given more than it has, and a pod is refused only when no node has room.
    #[test]
    fn never_overcommits(caps in prop::collection::vec((1i64..8, 1i64..6), 1..8), pods in prop::collection::vec((0i64..2500, any::<bool>()), 1..60)) {
        let rows: Vec<Value> = caps.iter().enumerate().map(|(i, (cpu, n))| mk_node(&format!("n{i}"), &cpu.to_string(), "64Gi", *n)).collect();
        let (mut nodes, mut search) = (cluster(&rows), Search::default());
        for (i, (cpu, leaves)) in pods.iter().enumerate() {
            let one = pod(asks(&format!("{cpu}m")));
            let id = key(&format!("p{i}"));
            match decide(&one, &nodes, &mut search) {
                Decision::Node { slot, .. } => {
                    let name = nodes.nodes()[slot].name.clone();
                    nodes.place(&id, &"u".into(), &name, one.demand);
                    nodes.place(&id, &"u".into(), &name, pod(asks(&format!("{cpu}m"))).demand);
                }
                Decision::Unschedulable { .. } => {
                    for node in nodes.nodes() {
                        prop_assert!(node.pods >= node.light.pods || (*cpu > 0 && node.used_cpu + cpu > node.light.cpu_milli));
                    }
                }
            }
            if *leaves && i > 0 { nodes.forget(&key(&format!("p{}", i - 1)), Some("u")); }
            for node in nodes.nodes() {
                prop_assert!(node.used_cpu <= node.light.cpu_milli && node.pods <= node.light.pods);
            }
        }
    }
}

/// The actor on a model: pods are bound, a full cluster says so, and room that becomes free is used.
#[actix_rt::test]
async fn the_scheduler_binds_and_wakes() {
    let model = Arc::new(Model::default());
    model.put("nodes", mk_node("n1", "1", "8Gi", 110));
    let shared = model.clone();
    let guardian = Guardian::new(Registry::default(), RestartPolicy::default(), |_, why| panic!("{why}"));
    let arbiter = actix_rt::Arbiter::new();
    let mailbox = Mailbox::new("server/scheduler");
    let put = |name: &str| {
        let mut object = mk_pod(name, json!({}));
        object["spec"]["containers"] = asks("600m")["containers"].clone();
        model.put("pods", object);
    };
    put("first");
    guardian.start(&arbiter.handle(), &mailbox, CAPACITY, move || Scheduler::new("default-scheduler", shared.clone(), shared.clone()));
    let bound = |name: &str| matches!(&model.get("pods", &key(name)).unwrap().light, Light::Pod(l) if &*l.node == "n1");
    let until = async |what: &dyn Fn() -> bool| {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !what() {
            assert!(Instant::now() < deadline, "in vain");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    until(&|| bound("first")).await;
    put("second");
    let condition = || model.get("pods", &key("second")).unwrap().parse()["status"]["conditions"][0].clone();
    until(&|| condition()["reason"] == "Unschedulable").await;
    assert_eq!(condition()["message"].as_str().unwrap(), model.events().iter().find(|e| e.reason == "FailedScheduling").unwrap().message);
    model.delete_now("pods", &key("first"), Propagation::Background);
    model.reap_pods();
    until(&|| bound("second")).await;
    until(&|| model.events().iter().any(|e| e.message == "Successfully assigned default/second to n1")).await;
}

/// Not a pass or fail: prints how fast decisions are.
#[test]
fn pace_of_ten_thousand_pods_on_five_thousand_nodes() {
    let (model, mut nodes, mut search) = (Model::default(), Cluster::default(), Search::default());
    for i in 0..5000 {
        nodes.node_set(&model.put("nodes", mk_node(&format!("n{i}"), "32", "64Gi", 110)));
    }
    let mut one = pod(asks("100m"));
    let started = Instant::now();
    for i in 0..10_000u64 {
        one.demand = Demand { group: i / 50, ..one.demand };
        let Decision::Node { slot, .. } = decide(&one, &nodes, &mut search) else { panic!("full?") };
        let name = nodes.nodes()[slot].name.clone();
        nodes.place(&key(&format!("p{i}")), &format!("u{i}").into(), &name, one.demand.clone());
    }
    let took = started.elapsed();
    println!("10,000 pods on 5,000 nodes: {took:?}, {:.0} pods/s", 10_000.0 / took.as_secs_f64());
}

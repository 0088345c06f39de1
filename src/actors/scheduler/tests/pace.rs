//! How fast decisions are. Ignored by default: it prints, and says nothing about right or wrong but that all fit. Run it in an
//! optimised build: `cargo test --profile bench --lib pace -- --ignored --nocapture`.
use super::fixture::{Stage, cpu, pod, term};
use crate::actors::controllers::testing::mk_node;
use crate::actors::scheduler::decide::Outcome;
use crate::actors::scheduler::pod::PodInfo;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const NODES: usize = 5000;
const PODS: usize = 10_000;

/// `more`: what the pods' spec says beside their size, given the name of their workload. 50 pods are of one workload.
fn run(name: &str, more: impl Fn(&str) -> Value) {
    let mut stage = Stage::new(0);
    for at in 0..NODES {
        let mut node = mk_node(&format!("n{at}"), "32", "64Gi", 110);
        node["metadata"]["labels"]["topology.kubernetes.io/zone"] = format!("z{}", at % 3).into();
        stage.node(node);
    }
    let (mut parsing, mut deciding, mut slowest) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for at in 0..PODS {
        let app = format!("app{}", at / 50);
        let mut spec = cpu("100m");
        spec.as_object_mut().unwrap().extend(more(&app).as_object().unwrap().clone());
        let entry = stage.entry(pod(&format!("p{at}"), json!({ "app": app }), spec));
        let kin = json!({"matchLabels": {"app": app}});
        let begun = Instant::now();
        let info = PodInfo::parse(&entry, &kin, &stage.profile.spreads).unwrap();
        parsing += begun.elapsed();
        let begun = Instant::now();
        let Outcome::Node { slot } = stage.decision(&info).outcome else { panic!("full?") };
        let node = stage.cluster.nodes()[slot].name.clone();
        stage.cluster.place(info.resident, &node);
        let took = begun.elapsed();
        deciding += took;
        slowest = slowest.max(took);
    }
    let pace = PODS as f64 / deciding.as_secs_f64();
    println!("{name}: {PODS} pods on {NODES} nodes: {deciding:?}, {pace:.0} pods/s, slowest {slowest:?}; parsing {parsing:?}");
}

#[test]
#[ignore = "prints how fast decisions are; meant for an optimised build"]
fn pace_of_ten_thousand_pods_on_five_thousand_nodes() {
    run("default plugins", |_| json!({}));
    run("pod anti-affinity and spread", |app| {
        let selector = json!({"matchLabels": {"app": app}});
        json!({
            "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term(app, "kubernetes.io/hostname")]}},
            "topologySpreadConstraints": [{"topologyKey": "topology.kubernetes.io/zone", "maxSkew": 1, "labelSelector": selector}],
        })
    });
    run("anti-affinity of one group of all", |_| {
        let far = json!({"labelSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["app0", "none"]}]}, "topologyKey": "kubernetes.io/hostname"});
        json!({"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 10, "podAffinityTerm": far}]}}})
    });
}

//! Decisions, the queue and what wakes it, safety by chance, the actor on a model, and the pace of a large cluster.
mod actor;
mod configured;
pub mod fixture;
mod pace;
mod queue;
mod residents;
mod safety;

use super::decide::{Outcome, Preemption, enough};
use crate::actors::controllers::testing::mk_node;
use fixture::{Stage, cpu, pod};
use serde_json::json;
use std::collections::HashMap;

#[test]
fn the_words_of_a_refusal() {
    let mut stage = Stage::new(0);
    let mut tainted = mk_node("t", "4", "1Gi", 10);
    tainted["spec"] = json!({"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]});
    stage.node(mk_node("a", "2", "1Gi", 10)).node(tainted).on("a", pod("other", json!({}), cpu("1500m")));
    let one = stage.info(pod("p", json!({}), cpu("1")));
    let decision = stage.decision(&one);
    let Outcome::Unschedulable { message, .. } = decision.outcome else { panic!("it fits?") };
    assert_eq!(
        message,
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s). no new claims to deallocate, preemption: 0/2 nodes are available: \
         1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling."
    );
    assert_eq!(decision.counts.len(), 2);
    assert_eq!(Stage::new(0).outcome(pod("p", json!({}), cpu("1"))), "no nodes available to schedule pods");
}

#[test]
fn who_is_asked_last_has_the_last_word() {
    let said = |stage: &mut Stage, object| {
        let info = stage.info(object);
        let Outcome::Unschedulable { message, preemption, .. } = stage.decision(&info).outcome else { panic!("it fits?") };
        (message, preemption)
    };
    let big = || pod("p", json!({}), cpu("1"));
    let off = |what: &str| format!("profiles: [{{plugins: {{multiPoint: {{disabled: [{{name: {what}}}]}}}}}}]");
    let full = "0/1 nodes are available: 1 Insufficient cpu.";
    let nobody = "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.";
    for (yaml, want) in [
        ("{}".to_string(), format!("{full} no new claims to deallocate, {nobody}")),
        (off("DynamicResources"), format!("{full} {nobody}")),
        (off("DefaultPreemption"), format!("{full} no new claims to deallocate")),
        ("profiles: [{plugins: {postFilter: {disabled: [{name: '*'}]}}}]".into(), full.into()),
    ] {
        let mut stage = Stage::configured(&yaml);
        stage.node(mk_node("n0", "4", "8Gi", 10)).on("n0", pod("q", json!({}), cpu("4")));
        assert_eq!(said(&mut stage, big()).0, want, "{yaml}");
    }
    // A pod that somebody refused before nodes were looked at, with claims on devices or without.
    let mut stage = Stage::new(1);
    let volume = json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]});
    let (message, preemption) = said(&mut stage, pod("p", json!({}), volume));
    assert_eq!(message, "0/1 nodes are available: persistentvolumeclaim \"c\" not found. not found");
    assert_eq!(preemption, Preemption::Waits);
    let devices = json!({"resourceClaims": [{"name": "d", "resourceClaimName": "d"}]});
    let (message, _) = said(&mut stage, pod("p", json!({}), devices));
    assert_eq!(
        message,
        "0/1 nodes are available: resourceclaim.resource.k8s.io \"d\" not found. no new claims to deallocate, preemption: \
         0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    );
}

#[test]
fn a_fresh_set_spreads_over_the_nodes() {
    let mut stage = Stage::new(0);
    for at in 0..5 {
        stage.node(mk_node(&format!("n{at}"), "64", "64Gi", 100));
    }
    let mut on = HashMap::new();
    for at in 0..20 {
        let mut one = stage.info(pod(&format!("p{at}"), json!({"app": "web"}), cpu("10m")));
        let kin = json!({"matchLabels": {"app": "web"}});
        one = super::pod::PodInfo::parse(&one.resident.entry, &kin, &stage.profile.spreads).unwrap();
        let decision = stage.decision(&one);
        let Outcome::Node { slot } = decision.outcome else { panic!("full?") };
        let name = stage.cluster.nodes()[slot].name.clone();
        assert_eq!(decision.top[0].0, name);
        stage.cluster.place(one.resident, &name);
        *on.entry(name).or_insert(0) += 1;
    }
    assert!(on.len() == 5 && on.values().all(|n| *n == 4), "{on:?}");
}

#[test]
fn large_clusters_are_sampled() {
    assert_eq!([10, 100, 1000, 5000, 10_000].map(|n| enough(n, None)), [10, 100, 420, 500, 500]);
    assert_eq!([10, 5000].map(|n| enough(n, Some(100))), [10, 5000]);
}

#[test]
fn the_model_follows_events() {
    let mut stage = Stage::new(2);
    let object = pod("p", json!({"app": "a"}), cpu("1"));
    stage.on("n0", object.clone());
    let first =
        crate::actors::controllers::feed::Objects::get(&stage.model, "pods", &crate::actors::controllers::testing::key("p")).unwrap();
    stage.on("n1", object.clone());
    assert_eq!((stage.cluster.nodes()[0].pods, stage.cluster.nodes()[1].pods, stage.cluster.nodes()[1].used_cpu), (0, 1, 1000));
    assert!(stage.cluster.forget(&first.key, Some("another")).is_none());
    assert!(stage.cluster.forget(&first.key, None).is_some());
    assert_eq!((stage.cluster.nodes()[1].pods, stage.cluster.nodes()[1].scored_memory), (0, 0));
    // A node that goes and comes back knows the pods that stayed.
    stage.on("n0", object);
    stage.cluster.node_gone("n0");
    assert_eq!(stage.cluster.count(), 1);
    stage.node(mk_node("n0", "4", "8Gi", 10));
    assert_eq!((stage.cluster.count(), stage.cluster.nodes()[0].pods), (2, 1));
}

//! Who makes room for whom, and what is said when nobody does.
use crate::actors::scheduler::decide::{Outcome, Preemption};
use crate::actors::scheduler::tests::fixture::{Stage, pod, ranked, term};
use serde_json::{Value, json};

/// Where room is made and by whom, or the message.
fn preempt(stage: &mut Stage, object: Value) -> (String, Vec<String>) {
    let pod = stage.info(object);
    match stage.decision(&pod).outcome {
        Outcome::Unschedulable { preemption: Preemption::Victims(v), .. } => {
            (v.node.to_string(), v.pods.iter().map(|(key, _)| key.name.to_string()).collect())
        }
        Outcome::Unschedulable { message, .. } => (message, Vec::new()),
        Outcome::Node { slot } => (stage.cluster.nodes()[slot].name.to_string(), Vec::new()),
    }
}

fn low(name: &str, cpu: &str, priority: i32) -> Value {
    pod(name, json!({"app": name}), ranked(cpu, priority))
}

#[test]
fn the_least_important_make_room() {
    let mut stage = Stage::new(1);
    stage.on("n0", low("a", "1", 1)).on("n0", low("b", "1", 2)).on("n0", low("c", "2", 3));
    assert_eq!(preempt(&mut stage, low("vip", "1", 9)), ("n0".into(), vec!["a".into()]));
    assert_eq!(preempt(&mut stage, low("vip", "2", 9)), ("n0".into(), vec!["b".into(), "a".into()]));
    assert_eq!(preempt(&mut stage, low("vip", "4", 9)).1, ["c", "b", "a"]);
    // Only those of lower priority.
    assert_eq!(preempt(&mut stage, low("vip", "1", 2)).1, ["a"]);
    let (said, _) = preempt(&mut stage, low("vip", "1", 1));
    assert_eq!(
        said,
        "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: \
         1 No preemption victims found for incoming pod."
    );
    let (said, _) = preempt(&mut stage, low("vip", "5", 9));
    assert!(said.ends_with("preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."), "{said}");
    let mut meek = low("vip", "1", 9);
    meek["spec"]["preemptionPolicy"] = "Never".into();
    let (said, _) = preempt(&mut stage, meek);
    assert_eq!(
        said,
        "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never."
    );
}

#[test]
fn the_cheapest_node_is_chosen() {
    // Each row: what fills the nodes, and where room is made for three CPUs.
    let started = |mut object: Value, at: &str| {
        object["status"] = json!({ "startTime": at });
        object
    };
    let cases: Vec<(Vec<(&str, Value)>, &str)> = vec![
        (vec![("n0", low("a", "4", 5)), ("n1", low("b", "4", 3))], "n1"),
        (vec![("n0", low("a", "4", 3)), ("n1", low("b", "2", 3)), ("n1", low("c", "2", 2))], "n0"),
        (vec![("n0", started(low("a", "4", 3), "2026-01-01T00:00:00Z")), ("n1", started(low("b", "4", 3), "2026-01-02T00:00:00Z"))], "n1"),
    ];
    for (at, (pods, want)) in cases.into_iter().enumerate() {
        let mut stage = Stage::new(2);
        for (node, object) in pods {
            stage.on(node, object);
        }
        assert_eq!(preempt(&mut stage, low("vip", "3", 9)).0, want, "case {at}");
    }
}

#[test]
fn budgets_are_minded_where_possible() {
    let budget = |allowed: i64| json!({"metadata": {"name": "b", "namespace": "default"}, "spec": {"selector": {"matchLabels": {"app": "a"}}}, "status": {"disruptionsAllowed": allowed}});
    for (allowed, want) in [(0, "n1"), (1, "n0")] {
        let mut stage = Stage::new(2);
        stage.on("n0", low("a", "4", 1)).on("n1", low("c", "4", 2));
        let entry = stage.model.put("poddisruptionbudgets.policy", budget(allowed));
        stage.cluster.budgets.set(&entry);
        assert_eq!(preempt(&mut stage, low("vip", "4", 9)).0, want);
    }
    // On one node those go whose budget allows it; when nothing else helps, budgets are broken.
    let mut stage = Stage::new(1);
    stage.on("n0", low("a", "2", 1)).on("n0", low("c", "2", 1));
    let entry = stage.model.put("poddisruptionbudgets.policy", budget(0));
    stage.cluster.budgets.set(&entry);
    assert_eq!(preempt(&mut stage, low("vip", "2", 9)).1, ["c"]);
    assert_eq!(preempt(&mut stage, low("vip", "4", 9)).1.len(), 2);
}

#[test]
fn room_that_is_being_made_is_waited_for_and_kept() {
    let mut stage = Stage::new(1);
    let mut leaving = low("a", "4", 1);
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    stage.on("n0", leaving);
    let mut vip = low("vip", "4", 9);
    vip["status"] = json!({"nominatedNodeName": "n0"});
    let (said, _) = preempt(&mut stage, vip.clone());
    assert!(said.ends_with("preemption: not eligible due to a terminating pod on the nominated node."), "{said}");
    // The room is for whom it was made: others of no higher priority don't take it.
    let mut stage = Stage::new(1);
    let nominated = std::sync::Arc::new(stage.info(vip));
    stage.cluster.nominate(&nominated, Some("n0"));
    assert_eq!(stage.outcome(low("p", "1", 9)), "0/1 nodes are available: 1 Insufficient cpu.");
    assert_eq!(stage.outcome(low("p", "1", 10)), "n0");
    let own = (*nominated).clone();
    assert!(matches!(stage.decision(&own).outcome, Outcome::Node { .. }));
}

#[test]
fn anti_affinity_and_spread_can_be_made_room_for() {
    let far = |name: &str| {
        let mut object = low(name, "1", 9);
        object["spec"]["affinity"] =
            json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term("a", "kubernetes.io/hostname")]}});
        object
    };
    let mut stage = Stage::new(1);
    stage.on("n0", low("a", "1", 1)).on("n0", low("b", "1", 1));
    assert_eq!(preempt(&mut stage, far("vip")), ("n0".into(), vec!["a".into()]));
    // The trial left the counts as they were.
    assert_eq!(preempt(&mut stage, far("vip")), ("n0".into(), vec!["a".into()]));
    let mut stage = Stage::new(2);
    let web = |name: &str, priority: i32| {
        let mut object = pod(name, json!({"app": "web"}), ranked("1", priority));
        object["spec"]["topologySpreadConstraints"] = json!([{"topologyKey": "kubernetes.io/hostname", "maxSkew": 1,
            "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "web"}}}]);
        object
    };
    stage.on("n0", web("a", 1)).spec("n1", json!({"unschedulable": true}));
    assert_eq!(preempt(&mut stage, web("vip", 9)), ("n0".into(), vec!["a".into()]));
}

//! DaemonSets on nodes that come, go and change.
use super::*;
use crate::actors::controllers::daemon_set::{DaemonSets, node_of};
use crate::actors::controllers::testing::{Bench, key, mk_node, mk_pod};
use crate::protocol::meta::ObjectKey;
use std::collections::{BTreeMap, BTreeSet};

const SHELF: &str = "daemonsets.apps";

fn daemon(unavailable: i64, surge: i64) -> Value {
    let template = json!({"metadata": {"labels": {"app": "log"}}, "spec": {"containers": [{"name": "c", "image": "v0"}], "nodeSelector": {"disk": "ssd"}}});
    json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "log", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "log"}}, "template": template, "revisionHistoryLimit": 2,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": unavailable, "maxSurge": surge}}}})
}

#[derive(Clone, Debug)]
enum Step {
    Image(u8),
    /// A node comes, or goes.
    Node(usize),
    Label(usize),
    Pod(Mishap),
    /// Time passes.
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0u8..3).prop_map(Step::Image),
        1 => (0usize..6).prop_map(Step::Node),
        1 => (0usize..6).prop_map(Step::Label),
        8 => mishap().prop_map(Step::Pod),
        1 => (0i64..20).prop_map(Step::Wait),
    ]
}

fn node(at: usize) -> ObjectKey {
    ObjectKey::new("", format!("n{at}"))
}

fn suited(model: &Model) -> BTreeSet<String> {
    let nodes = model.list("nodes", None);
    nodes.iter().filter(|n| n.meta.label("disk") == Some("ssd")).map(|n| n.key.name.to_string()).collect()
}

fn add(model: &Model, at: usize) {
    let mut object = mk_node(&node(at).name, "4", "8Gi", 110);
    object["metadata"]["labels"]["disk"] = "ssd".into();
    model.put("nodes", object);
}

proptest! {
    #![proptest_config(crate::actors::properties::property(48))]

    #[test]
    fn daemon_sets_keep_their_limits_and_get_there(
        nodes in 1usize..6, limit in 1i64..4, surging in any::<bool>(), strays in 0usize..3,
        script in prop::collection::vec(step(), 1..40),
    ) {
        let (model, mut controller) = (Model::default(), DaemonSets::default());
        (0..nodes).for_each(|n| add(&model, n));
        for i in 0..strays { model.put("pods", mk_pod(&format!("stray-{i}"), json!({"app": "log"}))); }
        let (unavailable, surge) = if surging { (0, limit) } else { (limit, 0) };
        model.put(SHELF, daemon(unavailable, surge));
        let mut bench = Bench::new(&model, &mut controller);
        let (mut now, mut last) = (100, "v0".to_string());
        for step in script {
            match step {
                Step::Image(n) => { last = format!("v{n}"); model.edit(SHELF, &key("log"), image(&last)); }
                Step::Node(at) if model.get("nodes", &node(at)).is_some() => { model.delete_now("nodes", &node(at), Propagation::Background); }
                Step::Node(at) => add(&model, at),
                Step::Label(at) => if let Some(found) = model.get("nodes", &node(at)) {
                    let other = if found.meta.label("disk") == Some("ssd") { "hdd" } else { "ssd" };
                    model.edit("nodes", &node(at), json!({"metadata": {"labels": {"disk": other}}}));
                },
                Step::Pod(mishap) => happen(&model, mishap, now, node_of),
                Step::Wait(seconds) => now += seconds,
            }
            let places = suited(&model);
            let served = |model: &Model| {
                let working: BTreeSet<String> = owned(model).iter().filter(|p| works(p)).map(node_of).collect();
                i64::try_from(working.intersection(&places).count()).unwrap()
            };
            // A pod that does not work is replaced whatever surge says, as upstream; others are doubled as far as it allows.
            let newest = last.clone();
            let crowded = |model: &Model| {
                let mut on: BTreeMap<String, (i64, bool)> = BTreeMap::new();
                for pod in owned(model).iter().filter(|p| p.active()) {
                    let place = on.entry(node_of(pod)).or_default();
                    place.0 += 1;
                    place.1 |= works(pod) && image_of(pod) != newest;
                }
                on.iter().filter(|(name, (_, served))| *served && places.contains(*name)).map(|(_, (n, _))| n - 1).sum::<i64>()
            };
            let all = i64::try_from(places.len()).unwrap();
            let (least, most) = (served(&model).min(all - unavailable), crowded(&model).max(surge));
            bench.converge_checked(&mut controller, now, &mut |model| {
                assert!(served(model) >= least, "{} of {all} nodes are served, {least} are promised", served(model));
                assert!(crowded(model) <= most, "{} pods too many, {most} are allowed", crowded(model));
            });
        }
        for round in 0.. {
            assert!(round < 300, "does not end");
            // No back-off outlasts a round.
            now += 2000;
            // The pods of nodes that are gone are somebody else's to remove.
            for pod in owned(&model).iter().filter(|p| model.get("nodes", &ObjectKey::new("", node_of(p))).is_none()) {
                model.delete_now("pods", &pod.entry.key, Propagation::Background);
            }
            model.edit(SHELF, &key("log"), json!({"metadata": {"annotations": {"round": round.to_string()}}}));
            let before = pods(&model).len();
            bench.converge(&mut controller, now);
            let failed = owned(&model).iter().any(|p| p.light.phase.finished());
            if !tend(&model, now, node_of) && !failed && before == pods(&model).len() {
                break;
            }
        }
        let on: Vec<String> = owned(&model).iter().map(node_of).collect();
        let distinct: BTreeSet<String> = on.iter().cloned().collect();
        prop_assert_eq!(on.len(), distinct.len(), "a node has two");
        prop_assert_eq!(distinct, suited(&model));
        prop_assert!(owned(&model).iter().all(|p| image_of(p) == last));
    }
}

//! DaemonSets on the model; the test plays the scheduler and the nodes.
use super::*;
use crate::actors::controllers::feed::Objects;
use crate::actors::controllers::testing::*;
use crate::protocol::time::rfc3339;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;

const SHELF: &str = "daemonsets.apps";

fn daemon(strategy: Value) -> Value {
    let template = json!({"metadata": {"labels": {"app": "log"}}, "spec": {"containers": [{"name": "c", "image": "v1"}],
        "nodeSelector": {"disk": "ssd"}}});
    json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "log", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "log"}}, "template": template, "updateStrategy": strategy, "revisionHistoryLimit": 10}})
}

fn rolling(unavailable: i64, surge: i64) -> Value {
    json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": unavailable, "maxSurge": surge}})
}

fn node(model: &Model, name: &str, ssd: bool) {
    let mut node = mk_node(name, "4", "8Gi", 110);
    if ssd {
        node["metadata"]["labels"]["disk"] = "ssd".into();
    }
    model.put("nodes", node);
}

/// Up to `count` pods are bound and become ready, and what ends is gone; false when there was nothing to do.
fn make_ready(model: &Model, count: usize) -> bool {
    let ended = model.list("pods", None).iter().any(|p| p.meta.deleting.is_some());
    model.reap_pods();
    let pods: Vec<Pod> = model.list("pods", None).into_iter().filter_map(Pod::of).filter(|p| !p.light.ready).collect();
    let ready = json!([{"type": "Ready", "status": "True", "lastTransitionTime": rfc3339(at(0))}]);
    for pod in pods.iter().take(count) {
        let node = pods::node_of(pod);
        model.edit("pods", &pod.entry.key, json!({"spec": {"nodeName": node}, "status": {"phase": "Running", "conditions": ready}}));
    }
    ended || !pods.is_empty()
}

fn finish(model: &Model, bench: &mut Bench<'_>, controller: &mut DaemonSets) {
    for _ in 0..200 {
        bench.converge(controller, 0);
        if !make_ready(model, usize::MAX) {
            return;
        }
    }
    panic!("does not settle");
}

fn on(model: &Model) -> Vec<String> {
    let mut nodes: Vec<String> = model.list("pods", None).into_iter().filter_map(Pod::of).map(|p| pods::node_of(&p)).collect();
    nodes.sort();
    nodes
}

fn image(name: &str) -> Value {
    json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": name}]}}}})
}

#[test]
fn pods_follow_labels_taints_and_nodes() {
    let (model, mut controller) = (Model::default(), DaemonSets::default());
    let mut bench = Bench::new(&model, &mut controller);
    for (name, ssd) in [("a", true), ("b", true), ("c", false)] {
        node(&model, name, ssd);
    }
    model.put(SHELF, daemon(rolling(1, 0)));
    finish(&model, &mut bench, &mut controller);
    assert_eq!(on(&model), ["a", "b"]);
    let status = model.get(SHELF, &key("log")).unwrap().parse()["status"].clone();
    assert_eq!(
        status,
        json!({"desiredNumberScheduled": 2, "currentNumberScheduled": 2, "numberMisscheduled": 0, "numberReady": 2,
        "updatedNumberScheduled": 2, "numberAvailable": 2, "observedGeneration": 1})
    );
    let pod = model.list("pods", None)[0].parse();
    assert_eq!(pod["spec"]["tolerations"].as_array().unwrap().len(), 6);
    let hash = &model.list(REVISIONS, None)[0].parse()["metadata"]["labels"][POD_LABEL];
    assert_eq!(&pod["metadata"]["labels"][POD_LABEL], hash);

    let cluster = |name: &str| crate::protocol::meta::ObjectKey::new("", name);
    model.edit("nodes", &cluster("c"), json!({"metadata": {"labels": {"disk": "ssd"}}}));
    model.edit("nodes", &cluster("b"), json!({"metadata": {"labels": {"disk": "hdd"}}}));
    finish(&model, &mut bench, &mut controller);
    assert_eq!(on(&model), ["a", "c"]);
    // A taint that only keeps away lets the pod stay, but not come; a cordon does neither.
    let taints = |effect: &str| json!({"spec": {"taints": [{"key": "k", "effect": effect}]}});
    model.edit("nodes", &cluster("a"), taints("NoSchedule"));
    model.edit(
        "nodes",
        &cluster("c"),
        json!({"spec": {"unschedulable": true, "taints": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]}}),
    );
    node(&model, "d", true);
    finish(&model, &mut bench, &mut controller);
    assert_eq!(on(&model), ["a", "c", "d"]);
    model.edit("nodes", &cluster("a"), taints("NoExecute"));
    finish(&model, &mut bench, &mut controller);
    assert_eq!(on(&model), ["c", "d"]);
    let event = |e: &crate::actors::controllers::plan::EventNote| e.component == "daemonset-controller";
    let failed = model.list("pods", None)[0].clone();
    model.edit("pods", &failed.key, json!({"status": {"phase": "Failed"}}));
    bench.converge(&mut controller, 0);
    assert!(model.events().iter().any(|e| event(e) && e.reason == "FailedDaemonPod"));
}

#[test]
fn on_delete_leaves_old_pods() {
    let (model, mut controller) = (Model::default(), DaemonSets::default());
    let mut bench = Bench::new(&model, &mut controller);
    for name in ["a", "b"] {
        node(&model, name, true);
    }
    model.put(SHELF, daemon(json!({"type": "OnDelete"})));
    finish(&model, &mut bench, &mut controller);
    model.edit(SHELF, &key("log"), image("v2"));
    finish(&model, &mut bench, &mut controller);
    let status = || model.get(SHELF, &key("log")).unwrap().parse()["status"]["updatedNumberScheduled"].clone();
    assert_eq!(status(), Value::Null);
    let first = model.list("pods", None)[0].key.clone();
    model.delete_now("pods", &first, Propagation::Background);
    finish(&model, &mut bench, &mut controller);
    assert_eq!(status(), 1);
}

proptest! {
    #![proptest_config(crate::actors::properties::property(24))]

    /// However templates change and however slowly pods get ready: an update keeps to its limits on every step, and ends
    /// with one pod of the latest template on every node.
    #[test]
    fn updates_keep_to_their_limits(
        nodes in 1usize..7, limit in 1usize..4, surging in any::<bool>(),
        script in prop::collection::vec((0usize..3, prop::option::of(0u8..3)), 1..14),
    ) {
        let (model, mut controller) = (Model::default(), DaemonSets::default());
        let mut bench = Bench::new(&model, &mut controller);
        for n in 0..nodes { node(&model, &format!("n{n}"), true); }
        let (unavailable, surge) = if surging { (0, limit) } else { (limit, 0) };
        model.put(SHELF, daemon(rolling(unavailable as i64, surge as i64)));
        finish(&model, &mut bench, &mut controller);
        let mut last = "v1".to_string();
        let mut check = |model: &Model| {
            let pods: Vec<Pod> = model.list("pods", None).into_iter().filter_map(Pod::of).filter(Pod::active).collect();
            let served: BTreeSet<String> = pods.iter().filter(|p| p.light.ready).map(pods::node_of).collect();
            assert!(served.len() + unavailable >= nodes, "{} of {nodes} are served", served.len());
            assert!(pods.len() <= nodes + surge, "{} pods on {nodes} nodes", pods.len());
        };
        for (ready, new) in script {
            if let Some(new) = new { last = format!("n{new}"); model.edit(SHELF, &key("log"), image(&last)); }
            bench.converge_checked(&mut controller, 0, &mut check);
            make_ready(&model, ready);
        }
        finish(&model, &mut bench, &mut controller);
        prop_assert_eq!(on(&model), (0..nodes).map(|n| format!("n{n}")).collect::<Vec<_>>());
        let of = |p: &Arc<Entry>| p.parse()["spec"]["containers"][0]["image"] == last.as_str();
        prop_assert!(model.list("pods", None).iter().all(of));
    }
}

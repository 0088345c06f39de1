//! Controllers on the model: what they converge to, and what they leave alone.
use super::feed::Objects;
use super::garbage::Garbage;
use super::namespace::Namespaces;
use super::node_lifecycle::{Heartbeats, NodeLifecycle};
use super::plan::Propagation;
use super::replication::{Flavour, Replication};
use super::runner::{CAPACITY, Key, Runner};
use super::service_account::ServiceAccounts;
use super::testing::*;
use crate::actors::base::{Guardian, Mailbox, Registry, RestartPolicy};
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

fn replication() -> Replication {
    Replication { flavour: Flavour::ReplicaSet }
}

fn alive(model: &Model, owner: &str) -> usize {
    let pods = model.list("pods", None);
    pods.iter().filter(|p| p.meta.deleting.is_none() && p.meta.controller().is_some_and(|c| &*c.uid == owner)).count()
}

#[test]
fn a_replica_set_makes_adopts_and_releases() {
    let (model, mut controller) = (Model::default(), replication());
    let mut bench = Bench::new(&model, &mut controller);
    model.put("pods", mk_pod("stray", json!({"app": "web"})));
    let set = model.put("replicasets.apps", mk_rs("web", 3, "web"));
    bench.converge(&mut controller, 0);
    assert_eq!(alive(&model, &set.meta.uid), 3);
    let stray = model.get("pods", &key("stray")).unwrap();
    assert_eq!(stray.meta.controller().unwrap().uid, set.meta.uid);
    let status = model.get("replicasets.apps", &key("web")).unwrap().parse()["status"].clone();
    assert_eq!(status, json!({"replicas": 3, "fullyLabeledReplicas": 3, "observedGeneration": 1, "terminatingReplicas": 0}));

    model.edit("pods", &key("stray"), json!({"metadata": {"labels": {"app": "other"}}}));
    bench.converge(&mut controller, 0);
    assert_eq!(alive(&model, &set.meta.uid), 3);
    let stray = model.get("pods", &key("stray")).unwrap();
    assert!(stray.meta.owners.is_empty() && stray.meta.deleting.is_none());
    let made = model.list("pods", None).into_iter().find(|p| !p.meta.owners.is_empty()).unwrap().parse();
    assert_eq!(made["metadata"]["generateName"], "web-");
    assert_eq!(made["metadata"]["ownerReferences"][0]["blockOwnerDeletion"], true);
}

#[test]
fn scaling_down_takes_the_least_useful_first() {
    let (model, mut controller) = (Model::default(), replication());
    let mut bench = Bench::new(&model, &mut controller);
    let pod = |name: &str, node: Option<&str>, ready_since: Option<i64>, cost: &str| {
        let mut pod = mk_pod(name, json!({"app": "web"}));
        pod["spec"]["nodeName"] = json!(node);
        pod["metadata"]["annotations"] = json!({"controller.kubernetes.io/pod-deletion-cost": cost});
        let ready =
            ready_since.map(|t| json!({"type": "Ready", "status": "True", "lastTransitionTime": crate::protocol::time::rfc3339(at(t))}));
        pod["status"] =
            json!({"phase": if node.is_some() { "Running" } else { "Pending" }, "conditions": ready.into_iter().collect::<Vec<_>>()});
        model.put("pods", pod);
    };
    pod("old", Some("n1"), Some(10), "0");
    pod("young", Some("n2"), Some(99_000), "0");
    pod("unready", Some("n3"), None, "0");
    pod("cheap", Some("n4"), Some(10), "-1");
    pod("unassigned", None, None, "0");
    model.put("replicasets.apps", mk_rs("web", 5, "web"));
    bench.converge(&mut controller, 100_000);
    for gone in ["unassigned", "unready", "cheap", "young"] {
        let replicas = alive(&model, &model.get("replicasets.apps", &key("web")).unwrap().meta.uid) - 1;
        model.edit("replicasets.apps", &key("web"), json!({"spec": {"replicas": replicas}}));
        bench.converge(&mut controller, 100_000);
        model.reap_pods();
        assert!(model.get("pods", &key(gone)).is_none(), "{gone} should have gone");
    }
    assert!(model.get("pods", &key("old")).is_some());
}

#[test]
fn min_ready_seconds_is_waited_for() {
    let (model, mut controller) = (Model::default(), replication());
    let mut bench = Bench::new(&model, &mut controller);
    let mut set = mk_rs("web", 1, "web");
    set["spec"]["minReadySeconds"] = 30.into();
    model.put("replicasets.apps", set);
    let mut pod = mk_pod("p", json!({"app": "web"}));
    pod["status"] = json!({"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "1970-01-01T00:01:40Z"}]});
    model.put("pods", pod);
    bench.converge(&mut controller, 110);
    let plan = bench.plan(&mut controller, &Key::of("replicasets.apps", &key("web")), 110);
    assert_eq!((plan.actions.len(), plan.requeue_after), (0, Some(Duration::from_secs(20))));
    let plan = bench.plan(&mut controller, &Key::of("replicasets.apps", &key("web")), 130);
    assert_eq!((plan.actions.len(), plan.requeue_after), (1, None));
}

proptest! {
    #![proptest_config(crate::actors::properties::property(32))]

    /// Whatever the start, two sets with disjoint selectors end with exactly their pods, and pods of others are untouched.
    #[test]
    fn replica_sets_converge(a in 0i64..12, b in 0i64..12, strays in 0usize..8, foreign in 0usize..5, steps in prop::collection::vec((0i64..15, any::<bool>()), 0..4)) {
        let (model, mut controller) = (Model::default(), replication());
        let mut bench = Bench::new(&model, &mut controller);
        for i in 0..strays { model.put("pods", mk_pod(&format!("stray-{i}"), json!({"app": "a"}))); }
        for i in 0..foreign { model.put("pods", mk_pod(&format!("foreign-{i}"), json!({"app": "c"}))); }
        let (sa, sb) = (model.put("replicasets.apps", mk_rs("a", a, "a")), model.put("replicasets.apps", mk_rs("b", b, "b")));
        bench.converge(&mut controller, 0);
        let mut wanted = a;
        for (replicas, kill) in steps {
            wanted = replicas;
            model.edit("replicasets.apps", &key("a"), json!({"spec": {"replicas": replicas}}));
            if kill && let Some(pod) = model.list("pods", None).iter().find(|p| p.meta.controller().is_some()) {
                model.delete_now("pods", &pod.key, Propagation::Background);
            }
            bench.converge(&mut controller, 0);
        }
        prop_assert_eq!(alive(&model, &sa.meta.uid), wanted as usize);
        prop_assert_eq!(alive(&model, &sb.meta.uid), b as usize);
        for i in 0..foreign {
            let pod = model.get("pods", &key(&format!("foreign-{i}"))).unwrap();
            prop_assert!(pod.meta.owners.is_empty() && pod.meta.deleting.is_none() && pod.meta.generation == 1);
        }
    }

    /// After any deletions nothing is left whose owners are all gone, and nothing else has gone.
    #[test]
    fn garbage_leaves_no_orphans(edges in prop::collection::vec((0usize..10, 0usize..10), 0..20), kill in prop::collection::vec((0usize..10, 0u8..3), 1..4)) {
        let (model, mut controller) = (Model::default(), Garbage::default());
        let mut bench = Bench::new(&model, &mut controller);
        let mut made = Vec::new();
        for i in 0..10usize {
            let owners: Vec<_> = edges.iter().filter(|(from, to)| *to == i && *from < i).filter_map(|(from, _)| made.get(*from)).collect();
            let object = mk_owned("ConfigMap", &format!("c{i}"), &owners);
            made.push(model.put("configmaps", object));
        }
        bench.converge(&mut controller, 0);
        prop_assert_eq!(model.list("configmaps", None).len(), 10);
        for (which, how) in kill {
            let key = key(&format!("c{which}"));
            if model.get("configmaps", &key).is_some() {
                let how = [Propagation::Background, Propagation::Foreground, Propagation::Orphan][usize::from(how)];
                model.delete_now("configmaps", &key, how);
                bench.converge(&mut controller, 0);
            }
        }
        let left = model.list("configmaps", None);
        for object in &left {
            prop_assert!(object.meta.deleting.is_none(), "{} is stuck", object.key);
            for owner in &object.meta.owners {
                // References to owners that went by background deletion are dropped as soon as another owner is solid.
                prop_assert!(left.iter().any(|o| o.meta.uid == owner.uid), "{} keeps a dead owner", object.key);
            }
        }
    }
}

#[test]
fn garbage_knows_its_policies() {
    let (model, mut controller) = (Model::default(), Garbage::default());
    let mut bench = Bench::new(&model, &mut controller);
    let names = |model: &Model| model.list("configmaps", None).iter().map(|e| e.key.name.to_string()).collect::<Vec<_>>();
    for (policy, left) in
        [(Propagation::Background, vec![]), (Propagation::Foreground, vec![]), (Propagation::Orphan, vec!["child", "grandchild"])]
    {
        let parent = model.put("configmaps", mk_owned("ConfigMap", "parent", &[]));
        let child = model.put("configmaps", mk_owned("ConfigMap", "child", &[&parent]));
        model.put("configmaps", mk_owned("ConfigMap", "grandchild", &[&child]));
        bench.converge(&mut controller, 0);
        model.delete_now("configmaps", &parent.key, policy);
        bench.converge(&mut controller, 0);
        assert_eq!(names(&model), left, "{policy:?}");
    }
    // Same name, other uid: no owner. Unknown kind: left alone. Another namespace: absent, with a warning.
    let elsewhere = model.put("configmaps", json!({"metadata": {"name": "far", "namespace": "other"}}));
    model.put("configmaps", mk_owned("ConfigMap", "lost", &[&elsewhere]));
    let mut odd = mk_owned("ConfigMap", "odd", &[&elsewhere]);
    odd["metadata"]["ownerReferences"][0]["kind"] = "Widget".into();
    model.put("configmaps", odd);
    bench.converge(&mut controller, 0);
    assert_eq!(names(&model), ["child", "grandchild", "odd", "far"]);
    let event = model.events().pop().unwrap();
    assert_eq!(event.reason, "OwnerRefInvalidNamespace");
    assert!(event.message.ends_with("does not exist in namespace \"default\""), "{}", event.message);
}

#[test]
fn a_namespace_empties_pods_first() {
    let (model, mut controller) = (Model::default(), Namespaces { remote: None });
    let mut bench = Bench::new(&model, &mut controller);
    let space = json!({"metadata": {"name": "default"}, "spec": {"finalizers": ["kubernetes"]}});
    let space = model.put("namespaces", space).key.clone();
    let mut pod = mk_pod("p", json!({}));
    pod["spec"]["nodeName"] = "n".into();
    model.put("pods", pod);
    model.put("configmaps", mk_owned("ConfigMap", "c", &[]));
    model.delete_now("namespaces", &space, Propagation::Background);
    bench.converge(&mut controller, 0);
    assert!(model.get("pods", &key("p")).unwrap().meta.deleting.is_some());
    assert!(model.get("configmaps", &key("c")).unwrap().meta.deleting.is_none());
    let status = model.get("namespaces", &space).unwrap().parse()["status"]["conditions"].to_string();
    assert!(status.contains("Some resources are remaining: pods. has 1 resource instances"), "{status}");
    model.reap_pods();
    bench.converge(&mut controller, 0);
    assert!(model.get("configmaps", &key("c")).is_none() && model.get("namespaces", &space).is_none());
}

#[test]
fn a_namespace_gets_its_account_and_its_ca() {
    let (model, mut controller) = (Model::default(), ServiceAccounts { ca: "PEM".into() });
    let mut bench = Bench::new(&model, &mut controller);
    model.put("namespaces", json!({"metadata": {"name": "default"}}));
    bench.converge(&mut controller, 0);
    assert!(model.get("serviceaccounts", &key("default")).is_some());
    model.edit("configmaps", &key("kube-root-ca.crt"), json!({"data": {"ca.crt": "bad", "more": "x"}}));
    model.delete_now("serviceaccounts", &key("default"), Propagation::Background);
    bench.converge(&mut controller, 0);
    assert_eq!(model.get("configmaps", &key("kube-root-ca.crt")).unwrap().parse()["data"], json!({"ca.crt": "PEM"}));
    assert!(model.get("serviceaccounts", &key("default")).is_some());
}

#[test]
fn a_silent_node_loses_its_pods_in_time() {
    let model = Model::default();
    let heartbeats = Heartbeats::default();
    let mut controller = NodeLifecycle::new(heartbeats.clone(), Some("10.244.0.0/16".parse().unwrap()), Box::new(|now| now));
    let mut bench = Bench::new(&model, &mut controller);
    let node = model.put("nodes", mk_node("n1", "1", "1Gi", 10)).key.clone();
    model.put("nodes", mk_node("n2", "1", "1Gi", 10));
    let pod = |name: &str, tolerations: Value| {
        let mut pod = mk_pod(name, json!({}));
        pod["spec"]["nodeName"] = "n1".into();
        pod["spec"]["tolerations"] = tolerations;
        pod["status"] = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
        model.put("pods", pod);
    };
    pod("hasty", json!([]));
    pod(
        "patient",
        json!([{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]),
    );
    pod("loyal", json!([{"operator": "Exists"}]));
    bench.converge(&mut controller, 10);
    let ranges: Vec<Value> = model.list("nodes", None).iter().map(|n| n.parse()["spec"]["podCIDR"].clone()).collect();
    assert_eq!(ranges, ["10.244.0.0/24", "10.244.1.0/24"]);

    heartbeats.heard("n1", at(30));
    heartbeats.heard("n2", at(400));
    model.edit("nodes", &node, json!({"metadata": {"annotations": {"touched": "1"}}}));
    bench.converge(&mut controller, 71);
    let object = model.get("nodes", &node).unwrap().parse();
    assert_eq!(object["status"]["conditions"][0]["message"], "Kubelet stopped posting node status.");
    let taints: Vec<String> =
        object["spec"]["taints"].as_array().unwrap().iter().map(|t| format!("{}:{}", t["key"], t["effect"])).collect();
    assert_eq!(taints.len(), 2, "{taints:?}");
    let deleting = |name: &str| model.get("pods", &key(name)).unwrap().meta.deleting.is_some();
    assert!(deleting("hasty") && !deleting("patient") && !deleting("loyal"));
    assert!(model.list("pods", None).iter().all(|p| matches!(&p.light, Light::Pod(l) if !l.ready)));
    let reasons: Vec<&str> = model.events().iter().map(|e| e.reason).collect();
    assert!(reasons.contains(&"NodeNotReady") && reasons.contains(&"TaintManagerEviction"), "{reasons:?}");

    let plan = bench.plan(&mut controller, &Key::of("nodes", &node), 100);
    assert_eq!(plan.requeue_after, Some(Duration::from_secs(271)));
    model.edit("nodes", &node, json!({"metadata": {"annotations": {"touched": "2"}}}));
    bench.converge(&mut controller, 371);
    assert!(deleting("patient") && !deleting("loyal"));

    model.delete_now("nodes", &node, Propagation::Background);
    bench.converge(&mut controller, 380);
    let plan = bench.plan(&mut controller, &Key::of("pods", &key("loyal")), 419);
    assert_eq!((plan.actions.len(), plan.requeue_after), (0, Some(Duration::from_secs(1))));
    assert_eq!(bench.plan(&mut controller, &Key::of("pods", &key("loyal")), 420).actions.len(), 2);
}

#[test]
fn nodes_that_come_and_go_and_evictions_that_are_taken_back_are_told() {
    let model = Model::default();
    let mut controller = NodeLifecycle::new(Heartbeats::default(), None, Box::new(|now| now));
    let mut bench = Bench::new(&model, &mut controller);
    let node = model.put("nodes", mk_node("n1", "1", "1Gi", 10)).key.clone();
    let tolerates = |seconds: i64| json!([{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}]);
    for (name, seconds) in [("waits", 100), ("goes", 1)] {
        let mut pod = mk_pod(name, json!({}));
        pod["spec"]["nodeName"] = "n1".into();
        pod["spec"]["tolerations"] = tolerates(seconds);
        pod["status"] = json!({"phase": "Running"});
        model.put("pods", pod);
    }
    bench.converge(&mut controller, 0);
    model.edit("nodes", &node, json!({"spec": {"taints": [{"key": "full", "effect": "NoExecute"}]}}));
    bench.converge(&mut controller, 10);
    model.edit("nodes", &node, json!({"metadata": {"annotations": {"touched": "1"}}}));
    bench.converge(&mut controller, 20);
    model.edit("nodes", &node, json!({"spec": {"taints": null}}));
    bench.converge(&mut controller, 30);
    model.delete_now("nodes", &node, Propagation::Background);
    bench.converge(&mut controller, 40);
    let told: Vec<String> = model.events().into_iter().map(|e| format!("{} {}", e.reason, e.message)).collect();
    let wanted = [
        "RegisteredNode Node n1 event: Registered Node n1 in Controller",
        "TaintManagerEviction Marking for deletion Pod default/goes",
        "TaintManagerEviction Cancelling deletion of Pod default/waits",
        "RemovingNode Node n1 event: Removing Node n1 from Controller",
    ];
    assert_eq!(told, wanted);
}

#[test]
fn a_node_out_of_service_gives_up_the_pods_that_wait_for_their_end() {
    let model = Model::default();
    let mut controller = NodeLifecycle::new(Heartbeats::default(), None, Box::new(|now| now));
    let mut bench = Bench::new(&model, &mut controller);
    let node = model.put("nodes", mk_node("n1", "1", "1Gi", 10)).key.clone();
    for name in ["leaving", "staying"] {
        let mut pod = mk_pod(name, json!({}));
        pod["spec"]["nodeName"] = "n1".into();
        pod["status"] = json!({"phase": "Running"});
        model.put("pods", pod);
    }
    bench.converge(&mut controller, 0);
    let there = |model: &Model| model.list("pods", None).iter().map(|p| p.key.name.to_string()).collect::<Vec<_>>();
    // Only said, or only silent: it may still come back.
    model.edit(
        "nodes",
        &node,
        json!({"spec": {"taints": [{"key": "node.kubernetes.io/out-of-service", "value": "off", "effect": "NoSchedule"}]}}),
    );
    model.delete_now("pods", &key("leaving"), Propagation::Background);
    bench.converge(&mut controller, 1);
    assert_eq!(there(&model), ["leaving", "staying"]);
    model.edit("nodes", &node, json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}));
    bench.converge(&mut controller, 2);
    assert_eq!(there(&model), ["staying"]);
    model.delete_now("pods", &key("staying"), Propagation::Background);
    bench.converge(&mut controller, 3);
    assert!(there(&model).is_empty());
}

/// The real actor: creations fail for a while, and the set is whole in the end, with the words users know.
#[actix_rt::test]
async fn the_runner_backs_off_and_gets_there() {
    let model = Arc::new(Model::default());
    model.refuse_creations(3);
    model.put("replicasets.apps", mk_rs("web", 10, "web"));
    let guardian = Guardian::new(Registry::default(), RestartPolicy::default(), |_, why| panic!("{why}"));
    let arbiter = actix_rt::Arbiter::new();
    let mailbox = Mailbox::new("server/controllers/replicaset");
    let shared = model.clone();
    guardian.start(&arbiter.handle(), &mailbox, CAPACITY, move || Runner::new(replication(), shared.clone(), shared.clone()));
    let status = |model: &Model| model.get("replicasets.apps", &key("web")).unwrap().parse()["status"].clone();
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while status(&model)["replicas"] != 10 || !status(&model)["conditions"].is_null() {
        assert!(std::time::Instant::now() < deadline, "{}", status(&model));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(model.list("pods", None).len(), 10);
    let count = |reason: &str| model.events().iter().filter(|e| e.reason == reason).count();
    assert_eq!((count("SuccessfulCreate"), count("FailedCreate")), (10, 3));
    let failed = model.events().into_iter().find(|e| e.reason == "FailedCreate").unwrap();
    assert_eq!(failed.message, "Error creating: pods is forbidden: exceeded quota");

    let key = ObjectKey::new("default", "web");
    model.edit("replicasets.apps", &key, json!({"spec": {"replicas": 4}}));
    while status(&model)["replicas"] != 4 {
        assert!(std::time::Instant::now() < deadline, "{}", status(&model));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!((model.list("pods", None).len(), count("SuccessfulDelete")), (4, 6));
}

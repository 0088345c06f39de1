use crate::actors::admission::tests::{Rig, kind, pod};
use crate::actors::admission::{Plugins, quota};
use crate::actors::kinds::{Admission, Attributes, Operation};
use crate::protocol::meta::ObjectKey;
use crate::storage::{Change, CommitError, Draft, Expect, Op};
use proptest::prelude::*;
use serde_json::{Value, json};

fn quota_object(spec: Value, used: Value) -> Value {
    let hard = spec["hard"].clone();
    json!({ "metadata": { "name": "q", "namespace": "ns", "uid": "q" }, "spec": spec, "status": { "hard": hard, "used": used } })
}

fn used(rig: &Rig) -> Value {
    let held = rig.shelves.shelf("resourcequotas").snapshot().get(&ObjectKey::new("ns", "q")).expect("the quota").parse();
    held["status"]["used"].clone()
}

/// Writes a pod as its actor would: with what it charges.
fn create(rig: &Rig, pod: &Value) -> Result<(), String> {
    let key = ObjectKey::new("ns", pod["metadata"]["name"].as_str().expect("a name"));
    let a = rig.attributes("pods", Operation::Create, &key);
    let mut changes = vec![rig.draft("pods", pod.clone())];
    changes.extend(rig.chain.charges(&a, Some(pod), None).map_err(|e| e.message)?);
    rig.commit(changes).map(|_| ()).map_err(|e| match e {
        CommitError::Guard(error) => error.message,
        other => other.to_string(),
    })
}

fn delete(rig: &Rig, pod: &Value) {
    let key = ObjectKey::new("ns", pod["metadata"]["name"].as_str().expect("a name"));
    let a = rig.attributes("pods", Operation::Delete, &key);
    let Change { shelf, key, token, op, .. } = rig.draft("pods", pod.clone());
    let Op::Put(Draft { body, splice, meta, light }) = op else { return };
    let mut changes = vec![Change { shelf, key, expect: Expect::Any, op: Op::Delete(Draft { body, splice, meta, light }), token }];
    changes.extend(rig.chain.charges(&a, None, Some(pod)).expect("given back"));
    rig.commit(changes).expect("a commit");
}

fn named(name: &str, cpu: &str) -> Value {
    pod(|p| {
        p["metadata"]["name"] = name.into();
        p["spec"]["containers"][0]["resources"] = json!({ "requests": { "cpu": cpu } });
    })
}

#[test]
fn a_quota_is_charged_and_given_back_in_the_same_commit() {
    let rig = Rig::new(Plugins::default());
    rig.put(
        "resourcequotas",
        quota_object(json!({ "hard": { "pods": "2", "requests.cpu": "1" } }), json!({ "pods": "0", "requests.cpu": "0" })),
    );
    create(&rig, &named("a", "600m")).expect("fits");
    assert_eq!(used(&rig), json!({ "pods": "1", "requests.cpu": "600m" }));
    let words =
        "pods \"b\" is forbidden: exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1";
    assert_eq!(create(&rig, &named("b", "600m")), Err(words.into()));
    create(&rig, &named("c", "400m")).expect("fits");
    let words = "pods \"d\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2";
    assert_eq!(create(&rig, &named("d", "0")), Err(words.into()));
    let silent = pod(|p| p["metadata"]["name"] = "e".into());
    assert_eq!(create(&rig, &silent), Err("pods \"e\" is forbidden: failed quota: q: must specify requests.cpu for: c".into()));
    // Its end gives back what it computes with, its removal nothing more.
    let mut ended = named("a", "600m");
    ended["status"] = json!({ "phase": "Succeeded" });
    let key = ObjectKey::new("ns", "a");
    let a = Attributes { subresource: "status", ..rig.attributes("pods", Operation::Update, &key) };
    let charges = rig.chain.charges(&a, Some(&ended), Some(&named("a", "600m"))).expect("given back");
    rig.commit(charges).expect("a commit");
    assert_eq!(used(&rig), json!({ "pods": "1", "requests.cpu": "400m" }));
    delete(&rig, &ended);
    delete(&rig, &named("c", "400m"));
    assert_eq!(used(&rig), json!({ "pods": "0", "requests.cpu": "0" }));
}

#[test]
fn scopes_choose_what_is_counted() {
    let selectors = |spec: Value| quota::selectors(&json!({ "spec": spec }));
    let counts = |spec: Value, pod: &Value| quota::matches(&selectors(spec), "", "pods", pod);
    let (plain, busy) = (pod(|_| {}), named("b", "1"));
    let mut urgent = named("u", "1");
    urgent["spec"]["priorityClassName"] = "high".into();
    urgent["spec"]["activeDeadlineSeconds"] = 5.into();
    let class = |operator: &str| json!({ "scopeSelector": { "matchExpressions": [{ "scopeName": "PriorityClass", "operator": operator, "values": ["high"] }] } });
    let cases = [
        (json!({}), [true, true, true]),
        (json!({ "scopes": ["BestEffort"] }), [true, false, false]),
        (json!({ "scopes": ["NotBestEffort", "NotTerminating"] }), [false, true, false]),
        (json!({ "scopes": ["Terminating"] }), [false, false, true]),
        (class("In"), [false, false, true]),
        (class("NotIn"), [true, true, false]),
        (json!({ "scopes": ["PriorityClass"] }), [false, false, true]),
    ];
    for (spec, wanted) in cases {
        assert_eq!([&plain, &busy, &urgent].map(|p| counts(spec.clone(), p)), wanted, "{spec}");
    }
    assert!(!quota::matches(&selectors(json!({ "scopes": ["BestEffort"] })), "", "configmaps", &json!({})));
}

#[test]
fn usage_is_upstreams() {
    let used = |group: &str, plural: &str, object: Value| quota::printed(&quota::usage(group, plural, &object));
    assert_eq!(used("apps", "deployments", json!({})), "count/deployments.apps=1");
    assert_eq!(used("", "configmaps", json!({})), "configmaps=1,count/configmaps=1");
    let service = json!({ "spec": { "type": "LoadBalancer", "ports": [{ "port": 1 }, { "port": 2 }] } });
    assert_eq!(used("", "services", service), "count/services=1,services=1,services.loadbalancers=1,services.nodeports=2");
    let claim = json!({ "spec": { "storageClassName": "gold", "resources": { "requests": { "storage": "1Gi" } } } });
    let words = "count/persistentvolumeclaims=1,gold.storageclass.storage.k8s.io/persistentvolumeclaims=1,gold.storageclass.storage.k8s.io/requests.storage=1Gi,persistentvolumeclaims=1,requests.storage=1Gi";
    assert_eq!(used("", "persistentvolumeclaims", claim), words);
    let pod = json!({ "spec": {
        "containers": [{ "resources": { "requests": { "cpu": "1", "example.com/gpu": "2" }, "limits": { "memory": "1Gi" } } }],
        "initContainers": [{ "resources": { "requests": { "cpu": "3" } } }, { "restartPolicy": "Always", "resources": { "requests": { "cpu": "500m" } } }],
    } });
    let words = "count/pods=1,cpu=3,limits.memory=1Gi,pods=1,requests.cpu=3,requests.example.com/gpu=2";
    assert_eq!(used("", "pods", pod), words);
    assert_eq!(kind("pods").resource.plural, "pods");
}

#[test]
fn a_quota_nobody_has_counted_for_yet_refuses_nothing_but_notices() {
    let rig = Rig::new(Plugins::default());
    let fresh = rig
        .put("resourcequotas", json!({ "metadata": { "name": "q", "namespace": "ns", "uid": "q" }, "spec": { "hard": { "pods": "0" } } }));
    create(&rig, &named("a", "1")).expect("not counted yet");
    let now = rig.shelves.shelf("resourcequotas").snapshot().get(&fresh.key).expect("the quota").revision;
    assert!(now > fresh.revision, "a count under way has to start over");
}

proptest! {
    #![proptest_config(crate::actors::properties::property(12))]

    /// However writers race, what was granted never exceeds the limit, and the books are right.
    #[test]
    fn never_exceeded(limit in 1usize..8, writers in 2usize..5, each in 1usize..6) {
        let rig = Rig::new(Plugins::default());
        rig.put("resourcequotas", quota_object(json!({ "hard": { "pods": limit.to_string() } }), json!({ "pods": "0" })));
        let granted: usize = std::thread::scope(|scope| {
            let writer = |w: usize| {
                let rig = &rig;
                scope.spawn(move || (0..each).filter(|i| create(rig, &named(&format!("p-{w}-{i}"), "1")).is_ok()).count())
            };
            let running: Vec<_> = (0..writers).map(writer).collect();
            running.into_iter().map(|thread| thread.join().expect("a writer")).sum()
        });
        prop_assert_eq!(granted, limit.min(writers * each));
        prop_assert_eq!(used(&rig), json!({ "pods": granted.to_string() }));
        prop_assert_eq!(rig.shelves.shelf("pods").snapshot().len(), granted);
    }
}

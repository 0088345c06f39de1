use super::*;
use crate::actors::controllers::feed::Objects;
use crate::actors::controllers::testing::{Bench, Model, key, mk_pod, mk_rs};
use crate::protocol::meta::OwnerRef;

/// Replica sets, by uid. Nothing else has a scale.
struct Sets(Vec<Arc<str>>);

impl Scales for Sets {
    fn scale(&self, owner: &OwnerRef, _namespace: &str) -> Result<Option<(Arc<str>, i64)>, String> {
        match &*owner.kind {
            "ReplicaSet" => Ok(self.0.contains(&owner.uid).then(|| (owner.uid.clone(), 5))),
            kind => Err(format!("{}s.apps does not implement the scale subresource", kind.to_lowercase())),
        }
    }
}

fn pod(model: &Model, name: &str, ready: bool, owner: Option<&Entry>) {
    let mut pod = mk_pod(name, json!({"app": "a"}));
    let ready = if ready { "True" } else { "False" };
    pod["status"] = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]});
    if let Some(owner) = owner {
        let reference =
            json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": &*owner.key.name, "uid": &*owner.meta.uid, "controller": true});
        pod["metadata"]["ownerReferences"] = json!([reference]);
    }
    model.put("pods", pod);
}

fn budget(spec: Value) -> Value {
    let mut spec = spec;
    spec["selector"] = json!({"matchLabels": {"app": "a"}});
    json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b", "namespace": "default"}, "spec": spec})
}

fn look(model: &Model, now: i64) -> Value {
    let sets = model.list("replicasets.apps", None).iter().map(|set| set.meta.uid.clone()).collect();
    let mut controller = Disruption::new(Box::new(Sets(sets)));
    Bench::new(model, &mut controller).converge(&mut controller, now);
    model.get(BUDGETS, &key("b")).unwrap().parse()["status"].clone()
}

#[test]
fn what_is_allowed() {
    // expected, desired, current, allowed; there are five replicas, four pods, three of them ready.
    let cases = [
        (json!({"minAvailable": 2}), [4, 2, 3, 1]),
        (json!({"minAvailable": 5}), [4, 5, 3, 0]),
        (json!({"minAvailable": "50%"}), [5, 3, 3, 0]),
        (json!({"minAvailable": "40%"}), [5, 2, 3, 1]),
        (json!({"maxUnavailable": 3}), [5, 2, 3, 1]),
        (json!({"maxUnavailable": "30%"}), [5, 3, 3, 0]),
    ];
    for (spec, want) in cases {
        let model = Model::default();
        let set = model.put("replicasets.apps", mk_rs("rs", 5, "a"));
        for (name, ready) in [("p1", true), ("p2", true), ("p3", true), ("p4", false)] {
            pod(&model, name, ready, Some(&set));
        }
        model.put(BUDGETS, budget(spec.clone()));
        let status = look(&model, 0);
        let found = ["expectedPods", "desiredHealthy", "currentHealthy", "disruptionsAllowed"].map(|f| status[f].as_i64().unwrap());
        assert_eq!(found, want, "{spec}");
        let reason = if want[3] > 0 { "SufficientPods" } else { "InsufficientPods" };
        assert_eq!((&status["conditions"][0]["reason"], &status["observedGeneration"]), (&json!(reason), &json!(1)));
    }
}

#[test]
fn an_evicted_pod_counts_as_gone_for_two_minutes() {
    let model = Model::default();
    for name in ["p1", "p2"] {
        pod(&model, name, true, None);
    }
    model.put(BUDGETS, budget(json!({"minAvailable": 1})));
    assert_eq!(look(&model, 0)["disruptionsAllowed"], 1);
    let noted =
        json!({"status": {"disruptionsAllowed": 0, "disruptedPods": {"p1": "1970-01-01T00:01:40Z", "gone": "1970-01-01T00:01:40Z"}}});
    model.edit(BUDGETS, &key("b"), noted);
    let status = look(&model, 101);
    assert_eq!((&status["disruptionsAllowed"], &status["disruptedPods"]), (&json!(0), &json!({"p1": "1970-01-01T00:01:40Z"})));
    let status = look(&model, 220);
    assert_eq!((&status["disruptionsAllowed"], &status["disruptedPods"]), (&json!(1), &Value::Null));
}

#[test]
fn a_mark_that_led_to_nothing_is_taken_back() {
    let model = Model::default();
    for (name, reason, phase) in
        [("p1", "EvictionByEvictionAPI", "Running"), ("p2", "TerminationByKubelet", "Running"), ("p3", "X", "Failed")]
    {
        pod(&model, name, true, None);
        let mark = json!({"type": "DisruptionTarget", "status": "True", "reason": reason, "lastTransitionTime": "1970-01-01T00:01:40Z"});
        let ready = json!({"type": "Ready", "status": "True"});
        model.edit("pods", &key(name), json!({"status": {"phase": phase, "conditions": [ready, mark]}}));
    }
    model.put(BUDGETS, budget(json!({"minAvailable": 1})));
    let mark = |name: &str| model.get("pods", &key(name)).unwrap().parse()["status"]["conditions"][1].clone();
    look(&model, 219);
    assert_eq!(mark("p1")["status"], "True");
    look(&model, 220);
    let taken_back =
        json!({"type": "DisruptionTarget", "status": "False", "lastProbeTime": null, "lastTransitionTime": "1970-01-01T00:03:40Z"});
    assert_eq!(mark("p1"), taken_back);
    assert!(mark("p2")["status"] == "True" && mark("p3")["status"] == "True");
}

#[test]
fn a_controller_without_a_scale_is_told() {
    let model = Model::default();
    pod(&model, "p1", true, None);
    let owner = json!([{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "d", "controller": true}]);
    model.edit("pods", &key("p1"), json!({"metadata": {"ownerReferences": owner}}));
    model.put(BUDGETS, budget(json!({"maxUnavailable": 1})));
    assert_eq!(look(&model, 0)["conditions"][0]["message"], "daemonsets.apps does not implement the scale subresource");
}

#[test]
fn unmanaged_pods_and_failures_are_told() {
    let model = Model::default();
    pod(&model, "p1", true, None);
    model.put(BUDGETS, budget(json!({"maxUnavailable": 1})));
    assert_eq!(look(&model, 0)["disruptionsAllowed"], 0);
    assert!(model.events().iter().any(|e| e.reason == "UnmanagedPods"));
    let set = model.put("replicasets.apps", mk_rs("rs", 5, "a"));
    pod(&model, "p2", true, Some(&set));
    model.delete_now("replicasets.apps", &key("rs"), crate::actors::controllers::plan::Propagation::Background);
    let status = look(&model, 1);
    assert_eq!(
        (&status["conditions"][0]["reason"], &status["conditions"][0]["message"]),
        (&json!("SyncFailed"), &json!("found no controllers for pod \"p2\""))
    );
}

//! Budgets and evictions: what a budget allows never takes more than it has.
use super::*;
use crate::actors::controllers::disruption::{BUDGETS, Disruption, Scales};
use crate::actors::controllers::testing::{Bench, key, mk_pod, mk_rs};

use crate::protocol::meta::OwnerRef;
use std::sync::Arc;

#[derive(Clone, Debug)]
enum Step {
    /// Somebody asks to evict this pod.
    Evict(usize),
    /// The controller keeps up.
    Look,
    Pod(Mishap),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![4 => (0usize..8).prop_map(Step::Evict), 2 => Just(Step::Look), 2 => mishap().prop_map(Step::Pod)]
}

/// What the eviction subresource does: it takes one, notes the pod, and deletes it.
fn evict(model: &Model, pod: &Pod, now: i64) -> bool {
    let budget = model.get(BUDGETS, &key("b")).unwrap().parse();
    let allowed = budget["status"]["disruptionsAllowed"].as_i64().unwrap_or_default();
    if allowed <= 0 || !pod.light.ready {
        return false;
    }
    let note = json!({&*pod.entry.key.name: rfc3339(at(now))});
    model.edit(BUDGETS, &key("b"), json!({"status": {"disruptionsAllowed": allowed - 1, "disruptedPods": note}}));
    model.delete_now("pods", &pod.entry.key, Propagation::Background);
    true
}

/// Whatever the controller is, it wants five.
struct Five;

impl Scales for Five {
    fn scale(&self, owner: &OwnerRef, _namespace: &str) -> Result<Option<(Arc<str>, i64)>, String> {
        Ok(Some((owner.uid.clone(), 5)))
    }
}

proptest! {
    #![proptest_config(crate::actors::properties::property(64))]

    #[test]
    fn evictions_stay_within_the_budget(
        least in 0i64..6, percent in any::<bool>(), script in prop::collection::vec(step(), 1..50),
    ) {
        let model = Model::default();
        let set = model.put("replicasets.apps", mk_rs("rs", 5, "a"));
        for i in 0..5 {
            let mut pod = mk_pod(&format!("p{i}"), json!({"app": "a"}));
            pod["spec"]["nodeName"] = "n".into();
            pod["status"] = json!({"phase": "Running", "conditions": condition("True", 0)});
            pod["metadata"]["ownerReferences"] =
                json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": &*set.meta.uid, "controller": true}]);
            model.put("pods", pod);
        }
        let wish = if percent { json!(format!("{}%", least * 20)) } else { json!(least) };
        let spec = json!({"selector": {"matchLabels": {"app": "a"}}, "minAvailable": wish});
        model.put(BUDGETS, json!({"metadata": {"name": "b", "namespace": "default"}, "spec": spec}));
        let mut controller = Disruption::new(Box::new(Five));
        let mut bench = Bench::new(&model, &mut controller);
        bench.converge(&mut controller, 0);
        let healthy = |model: &Model| count(&pods(model), |p| p.entry.meta.label("app") == Some("a") && p.active() && p.light.ready);
        for step in script {
            match step {
                Step::Evict(at) => {
                    // Without the pods' own mishaps since the last look, which nobody can know of.
                    bench.converge(&mut controller, 0);
                    let before = healthy(&model);
                    let mut live: Vec<Pod> = pods(&model).into_iter().filter(Pod::active).collect();
                    let first = at.min(live.len());
                    live.rotate_left(first);
                    let taken = live.iter().filter(|pod| evict(&model, pod, 0)).count();
                    prop_assert!(taken == 0 || healthy(&model) >= least, "{taken} of {before} were taken, {least} must stay");
                }
                Step::Look => { bench.converge(&mut controller, 0); }
                Step::Pod(mishap) => happen(&model, mishap, 0, |_| "n".into()),
            }
        }
        bench.converge(&mut controller, 0);
        let status = model.get(BUDGETS, &key("b")).unwrap().parse()["status"].clone();
        prop_assert_eq!(status["currentHealthy"].as_i64().unwrap(), healthy(&model));
    }
}

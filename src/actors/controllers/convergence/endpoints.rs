//! Whatever happens to pods and slices: the slices of a service together say exactly which of its pods are there, each once.
use super::*;
use crate::actors::controllers::endpoints::{ENDPOINTS, Endpoints, SERVICES, SLICES};
use crate::actors::controllers::testing::{Bench, key, mk_pod};
use std::collections::{BTreeMap, BTreeSet};

const PODS: usize = 9;
const ROOM: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The pod is there, ready or not; made if need be.
    Pod(usize, bool),
    End(usize),
    Delete(usize),
    Stray(usize),
    Reap,
    /// Somebody's hand: a slice is gone, emptied, or there twice; the Endpoints say nothing.
    SliceGone(usize),
    SliceEmptied(usize),
    SliceTwice(usize),
    EndpointsEmptied,
    /// The server starts anew.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..PODS, any::<bool>()).prop_map(|(pod, ready)| Step::Pod(pod, ready)),
        1 => (0..PODS).prop_map(Step::End),
        2 => (0..PODS).prop_map(Step::Delete),
        1 => (0..PODS).prop_map(Step::Stray),
        2 => Just(Step::Reap),
        1 => (0usize..4).prop_map(Step::SliceGone),
        1 => (0usize..4).prop_map(Step::SliceEmptied),
        1 => (0usize..4).prop_map(Step::SliceTwice),
        1 => Just(Step::EndpointsEmptied),
        1 => Just(Step::Restart),
    ]
}

fn perform(model: &Model, step: Step) {
    let there = |at: usize| key(&format!("p{at}"));
    let slice = |at: usize| model.list(SLICES, None).into_iter().nth(at);
    match step {
        Step::Pod(at, ready) => {
            let status = json!({"phase": "Running", "podIP": format!("10.0.0.{at}"), "conditions": condition(if ready { "True" } else { "False" }, 0)});
            match model.get("pods", &there(at)) {
                Some(pod) if Pod::of(pod.clone()).is_some_and(|p| p.light.phase.finished()) => {}
                Some(pod) => drop(model.edit("pods", &pod.key, json!({"metadata": {"labels": {"app": "a"}}, "status": status}))),
                None => {
                    let mut pod = mk_pod(&format!("p{at}"), json!({"app": "a"}));
                    pod["spec"]["nodeName"] = "n".into();
                    pod["status"] = status;
                    model.put("pods", pod);
                }
            }
        }
        Step::End(at) if model.get("pods", &there(at)).is_some() => {
            drop(model.edit("pods", &there(at), json!({"status": {"phase": "Succeeded"}})))
        }
        Step::Delete(at) if model.get("pods", &there(at)).is_some() => drop(model.delete_now("pods", &there(at), Propagation::Background)),
        Step::Stray(at) if model.get("pods", &there(at)).is_some() => {
            model.edit("pods", &there(at), json!({"metadata": {"labels": {"app": "stray"}}}));
        }
        Step::Reap => model.reap_pods(),
        Step::SliceGone(at) => drop(slice(at).map(|s| model.delete_now(SLICES, &s.key, Propagation::Background))),
        Step::SliceEmptied(at) => drop(slice(at).map(|s| model.edit(SLICES, &s.key, json!({"endpoints": []})))),
        Step::SliceTwice(at) => drop(slice(at).map(|s| {
            let mut copy = s.parse();
            copy["metadata"]["name"] = format!("copy-{}", model.revision()).into();
            copy["metadata"].as_object_mut().unwrap().remove("uid");
            model.put(SLICES, copy)
        })),
        Step::EndpointsEmptied => drop(model.edit(ENDPOINTS, &key("s"), json!({"subsets": null}))),
        Step::End(_) | Step::Delete(_) | Step::Stray(_) | Step::Restart => {}
    }
}

/// What clients should see, by pod: ready, serving, terminating.
fn truth(model: &Model) -> BTreeMap<String, [bool; 3]> {
    let mine = pods(model).into_iter().filter(|p| p.entry.meta.label("app") == Some("a") && !p.light.phase.finished());
    let seen = mine.map(|p| {
        let leaves = p.entry.meta.deleting.is_some();
        (p.entry.key.name.to_string(), [p.light.ready && !leaves, p.light.ready, leaves])
    });
    seen.collect()
}

fn check(model: &Model) {
    let wanted = truth(model);
    let mut told = BTreeMap::new();
    for slice in model.list(SLICES, None) {
        let endpoints = slice.parse()["endpoints"].as_array().cloned().unwrap_or_default();
        assert!(endpoints.len() <= ROOM, "{} is too full", slice.key);
        for endpoint in endpoints {
            let state = ["ready", "serving", "terminating"].map(|field| endpoint["conditions"][field] == true);
            let name = endpoint["targetRef"]["name"].as_str().unwrap_or_default().to_string();
            assert!(told.insert(name.clone(), state).is_none(), "{name} is listed twice");
        }
    }
    assert_eq!(told, wanted);
    let subsets = model.get(ENDPOINTS, &key("s")).map(|e| e.parse()["subsets"].take()).unwrap_or_default();
    let listed = |list: &str| -> BTreeSet<String> {
        let all = subsets.as_array().into_iter().flatten().filter_map(|s| s[list].as_array()).flatten();
        all.filter_map(|a| a["targetRef"]["name"].as_str().map(str::to_string)).collect()
    };
    let of = |test: &dyn Fn(&[bool; 3]) -> bool| wanted.iter().filter(|(_, state)| test(state)).map(|(name, _)| name.clone()).collect();
    assert_eq!((listed("addresses"), listed("notReadyAddresses")), (of(&|s| s[0]), of(&|s| !s[0] && !s[2])));
}

proptest! {
    #![proptest_config(crate::actors::properties::property(48))]

    #[test]
    fn slices_say_what_is_there(script in prop::collection::vec((step(), any::<bool>()), 1..40)) {
        let (model, mut controller) = (Model::default(), Endpoints::with_room(ROOM));
        let mut bench = Bench::new(&model, &mut controller);
        let spec = json!({"selector": {"app": "a"}, "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}]});
        model.put(SERVICES, json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "default"}, "spec": spec}));
        bench.converge(&mut controller, 0);
        check(&model);
        for (step, look) in script {
            perform(&model, step);
            if matches!(step, Step::Restart) {
                controller = Endpoints::with_room(ROOM);
                bench = Bench::new(&model, &mut controller);
            }
            if look {
                bench.converge(&mut controller, 0);
                check(&model);
            }
        }
        bench.converge(&mut controller, 0);
        check(&model);
        model.delete_now(SERVICES, &key("s"), Propagation::Background);
        bench.converge(&mut controller, 0);
        prop_assert!(model.get(ENDPOINTS, &key("s")).is_none());
    }
}

//! Quotas: what a count says is what is there, whatever was there before, and a count that is right is left alone.
use super::*;
use crate::actors::controllers::resource_quota::ResourceQuotas;
use crate::actors::controllers::runner::Key;
use crate::actors::controllers::testing::{Bench, key, mk_owned, mk_pod};
use std::collections::BTreeMap;

const SHELF: &str = "resourcequotas";

#[derive(Clone, Debug)]
enum Step {
    Pod(usize, u16, &'static str),
    Remove(usize),
    ConfigMap(usize),
    Limits(bool, bool),
    /// Somebody writes nonsense into the status.
    Spoil(u8),
    Count,
}

fn step() -> impl Strategy<Value = Step> {
    let phases = prop_oneof![Just("Pending"), Just("Running"), Just("Succeeded"), Just("Failed")];
    prop_oneof![
        6 => (0usize..8, 1u16..4000, phases).prop_map(|(at, cpu, phase)| Step::Pod(at, cpu, phase)),
        2 => (0usize..8).prop_map(Step::Remove),
        2 => (0usize..4).prop_map(Step::ConfigMap),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(cpu, maps)| Step::Limits(cpu, maps)),
        1 => any::<u8>().prop_map(Step::Spoil),
        3 => Just(Step::Count),
    ]
}

fn limits(cpu: bool, maps: bool) -> Value {
    let mut hard = json!({"pods": "5", "count/pods": "9"});
    if cpu {
        hard["requests.cpu"] = "10".into();
    }
    if maps {
        hard["count/configmaps"] = "2".into();
    }
    hard
}

/// What there is, in the smallest units: pods that are over use nothing, but are still objects.
fn truth(model: &Model) -> BTreeMap<String, i64> {
    let all = pods(model);
    let alive = |p: &Pod| !p.light.phase.finished();
    let cpu: i64 = all.iter().filter(|p| alive(p)).map(|p| p.light.cpu_milli).sum();
    let maps = i64::try_from(model.list("configmaps", None).len()).unwrap();
    let used = [("pods", count(&all, alive)), ("count/pods", count(&all, |_| true)), ("requests.cpu", cpu), ("count/configmaps", maps)];
    used.into_iter().map(|(name, n)| (name.to_string(), n)).collect()
}

fn told(model: &Model) -> BTreeMap<String, i64> {
    let used = model.get(SHELF, &key("q")).unwrap().parse()["status"]["used"].take();
    let read = |(name, value): (&String, &Value)| {
        let amount: crate::protocol::quantity::Quantity = value.as_str().unwrap().parse().unwrap();
        let unit = if name == "requests.cpu" { 1 } else { 1000 };
        (name.clone(), amount.milli_value() / unit)
    };
    used.as_object().into_iter().flatten().map(read).collect()
}

proptest! {
    #![proptest_config(crate::actors::properties::property(48))]

    #[test]
    fn quotas_count_what_is_there(script in prop::collection::vec(step(), 1..40)) {
        let (model, mut controller) = (Model::default(), ResourceQuotas::default());
        let mut bench = Bench::new(&model, &mut controller);
        model.put(SHELF, json!({"metadata": {"name": "q", "namespace": "default"}, "spec": {"hard": limits(true, true)}}));
        let quota = Key::of(SHELF, &key("q"));
        for step in script.into_iter().chain([Step::Count]) {
            match step {
                Step::Pod(at, cpu, phase) => {
                    let name = format!("p{at}");
                    let mut pod = mk_pod(&name, json!({}));
                    pod["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": format!("{cpu}m")}});
                    pod["status"] = json!({"phase": phase});
                    model.put("pods", pod);
                }
                Step::Remove(at) if model.get("pods", &key(&format!("p{at}"))).is_some() => {
                    model.delete_now("pods", &key(&format!("p{at}")), Propagation::Background);
                }
                Step::Remove(_) => {}
                Step::ConfigMap(at) => drop(model.put("configmaps", mk_owned("ConfigMap", &format!("c{at}"), &[]))),
                Step::Limits(cpu, maps) => {
                    // The list is replaced whole.
                    let mut hard = limits(true, true);
                    hard.as_object_mut().unwrap().values_mut().for_each(|v| *v = Value::Null);
                    hard.as_object_mut().unwrap().extend(limits(cpu, maps).as_object().unwrap().clone());
                    model.edit(SHELF, &key("q"), json!({"spec": {"hard": hard}}));
                }
                Step::Spoil(n) => drop(model.edit(SHELF, &key("q"), json!({"status": {"used": {"pods": n.to_string(), "secrets": "7"}}}))),
                Step::Count => {
                    let plan = bench.plan(&mut controller, &quota, 0);
                    plan.actions.iter().for_each(|action| model.apply(action).unwrap());
                    let hard = model.get(SHELF, &key("q")).unwrap().parse()["spec"]["hard"].take();
                    let mut wanted = truth(&model);
                    wanted.retain(|name, _| hard.get(name).is_some());
                    prop_assert_eq!(told(&model), wanted);
                    prop_assert!(bench.plan(&mut controller, &quota, 0).actions.is_empty(), "it is counted");
                }
            }
        }
    }
}

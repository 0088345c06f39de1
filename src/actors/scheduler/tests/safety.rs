//! By chance: no node is ever given more than it has, no required rule is ever broken, nobody is refused who has a place, and those
//! who make room for another are less important, and make room enough.
use super::fixture::{Stage, cpu, pod};
use crate::actors::controllers::testing::{key, mk_node};
use crate::actors::scheduler::decide::{Outcome, Preemption};
use crate::actors::scheduler::terms::label;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::HashMap;

const HOST: &str = "kubernetes.io/hostname";
const ZONE: &str = "zone";

#[derive(Clone, Debug)]
struct Wish {
    cpu: i64,
    app: u8,
    far: bool,
    spread: bool,
    port: bool,
    leaves: bool,
    priority: i32,
}

fn wish() -> impl Strategy<Value = Wish> {
    (0i64..2500, 0u8..3, any::<bool>(), any::<bool>(), prop::bool::weighted(0.2), prop::bool::weighted(0.3), 0i32..3)
        .prop_map(|(cpu, app, far, spread, port, leaves, priority)| Wish { cpu, app, far, spread, port, leaves, priority })
}

fn object(at: usize, wish: &Wish) -> Value {
    let mut spec = cpu(&format!("{}m", wish.cpu));
    spec["priority"] = wish.priority.into();
    let selector = json!({"matchLabels": {"app": format!("a{}", wish.app)}});
    if wish.far {
        let terms = json!([{"labelSelector": selector, "topologyKey": HOST}]);
        spec["affinity"] = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}});
    }
    if wish.spread {
        spec["topologySpreadConstraints"] = json!([{"topologyKey": ZONE, "maxSkew": 1, "labelSelector": selector}]);
    }
    if wish.port {
        spec["containers"][0]["ports"] = json!([{"containerPort": 1, "hostPort": 80}]);
    }
    pod(&format!("p{at}"), json!({"app": format!("a{}", wish.app)}), spec)
}

/// Whether the pods that are where `placed` says could be joined by one more on `node`, counted anew from nothing.
fn allowed(stage: &Stage, placed: &HashMap<usize, (Wish, String)>, wish: &Wish, node: &str) -> bool {
    let info = stage.cluster.nodes().iter().find(|n| *n.name == *node).unwrap();
    let here: Vec<&Wish> = placed.values().filter(|(_, at)| at == node).map(|(w, _)| w).collect();
    let used: i64 = here.iter().map(|w| w.cpu).sum();
    let apart = here.iter().all(|w| w.app != wish.app || !(w.far || wish.far));
    let ports = !(wish.port && here.iter().any(|w| w.port));
    let zone_of = |name: &str| {
        let node = stage.cluster.nodes().iter().find(|n| *n.name == *name).unwrap();
        label(&node.meta.labels, ZONE).unwrap().to_string()
    };
    let mut zones: HashMap<String, i64> = stage.cluster.nodes().iter().map(|n| (zone_of(&n.name), 0)).collect();
    for (_, at) in placed.values().filter(|(w, _)| w.app == wish.app) {
        *zones.get_mut(&zone_of(at)).unwrap() += 1;
    }
    let even = !wish.spread || zones[&zone_of(node)] + 1 - zones.values().min().unwrap() <= 1;
    (wish.cpu == 0 || used + wish.cpu <= info.cpu_milli) && (here.len() as i64) < info.max_pods && apart && ports && even
}

proptest! {
    #![proptest_config(crate::actors::properties::property(64))]

    #[test]
    fn no_rule_is_broken_and_nobody_is_refused_in_vain(
        caps in prop::collection::vec((1i64..6, 1i64..5), 1..7),
        wishes in prop::collection::vec(wish(), 1..40),
    ) {
        let mut stage = Stage::new(0);
        for (at, (cpu, pods)) in caps.iter().enumerate() {
            let mut node = mk_node(&format!("n{at}"), &cpu.to_string(), "64Gi", *pods);
            node["metadata"]["labels"][ZONE] = format!("z{}", at % 3).into();
            stage.node(node);
        }
        let mut placed: HashMap<usize, (Wish, String)> = HashMap::new();
        for (at, wish) in wishes.iter().enumerate() {
            let info = stage.info(object(at, wish));
            match stage.decision(&info).outcome {
                Outcome::Node { slot } => {
                    let name = stage.cluster.nodes()[slot].name.clone();
                    prop_assert!(allowed(&stage, &placed, wish, &name), "{wish:?} on {name}: {placed:?}");
                    stage.cluster.place(info.resident.clone(), &name);
                    stage.cluster.place(info.resident, &name);
                    placed.insert(at, (wish.clone(), name.to_string()));
                }
                Outcome::Unschedulable { message, preemption, .. } => {
                    for node in stage.cluster.nodes() {
                        prop_assert!(!allowed(&stage, &placed, wish, &node.name), "{wish:?} has {}: {message}", node.name);
                    }
                    let Preemption::Victims(victims) = preemption else { continue };
                    for (key, _) in &victims.pods {
                        let number: usize = key.name.strip_prefix('p').unwrap().parse().unwrap();
                        let (victim, on) = placed.remove(&number).unwrap();
                        prop_assert!(victim.priority < wish.priority && *on == *victims.node, "{victim:?} on {on} for {wish:?}");
                        stage.cluster.forget(key, None);
                    }
                    prop_assert!(allowed(&stage, &placed, wish, &victims.node), "{wish:?} on {}: {placed:?}", victims.node);
                    stage.cluster.place(info.resident, &victims.node);
                    placed.insert(at, (wish.clone(), victims.node.to_string()));
                }
            }
            if wish.leaves && at > 0 {
                stage.cluster.forget(&key(&format!("p{}", at - 1)), None);
                placed.remove(&(at - 1));
            }
            for node in stage.cluster.nodes() {
                prop_assert!(node.used_cpu <= node.cpu_milli && node.pods <= node.max_pods);
                prop_assert_eq!(node.pods as usize, node.residents.len());
            }
        }
    }
}

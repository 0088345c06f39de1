//! Node health under clocks that jump, and the pace at which nodes are emptied.
use super::*;
use crate::actors::controllers::node_lifecycle::{Heartbeats, NodeLifecycle};
use crate::actors::controllers::testing::{Bench, mk_node};
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// Nodes whose wall clock and steady clock differ by what somebody has set.
struct Stage<'a> {
    model: &'a Model,
    heartbeats: Heartbeats,
    controller: NodeLifecycle,
    bench: Bench<'a>,
    steady: i64,
    ahead: Arc<AtomicI64>,
}

impl<'a> Stage<'a> {
    fn new(model: &'a Model, nodes: usize, zone: impl Fn(usize) -> String) -> Self {
        for n in 0..nodes {
            let mut node = mk_node(&format!("n{n}"), "4", "8Gi", 110);
            node["metadata"]["labels"]["topology.kubernetes.io/zone"] = zone(n).into();
            model.put("nodes", node);
        }
        let (heartbeats, ahead) = (Heartbeats::default(), Arc::new(AtomicI64::new(0)));
        let offset = ahead.clone();
        let clock = Box::new(move |wall: jiff::Timestamp| at(wall.as_second() - offset.load(Relaxed)));
        let mut controller = NodeLifecycle::new(heartbeats.clone(), None, clock);
        let bench = Bench::new(model, &mut controller);
        let mut stage = Stage { model, heartbeats, controller, bench, steady: 1_000_000, ahead };
        stage.look();
        stage
    }

    fn look(&mut self) {
        // What the runner's timers do: every node is looked at.
        for node in self.model.list("nodes", None) {
            self.model.edit("nodes", &node.key, json!({"metadata": {"annotations": {"look": (self.steady).to_string()}}}));
        }
        self.bench.converge(&mut self.controller, self.steady + self.ahead.load(Relaxed));
    }

    fn hear(&self, node: usize) {
        self.heartbeats.heard(&format!("n{node}"), at(self.steady));
    }

    /// Ready nodes, and nodes that are emptied.
    fn states(&self) -> (usize, usize) {
        let nodes = self.model.list("nodes", None);
        let of = |test: &dyn Fn(&crate::protocol::light::NodeLight) -> bool| {
            nodes.iter().filter(|n| matches!(&n.light, Light::Node(light) if test(light))).count()
        };
        (of(&|l| l.ready), of(&|l| l.taints.iter().any(|t| &*t.effect == "NoExecute")))
    }
}

proptest! {
    #![proptest_config(crate::actors::properties::property(48))]

    /// Whatever somebody does to the wall clock: a node that is heard stays, and its pods too.
    #[test]
    fn a_clock_that_jumps_drops_no_node(jumps in prop::collection::vec((-100_000i64..100_000, 1i64..30), 1..20)) {
        let model = Model::default();
        let mut stage = Stage::new(&model, 3, |_| "z".into());
        for (jump, passes) in jumps {
            (0..3).for_each(|n| stage.hear(n));
            let ahead = (stage.ahead.load(Relaxed) + jump).max(-900_000);
            stage.ahead.store(ahead, Relaxed);
            stage.look();
            stage.steady += passes;
            stage.look();
            prop_assert_eq!(stage.states(), (3, 0));
        }
        // And one that is silent is found out, by the time that really passes.
        stage.steady += 100;
        stage.hear(0);
        stage.hear(1);
        for _ in 0..3 { stage.look(); }
        prop_assert_eq!(stage.states(), (2, 1));
    }
}

#[test]
fn zones_are_emptied_at_their_pace() {
    // Zone a has six nodes, zone b two; a node a round falls silent.
    let model = Model::default();
    let mut stage = Stage::new(&model, 8, |n| if n < 6 { "a".into() } else { "b".into() });
    let keep = |stage: &mut Stage<'_>, seconds: i64, alive: &[usize]| {
        for _ in 0..seconds {
            stage.steady += 1;
            alive.iter().for_each(|n| stage.hear(*n));
            stage.look();
        }
    };
    // Two of eight: one at once, the other after ten seconds.
    keep(&mut stage, 43, &[2, 3, 4, 5, 6, 7]);
    assert_eq!(stage.states(), (6, 1));
    keep(&mut stage, 12, &[2, 3, 4, 5, 6, 7]);
    assert_eq!(stage.states(), (6, 2));
    // Four of six, in a small zone: no more of it; the other zone goes on.
    keep(&mut stage, 45, &[4, 5, 7]);
    assert_eq!(stage.states(), (3, 3), "zone b gives one, zone a none");
    keep(&mut stage, 200, &[4, 5, 7]);
    assert_eq!(stage.states(), (3, 3));
    // Nobody is heard any more: it is rather us, and all of them are let off.
    keep(&mut stage, 45, &[]);
    assert_eq!(stage.states(), (0, 0));
    // One comes back: its taints go, and the others' turns begin.
    let conditions = json!([{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T00:00:00Z"}]);
    model.edit("nodes", &ObjectKey::new("", "n7"), json!({"status": {"conditions": conditions}}));
    keep(&mut stage, 1, &[7]);
    let (ready, emptied) = stage.states();
    assert_eq!(ready, 1);
    assert!(emptied >= 1, "zone b, which is whole again but for one, gives its node up");
}

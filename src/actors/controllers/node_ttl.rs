//! How long a node may keep what it has read of configuration, by the size of the cluster: the annotation
//! `node.alpha.kubernetes.io/ttl`, seconds.
//!
//! As upstream, the bounds overlap so that a cluster at the edge of two sizes does not write its nodes again and again, and a node
//! gets a new value only when something else about it changes.
use super::feed::Change;
use super::index::Parts;
use super::plan::{Action, Failure, Patch, Plan};
use super::runner::{Controller, Key};
use super::world::World;
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use jiff::Timestamp;
use serde_json::json;
use std::cell::RefCell;
use std::collections::BTreeSet;

const ANNOTATION: &str = "node.alpha.kubernetes.io/ttl";
/// The fewest and the most nodes, and the seconds.
const STEPS: [(usize, usize, u32); 5] = [(0, 100, 0), (90, 500, 15), (450, 1000, 30), (900, 2000, 60), (1800, usize::MAX, 300)];

/// The step for so many nodes, coming from another.
fn step(mut at: usize, nodes: usize) -> usize {
    while STEPS.get(at).is_some_and(|(_, most, _)| nodes > *most) {
        at += 1;
    }
    while at > 0 && STEPS.get(at).is_some_and(|(fewest, _, _)| nodes < *fewest) {
        at -= 1;
    }
    at
}

/// Decides about one node.
pub fn plan(node: &Entry, seconds: u32) -> Plan {
    let wanted = seconds.to_string();
    if node.meta.deleting.is_some() || node.parse()["metadata"]["annotations"][ANNOTATION] == wanted.as_str() {
        return Plan::quiet();
    }
    let write = Patch {
        kind: "nodes".into(),
        key: node.key.clone(),
        uid: Some(node.meta.uid.clone()),
        subresource: None,
        patch: json!({"metadata": {"annotations": {ANNOTATION: wanted}}}),
        expect_revision: None,
    };
    Plan {
        actions: vec![Action::Patch(write)],
        requeue_after: None,
        why: format!("node {}: may keep what it read for {wanted} s", node.key),
    }
}

/// The controller around [`plan`].
#[derive(Default)]
pub struct NodeTtl {
    nodes: RefCell<BTreeSet<ObjectKey>>,
    step: usize,
}

impl Controller for NodeTtl {
    fn name(&self) -> &'static str {
        "nodettl"
    }

    fn parts(&self) -> Parts {
        Parts::default()
    }

    fn watches(&self, kind: &str) -> bool {
        kind == "nodes"
    }

    fn keys(&self, change: &Change, _before: Option<&Entry>, _world: &dyn World, out: &mut Vec<Key>) {
        let key = &change.entry.key;
        if change.deleted {
            self.nodes.borrow_mut().remove(key);
        } else {
            self.nodes.borrow_mut().insert(key.clone());
            out.push(Key::of("nodes", key));
        }
    }

    fn plan(&mut self, key: &Key, world: &dyn World, _now: Timestamp, _failure: Option<&Failure>) -> Plan {
        self.step = step(self.step, self.nodes.borrow().len());
        let seconds = STEPS.get(self.step).map_or(0, |(_, _, seconds)| *seconds);
        world.get("nodes", &key.object).map_or_else(Plan::quiet, |node| plan(&node, seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::controllers::feed::Objects;
    use crate::actors::controllers::testing::{Bench, Model, mk_node};

    #[test]
    fn steps_overlap() {
        let walk = [(50, 0), (101, 1), (95, 1), (89, 0), (600, 2), (460, 2), (449, 1), (5000, 4), (1799, 3)];
        let mut at = 0;
        for (nodes, want) in walk {
            at = step(at, nodes);
            assert_eq!(at, want, "{nodes} nodes");
        }
    }

    #[test]
    fn a_node_is_told() {
        let (model, mut controller) = (Model::default(), NodeTtl::default());
        let mut bench = Bench::new(&model, &mut controller);
        model.put("nodes", mk_node("n", "1", "1Gi", 10));
        bench.converge(&mut controller, 0);
        let node = model.list("nodes", None)[0].parse();
        assert_eq!(node["metadata"]["annotations"][ANNOTATION], "0");
    }
}

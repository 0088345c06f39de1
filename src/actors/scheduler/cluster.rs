//! The nodes and what is taken of them, kept up to date by events; nothing is listed again.
use super::pod::{Demand, HostPort, other_allocatable};
use crate::protocol::light::{Light, NodeLight};
use crate::protocol::meta::{Meta, ObjectKey};
use crate::storage::entry::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A node with its free room. A slot whose node is gone keeps counting the pods that are still bound to it.
#[derive(Debug, Default)]
pub struct NodeInfo {
    pub name: Arc<str>,
    pub exists: bool,
    pub meta: Meta,
    pub light: NodeLight,
    pub others: HashMap<Arc<str>, i64>,
    pub used_cpu: i64,
    pub used_memory: i64,
    pub scored_cpu: i64,
    pub scored_memory: i64,
    pub pods: i64,
    pub used_others: HashMap<Arc<str>, i64>,
    pub ports: Vec<HostPort>,
}

impl NodeInfo {
    fn take(&mut self, demand: &Demand, sign: i64) {
        self.used_cpu += sign * demand.cpu_milli;
        self.used_memory += sign * demand.memory;
        self.scored_cpu += sign * demand.scored_cpu;
        self.scored_memory += sign * demand.scored_memory;
        self.pods += sign;
        for (name, amount) in &demand.others {
            *self.used_others.entry(name.clone()).or_default() += sign * amount;
        }
        for port in &demand.ports {
            if sign > 0 {
                self.ports.push(port.clone());
            } else if let Some(at) = self.ports.iter().position(|p| p == port) {
                self.ports.swap_remove(at);
            }
        }
    }
}

/// A pod's place.
#[derive(Debug)]
struct Placed {
    uid: Arc<str>,
    node: usize,
    demand: Demand,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Cluster {
    nodes: Vec<NodeInfo>,
    by_name: HashMap<Arc<str>, usize>,
    placed: HashMap<ObjectKey, Placed>,
    /// Pods of one making per node.
    groups: HashMap<u64, HashMap<usize, u32>>,
    extended: BTreeSet<Arc<str>>,
    count: usize,
}

impl Cluster {
    /// Every slot, those of vanished nodes included.
    pub fn nodes(&self) -> &[NodeInfo] {
        &self.nodes
    }

    /// Nodes that exist.
    pub fn count(&self) -> usize {
        self.count
    }

    pub fn slot(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// How many pods of a group run on each node.
    pub fn group(&self, group: u64) -> Option<&HashMap<usize, u32>> {
        self.groups.get(&group)
    }

    /// Names of resources beyond the usual that some node offers.
    pub fn extended(&self) -> &BTreeSet<Arc<str>> {
        &self.extended
    }

    /// A node appeared or changed; true when in something that bears on scheduling.
    pub fn node_set(&mut self, entry: &Entry) -> bool {
        let Light::Node(light) = &entry.light else { return false };
        let slot = self.slot_for(&entry.key.name);
        let others = other_allocatable(&entry.parse());
        self.extended.extend(others.keys().filter(|name| name.contains('/')).cloned());
        let Some(node) = self.nodes.get_mut(slot) else { return false };
        let same = node.exists && node.light == **light && node.meta.labels == entry.meta.labels && node.others == others;
        if !node.exists {
            self.count += 1;
        }
        node.exists = true;
        node.meta = entry.meta.clone();
        node.light = (**light).clone();
        node.others = others;
        !same
    }

    /// A node is gone.
    pub fn node_gone(&mut self, name: &str) {
        let Some(node) = self.by_name.get(name).and_then(|slot| self.nodes.get_mut(*slot)) else { return };
        if node.exists {
            self.count -= 1;
        }
        node.exists = false;
    }

    fn slot_for(&mut self, name: &Arc<str>) -> usize {
        if let Some(slot) = self.by_name.get(name) {
            return *slot;
        }
        // A slot of a vanished, empty node is used again, so that node churn does not grow the list.
        let free = self.nodes.len() > 2 * (self.count + 8);
        let slot = match free.then(|| self.nodes.iter().position(|n| !n.exists && n.pods == 0)).flatten() {
            Some(slot) => {
                self.by_name.remove(&self.nodes[slot].name);
                slot
            }
            None => {
                self.nodes.push(NodeInfo::default());
                self.nodes.len() - 1
            }
        };
        self.nodes[slot] = NodeInfo { name: name.clone(), ..NodeInfo::default() };
        self.by_name.insert(name.clone(), slot);
        slot
    }

    /// A pod takes room on a node, by event or by our own decision. Taking it twice counts once.
    pub fn place(&mut self, key: &ObjectKey, uid: &Arc<str>, node: &Arc<str>, demand: Demand) {
        let slot = self.slot_for(node);
        if self.placed.get(key).is_some_and(|p| p.uid == *uid && p.node == slot && p.demand == demand) {
            return;
        }
        self.forget(key, None);
        if let Some(info) = self.nodes.get_mut(slot) {
            info.take(&demand, 1);
        }
        *self.groups.entry(demand.group).or_default().entry(slot).or_default() += 1;
        self.placed.insert(key.clone(), Placed { uid: uid.clone(), node: slot, demand });
    }

    /// A pod's room is free again. With `uid`: only if it is that pod's. False when there was nothing to free.
    pub fn forget(&mut self, key: &ObjectKey, uid: Option<&str>) -> bool {
        if self.placed.get(key).is_none_or(|p| uid.is_some_and(|u| u != &*p.uid)) {
            return false;
        }
        let Some(placed) = self.placed.remove(key) else { return false };
        if let Some(node) = self.nodes.get_mut(placed.node) {
            node.take(&placed.demand, -1);
        }
        if let Some(group) = self.groups.get_mut(&placed.demand.group) {
            if let Some(count) = group.get_mut(&placed.node) {
                *count -= 1;
                if *count == 0 {
                    group.remove(&placed.node);
                }
            }
            if group.is_empty() {
                self.groups.remove(&placed.demand.group);
            }
        }
        true
    }

    /// Whether this very pod holds room.
    pub fn holds(&self, key: &ObjectKey, uid: &str) -> bool {
        self.placed.get(key).is_some_and(|p| &*p.uid == uid)
    }
}

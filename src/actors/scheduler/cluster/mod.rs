//! The model of the cluster that decisions are made on: nodes, what is taken of them, and the counts that terms ask for.
//! Kept up to date by events; nothing is listed again.
pub mod budgets;
pub mod devices;
pub mod node;
pub mod storage;
pub mod tallies;
pub mod topology;

use super::demand::Resident;
use super::pod::PodInfo;
use super::terms::{Labels, PodTerms};
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use budgets::Budgets;
use devices::Devices;
use node::{NodeDelta, NodeInfo, light_of};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use storage::Storage;
use tallies::{Namespaces, Tallies};
use topology::Topology;

/// A pod's place.
#[derive(Debug)]
struct Placed {
    pod: Resident,
    slot: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Cluster {
    nodes: Vec<NodeInfo>,
    by_name: HashMap<Arc<str>, usize>,
    placed: Vec<Option<Placed>>,
    by_key: HashMap<ObjectKey, u32>,
    free: Vec<u32>,
    extended: BTreeSet<Arc<str>>,
    count: usize,
    topologies: HashMap<Arc<str>, Topology>,
    pub tallies: Tallies,
    pub namespaces: Namespaces,
    pub storage: Storage,
    pub devices: Devices,
    pub budgets: Budgets,
    /// On how many nodes an image is.
    spread_of_images: HashMap<Arc<str>, usize>,
    /// Pods that a pre-emption made room for, by slot.
    nominated: HashMap<usize, Vec<Arc<PodInfo>>>,
    /// Grows with every change that a decision could see.
    generation: u64,
}

impl Cluster {
    /// Every slot, those of vanished nodes included.
    pub fn nodes(&self) -> &[NodeInfo] {
        &self.nodes
    }

    pub fn node(&self, slot: usize) -> Option<&NodeInfo> {
        self.nodes.get(slot)
    }

    /// Nodes that exist.
    pub fn count(&self) -> usize {
        self.count
    }

    pub fn slot(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Names of resources beyond the usual that some node offers.
    pub fn extended(&self) -> &BTreeSet<Arc<str>> {
        &self.extended
    }

    /// Two decisions about equal pods at one generation are equal.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Something outside of nodes and pods changed.
    pub fn touched(&mut self) {
        self.generation += 1;
    }

    /// The nodes by a label that [`prepare`](Self::prepare) was told of.
    pub fn topology(&self, key: &str) -> Option<&Topology> {
        self.topologies.get(key)
    }

    /// On how many nodes an image is.
    pub fn nodes_with(&self, image: &str) -> usize {
        self.spread_of_images.get(image).copied().unwrap_or_default()
    }

    /// The pods on a node.
    pub fn residents<'a>(&'a self, node: &'a NodeInfo) -> impl Iterator<Item = (u32, &'a Resident)> {
        node.residents.iter().filter_map(|id| Some((*id, &self.placed.get(*id as usize)?.as_ref()?.pod)))
    }

    pub fn resident(&self, id: u32) -> Option<&Resident> {
        self.placed.get(id as usize)?.as_ref().map(|p| &p.pod)
    }

    /// Every pod that has a node.
    pub fn all_residents(&self) -> impl Iterator<Item = (usize, &Resident)> {
        self.placed.iter().flatten().map(|p| (p.slot, &p.pod))
    }

    /// A node appeared or changed.
    pub fn node_set(&mut self, entry: &Entry) -> NodeDelta {
        let Some(light) = light_of(entry) else { return NodeDelta::default() };
        let slot = self.slot_for(&entry.key.name);
        let Some(node) = self.nodes.get_mut(slot) else { return NodeDelta::default() };
        let before = node.images.clone();
        let delta = node.set(entry, light);
        if !Arc::ptr_eq(&before, &node.images) {
            count_images(&mut self.spread_of_images, &before, &node.images);
        }
        if delta.any() {
            self.generation += 1;
        }
        if delta.added {
            self.count += 1;
        }
        if delta.added || delta.allocatable {
            self.extended.extend(node.others.iter().map(|(name, _)| name).filter(|name| name.contains('/')).cloned());
        }
        if delta.added || delta.labels {
            self.topologies.values_mut().for_each(|t| t.set(slot, Some(&entry.meta.labels)));
        }
        delta
    }

    /// A node is gone.
    pub fn node_gone(&mut self, name: &str) {
        let Some(slot) = self.slot(name) else { return };
        let Some(node) = self.nodes.get_mut(slot).filter(|n| n.exists) else { return };
        self.count -= 1;
        self.generation += 1;
        node.exists = false;
        count_images(&mut self.spread_of_images, &node.images, &HashMap::new());
        node.images = Arc::default();
        self.topologies.values_mut().for_each(|t| t.set(slot, None));
        // Domains of nodes that are long gone are not kept forever.
        let bound = 2 * self.nodes.len() + 1024;
        let grown: Vec<Arc<str>> = self.topologies.values().filter(|t| t.size() > bound).map(|t| t.key.clone()).collect();
        for key in grown {
            self.topologies.remove(&key);
            self.ensure_topology(&key);
        }
    }

    fn slot_for(&mut self, name: &Arc<str>) -> usize {
        if let Some(slot) = self.by_name.get(name) {
            return *slot;
        }
        // A slot of a vanished, empty node is used again, so that node churn does not grow the list.
        let crowded = self.nodes.len() > 2 * (self.count + 8);
        let old = crowded.then(|| self.nodes.iter().position(|n| !n.exists && n.residents.is_empty())).flatten();
        let slot = old.unwrap_or(self.nodes.len());
        let node = NodeInfo { name: name.clone(), ..NodeInfo::default() };
        match self.nodes.get_mut(slot) {
            Some(held) => {
                self.by_name.remove(&held.name);
                *held = node;
            }
            None => self.nodes.push(node),
        }
        self.by_name.insert(name.clone(), slot);
        slot
    }

    /// Makes what a decision about the pod counts on: topologies and tallies.
    pub fn prepare(&mut self, pod: &PodInfo) {
        for spread in &pod.spreads {
            self.ensure_topology(&spread.topology_key);
            let residents = self.placed.iter().flatten().map(|p| (p.slot, &p.pod));
            self.tallies.ensure(&spread.set, false, residents, &self.namespaces);
        }
        let Some(terms) = &pod.terms else { return };
        self.ensure_topologies(terms);
        for set in terms.counted() {
            let residents = self.placed.iter().flatten().map(|p| (p.slot, &p.pod));
            self.tallies.ensure(set, true, residents, &self.namespaces);
        }
    }

    fn ensure_topologies(&mut self, terms: &PodTerms) {
        for term in terms.all() {
            self.ensure_topology(&term.topology_key);
        }
    }

    fn ensure_topology(&mut self, key: &Arc<str>) {
        if self.topologies.contains_key(key) {
            return;
        }
        let mut topology = Topology::new(key.clone());
        for (slot, node) in self.nodes.iter().enumerate() {
            topology.set(slot, node.exists.then_some(&*node.meta.labels));
        }
        self.topologies.insert(key.clone(), topology);
    }

    /// The pod as it is known to be on the node, when it takes there what this state of it says. Its labels may be others: a pod
    /// gets those of its node's place when it is bound.
    pub fn known(&self, entry: &Entry, node: &str) -> Option<&Resident> {
        let held = self.by_key.get(&entry.key).and_then(|id| self.placed.get(*id as usize)?.as_ref());
        let held = held.filter(|p| {
            let same = p.pod.uid == entry.meta.uid;
            let leaving = p.pod.leaving() == entry.meta.deleting.is_some();
            let light = match (&p.pod.entry.light, &entry.light) {
                (crate::protocol::light::Light::Pod(a), crate::protocol::light::Light::Pod(b)) => {
                    (a.cpu_milli, a.memory, a.priority) == (b.cpu_milli, b.memory, b.priority)
                }
                _ => false,
            };
            same && leaving && light && self.nodes.get(p.slot).is_some_and(|n| *n.name == *node)
        });
        held.map(|p| &p.pod)
    }

    /// A newer state of a [`known`](Self::known) pod with the same labels: its bytes take the place of the older ones.
    pub fn renew(&mut self, entry: &Arc<Entry>) {
        let held = self.by_key.get(&entry.key).and_then(|id| self.placed.get_mut(*id as usize)?.as_mut());
        if let Some(placed) = held {
            placed.pod.entry = entry.clone();
        }
    }

    /// A pod takes room on a node, by event or by our own decision. Taking it twice counts once.
    pub fn place(&mut self, pod: Resident, node: &Arc<str>) {
        let slot = self.slot_for(node);
        self.forget(&pod.key.clone(), None);
        self.generation += 1;
        if let Some(terms) = pod.terms.clone() {
            self.ensure_topologies(&terms);
        }
        let id = self.free.pop().unwrap_or_else(|| {
            self.placed.push(None);
            u32::try_from(self.placed.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(info) = self.nodes.get_mut(slot) {
            info.take(&pod, 1);
            info.residents.push(id);
        }
        self.tallies.shift(slot, &pod, 1, &self.namespaces);
        self.by_key.insert(pod.key.clone(), id);
        if let Some(place) = self.placed.get_mut(id as usize) {
            *place = Some(Placed { pod, slot });
        }
    }

    /// A pod's room is free again. With `uid`: only if it is that pod's. The pod, when there was something to free.
    pub fn forget(&mut self, key: &ObjectKey, uid: Option<&str>) -> Option<(usize, Resident)> {
        let id = *self.by_key.get(key)?;
        if uid.is_some_and(|uid| self.resident(id).is_none_or(|p| *p.uid != *uid)) {
            return None;
        }
        self.by_key.remove(key);
        let Placed { pod, slot } = self.placed.get_mut(id as usize)?.take()?;
        self.free.push(id);
        self.generation += 1;
        if let Some(node) = self.nodes.get_mut(slot) {
            node.take(&pod, -1);
            node.residents.retain(|r| *r != id);
        }
        self.tallies.shift(slot, &pod, -1, &self.namespaces);
        Some((slot, pod))
    }

    /// Whether this very pod holds room.
    pub fn holds(&self, key: &ObjectKey, uid: &str) -> bool {
        self.by_key.get(key).and_then(|id| self.resident(*id)).is_some_and(|p| *p.uid == *uid)
    }

    /// A namespace appeared or changed its labels (`None`: gone). True when that can change what terms select.
    pub fn namespace(&mut self, name: &Arc<str>, labels: Option<&Labels>) -> bool {
        let before = self.namespaces.get(name).map(|l| &**l);
        let same = before.unwrap_or_default() == labels.unwrap_or_default();
        match labels {
            Some(labels) => drop(self.namespaces.insert(name.clone(), labels.into())),
            None => drop(self.namespaces.remove(name)),
        }
        if !same {
            self.tallies.forget_tallies();
            self.generation += 1;
        }
        !same
    }

    /// Notes that room was made for a pod on a node, or (`None`) that it needs it no more.
    pub fn nominate(&mut self, pod: &Arc<PodInfo>, node: Option<&str>) {
        self.denominate(&pod.key);
        if let Some(slot) = node.and_then(|n| self.slot(n)) {
            self.nominated.entry(slot).or_default().push(pod.clone());
            self.generation += 1;
        }
    }

    /// The pod of this name needs no room any more.
    pub fn denominate(&mut self, key: &ObjectKey) {
        let mut found = false;
        self.nominated.retain(|_, pods| {
            let before = pods.len();
            pods.retain(|p| p.key != *key);
            found |= pods.len() != before;
            !pods.is_empty()
        });
        if found {
            self.generation += 1;
        }
    }

    /// The pods that room was made for on a node.
    pub fn nominated(&self, slot: usize) -> &[Arc<PodInfo>] {
        if self.nominated.is_empty() {
            return &[];
        }
        self.nominated.get(&slot).map(Vec::as_slice).unwrap_or_default()
    }
}

fn count_images(counts: &mut HashMap<Arc<str>, usize>, before: &HashMap<Arc<str>, i64>, after: &HashMap<Arc<str>, i64>) {
    for name in after.keys().filter(|n| !before.contains_key(*n)) {
        *counts.entry(name.clone()).or_default() += 1;
    }
    for name in before.keys().filter(|n| !after.contains_key(*n)) {
        if let Some(count) = counts.get_mut(name) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(name);
            }
        }
    }
}

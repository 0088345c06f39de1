//! A node with what is taken of it.
use crate::actors::scheduler::demand::{Demand, HostPort, Resident};
use crate::actors::scheduler::pod::normalized_image;
use crate::actors::scheduler::terms::{Labels, items, label};
use crate::protocol::light::{Light, NodeLight, Taint, quantity_in};
use crate::protocol::meta::Meta;
use crate::storage::entry::Entry;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// A resource beyond cpu, memory and pods, and how much there is of it.
pub type Others = Vec<(Arc<str>, i64)>;

/// A node with what is taken of it. One whose node is gone keeps counting the pods that are still bound to it.
#[derive(Clone, Debug, Default)]
pub struct NodeInfo {
    pub name: Arc<str>,
    pub exists: bool,
    pub cpu_milli: i64,
    pub memory: i64,
    pub max_pods: i64,
    pub used_cpu: i64,
    pub used_memory: i64,
    pub scored_cpu: i64,
    pub scored_memory: i64,
    pub pods: i64,
    pub unschedulable: bool,
    pub taints: Arc<[Taint]>,
    pub others: Arc<Others>,
    pub used_others: Others,
    pub ports: Vec<HostPort>,
    pub meta: Arc<Meta>,
    /// Bytes, by normalised name.
    pub images: Arc<HashMap<Arc<str>, i64>>,
    /// The numbers of the pods on it.
    pub residents: Vec<u32>,
    /// How many of them have volumes that bear on scheduling.
    pub with_volumes: u32,
}

/// What changed about a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeDelta {
    pub added: bool,
    pub allocatable: bool,
    pub labels: bool,
    /// Taints or `spec.unschedulable`.
    pub taints: bool,
    /// Labels that are new, gone, or have another value.
    pub keys: Vec<Arc<str>>,
}

impl NodeDelta {
    pub fn any(&self) -> bool {
        *self != NodeDelta::default()
    }
}

impl NodeInfo {
    /// Takes over what the object says; answers what is new.
    pub fn set(&mut self, entry: &Entry, light: &NodeLight) -> NodeDelta {
        let object = entry.parse();
        let others = other_allocatable(&object);
        let offered = (self.cpu_milli, self.memory, self.max_pods) != (light.cpu_milli, light.memory, light.pods) || *self.others != others;
        let delta = NodeDelta {
            added: !self.exists,
            allocatable: offered,
            labels: self.meta.labels != entry.meta.labels,
            taints: *self.taints != *light.taints || self.unschedulable != light.unschedulable,
            keys: if self.exists { changed(&self.meta.labels, &entry.meta.labels) } else { Vec::new() },
        };
        self.exists = true;
        (self.cpu_milli, self.memory, self.max_pods) = (light.cpu_milli, light.memory, light.pods);
        self.unschedulable = light.unschedulable;
        if delta.taints || delta.added {
            self.taints = light.taints.to_vec().into();
        }
        if offered {
            self.others = Arc::new(others);
        }
        self.meta = Arc::new(entry.meta.clone());
        let images = images(&object);
        if *self.images != images {
            self.images = Arc::new(images);
        }
        delta
    }

    /// A pod came (`sign` 1) or left (-1).
    pub fn take(&mut self, pod: &Resident, sign: i64) {
        let Demand { cpu_milli, memory, scored_cpu, scored_memory, others, ports } = &pod.demand;
        self.used_cpu += sign * cpu_milli;
        self.used_memory += sign * memory;
        self.scored_cpu += sign * scored_cpu;
        self.scored_memory += sign * scored_memory;
        self.pods += sign;
        for (name, amount) in others {
            match self.used_others.iter_mut().find(|(n, _)| n == name) {
                Some((_, used)) => *used += sign * amount,
                None => self.used_others.push((name.clone(), sign * amount)),
            }
        }
        for port in ports {
            if sign > 0 {
                self.ports.push(port.clone());
            } else if let Some(at) = self.ports.iter().position(|p| p == port) {
                self.ports.swap_remove(at);
            }
        }
        if pod.volumes.is_some() {
            self.with_volumes = if sign > 0 { self.with_volumes + 1 } else { self.with_volumes.saturating_sub(1) };
        }
    }

    /// How much there is of a further resource.
    pub fn offered(&self, name: &str) -> i64 {
        amount(&self.others, name)
    }

    /// How much of it is taken.
    pub fn used(&self, name: &str) -> i64 {
        amount(&self.used_others, name)
    }
}

/// The keys of labels that are not the same in both.
fn changed(before: &Labels, after: &Labels) -> Vec<Arc<str>> {
    let new = after.iter().filter(|(key, value)| label(before, key) != Some(&**value)).map(|(key, _)| key);
    let gone = before.iter().filter(|(key, _)| label(after, key).is_none()).map(|(key, _)| key);
    new.chain(gone).map(|key| Arc::from(&**key)).collect()
}

fn amount(list: &Others, name: &str) -> i64 {
    list.iter().find(|(n, _)| **n == *name).map_or(0, |(_, amount)| *amount)
}

/// The resources of a node beyond cpu, memory and pods, from its allocatable list.
fn other_allocatable(node: &Value) -> Others {
    let list = node["status"]["allocatable"].as_object().or_else(|| node["status"]["capacity"].as_object());
    let others = list.into_iter().flatten().filter(|(name, _)| !matches!(name.as_str(), "cpu" | "memory" | "pods"));
    others.map(|(name, value)| (name.as_str().into(), quantity_in(value, name))).collect()
}

fn images(node: &Value) -> HashMap<Arc<str>, i64> {
    let mut all = HashMap::new();
    for image in items(&node["status"]["images"]) {
        let size = image["sizeBytes"].as_i64().unwrap_or_default();
        all.extend(items(&image["names"]).filter_map(Value::as_str).map(|name| (normalized_image(name), size)));
    }
    all
}

/// The light index of a node's entry.
pub fn light_of(entry: &Entry) -> Option<&NodeLight> {
    if let Light::Node(light) = &entry.light { Some(light) } else { None }
}

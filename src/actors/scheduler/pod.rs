//! A pod as the scheduler needs it: parsed once, when it enters the queue.
use crate::actors::controllers::labels::{Operator, Requirement};
use crate::protocol::light::{Light, Taint, pod_request, quantity_in};
use crate::protocol::meta::{Meta, ObjectKey};
use crate::storage::entry::Entry;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// What a pod takes of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demand {
    pub cpu_milli: i64,
    pub memory: i64,
    /// For scoring: a container that asks for nothing counts as 100 milli-CPUs …
    pub scored_cpu: i64,
    /// … and 200 MB, so that such pods spread too.
    pub scored_memory: i64,
    /// Extended resources and `ephemeral-storage`.
    pub others: Vec<(Arc<str>, i64)>,
    pub ports: Vec<HostPort>,
    /// Which pods are of one making: the controller's uid, or namespace and labels.
    pub group: u64,
}

/// A port of the node itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    pub port: u16,
    pub protocol: Arc<str>,
    /// Empty or `0.0.0.0` for every address.
    pub address: Arc<str>,
}

impl HostPort {
    /// Whether both cannot be had on one node.
    pub fn clashes(&self, other: &HostPort) -> bool {
        let any = |a: &str| a.is_empty() || a == "0.0.0.0";
        let address = any(&self.address) || any(&other.address) || self.address == other.address;
        self.port == other.port && self.protocol == other.protocol && address
    }
}

/// One of `spec.tolerations`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toleration {
    pub key: Box<str>,
    pub exists: bool,
    pub value: Box<str>,
    pub effect: Box<str>,
}

impl Toleration {
    pub fn covers(&self, taint: &Taint) -> bool {
        (self.effect.is_empty() || *self.effect == *taint.effect)
            && (self.key.is_empty() || *self.key == *taint.key)
            && (self.exists || *self.value == *taint.value)
    }
}

/// One `nodeSelectorTerm`: all of its requirements, on labels and on the node's name.
#[derive(Clone, Debug, Default)]
pub struct Term {
    pub labels: Vec<Requirement>,
    pub fields: Vec<Requirement>,
}

impl Term {
    /// A term without requirements matches nothing, as upstream has it.
    pub fn matches(&self, name: &str, meta: &Meta) -> bool {
        !(self.labels.is_empty() && self.fields.is_empty())
            && self.labels.iter().all(|r| r.holds(meta.label(&r.key)))
            && self.fields.iter().all(|r| r.holds((r.key == "metadata.name").then_some(name)))
    }
}

/// A pod that waits for a node.
#[derive(Clone, Debug)]
pub struct PodInfo {
    pub key: ObjectKey,
    pub uid: Arc<str>,
    pub revision: u64,
    pub generation: i64,
    pub priority: i32,
    pub created: i64,
    pub demand: Demand,
    /// The one node that the pod can go to, when its required affinity names it by `metadata.name`.
    pub node_name: Option<String>,
    /// `spec.nodeSelector`.
    pub selector: Vec<Requirement>,
    /// Required node affinity: one of the terms; `None` when not asked for.
    pub required: Option<Vec<Term>>,
    /// Preferred node affinity, with weights.
    pub preferred: Vec<(i64, Term)>,
    pub tolerations: Vec<Toleration>,
    /// The gates keep it out of the queue.
    pub gated: bool,
    /// The message of its `PodScheduled=False` condition, if it has one.
    pub told: String,
}

impl PodInfo {
    /// Parses a pod; `None` when the entry is no pod.
    pub fn parse(entry: &Entry) -> Option<PodInfo> {
        let Light::Pod(light) = &entry.light else { return None };
        let pod = entry.parse();
        let spec = &pod["spec"];
        let affinity = &spec["affinity"]["nodeAffinity"];
        let required = &affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"];
        let selector = spec["nodeSelector"].as_object().into_iter().flatten().map(|(key, value)| Requirement {
            key: key.clone(),
            operator: Operator::In,
            values: value.as_str().map(str::to_string).into_iter().collect(),
        });
        let preferred = items(&affinity["preferredDuringSchedulingIgnoredDuringExecution"]);
        let condition = items(&pod["status"]["conditions"]).find(|c| c["type"] == "PodScheduled" && c["status"] == "False");
        let required: Option<Vec<Term>> = required.as_array().map(|terms| terms.iter().map(term).collect());
        Some(PodInfo {
            key: entry.key.clone(),
            uid: entry.meta.uid.clone(),
            revision: entry.revision,
            generation: entry.meta.generation,
            priority: light.priority,
            created: entry.meta.created,
            demand: Demand::parse(entry, &pod)?,
            selector: selector.collect(),
            node_name: only_node(required.as_deref()),
            required,
            preferred: preferred.map(|p| (p["weight"].as_i64().unwrap_or_default(), term(&p["preference"]))).collect(),
            tolerations: items(&spec["tolerations"]).map(toleration).collect(),
            gated: items(&spec["schedulingGates"]).next().is_some(),
            told: condition.and_then(|c| c["message"].as_str()).unwrap_or_default().to_string(),
        })
    }
}

impl Demand {
    /// The demand of a pod, from its light index alone when that is all there is to know: ports and further resources
    /// are looked for only in bodies that mention them.
    pub fn of(entry: &Entry, extended: &BTreeSet<Arc<str>>) -> Option<Demand> {
        let body = std::str::from_utf8(&entry.body).unwrap_or_default();
        let mentions = ["\"hostPort\"", "\"ephemeral-storage\""].iter().any(|word| body.contains(word));
        if mentions || extended.iter().any(|name| body.contains(&**name)) {
            return Demand::parse(entry, &entry.parse());
        }
        Demand::light(entry)
    }

    fn light(entry: &Entry) -> Option<Demand> {
        let Light::Pod(light) = &entry.light else { return None };
        Some(Demand {
            cpu_milli: light.cpu_milli,
            memory: light.memory,
            scored_cpu: if light.cpu_milli == 0 { 100 } else { light.cpu_milli },
            scored_memory: if light.memory == 0 { 200 * 1024 * 1024 } else { light.memory },
            others: Vec::new(),
            ports: Vec::new(),
            group: group_of(entry),
        })
    }

    fn parse(entry: &Entry, pod: &Value) -> Option<Demand> {
        let mut demand = Demand::light(entry)?;
        let spec = &pod["spec"];
        let containers = || items(&spec["containers"]).chain(items(&spec["initContainers"]));
        let requests = containers().flat_map(|c| c["resources"]["requests"].as_object().into_iter().flatten());
        let names: BTreeSet<&str> = requests.map(|(name, _)| &**name).filter(|n| !matches!(*n, "cpu" | "memory")).collect();
        demand.others = names.into_iter().map(|name| (name.into(), pod_request(pod, name))).filter(|(_, n)| *n > 0).collect();
        let sidecars = items(&spec["initContainers"]).filter(|c| c["restartPolicy"] == "Always");
        let ports = items(&spec["containers"]).chain(sidecars).flat_map(|c| items(&c["ports"]));
        demand.ports = ports.filter_map(host_port).collect();
        Some(demand)
    }
}

/// The resources of a node beyond cpu, memory and pods, from its allocatable list.
pub fn other_allocatable(node: &Value) -> HashMap<Arc<str>, i64> {
    let list = node["status"]["allocatable"].as_object().or_else(|| node["status"]["capacity"].as_object());
    let others = list.into_iter().flatten().filter(|(name, _)| !matches!(name.as_str(), "cpu" | "memory" | "pods"));
    others.map(|(name, value)| (name.as_str().into(), quantity_in(value, name))).collect()
}

/// The node that a single required term names.
fn only_node(required: Option<&[Term]>) -> Option<String> {
    let [term] = required? else { return None };
    let name = term.fields.iter().find(|r| r.key == "metadata.name" && r.operator == Operator::In)?;
    match name.values.as_slice() {
        [one] => Some(one.clone()),
        _ => None,
    }
}

fn group_of(entry: &Entry) -> u64 {
    let mut hasher = DefaultHasher::new();
    match entry.meta.controller() {
        Some(owner) => owner.uid.hash(&mut hasher),
        None => (&entry.key.namespace, &entry.meta.labels).hash(&mut hasher),
    }
    hasher.finish()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn host_port(port: &Value) -> Option<HostPort> {
    let number = u16::try_from(port["hostPort"].as_u64()?).ok().filter(|p| *p > 0)?;
    let protocol = port["protocol"].as_str().unwrap_or("TCP").into();
    Some(HostPort { port: number, protocol, address: port["hostIP"].as_str().unwrap_or_default().into() })
}

fn toleration(value: &Value) -> Toleration {
    let said = |field: &str| value[field].as_str().unwrap_or_default().into();
    Toleration { key: said("key"), exists: value["operator"] == "Exists", value: said("value"), effect: said("effect") }
}

fn term(value: &Value) -> Term {
    // A requirement that cannot be read must not widen the term: it becomes one that never holds.
    let never = || Requirement { key: String::new(), operator: Operator::Exists, values: Vec::new() };
    let parse = |list: &Value| items(list).map(|r| Requirement::parse(r).unwrap_or_else(never)).collect();
    Term { labels: parse(&value["matchExpressions"]), fields: parse(&value["matchFields"]) }
}

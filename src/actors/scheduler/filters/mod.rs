//! Filters: may the pod run on the node? One file each, each a pure function; none allocates on the way to yes or no.
mod node_name;
mod node_selector;
mod ports;
mod resources_fit;
mod taints;
mod unschedulable;

use super::cluster::NodeInfo;
use super::pod::PodInfo;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why a node will not do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    Unschedulable,
    NodeName,
    NodeAffinity,
    Taint,
    Ports,
    Cpu { never: bool },
    Memory { never: bool },
    Pods { never: bool },
    Other { name: Arc<str>, never: bool },
}

impl Reason {
    /// In upstream's words.
    fn text(&self) -> String {
        match self {
            Reason::Unschedulable => "node(s) were unschedulable".into(),
            Reason::NodeName => "node(s) didn't match the requested node name".into(),
            Reason::NodeAffinity => "node(s) didn't match Pod's node affinity/selector".into(),
            Reason::Taint => "node(s) had untolerated taint(s)".into(),
            Reason::Ports => "node(s) didn't have free ports for the requested pod ports".into(),
            Reason::Cpu { .. } => "Insufficient cpu".into(),
            Reason::Memory { .. } => "Insufficient memory".into(),
            Reason::Pods { .. } => "Too many pods".into(),
            Reason::Other { name, .. } => format!("Insufficient {name}"),
        }
    }

    /// Whether other pods leaving the node could help.
    pub fn resolvable(&self) -> bool {
        match self {
            Reason::Unschedulable | Reason::NodeName | Reason::NodeAffinity | Reason::Taint => false,
            Reason::Ports => true,
            Reason::Cpu { never } | Reason::Memory { never } | Reason::Pods { never } | Reason::Other { never, .. } => !never,
        }
    }
}

/// The nodes that were refused, by reason.
#[derive(Debug, Default)]
pub struct Refusals {
    counts: BTreeMap<String, usize>,
    /// Nodes on which nothing could help, and on which other pods are in the way.
    helpless: usize,
    occupied: usize,
}

impl Refusals {
    /// Counts one node's reasons.
    pub fn count(&mut self, reasons: &[Reason]) {
        for reason in reasons {
            *self.counts.entry(reason.text()).or_default() += 1;
        }
        if reasons.iter().all(Reason::resolvable) { self.occupied += 1 } else { self.helpless += 1 }
    }

    /// Whether pods leaving could make room somewhere.
    pub fn waits_for_room(&self) -> bool {
        self.occupied > 0
    }

    /// `0/2 nodes are available: 1 Insufficient cpu, … preemption: …`
    pub fn message(&self, nodes: usize) -> String {
        if nodes == 0 {
            return "no nodes available to schedule pods".into();
        }
        let join = |mut parts: Vec<String>| {
            parts.sort();
            parts.join(", ")
        };
        let why = join(self.counts.iter().map(|(text, count)| format!("{count} {text}")).collect());
        let preemption =
            [(self.occupied, "No preemption victims found for incoming pod"), (self.helpless, "Preemption is not helpful for scheduling")];
        let preemption = preemption.iter().filter(|(count, _)| *count > 0).map(|(count, text)| format!("{count} {text}")).collect();
        format!("0/{nodes} nodes are available: {why}. preemption: 0/{nodes} nodes are available: {}.", join(preemption))
    }
}

/// Whether the node passes every filter. Nothing is allocated.
pub fn passes(pod: &PodInfo, node: &NodeInfo) -> bool {
    unschedulable::allows(pod, node)
        && node_name::allows(pod, node)
        && taints::allows(pod, node)
        && node_selector::allows(pod, node)
        && ports::allows(pod, node)
        && resources_fit::allows(pod, node)
}

/// Why the node does not pass: the first filter that refuses, with all that it has to say (upstream stops there too).
pub fn reasons(pod: &PodInfo, node: &NodeInfo, out: &mut Vec<Reason>) {
    out.clear();
    if !unschedulable::allows(pod, node) {
        out.push(Reason::Unschedulable);
    } else if !node_name::allows(pod, node) {
        out.push(Reason::NodeName);
    } else if !taints::allows(pod, node) {
        out.push(Reason::Taint);
    } else if !node_selector::allows(pod, node) {
        out.push(Reason::NodeAffinity);
    } else if !ports::allows(pod, node) {
        out.push(Reason::Ports);
    } else {
        resources_fit::reasons(pod, node, out);
    }
}

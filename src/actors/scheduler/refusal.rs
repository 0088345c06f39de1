//! Why no node would do, counted and said in upstream's words.
use super::framework::Reason;
use std::collections::BTreeMap;

/// The nodes that were refused, by reason.
#[derive(Debug, Default)]
pub struct Refusals {
    counts: BTreeMap<String, usize>,
    /// What refused the pod before nodes were looked at.
    all: Option<String>,
    /// Slots on which other pods are in the way.
    occupied: Vec<usize>,
    /// Nodes on which nothing could help.
    helpless: usize,
}

impl Refusals {
    /// Counts one node's reasons.
    pub fn count(&mut self, slot: usize, reasons: &[Reason]) {
        for reason in reasons {
            match self.counts.get_mut(&*reason.text) {
                Some(count) => *count += 1,
                None => drop(self.counts.insert(reason.text.to_string(), 1)),
            }
        }
        if reasons.iter().all(|r| r.resolvable) { self.occupied.push(slot) } else { self.helpless += 1 }
    }

    /// No node comes into question.
    pub fn refuse_all(&mut self, reason: &Reason) {
        self.all = Some(reason.text.to_string());
    }

    /// Slots on which other pods are in the way.
    pub fn occupied(&self) -> &[usize] {
        &self.occupied
    }

    /// Nodes refused, by reason.
    pub fn counts(&self) -> Vec<(String, usize)> {
        self.counts.iter().map(|(text, count)| (text.clone(), *count)).collect()
    }

    /// `0/2 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: …`; `after` is what the plugins said
    /// that were asked last.
    pub fn message(&self, nodes: usize, after: &str) -> String {
        if nodes == 0 {
            return "no nodes available to schedule pods".into();
        }
        let why = match &self.all {
            Some(text) => text.clone(),
            None => joined(self.counts.iter().map(|(text, count)| format!("{count} {text}")).collect()),
        };
        let space = if after.is_empty() { "" } else { " " };
        format!("0/{nodes} nodes are available: {why}.{space}{after}")
    }
}

/// `0/3 nodes are available: 1 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling.`
pub fn in_vain(nodes: usize, tried: usize) -> String {
    let parts =
        [(tried, "No preemption victims found for incoming pod"), (nodes - tried.min(nodes), "Preemption is not helpful for scheduling")];
    let parts = parts.iter().filter(|(count, _)| *count > 0).map(|(count, text)| format!("{count} {text}")).collect();
    format!("0/{nodes} nodes are available: {}.", joined(parts))
}

fn joined(mut parts: Vec<String>) -> String {
    parts.sort();
    parts.join(", ")
}

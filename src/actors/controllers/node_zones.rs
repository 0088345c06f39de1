//! How fast nodes in trouble may be emptied: by zone, as upstream has it.
//!
//! Many nodes that fail at once are rarely dead; more often the network between is. So the taints that evict pods come one node at a
//! time per zone, more slowly when a large zone is partly down, not at all when a small one is, and not at all while
//! every node of the cluster seems down. Pure: time is an argument.
use super::node_lifecycle::{NOT_READY, UNREACHABLE};
use crate::protocol::light::Light;
use crate::storage::entry::Entry;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// The share of nodes that must be unready for a zone to count as partly disrupted, in hundredths.
const UNHEALTHY_PERCENT: usize = 55;
/// A zone with no more nodes than this is not emptied at all while it is partly disrupted.
const LARGE: usize = 50;
/// Between two nodes of a zone: 0.1 a second, and 0.01 in a large zone that is partly disrupted.
const PAUSE: Duration = Duration::from_secs(10);
const LONG_PAUSE: Duration = Duration::from_secs(100);

/// The state of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Normal,
    Partial,
    Full,
}

/// What a node in trouble may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its pods may be evicted.
    Evict,
    /// Not yet: ask again after this long.
    Wait(Duration),
    /// Not before its zone changes; who asks is told through [`Zones::observe`].
    Hold,
    /// Every node seems down: nobody is evicted, and taints that would are taken back.
    Stop,
}

#[derive(Debug)]
struct Zone {
    /// Ready or not.
    nodes: BTreeMap<Arc<str>, bool>,
    unready: usize,
    state: State,
    next: Option<Timestamp>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Zones {
    zones: BTreeMap<String, Zone>,
    places: HashMap<Arc<str>, String>,
    /// Nodes that have had their turn and are not well again.
    granted: BTreeSet<Arc<str>>,
    stopped: bool,
}

impl Zones {
    /// Takes in a node's state; answers which nodes must be looked at because the pace has changed for them.
    pub fn observe(&mut self, node: &Entry) -> Vec<Arc<str>> {
        let Light::Node(light) = &node.light else { return Vec::new() };
        let (name, zone) = (&node.key.name, zone_of(node));
        let known = self.places.get(name).filter(|z| **z == zone).and_then(|z| self.zones.get(z)?.nodes.get(name));
        if known == Some(&light.ready) {
            return Vec::new();
        }
        if self.places.get(name).is_some_and(|z| *z != zone) {
            self.remove(name);
        }
        if light.ready {
            self.granted.remove(name);
        }
        self.places.insert(name.clone(), zone.clone());
        let fresh = || Zone { nodes: BTreeMap::new(), unready: 0, state: State::Normal, next: None };
        let held = self.zones.entry(zone).or_insert_with(fresh);
        let before = held.nodes.insert(name.clone(), light.ready);
        held.unready += usize::from(!light.ready);
        held.unready -= usize::from(before == Some(false));
        self.judge()
    }

    /// A node is gone; the answer as that of [`observe`](Self::observe).
    pub fn forget(&mut self, node: &str) -> Vec<Arc<str>> {
        self.granted.remove(node);
        if self.remove(node) { self.judge() } else { Vec::new() }
    }

    fn remove(&mut self, node: &str) -> bool {
        let Some(zone) = self.places.remove(node) else { return false };
        if let Some(held) = self.zones.get_mut(&zone) {
            held.unready -= usize::from(held.nodes.remove(node) == Some(false));
            if held.nodes.is_empty() {
                self.zones.remove(&zone);
            }
        }
        true
    }

    /// Sets every zone's state anew; answers the nodes for which something has changed.
    fn judge(&mut self) -> Vec<Arc<str>> {
        let mut concerned = Vec::new();
        for zone in self.zones.values_mut() {
            let state = zone.judged();
            if state != zone.state {
                zone.state = state;
                zone.next = None;
                concerned.extend(zone.nodes.iter().filter(|(_, ready)| !**ready).map(|(name, _)| name.clone()));
            }
        }
        let stopped = !self.zones.is_empty() && self.zones.values().all(|zone| zone.state == State::Full);
        if stopped == self.stopped {
            return concerned;
        }
        self.stopped = stopped;
        self.granted.clear();
        self.places.keys().cloned().collect()
    }

    /// Whether a node that is not ready may be emptied now. A yes holds until the node is ready again.
    pub fn verdict(&mut self, node: &str, now: Timestamp) -> Verdict {
        if self.stopped {
            return Verdict::Stop;
        }
        if self.granted.contains(node) {
            return Verdict::Evict;
        }
        let Some((name, zone)) = self.places.get_key_value(node) else { return Verdict::Hold };
        let Some(zone) = self.zones.get_mut(zone) else { return Verdict::Hold };
        let Some(pause) = zone.pause() else { return Verdict::Hold };
        if let Some(rest) = zone.next.and_then(|next| Duration::try_from(next.duration_since(now)).ok()).filter(|rest| !rest.is_zero()) {
            // Never more than one turn, even if the clock has gone back.
            return Verdict::Wait(rest.min(pause));
        }
        zone.next = now.checked_add(pause).ok();
        self.granted.insert(name.clone());
        Verdict::Evict
    }

    /// A node that has the taint already keeps it.
    pub fn grant(&mut self, node: &Arc<str>) {
        if !self.stopped {
            self.granted.insert(node.clone());
        }
    }
}

impl Zone {
    fn judged(&self) -> State {
        let (unready, all) = (self.unready, self.nodes.len());
        if all > 0 && unready == all {
            State::Full
        } else if unready > 2 && unready * 100 >= all * UNHEALTHY_PERCENT {
            State::Partial
        } else {
            State::Normal
        }
    }

    /// The time between two of its nodes; none when they are not to be emptied.
    fn pause(&self) -> Option<Duration> {
        match self.state {
            State::Normal | State::Full => Some(PAUSE),
            State::Partial => (self.nodes.len() > LARGE).then_some(LONG_PAUSE),
        }
    }
}

/// A node's zone: its region and zone by their labels; nodes without any are one zone.
fn zone_of(node: &Entry) -> String {
    let label = |new: &str, old: &str| node.meta.label(new).or_else(|| node.meta.label(old)).unwrap_or_default().to_string();
    let region = label("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region");
    let zone = label("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone");
    format!("{region}:{zone}")
}

/// Whether a node carries one of the taints that empty it.
pub fn emptied(node: &Entry) -> bool {
    let Light::Node(light) = &node.light else { return false };
    light.taints.iter().any(|t| &*t.effect == "NoExecute" && matches!(&*t.key, NOT_READY | UNREACHABLE))
}

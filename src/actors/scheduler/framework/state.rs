//! What plugins remember between the points of one decision.
use crate::actors::scheduler::cluster::devices::allocate::Want;
use crate::actors::scheduler::cluster::topology::{NOWHERE, Topology};
use crate::actors::scheduler::terms::PodTerm;
use std::sync::Arc;

/// See the module. Each plugin has a field of its own.
#[derive(Debug, Default)]
pub struct State {
    pub spread: Vec<SpreadState>,
    pub affinity: AffinityState,
    pub spread_score: SpreadScore,
    /// Per slot, what preferences of the pod and of others sum up to.
    pub affinity_score: Vec<Weighted>,
    pub volumes: VolumeState,
    /// What the pod's claims on devices still have to be given.
    pub devices: Vec<Want>,
}

/// Counts by domain of one topology, with what a pod thought away or added changes about one domain.
#[derive(Clone, Debug)]
pub struct Counts {
    pub key: Arc<str>,
    by_domain: Vec<i64>,
    total: i64,
    shifted: (u32, i64),
}

impl Counts {
    pub fn new(key: &Arc<str>, topology: &Topology) -> Counts {
        Counts { key: key.clone(), by_domain: vec![0; topology.size()], total: 0, shifted: (NOWHERE, 0) }
    }

    /// Adds to the domain of a node. Nodes outside of any count nowhere.
    pub fn add(&mut self, domain: u32, count: i64) {
        if let Some(sum) = self.by_domain.get_mut(domain as usize) {
            *sum += count;
            self.total += count;
        }
    }

    pub fn shift(&mut self, domain: u32, count: i64) {
        if domain == NOWHERE {
            return;
        }
        let before = if self.shifted.0 == domain { self.shifted.1 } else { 0 };
        self.shifted = (domain, before + count);
    }

    pub fn of(&self, domain: u32) -> i64 {
        let base = self.by_domain.get(domain as usize).copied().unwrap_or_default();
        if self.shifted.0 == domain { base + self.shifted.1 } else { base }
    }

    /// The sum over all domains.
    pub fn total(&self) -> i64 {
        self.total + self.shifted.1
    }
}

/// One hard spread constraint.
#[derive(Debug)]
pub struct SpreadState {
    pub counts: Counts,
    /// The domains that count at all.
    pub eligible: Vec<bool>,
    pub domains: i64,
    /// The domain with the fewest, how many, and the fewest of any other.
    pub fewest: (u32, i64, i64),
}

impl SpreadState {
    /// The fewest pods in any domain that counts.
    pub fn minimum(&self, min_domains: i64) -> i64 {
        if self.domains < min_domains {
            return 0;
        }
        let (domain, fewest, others) = self.fewest;
        let shifted = self.counts.shifted.0;
        if shifted == NOWHERE || !self.eligible.get(shifted as usize).copied().unwrap_or_default() {
            return fewest;
        }
        let now = self.counts.of(shifted);
        if shifted == domain { now.min(others) } else { now.min(fewest) }
    }
}

/// What terms of the pod and of others require.
#[derive(Debug, Default)]
pub struct AffinityState {
    /// For each of the pod's required terms, pods that meet all of them.
    pub affinity: Vec<Counts>,
    pub anti_affinity: Vec<Counts>,
    /// Pods elsewhere that want none like this one beside them, by term.
    pub others: Vec<(PodTerm, Counts)>,
}

/// What soft spread constraints come to.
#[derive(Debug, Default)]
pub struct SpreadScore {
    pub constraints: Vec<SpreadWeight>,
    /// Slots that lack a label and score nothing.
    pub ignored: Vec<usize>,
}

/// One soft constraint.
#[derive(Debug)]
pub struct SpreadWeight {
    /// By domain; `None` for host names, where each node counts for itself.
    pub counts: Option<Counts>,
    pub per_node: Vec<u32>,
    pub key: Arc<str>,
    pub weight: f64,
    pub max_skew: i64,
}

/// Weighted counts of one topology key.
#[derive(Debug)]
pub struct Weighted {
    pub counts: Counts,
}

/// What the pod's claims come to.
#[derive(Debug, Default)]
pub struct VolumeState {
    pub bound: Vec<usize>,
    pub unbound: Vec<usize>,
    /// Zone and region labels of bound volumes: key and the values allowed.
    pub places: Vec<(Arc<str>, Vec<Arc<str>>)>,
}

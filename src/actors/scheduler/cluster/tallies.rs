//! Counts of pods per node that terms and constraints ask for, kept up to date with every pod that comes or goes.
//!
//! A *tally* counts the pods that a set selects; it is made when a pod first asks for it. What pods on nodes say about
//! others is *carried*: pods that say the same share one entry. Both are found by a label that whoever is selected must
//! have, so that a pod meets only those that may be about it.
use crate::actors::scheduler::demand::Resident;
use crate::actors::scheduler::terms::{Labels, PodSet, PodTerm};
use std::collections::HashMap;
use std::sync::Arc;

/// Tallies that are kept; beyond that all are made anew when asked for.
const KEPT: usize = 4096;

/// Labels of namespaces.
pub type Namespaces = HashMap<Arc<str>, Box<Labels>>;

/// The labels of a namespace.
pub fn labels_of<'a>(namespaces: &'a Namespaces, name: &str) -> &'a Labels {
    namespaces.get(name).map(|l| &**l).unwrap_or_default()
}

/// Numbers of things, found by label.
#[derive(Debug, Default)]
struct Anchors {
    by_label: HashMap<(Arc<str>, Arc<str>), Vec<usize>>,
    loose: Vec<usize>,
}

impl Anchors {
    fn add(&mut self, set: &PodSet, number: usize) {
        match set.selector.anchor() {
            Some(label) => self.by_label.entry(label).or_default().push(number),
            None => self.loose.push(number),
        }
    }

    fn remove(&mut self, set: &PodSet, number: usize) {
        let Some(label) = set.selector.anchor() else { return self.loose.retain(|n| *n != number) };
        if let Some(list) = self.by_label.get_mut(&label) {
            list.retain(|n| *n != number);
            if list.is_empty() {
                self.by_label.remove(&label);
            }
        }
    }

    /// Those that may be about a pod with these labels.
    fn about<'a>(&'a self, labels: &'a Labels) -> impl Iterator<Item = usize> + 'a {
        let by_label = labels.iter().filter_map(|label| self.by_label.get(label)).flatten();
        self.loose.iter().chain(by_label).copied()
    }
}

/// The pods that a set selects, per slot.
#[derive(Debug)]
pub struct Tally {
    set: PodSet,
    /// Whether pods that are being deleted count.
    leaving: bool,
    pub per_node: Vec<u32>,
}

/// What a carried term means to the pods it selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bond {
    RequiredAnti,
    RequiredAffinity,
    /// With its weight; negative for anti-affinity.
    Preferred(i64),
}

/// A term of pods that are on nodes, with how many there are per slot.
#[derive(Debug)]
pub struct Carried {
    pub term: PodTerm,
    pub bond: Bond,
    pub per_node: Vec<u32>,
    count: usize,
}

type CarriedId = (Arc<str>, Arc<str>, Bond);

/// See the module.
#[derive(Debug, Default)]
pub struct Tallies {
    tallies: Vec<Tally>,
    by_id: HashMap<(Arc<str>, bool), usize>,
    tally_anchors: Anchors,
    carried: Vec<Option<Carried>>,
    carried_ids: HashMap<CarriedId, usize>,
    carried_anchors: Anchors,
    free: Vec<usize>,
}

impl Tallies {
    /// The number of a set's tally, if there is one.
    pub fn find(&self, set: &PodSet, leaving: bool) -> Option<&Tally> {
        self.by_id.get(&(set.id.clone(), leaving)).and_then(|n| self.tallies.get(*n))
    }

    /// Makes a tally unless there is one already.
    pub fn ensure<'a>(&mut self, set: &PodSet, leaving: bool, residents: impl Iterator<Item = (usize, &'a Resident)>, spaces: &Namespaces) {
        if self.by_id.contains_key(&(set.id.clone(), leaving)) {
            return;
        }
        if self.tallies.len() >= KEPT {
            self.forget_tallies();
        }
        let mut tally = Tally { set: set.clone(), leaving, per_node: Vec::new() };
        for (slot, pod) in residents {
            tally.count(slot, pod, 1, spaces);
        }
        let number = self.tallies.len();
        self.tally_anchors.add(set, number);
        self.by_id.insert((set.id.clone(), leaving), number);
        self.tallies.push(tally);
    }

    /// All tallies are made anew when asked for: namespaces changed, or there are too many.
    pub fn forget_tallies(&mut self) {
        self.tallies.clear();
        self.by_id.clear();
        self.tally_anchors = Anchors::default();
    }

    /// A pod came to a node (`sign` 1) or left it (-1).
    pub fn shift(&mut self, slot: usize, pod: &Resident, sign: i32, spaces: &Namespaces) {
        for number in self.tally_anchors.about(&pod.entry.meta.labels) {
            if let Some(tally) = self.tallies.get_mut(number) {
                tally.count(slot, pod, sign, spaces);
            }
        }
        let Some(terms) = pod.terms.clone() else { return };
        for term in &terms.anti_affinity {
            self.carry(slot, term, Bond::RequiredAnti, sign);
        }
        for term in &terms.affinity {
            self.carry(slot, term, Bond::RequiredAffinity, sign);
        }
        for (weight, term) in &terms.preferred {
            self.carry(slot, term, Bond::Preferred(*weight), sign);
        }
    }

    fn carry(&mut self, slot: usize, term: &PodTerm, bond: Bond, sign: i32) {
        let id = (term.set.id.clone(), term.topology_key.clone(), bond);
        let number = match self.carried_ids.get(&id) {
            Some(number) => *number,
            None if sign < 0 => return,
            None => {
                let carried = Carried { term: term.clone(), bond, per_node: Vec::new(), count: 0 };
                let number = self.free.pop().unwrap_or(self.carried.len());
                if number == self.carried.len() {
                    self.carried.push(Some(carried))
                } else {
                    self.carried[number] = Some(carried)
                }
                self.carried_anchors.add(&term.set, number);
                self.carried_ids.insert(id.clone(), number);
                number
            }
        };
        let Some(Some(carried)) = self.carried.get_mut(number) else { return };
        bump(&mut carried.per_node, slot, sign);
        carried.count = carried.count.saturating_add_signed(sign as isize);
        if carried.count == 0 {
            self.carried_anchors.remove(&term.set, number);
            self.carried_ids.remove(&id);
            self.carried[number] = None;
            self.free.push(number);
        }
    }

    /// What pods on nodes say about a pod like this.
    pub fn about<'a>(&'a self, namespace: &'a str, labels: &'a Labels, spaces: &'a Namespaces) -> impl Iterator<Item = &'a Carried> {
        let known = self.carried_anchors.about(labels).filter_map(|n| self.carried.get(n)?.as_ref());
        known.filter(move |c| c.term.set.contains(namespace, labels, |n| labels_of(spaces, n)))
    }
}

impl Tally {
    fn count(&mut self, slot: usize, pod: &Resident, sign: i32, spaces: &Namespaces) {
        let counts = self.leaving || !pod.leaving();
        if counts && self.set.contains(&pod.key.namespace, &pod.entry.meta.labels, |n| labels_of(spaces, n)) {
            bump(&mut self.per_node, slot, sign);
        }
    }
}

fn bump(counts: &mut Vec<u32>, slot: usize, sign: i32) {
    if counts.len() <= slot {
        counts.resize(slot + 1, 0);
    }
    if let Some(count) = counts.get_mut(slot) {
        *count = count.saturating_add_signed(sign);
    }
}

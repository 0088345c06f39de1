//! The score of PodTopologySpread, from its soft constraints: fewer pods of the kind in a place are better, and places of
//! which there are many weigh more.
use super::pod_topology_spread::included;
use super::{Cluster, MAX_SCORE, PodInfo, State};
use crate::actors::scheduler::cluster::topology::{NOWHERE, Topology};
use crate::actors::scheduler::framework::state::{Counts, SpreadScore, SpreadWeight};
use crate::actors::scheduler::pod::Spread;

const HOSTNAME: &str = "kubernetes.io/hostname";

/// False when there is nothing to score.
pub fn prepare(pod: &PodInfo, slots: &[usize], cluster: &Cluster, state: &mut State) -> bool {
    let soft: Vec<(&Spread, &Topology)> =
        pod.spreads.iter().filter(|s| !s.hard).filter_map(|s| Some((s, cluster.topology(&s.topology_key)?))).collect();
    if soft.is_empty() {
        return false;
    }
    // Upstream's own defaults make do with nodes that lack a label.
    let complete = |slot: usize| pod.spreads_by_default || soft.iter().all(|(_, t)| t.domain(slot) != NOWHERE);
    let mut ignored: Vec<usize> = slots.iter().copied().filter(|s| !complete(*s)).collect();
    ignored.sort_unstable();
    let mut constraints = Vec::with_capacity(soft.len());
    for (spread, topology) in &soft {
        let per_node = cluster.tallies.find(&spread.set, false).map(|t| t.per_node.clone()).unwrap_or_default();
        let (size, counts) = if &*spread.topology_key == HOSTNAME {
            (slots.len() - ignored.len(), None)
        } else {
            let mut candidate = vec![false; topology.size()];
            for slot in slots.iter().filter(|s| ignored.binary_search(s).is_err()) {
                if let Some(c) = candidate.get_mut(topology.domain(*slot) as usize) {
                    *c = true;
                }
            }
            let mut counts = Counts::new(&spread.topology_key, topology);
            for (slot, count) in per_node.iter().enumerate().filter(|(_, count)| **count > 0) {
                let domain = topology.domain(slot);
                let counted = candidate.get(domain as usize).copied().unwrap_or_default() && complete(slot);
                if counted && cluster.node(slot).is_some_and(|n| included(spread, pod, n)) {
                    counts.add(domain, (*count).into());
                }
            }
            (candidate.iter().filter(|c| **c).count(), Some(counts))
        };
        let weight = (size as f64 + 2.0).ln();
        constraints.push(SpreadWeight { counts, per_node, key: spread.topology_key.clone(), weight, max_skew: spread.max_skew });
    }
    state.spread_score = SpreadScore { constraints, ignored };
    true
}

/// The raw score: less is better.
pub fn score(slot: usize, cluster: &Cluster, state: &State) -> i64 {
    if state.spread_score.ignored.binary_search(&slot).is_ok() {
        return 0;
    }
    let mut score = 0.0;
    for constraint in &state.spread_score.constraints {
        let domain = cluster.topology(&constraint.key).map_or(NOWHERE, |t| t.domain(slot));
        if domain == NOWHERE {
            continue;
        }
        let count = match &constraint.counts {
            None => constraint.per_node.get(slot).copied().unwrap_or_default().into(),
            Some(counts) => counts.of(domain),
        };
        score += count as f64 * constraint.weight + (constraint.max_skew - 1) as f64;
    }
    score.round() as i64
}

/// Turned round, so that more is better.
pub fn normalise(scores: &mut [i64], slots: &[usize], state: &State) {
    let ignored = |slot: &usize| state.spread_score.ignored.binary_search(slot).is_ok();
    let counted = scores.iter().zip(slots).filter(|(_, slot)| !ignored(slot)).map(|(score, _)| *score);
    let (min, max) = counted.fold((i64::MAX, 0), |(min, max), s| (min.min(s), max.max(s)));
    for (score, slot) in scores.iter_mut().zip(slots) {
        *score = if ignored(slot) {
            0
        } else if max == 0 {
            MAX_SCORE
        } else {
            MAX_SCORE * (max + min - *score) / max
        };
    }
}

//! InterPodAffinity: which pods a pod must, must not, would like to or would rather not share a place with; and the same
//! for what pods that are there already say about it.
use super::{Cluster, Happening, MAX_SCORE, NodeInfo, Plugin, PodInfo, Points, PreFilter, Reason, State, happening};
use crate::actors::scheduler::cluster::node::NodeDelta;
use crate::actors::scheduler::cluster::tallies::{Bond, labels_of};
use crate::actors::scheduler::cluster::topology::NOWHERE;
use crate::actors::scheduler::demand::Resident;
use crate::actors::scheduler::framework::args::InterPodAffinityArgs;
use crate::actors::scheduler::framework::state::{AffinityState, Counts, Weighted};
use crate::actors::scheduler::terms::{PodSet, PodTerm, PodTerms, label};
use std::sync::Arc;

/// See the module.
pub struct InterPodAffinity {
    /// What a required affinity of a pod that is there counts for when this one meets it.
    hard_weight: i64,
    /// Whether preferences of pods that are there don't count for pods without any of their own.
    ignores_preferences: bool,
}

impl InterPodAffinity {
    /// With the profile's `InterPodAffinityArgs`.
    pub fn new(args: &InterPodAffinityArgs) -> Self {
        InterPodAffinity {
            hard_weight: args.hard_pod_affinity_weight.into(),
            ignores_preferences: args.ignore_preferred_terms_of_existing_pods,
        }
    }
}

impl InterPodAffinity {
    /// A new node helps where the pod's affinity has a place on it; labels that changed, where somebody's terms are about them.
    fn node_helps(&self, pod: &PodInfo, slot: usize, delta: &NodeDelta, cluster: &Cluster) -> bool {
        let own = || pod.terms.iter().flat_map(|t| t.affinity.iter().chain(&t.anti_affinity));
        if delta.added {
            let labels = cluster.node(slot).map(|node| &*node.meta.labels).unwrap_or_default();
            return pod.terms.iter().flat_map(|t| &t.affinity).all(|term| label(labels, &term.topology_key).is_some());
        }
        let about = || cluster.tallies.about(&pod.key.namespace, &pod.entry.meta.labels, &cluster.namespaces);
        let changed = |term: &PodTerm| delta.keys.contains(&term.topology_key);
        own().any(changed) || about().any(|carried| carried.bond == Bond::RequiredAnti && changed(&carried.term))
    }
}

fn selects(set: &PodSet, pod: &Resident, cluster: &Cluster) -> bool {
    set.contains(&pod.key.namespace, &pod.entry.meta.labels, |n| labels_of(&cluster.namespaces, n))
}

fn meets_all(terms: &[PodTerm], pod: &Resident, cluster: &Cluster) -> bool {
    !terms.is_empty() && terms.iter().all(|t| selects(&t.set, pod, cluster))
}

/// Adds counts per node by the domains of a topology.
fn gather(counts: &mut Counts, per_node: &[u32], weight: i64, cluster: &Cluster) {
    let Some(topology) = cluster.topology(&counts.key) else { return };
    let key = counts.key.clone();
    debug_assert_eq!(topology.key, key);
    for (slot, count) in per_node.iter().enumerate().filter(|(_, count)| **count > 0) {
        counts.add(topology.domain(slot), weight * i64::from(*count));
    }
}

fn counts(key: &Arc<str>, cluster: &Cluster) -> Option<Counts> {
    cluster.topology(key).map(|topology| Counts::new(key, topology))
}

/// For each of the terms, the pods that meet all of them, by its domains.
fn affinity(terms: &PodTerms, cluster: &Cluster) -> Vec<Counts> {
    let mut all: Vec<Counts> = terms.affinity.iter().filter_map(|t| counts(&t.topology_key, cluster)).collect();
    match terms.met.as_ref().and_then(|set| cluster.tallies.find(set, true)) {
        Some(tally) => all.iter_mut().for_each(|counts| gather(counts, &tally.per_node, 1, cluster)),
        None if all.is_empty() => {}
        None => {
            for (slot, _) in cluster.all_residents().filter(|(_, pod)| meets_all(&terms.affinity, pod, cluster)) {
                for counts in &mut all {
                    let domain = cluster.topology(&counts.key).map_or(NOWHERE, |t| t.domain(slot));
                    counts.add(domain, 1);
                }
            }
        }
    }
    all
}

fn counted(term: &PodTerm, cluster: &Cluster) -> Option<Counts> {
    let mut counts = counts(&term.topology_key, cluster)?;
    if let Some(tally) = cluster.tallies.find(&term.set, true) {
        gather(&mut counts, &tally.per_node, 1, cluster);
    }
    Some(counts)
}

fn domain(counts: &Counts, slot: usize, cluster: &Cluster) -> u32 {
    cluster.topology(&counts.key).map_or(NOWHERE, |t| t.domain(slot))
}

/// What pods elsewhere say against this one, by their terms.
fn others_against(pod: &PodInfo, cluster: &Cluster) -> Vec<(PodTerm, Counts)> {
    let about = cluster.tallies.about(&pod.key.namespace, &pod.entry.meta.labels, &cluster.namespaces);
    let against = about.filter(|c| c.bond == Bond::RequiredAnti).filter_map(|carried| {
        let mut counts = counts(&carried.term.topology_key, cluster)?;
        gather(&mut counts, &carried.per_node, 1, cluster);
        Some((carried.term.clone(), counts))
    });
    against.collect()
}

impl Plugin for InterPodAffinity {
    fn name(&self) -> &'static str {
        "InterPodAffinity"
    }

    fn points(&self) -> Points {
        Points::PRE_FILTER.and(Points::FILTER).and(Points::PRE_SCORE).and(Points::SCORE)
    }

    fn pre_filter(&self, pod: &PodInfo, cluster: &Cluster, state: &mut State) -> PreFilter {
        let mut found = AffinityState { others: others_against(pod, cluster), ..AffinityState::default() };
        if let Some(terms) = &pod.terms {
            found.affinity = affinity(terms, cluster);
            found.anti_affinity = terms.anti_affinity.iter().filter_map(|t| counted(t, cluster)).collect();
        }
        let skip = found.affinity.is_empty() && found.anti_affinity.is_empty() && found.others.is_empty();
        state.affinity = found;
        if skip { PreFilter::Skip } else { PreFilter::Go }
    }

    fn filter(&self, pod: &PodInfo, slot: usize, _node: &NodeInfo, cluster: &Cluster, state: &State) -> Result<(), Reason> {
        let AffinityState { affinity, anti_affinity, others } = &state.affinity;
        let mut met = true;
        for counts in affinity {
            match domain(counts, slot, cluster) {
                NOWHERE => return Err(Reason::unresolvable("node(s) didn't match pod affinity rules")),
                at => met &= counts.of(at) > 0,
            }
        }
        // The first of a group has nobody to be with, and may go anywhere if it belongs to the group itself.
        let first = || affinity.iter().all(|c| c.total() == 0);
        let own = || pod.terms.as_ref().is_some_and(|t| meets_all(&t.affinity, pod, cluster));
        if !(met || first() && own()) {
            return Err(Reason::unresolvable("node(s) didn't match pod affinity rules"));
        }
        if anti_affinity.iter().any(|counts| counts.of(domain(counts, slot, cluster)) > 0) {
            return Err(Reason::unschedulable("node(s) didn't match pod anti-affinity rules"));
        }
        if others.iter().any(|(_, counts)| counts.of(domain(counts, slot, cluster)) > 0) {
            return Err(Reason::unschedulable("node(s) didn't satisfy existing pods anti-affinity rules"));
        }
        Ok(())
    }

    fn shift(&self, pod: &PodInfo, other: &Resident, slot: usize, sign: i64, cluster: &Cluster, state: &mut State) {
        if let Some(terms) = &pod.terms {
            if meets_all(&terms.affinity, other, cluster) {
                state.affinity.affinity.iter_mut().for_each(|c| c.shift(domain(c, slot, cluster), sign));
            }
            for (term, counts) in terms.anti_affinity.iter().zip(&mut state.affinity.anti_affinity) {
                if selects(&term.set, other, cluster) {
                    counts.shift(domain(counts, slot, cluster), sign);
                }
            }
        }
        for term in other.terms.iter().flat_map(|t| &t.anti_affinity).filter(|t| selects(&t.set, pod, cluster)) {
            let same = |(known, _): &&mut (PodTerm, Counts)| known.set.id == term.set.id && known.topology_key == term.topology_key;
            if let Some((_, counts)) = state.affinity.others.iter_mut().find(same) {
                counts.shift(domain(counts, slot, cluster), sign);
            } else if sign > 0
                && let Some(mut counts) = counts(&term.topology_key, cluster)
            {
                counts.shift(domain(&counts, slot, cluster), sign);
                state.affinity.others.push((term.clone(), counts));
            }
        }
    }

    fn pre_score(&self, pod: &PodInfo, _slots: &[usize], cluster: &Cluster, state: &mut State) -> bool {
        let mut sums: Vec<Counts> = Vec::new();
        let mut add = |key: &Arc<str>, per_node: &[u32], weight: i64| {
            let at = sums.iter().position(|c| c.key == *key);
            let Some(at) = at.or_else(|| {
                sums.push(counts(key, cluster)?);
                Some(sums.len() - 1)
            }) else {
                return;
            };
            if let Some(sum) = sums.get_mut(at) {
                gather(sum, per_node, weight, cluster);
            }
        };
        let preferred = pod.terms.iter().flat_map(|t| &t.preferred);
        let mut wishes = false;
        for (weight, term) in preferred {
            wishes = true;
            if let Some(tally) = cluster.tallies.find(&term.set, true) {
                add(&term.topology_key, &tally.per_node, *weight);
            }
        }
        if wishes || !self.ignores_preferences {
            for carried in cluster.tallies.about(&pod.key.namespace, &pod.entry.meta.labels, &cluster.namespaces) {
                let weight = match carried.bond {
                    Bond::Preferred(weight) => weight,
                    Bond::RequiredAffinity => self.hard_weight,
                    Bond::RequiredAnti => 0,
                };
                if weight != 0 {
                    add(&carried.term.topology_key, &carried.per_node, weight);
                }
            }
        }
        state.affinity_score = sums.into_iter().map(|counts| Weighted { counts }).collect();
        !state.affinity_score.is_empty()
    }

    fn score(&self, _pod: &PodInfo, slot: usize, _node: &NodeInfo, cluster: &Cluster, state: &State) -> i64 {
        state.affinity_score.iter().map(|w| w.counts.of(domain(&w.counts, slot, cluster))).sum()
    }

    fn normalise(&self, scores: &mut [i64], _slots: &[usize], _state: &State) {
        let (min, max) = scores.iter().fold((i64::MAX, i64::MIN), |(min, max), s| (min.min(*s), max.max(*s)));
        for score in scores {
            let above = score.saturating_sub(min);
            *score = if max > min { (MAX_SCORE as f64 * (above as f64 / (max - min) as f64)) as i64 } else { 0 };
        }
    }

    fn interests(&self) -> u32 {
        happening::NODE_ADDED | happening::NODE_LABELS | happening::POD_LEFT | happening::POD_CAME | happening::NAMESPACE
    }

    fn helps(&self, pod: &PodInfo, happening: &Happening, cluster: &Cluster) -> bool {
        match happening {
            Happening::PodCame { pod: other, .. } => {
                pod.terms.as_ref().is_some_and(|t| t.affinity.iter().any(|term| selects(&term.set, other, cluster)))
            }
            Happening::PodLeft { pod: other, .. } => {
                let unwanted = |terms: &PodTerms, by: &Resident| terms.anti_affinity.iter().any(|t| selects(&t.set, by, cluster));
                // The last of a group may have gone: then this one may begin it anew elsewhere.
                let group = |terms: &PodTerms| terms.affinity.iter().any(|t| selects(&t.set, other, cluster));
                pod.terms.as_ref().is_some_and(|t| unwanted(t, other) || group(t)) || other.terms.as_ref().is_some_and(|t| unwanted(t, pod))
            }
            Happening::Node { slot, delta } => self.node_helps(pod, *slot, delta, cluster),
            _ => true,
        }
    }
}

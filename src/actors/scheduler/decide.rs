//! The decision: the best of the nodes that will do. Pure; all state is in its arguments.
use super::cluster::Cluster;
use super::cluster::node::NodeInfo;
use super::framework::profile::Profile;
use super::framework::state::State;
use super::framework::{Points, PreFilter, PreFiltered, Reason};
use super::pod::PodInfo;
use super::preemption::{self, Victims};
use super::refusal::Refusals;
use std::sync::Arc;

/// Clusters up to this size are searched whole; in larger ones the search ends when enough nodes will do.
const SEARCH_ALL: usize = 100;
/// Scores of the best nodes that a decision tells.
const TOLD: usize = 3;

/// What became of a pod.
#[derive(Debug)]
pub enum Outcome {
    /// The slot of the node in the cluster.
    Node { slot: usize },
    Unschedulable {
        /// In upstream's words.
        message: String,
        /// The places of the plugins that refused nodes, as bits: what could help them could help the pod.
        rejected_by: u32,
        preemption: Preemption,
    },
}

/// Whether others make room.
#[derive(Debug, PartialEq)]
pub enum Preemption {
    /// These, on this node.
    Victims(Victims),
    /// Nobody can; room that was made before is of no use.
    Nowhere,
    /// Not tried: the pod waits for room that is being made, or does not take any from others.
    Waits,
}

/// A decision with its grounds: what a causal log tells.
#[derive(Debug)]
pub struct Decision {
    pub outcome: Outcome,
    /// Nodes looked at, and those that would do.
    pub looked_at: usize,
    pub feasible: usize,
    /// The best nodes with their scores.
    pub top: Vec<(Arc<str>, i64)>,
    /// Nodes refused, by reason.
    pub counts: Vec<(String, usize)>,
}

/// What outlives one decision: where the next search begins (so that a sampled search reaches every node in turn), and
/// buffers.
#[derive(Debug, Default)]
pub struct Search {
    next: usize,
    feasible: Vec<usize>,
    scores: Vec<i64>,
    totals: Vec<i64>,
}

/// How many feasible nodes are enough: half of a cluster of 100, less of larger ones, never under 5 % or 100.
pub fn enough(nodes: usize, percentage: Option<usize>) -> usize {
    if nodes < SEARCH_ALL {
        return nodes;
    }
    let percent = percentage.unwrap_or_else(|| 50usize.saturating_sub(nodes / 125).max(5));
    (nodes * percent / 100).max(SEARCH_ALL)
}

/// The filters that have something to say about a pod, with the nodes that come into question.
pub struct Filters<'a> {
    pub profile: &'a Profile,
    /// Places of plugins whose filters are asked.
    pub active: Vec<usize>,
    /// Only these slots, and the plugins that said so.
    pub only: Option<(Vec<usize>, Vec<&'static str>)>,
    /// No node will do: who says so, and why.
    pub refused: Option<(usize, Reason)>,
}

impl<'a> Filters<'a> {
    /// Asks every plugin for what it has to say before nodes are looked at.
    pub fn of(profile: &'a Profile, pod: &PodInfo, cluster: &Cluster, state: &mut State) -> Filters<'a> {
        let mut filters = Filters { profile, active: Vec::new(), only: None, refused: None };
        for (at, slot) in profile.plugins.iter().enumerate() {
            let mut step = PreFilter::Go;
            if slot.points.has(Points::PRE_FILTER) {
                step = slot.plugin.pre_filter(pod, cluster, state);
            }
            match step {
                PreFilter::Go => {}
                PreFilter::Skip => continue,
                PreFilter::Only(slots) => {
                    let (all, by) = filters.only.get_or_insert_with(|| (slots.clone(), Vec::new()));
                    all.retain(|s| slots.contains(s));
                    by.push(slot.plugin.name());
                }
                PreFilter::Refuse(reason) => {
                    filters.refused = Some((at, reason));
                    return filters;
                }
            }
            if slot.points.has(Points::FILTER) {
                filters.active.push(at);
            }
        }
        filters
    }

    /// The first plugin that refuses the node.
    pub fn refuses(&self, pod: &PodInfo, slot: usize, node: &NodeInfo, cluster: &Cluster, state: &State) -> Option<usize> {
        let asked = self.active.iter().filter_map(|at| Some((*at, self.profile.plugins.get(*at)?)));
        asked.into_iter().find(|(_, p)| p.plugin.filter(pod, slot, node, cluster, state).is_err()).map(|(at, _)| at)
    }

    /// The same, when pods that room was made for on the node are there already: those of the same or a higher priority
    /// must leave room for this one too. Both with and without them, as their coming may be what an affinity waits for.
    pub fn refuses_beside(&self, pod: &PodInfo, slot: usize, node: &NodeInfo, cluster: &Cluster, state: &mut State) -> Option<usize> {
        let nominated = cluster.nominated(slot).iter().filter(|n| n.priority >= pod.priority && n.uid != pod.uid);
        let beside: Vec<Arc<PodInfo>> = nominated.cloned().collect();
        if beside.is_empty() {
            return self.refuses(pod, slot, node, cluster, state);
        }
        let mut crowded = node.clone();
        for other in &beside {
            crowded.take(other, 1);
            self.shift(pod, other, slot, 1, cluster, state);
        }
        let refused = self.refuses(pod, slot, &crowded, cluster, state);
        for other in &beside {
            self.shift(pod, other, slot, -1, cluster, state);
        }
        refused.or_else(|| self.refuses(pod, slot, node, cluster, state))
    }

    /// Another pod is thought onto a node, or away from it.
    pub fn shift(&self, pod: &PodInfo, other: &super::demand::Resident, slot: usize, sign: i64, cluster: &Cluster, state: &mut State) {
        for plugin in self.profile.at(Points::PRE_FILTER).map(|(_, p)| &p.plugin) {
            plugin.shift(pod, other, slot, sign, cluster, state);
        }
    }
}

/// Decides where `pod` goes. The cluster is only changed in what it counts, not in what it says.
pub fn decide(pod: &PodInfo, cluster: &mut Cluster, profile: &Profile, search: &mut Search) -> Decision {
    cluster.prepare(pod);
    let cluster = &*cluster;
    let mut state = State::default();
    let filters = Filters::of(profile, pod, cluster, &mut state);
    search.feasible.clear();
    let looked_at = if filters.refused.is_none() { find(pod, cluster, &filters, &mut state, search) } else { 0 };
    if search.feasible.is_empty() {
        return explain(pod, cluster, &filters, &mut state, looked_at);
    }
    let (slot, top) = best(pod, cluster, profile, &mut state, search);
    Decision { outcome: Outcome::Node { slot }, looked_at, feasible: search.feasible.len(), top, counts: Vec::new() }
}

/// Fills `search.feasible`; answers how many nodes were looked at.
fn find(pod: &PodInfo, cluster: &Cluster, filters: &Filters<'_>, state: &mut State, search: &mut Search) -> usize {
    let nodes = cluster.nodes();
    let mut does = |slot: usize| {
        let node = nodes.get(slot).filter(|n| n.exists);
        node.is_some_and(|node| filters.refuses_beside(pod, slot, node, cluster, state).is_none())
    };
    // Room was made for the pod somewhere: it goes there, whatever else there is.
    if let Some(slot) = pod.nominated.as_ref().and_then(|name| cluster.slot(name))
        && filters.only.as_ref().is_none_or(|(slots, _)| slots.contains(&slot))
        && does(slot)
    {
        search.feasible.push(slot);
        return 1;
    }
    if let Some((slots, _)) = &filters.only {
        search.feasible.extend(slots.iter().copied().filter(|slot| does(*slot)));
        return slots.len();
    }
    if nodes.is_empty() {
        return 0;
    }
    let enough = enough(cluster.count(), filters.profile.percentage);
    let start = search.next % nodes.len();
    let mut looked = 0;
    for slot in (start..nodes.len()).chain(0..start) {
        if search.feasible.len() >= enough {
            break;
        }
        if does(slot) {
            search.feasible.push(slot);
        }
        looked += 1;
    }
    search.next = (start + looked) % nodes.len();
    looked
}

/// The best of the feasible nodes, and what a log tells of the best few.
fn best(pod: &PodInfo, cluster: &Cluster, profile: &Profile, state: &mut State, search: &mut Search) -> (usize, Vec<(Arc<str>, i64)>) {
    let Search { feasible, scores, totals, .. } = search;
    totals.clear();
    totals.resize(feasible.len(), 0);
    let several = feasible.len() > 1;
    for (_, slot) in profile.at(Points::SCORE).filter(|_| several) {
        if slot.points.has(Points::PRE_SCORE) && !slot.plugin.pre_score(pod, feasible, cluster, state) {
            continue;
        }
        scores.clear();
        let score = |at: &usize| cluster.node(*at).map_or(0, |node| slot.plugin.score(pod, *at, node, cluster, state));
        scores.extend(feasible.iter().map(score));
        slot.plugin.normalise(scores, feasible, state);
        for (total, score) in totals.iter_mut().zip(scores.iter()) {
            *total += slot.weight * score;
        }
    }
    let mut top: Vec<(i64, usize)> = Vec::with_capacity(TOLD + 1);
    for (total, slot) in totals.iter().zip(feasible.iter()) {
        // Of equals the first found wins; searches begin where the last one ended, so that is not always the same.
        let at = top.partition_point(|(score, _)| score >= total);
        if at < TOLD {
            top.insert(at, (*total, *slot));
            top.truncate(TOLD);
        }
    }
    let chosen = top.first().map_or(0, |(_, slot)| *slot);
    let told = top.iter().filter_map(|(score, slot)| Some((cluster.node(*slot)?.name.clone(), *score))).collect();
    (chosen, told)
}

/// Why no node will do, and whether others make room: the slow path.
fn explain(pod: &PodInfo, cluster: &Cluster, filters: &Filters<'_>, state: &mut State, looked_at: usize) -> Decision {
    let mut refusals = Refusals::default();
    let rejected_by = match &filters.refused {
        Some((at, reason)) => {
            refusals.refuse_all(reason);
            1 << at
        }
        None => refuse_each(pod, cluster, filters, state, &mut refusals),
    };
    let (preemption, told) = post_filter(pod, cluster, filters, state, &refusals);
    let message = refusals.message(cluster.count(), &told);
    let outcome = Outcome::Unschedulable { message, rejected_by, preemption };
    Decision { outcome, looked_at: looked_at.max(cluster.count()), feasible: 0, top: Vec::new(), counts: refusals.counts() }
}

/// What the plugins that are asked last make of it, and what they say. Nothing is said when others make room.
fn post_filter(pod: &PodInfo, cluster: &Cluster, filters: &Filters<'_>, state: &mut State, refusals: &Refusals) -> (Preemption, String) {
    let mut said = Vec::new();
    for (at, slot) in filters.profile.at(Points::POST_FILTER) {
        let before = match &filters.refused {
            Some((by, _)) if *by < at => PreFiltered::Unasked,
            Some((by, _)) if *by == at => PreFiltered::Refused,
            _ => PreFiltered::Passed,
        };
        match slot.plugin.post_filter(pod, before) {
            Ok("") => {}
            Ok(text) => said.push(text.to_string()),
            Err(why) => return (Preemption::Waits, why.into()),
        }
    }
    // Room that was made is of no use where nobody makes any.
    let usual = if filters.profile.at(Points::POST_FILTER).next().is_some() { Preemption::Waits } else { Preemption::Nowhere };
    let (preemption, told) = preemption::consider(pod, cluster, filters, state, refusals).unwrap_or((usual, String::new()));
    if matches!(preemption, Preemption::Victims(_)) {
        return (preemption, String::new());
    }
    said.extend((!told.is_empty()).then(|| format!("preemption: {told}")));
    (preemption, said.join(", "))
}

/// Counts what is against each node; answers the places of the plugins that refused, as bits.
fn refuse_each(pod: &PodInfo, cluster: &Cluster, filters: &Filters<'_>, state: &mut State, refusals: &mut Refusals) -> u32 {
    let mut rejected_by = 0;
    // Nodes that did not even come into question.
    let outside = filters.only.as_ref().map(|(slots, by)| {
        let why = Reason::unresolvable(format!("node(s) didn't satisfy plugin(s) [{}]", by.join(" ")));
        let named = filters.profile.plugins.iter().enumerate().filter(|(_, p)| by.contains(&p.plugin.name()));
        (slots, [why], named.fold(0, |all, (at, _)| all | 1 << at))
    });
    for (slot, node) in cluster.nodes().iter().enumerate().filter(|(_, n)| n.exists) {
        if let Some((_, why, by)) = outside.as_ref().filter(|(slots, _, _)| !slots.contains(&slot)) {
            refusals.count(slot, why);
            rejected_by |= by;
            continue;
        }
        let Some(at) = filters.refuses_beside(pod, slot, node, cluster, state) else { continue };
        rejected_by |= 1 << at;
        let plugin = filters.profile.plugins.get(at);
        let reasons = plugin.map(|p| p.plugin.reasons(pod, slot, node, cluster, state)).unwrap_or_default();
        // Room enough but for those that it was made for.
        let reasons = if reasons.is_empty() { beside(pod, slot, node, cluster, filters, at, state) } else { reasons };
        refusals.count(slot, &reasons);
    }
    rejected_by
}

/// The reasons of a plugin against a node on which room was made for others.
fn beside(pod: &PodInfo, slot: usize, node: &NodeInfo, cluster: &Cluster, filters: &Filters<'_>, at: usize, state: &State) -> Vec<Reason> {
    let mut crowded = node.clone();
    for other in cluster.nominated(slot).iter().filter(|n| n.priority >= pod.priority && n.uid != pod.uid) {
        crowded.take(other, 1);
    }
    let reasons = filters.profile.plugins.get(at).map(|p| p.plugin.reasons(pod, slot, &crowded, cluster, state)).unwrap_or_default();
    if reasons.is_empty() { vec![Reason::unschedulable("node(s) had room made for other pods")] } else { reasons }
}

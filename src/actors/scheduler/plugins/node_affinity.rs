//! NodeAffinity: `spec.nodeSelector`, required and preferred node affinity, and what the profile adds (`addedAffinity`).
use super::{Cluster, Happening, NodeInfo, Plugin, PodInfo, Points, PreFilter, Reason, State, happening, node_of, normalise_by_max};
use crate::actors::scheduler::framework::args::NodeAffinityArgs;
use crate::actors::scheduler::terms::{NodeTerm, items, node_terms};
use std::collections::BTreeSet;

const REFUSED: &str = "node(s) didn't match Pod's node affinity/selector";

/// See the module.
#[derive(Default)]
pub struct NodeAffinity {
    required: Option<Vec<NodeTerm>>,
    preferred: Vec<(i64, NodeTerm)>,
}

impl NodeAffinity {
    /// With the profile's `NodeAffinityArgs`.
    pub fn new(args: &NodeAffinityArgs) -> Self {
        let Some(added) = &args.added_affinity else { return NodeAffinity::default() };
        NodeAffinity {
            required: node_terms(&added.required),
            preferred: items(&added.preferred)
                .map(|p| (p["weight"].as_i64().unwrap_or_default(), NodeTerm::parse(&p["preference"])))
                .collect(),
        }
    }

    fn added(&self, node: &NodeInfo) -> bool {
        self.required.as_ref().is_none_or(|terms| terms.iter().any(|t| t.matches(&node.name, &node.meta)))
    }
}

/// The names that the pod's required terms come down to, when each of them names some.
fn named(pod: &PodInfo) -> Option<BTreeSet<&str>> {
    let terms = pod.required.as_ref().filter(|t| !t.is_empty())?;
    let mut names = BTreeSet::new();
    for term in terms {
        names.extend(term.names()?.iter().map(String::as_str));
    }
    Some(names)
}

impl Plugin for NodeAffinity {
    fn name(&self) -> &'static str {
        "NodeAffinity"
    }

    fn points(&self) -> Points {
        Points::PRE_FILTER.and(Points::FILTER).and(Points::PRE_SCORE).and(Points::SCORE)
    }

    fn pre_filter(&self, pod: &PodInfo, cluster: &Cluster, _state: &mut State) -> PreFilter {
        if pod.selector.is_empty() && pod.required.is_none() && self.required.is_none() {
            return PreFilter::Skip;
        }
        match named(pod) {
            None => PreFilter::Go,
            Some(names) if names.is_empty() => PreFilter::Refuse(Reason::unresolvable("pod affinity terms conflict")),
            Some(names) => PreFilter::Only(names.into_iter().filter_map(|name| cluster.slot(name)).collect()),
        }
    }

    fn filter(&self, pod: &PodInfo, _slot: usize, node: &NodeInfo, _cluster: &Cluster, _state: &State) -> Result<(), Reason> {
        if !self.added(node) {
            return Err(Reason::unresolvable("node(s) didn't match scheduler-enforced node affinity"));
        }
        if pod.wants(&node.name, &node.meta) { Ok(()) } else { Err(Reason::unresolvable(REFUSED)) }
    }

    fn pre_score(&self, pod: &PodInfo, _slots: &[usize], _cluster: &Cluster, _state: &mut State) -> bool {
        !(pod.preferred.is_empty() && self.preferred.is_empty())
    }

    fn score(&self, pod: &PodInfo, _slot: usize, node: &NodeInfo, _cluster: &Cluster, _state: &State) -> i64 {
        let all = pod.preferred.iter().chain(&self.preferred);
        all.filter(|(_, term)| term.matches(&node.name, &node.meta)).map(|(weight, _)| weight).sum()
    }

    fn normalise(&self, scores: &mut [i64], _slots: &[usize], _state: &State) {
        normalise_by_max(scores, false);
    }

    fn interests(&self) -> u32 {
        happening::NODE_ADDED | happening::NODE_LABELS
    }

    fn helps(&self, pod: &PodInfo, happening: &Happening, cluster: &Cluster) -> bool {
        node_of(happening, cluster).is_some_and(|(_, node)| self.added(node) && pod.wants(&node.name, &node.meta))
    }
}

//! PodTopologySpread: pods that a constraint selects shall be spread evenly over the values of a node label.
use super::{Cluster, Happening, NodeInfo, Plugin, PodInfo, Points, PreFilter, Reason, State, happening, spread_score};
use crate::actors::scheduler::cluster::tallies::labels_of;
use crate::actors::scheduler::cluster::topology::{NOWHERE, Topology};
use crate::actors::scheduler::demand::Resident;
use crate::actors::scheduler::framework::args::PodTopologySpreadArgs;
use crate::actors::scheduler::framework::state::{Counts, SpreadState};
use crate::actors::scheduler::pod::{Spread, SpreadDefaults};
use crate::actors::scheduler::terms::tolerates_all;
use serde_json::{Value, json};

/// See the module.
#[derive(Debug, Default)]
pub struct PodTopologySpread {
    pub defaults: SpreadDefaults,
}

impl PodTopologySpread {
    /// With the profile's `PodTopologySpreadArgs`, read and as said: constraints are kept as a pod has them.
    pub fn new(args: &PodTopologySpreadArgs, said: &Value) -> Self {
        let defaults = if args.defaulting_type == "List" {
            SpreadDefaults { constraints: said["defaultConstraints"].as_array().cloned().unwrap_or_default(), system: false }
        } else {
            SpreadDefaults { constraints: system_defaults(), system: true }
        };
        PodTopologySpread { defaults }
    }
}

/// Upstream's: pods of one workload spread a little over zones and nodes.
fn system_defaults() -> Vec<Value> {
    let soft = |key: &str, skew: i64| json!({"topologyKey": key, "maxSkew": skew, "whenUnsatisfiable": "ScheduleAnyway"});
    vec![soft("kubernetes.io/hostname", 3), soft("topology.kubernetes.io/zone", 5)]
}

/// Whether a node counts for a constraint.
pub(super) fn included(spread: &Spread, pod: &PodInfo, node: &NodeInfo) -> bool {
    (!spread.honours_affinity || pod.wants(&node.name, &node.meta))
        && (!spread.honours_taints || tolerates_all(&pod.tolerations, &node.taints))
}

fn hard(pod: &PodInfo) -> impl Iterator<Item = &Spread> {
    pod.spreads.iter().filter(|s| s.hard)
}

/// Whether a pod counts for a constraint.
fn counts_for(spread: &Spread, other: &Resident, cluster: &Cluster) -> bool {
    !other.leaving() && spread.set.contains(&other.key.namespace, &other.entry.meta.labels, |n| labels_of(&cluster.namespaces, n))
}

fn count(spread: &Spread, pod: &PodInfo, topologies: &[&Topology], cluster: &Cluster) -> Option<SpreadState> {
    let topology = cluster.topology(&spread.topology_key)?;
    let per_node = cluster.tallies.find(&spread.set, false).map(|t| &*t.per_node).unwrap_or_default();
    let mut counts = Counts::new(&spread.topology_key, topology);
    let mut eligible = vec![false; topology.size()];
    let choosy = spread.honours_taints || (spread.honours_affinity && (!pod.selector.is_empty() || pod.required.is_some()));
    for (slot, domain) in topology.domains().iter().enumerate().filter(|(_, d)| **d != NOWHERE) {
        // A node counts only when it has the labels of all constraints.
        if topologies.iter().any(|t| t.domain(slot) == NOWHERE) || (choosy && !cluster.node(slot).is_some_and(|n| included(spread, pod, n)))
        {
            continue;
        }
        if let Some(eligible) = eligible.get_mut(*domain as usize) {
            *eligible = true;
        }
        counts.add(*domain, per_node.get(slot).copied().unwrap_or_default().into());
    }
    let (mut domains, mut fewest) = (0, (NOWHERE, i64::from(i32::MAX), i64::from(i32::MAX)));
    for domain in eligible.iter().enumerate().filter(|(_, e)| **e).map(|(at, _)| at as u32) {
        domains += 1;
        let now = counts.of(domain);
        if now < fewest.1 {
            fewest = (domain, now, fewest.1);
        } else {
            fewest.2 = fewest.2.min(now);
        }
    }
    Some(SpreadState { counts, eligible, domains, fewest })
}

impl Plugin for PodTopologySpread {
    fn name(&self) -> &'static str {
        "PodTopologySpread"
    }

    fn points(&self) -> Points {
        Points::PRE_FILTER.and(Points::FILTER).and(Points::PRE_SCORE).and(Points::SCORE)
    }

    fn pre_filter(&self, pod: &PodInfo, cluster: &Cluster, state: &mut State) -> PreFilter {
        let topologies: Vec<&Topology> = hard(pod).filter_map(|s| cluster.topology(&s.topology_key)).collect();
        if topologies.is_empty() {
            return PreFilter::Skip;
        }
        state.spread = hard(pod).filter_map(|spread| count(spread, pod, &topologies, cluster)).collect();
        PreFilter::Go
    }

    fn filter(&self, pod: &PodInfo, slot: usize, _node: &NodeInfo, cluster: &Cluster, state: &State) -> Result<(), Reason> {
        for (spread, counted) in hard(pod).zip(&state.spread) {
            let domain = cluster.topology(&spread.topology_key).map_or(NOWHERE, |t| t.domain(slot));
            if domain == NOWHERE {
                return Err(Reason::unresolvable("node(s) didn't match pod topology spread constraints (missing required label)"));
            }
            let skew = counted.counts.of(domain) + i64::from(spread.selects_itself) - counted.minimum(spread.min_domains);
            if skew > spread.max_skew {
                return Err(Reason::unschedulable("node(s) didn't match pod topology spread constraints"));
            }
        }
        Ok(())
    }

    fn shift(&self, pod: &PodInfo, other: &Resident, slot: usize, sign: i64, cluster: &Cluster, state: &mut State) {
        let Some(node) = cluster.node(slot) else { return };
        let domain_of = |spread: &Spread| cluster.topology(&spread.topology_key).map_or(NOWHERE, |t| t.domain(slot));
        if hard(pod).any(|s| domain_of(s) == NOWHERE) {
            return;
        }
        for (spread, counted) in hard(pod).zip(&mut state.spread) {
            if counts_for(spread, other, cluster) && included(spread, pod, node) {
                counted.counts.shift(domain_of(spread), sign);
            }
        }
    }

    fn pre_score(&self, pod: &PodInfo, slots: &[usize], cluster: &Cluster, state: &mut State) -> bool {
        spread_score::prepare(pod, slots, cluster, state)
    }

    fn score(&self, _pod: &PodInfo, slot: usize, _node: &NodeInfo, cluster: &Cluster, state: &State) -> i64 {
        spread_score::score(slot, cluster, state)
    }

    fn normalise(&self, scores: &mut [i64], slots: &[usize], state: &State) {
        spread_score::normalise(scores, slots, state);
    }

    fn interests(&self) -> u32 {
        happening::NODE | happening::POD_LEFT | happening::POD_CAME
    }

    fn helps(&self, pod: &PodInfo, happening: &Happening, cluster: &Cluster) -> bool {
        match happening {
            Happening::PodLeft { pod: other, .. } | Happening::PodCame { pod: other, .. } => hard(pod)
                .any(|spread| spread.set.contains(&other.key.namespace, &other.entry.meta.labels, |n| labels_of(&cluster.namespaces, n))),
            Happening::Node { slot, .. } => {
                hard(pod).all(|s| cluster.topology(&s.topology_key).is_some_and(|t| t.domain(*slot) != NOWHERE))
            }
            _ => false,
        }
    }
}

//! The fewest and least important pods of a node whose end would make room.
use super::super::cluster::Cluster;
use super::super::decide::Filters;
use super::super::demand::Resident;
use super::super::framework::state::State;
use super::super::pod::PodInfo;
use crate::protocol::meta::ObjectKey;
use crate::protocol::time;
use std::cmp::Reverse;
use std::sync::Arc;

/// A pod that would have to go.
#[derive(Clone, Debug)]
pub struct Victim {
    pub key: ObjectKey,
    pub uid: Arc<str>,
    pub priority: i32,
    pub started: i64,
}

/// A node with those that would have to go.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub slot: usize,
    /// The most important first.
    pub victims: Vec<Victim>,
    pub broken_budgets: usize,
}

/// `None` when even without all pods of lower priority the pod would not fit, or nobody has to go.
pub fn on_node(pod: &PodInfo, slot: usize, cluster: &Cluster, filters: &Filters<'_>, state: &mut State) -> Option<Candidate> {
    let now = time::now().as_second();
    let mut node = cluster.node(slot)?.clone();
    let lower: Vec<(u32, Resident)> =
        cluster.residents(&node).filter(|(_, r)| r.priority() < pod.priority).map(|(id, r)| (id, r.clone())).collect();
    if lower.is_empty() {
        return None;
    }
    let mut sorted: Vec<(u32, &Resident)> = lower.iter().map(|(id, r)| (*id, r)).collect();
    sorted.sort_by_cached_key(|(_, r)| (Reverse(r.priority()), r.started(now)));
    for (id, other) in &sorted {
        node.take(other, -1);
        node.residents.retain(|r| r != id);
        filters.shift(pod, other, slot, -1, cluster, state);
    }
    let mut candidate = None;
    let mut gone: Vec<&Resident> = sorted.iter().map(|(_, r)| *r).collect();
    if filters.refuses_beside(pod, slot, &node, cluster, state).is_none() {
        let (breaking, harmless) = cluster.budgets.part(&sorted);
        let (mut victims, mut broken_budgets) = (Vec::new(), 0);
        // Whoever can stay stays: first those whose end would break a budget, each time the most important first.
        for (at, (id, other)) in breaking.iter().chain(&harmless).enumerate() {
            node.take(other, 1);
            node.residents.push(*id);
            filters.shift(pod, other, slot, 1, cluster, state);
            if filters.refuses_beside(pod, slot, &node, cluster, state).is_none() {
                gone.retain(|r| r.uid != other.uid);
                continue;
            }
            node.take(other, -1);
            node.residents.retain(|r| r != id);
            filters.shift(pod, other, slot, -1, cluster, state);
            broken_budgets += usize::from(at < breaking.len());
            victims.push(Victim {
                key: other.key.clone(),
                uid: other.uid.clone(),
                priority: other.priority(),
                started: other.started(now),
            });
        }
        victims.sort_by_key(|v| (Reverse(v.priority), v.started));
        candidate = (!victims.is_empty()).then_some(Candidate { slot, victims, broken_budgets });
    }
    // As if nothing had been thought.
    for other in gone {
        filters.shift(pod, other, slot, 1, cluster, state);
    }
    candidate
}

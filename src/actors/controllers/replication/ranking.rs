//! Which pods go first when a replica set shrinks.
use super::Pod;
use crate::protocol::light::Phase;
use std::collections::HashMap;
use std::sync::Arc;

const COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The `count` pods of `active` whose loss hurts least, by upstream's order: unassigned, pending, not ready, cheap
/// (`pod-deletion-cost`), doubled up on a node, ready for a shorter time, restarted more often, younger. Times are compared by their
/// order of magnitude, so that the youngest do not always pay.
pub(super) fn first_to_go<'a>(active: &'a [Pod], related: &[Pod], count: usize, wanted: usize, now: i64) -> Vec<&'a Pod> {
    if wanted == 0 {
        return active.iter().take(count).collect();
    }
    let mut on_node: HashMap<&Arc<str>, i64> = HashMap::new();
    for pod in related {
        *on_node.entry(&pod.light.node).or_default() += 1;
    }
    let mut ranked: Vec<(Rank, &Pod)> =
        active.iter().map(|pod| (Rank::of(pod, on_node.get(&pod.light.node).copied().unwrap_or_default(), now), pod)).collect();
    ranked.sort_by(|a, b| a.0.cmp(&b.0));
    ranked.into_iter().take(count).map(|(_, pod)| pod).collect()
}

/// Smaller goes first; the fields are in the order of their weight.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    assigned: bool,
    phase: u8,
    ready: bool,
    cost: i32,
    /// Negative: more company on the node goes first.
    company: i64,
    ready_magnitude: i64,
    /// Negative: more restarts go first.
    restarts: i64,
    age_magnitude: i64,
    uid: Arc<str>,
}

impl Rank {
    fn of(pod: &Pod, company: i64, now: i64) -> Rank {
        let phase = match pod.light.phase {
            Phase::Pending => 0,
            Phase::Unknown => 1,
            _ => 2,
        };
        Rank {
            assigned: !pod.light.node.is_empty(),
            phase,
            ready: pod.light.ready,
            cost: cost(pod),
            company: -company,
            ready_magnitude: if pod.light.ready { magnitude(pod.light.ready_since, now) } else { 0 },
            restarts: -i64::from(pod.light.restarts),
            age_magnitude: magnitude(pod.entry.meta.created, now),
            uid: pod.entry.meta.uid.clone(),
        }
    }
}

/// The binary order of magnitude of the nanoseconds since `then`; -1 for what has only just happened.
fn magnitude(then: i64, now: i64) -> i64 {
    let nanos = i128::from(now.saturating_sub(then)) * 1_000_000_000;
    if nanos <= 0 { -1 } else { i64::from(nanos.ilog2()) }
}

/// The pod's deletion cost; the body is parsed only when it mentions one.
fn cost(pod: &Pod) -> i32 {
    let mentions = std::str::from_utf8(&pod.entry.body).is_ok_and(|body| body.contains(COST));
    if !mentions {
        return 0;
    }
    pod.entry.parse()["metadata"]["annotations"][COST].as_str().and_then(|c| c.parse().ok()).unwrap_or_default()
}

//! What a StatefulSet says of itself.
use super::{FAMILY, Set, revision_of};
use crate::actors::controllers::plan::Plan;
use crate::actors::controllers::replication::Pod;
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::time::Duration;

/// Adds the status that the pods justify, and a look at the time when the next one becomes available.
pub(super) fn add(set: &Set<'_>, now: Timestamp, plan: &mut Plan) {
    let count = |test: &dyn Fn(&Pod) -> bool| i64::try_from(set.pods.values().filter(|pod| test(pod)).count()).unwrap_or(i64::MAX);
    let of = |name: &str| count(&|pod| pod.entry.meta.deleting.is_none() && revision_of(pod) == name);
    let (replicas, ready) = (count(&|_| true), count(&Set::ready));
    let available = count(&|pod| Set::ready(pod) && pod.available(set.min_ready, now.as_second()));
    let updated = of(&set.update);
    let rolling = set.object["spec"]["updateStrategy"]["type"] == "RollingUpdate";
    // The update is over: what is latest is current from now on.
    let over = rolling && [updated, ready, replicas].into_iter().all(|n| n == set.replicas);
    let (current, of_current) = if over { (&set.update, updated) } else { (&set.current, of(&set.current)) };
    let counts = [
        ("observedGeneration", set.entry.meta.generation),
        ("readyReplicas", ready),
        ("currentReplicas", of_current),
        ("updatedReplicas", updated),
    ];
    let mut wanted: Map<String, Value> =
        counts.into_iter().filter(|(_, n)| *n > 0).map(|(field, n)| (field.to_string(), n.into())).collect();
    wanted.insert("replicas".into(), replicas.into());
    wanted.insert("availableReplicas".into(), available.into());
    wanted.insert("currentRevision".into(), current.as_str().into());
    wanted.insert("updateRevision".into(), set.update.as_str().into());
    wanted.insert("collisionCount".into(), set.history.collisions.into());
    if !set.object["status"]["conditions"].is_null() {
        wanted.insert("conditions".into(), set.object["status"]["conditions"].clone());
    }
    FAMILY.write_status(set.entry, &set.object, &wanted, Map::new(), plan);
    let soon = set.pods.values().filter(|pod| pod.light.ready && !pod.available(set.min_ready, now.as_second()));
    if let Some(rest) = soon.map(|pod| pod.light.ready_since + set.min_ready - now.as_second()).min() {
        plan.requeue(Duration::from_secs(u64::try_from(rest).unwrap_or_default().max(1)));
    }
}

//! What a DaemonSet says of itself.
use super::{FAMILY, Set};
use crate::actors::controllers::plan::Plan;
use serde_json::{Map, Value};
use std::time::Duration;

/// Adds the status that the places justify, and a look at the time when the next pod becomes available.
pub(super) fn add(set: &Set<'_>, plan: &mut Plan) {
    let (mut desired, mut current, mut stray, mut ready, mut available, mut updated) = (0, 0, 0, 0, 0, 0);
    for place in &set.places {
        // The oldest speaks for the node; upstream counts it even when it is on its way out.
        let pod = place.pods.first();
        if !place.fit.should_run {
            stray += i64::from(pod.is_some());
            continue;
        }
        desired += 1;
        let Some(pod) = pod else { continue };
        current += 1;
        ready += i64::from(pod.light.ready);
        available += i64::from(pod.light.ready && set.available(pod));
        updated += i64::from(set.fresh(pod));
    }
    let mut wanted = Map::new();
    let mut count = |field: &str, number: i64, always: bool| {
        if always || number > 0 {
            wanted.insert(field.into(), Value::from(number));
        }
    };
    count("desiredNumberScheduled", desired, true);
    count("currentNumberScheduled", current, true);
    count("numberMisscheduled", stray, true);
    count("numberReady", ready, true);
    count("updatedNumberScheduled", updated, false);
    count("numberAvailable", available, false);
    count("numberUnavailable", desired - available, false);
    count("observedGeneration", set.entry.meta.generation, false);
    count("collisionCount", set.history.collisions, false);
    if !set.object["status"]["conditions"].is_null() {
        wanted.insert("conditions".into(), set.object["status"]["conditions"].clone());
    }
    FAMILY.write_status(set.entry, &set.object, &wanted, Map::new(), plan);
    let pods = set.places.iter().flat_map(|place| &place.pods);
    let soon = pods.filter(|pod| pod.light.ready && !set.available(pod));
    if let Some(rest) = soon.map(|pod| pod.light.ready_since + set.min_ready - set.now).min() {
        plan.requeue(Duration::from_secs(u64::try_from(rest).unwrap_or_default().max(1)));
    }
}

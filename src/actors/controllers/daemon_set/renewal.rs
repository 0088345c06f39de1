//! A DaemonSet's rolling update: old pods go as far as may be unavailable, or new ones come beside them as far as surge
//! allows.
use super::{Place, Set};
use crate::actors::controllers::replication::Pod;
use crate::actors::controllers::share::scaled;
use std::sync::Arc;

/// Pods that may be missing, and pods that may be doubled, of those that should run. Both are rounded up; one is 0.
fn limits(set: &Set<'_>) -> (i64, i64) {
    let rolling = &set.object["spec"]["updateStrategy"]["rollingUpdate"];
    let desired = i64::try_from(set.places.iter().filter(|p| p.fit.should_run).count()).unwrap_or(i64::MAX);
    let of = |field: &str| scaled(&rolling[field], desired, true).unwrap_or_default();
    match (of("maxUnavailable"), of("maxSurge")) {
        (0, 0) => (1, 0),
        both => both,
    }
}

/// Whether new pods come before old ones go.
pub(super) fn surges(set: &Set<'_>) -> bool {
    set.object["spec"]["updateStrategy"]["type"] == "RollingUpdate" && limits(set).1 > 0
}

/// The one pod of the current revision and the one of an old revision on a node; `None` when there are more of either.
fn new_and_old<'p>(set: &Set<'_>, place: &'p Place) -> Option<(Option<&'p Pod>, Option<&'p Pod>)> {
    let (mut new, mut old) = (None, None);
    for pod in place.pods.iter().filter(|pod| pod.entry.meta.deleting.is_none()) {
        let slot = if set.fresh(pod) { &mut new } else { &mut old };
        if slot.replace(pod).is_some() {
            return None;
        }
    }
    Some((new, old))
}

/// Adds what the update does now.
pub(super) fn renew<'p>(set: &'p Set<'_>, wanted: &mut Vec<Arc<str>>, doomed: &mut Vec<&'p Pod>) {
    let (unavailable, surge) = limits(set);
    if surge == 0 {
        replace(set, unavailable, doomed);
    } else {
        double(set, surge, wanted, doomed);
    }
}

/// Old pods that do not work go at once; working ones as long as not too many are missing.
fn replace<'p>(set: &'p Set<'_>, most: i64, doomed: &mut Vec<&'p Pod>) {
    let mut missing = 0;
    let mut candidates = Vec::new();
    for place in set.places.iter().filter(|p| p.fit.should_run || !p.pods.is_empty()) {
        match new_and_old(set, place) {
            // What is wrong here is put right without the update; until then the pod is missing.
            None | Some((None, None) | (Some(_), Some(_))) => missing += 1,
            Some((Some(new), None)) => missing += i64::from(!set.available(new)),
            Some((None, Some(old))) if set.available(old) => candidates.push(old),
            Some((None, Some(old))) => {
                missing += 1;
                doomed.push(old);
            }
        }
    }
    let room = usize::try_from(most - missing).unwrap_or_default();
    doomed.extend(candidates.into_iter().take(room));
}

/// New pods come beside old ones as far as surge allows, and old ones go when theirs is available.
fn double<'p>(set: &'p Set<'_>, most: i64, wanted: &mut Vec<Arc<str>>, doomed: &mut Vec<&'p Pod>) {
    let mut doubled = 0;
    let mut candidates = Vec::new();
    for place in set.places.iter().filter(|p| p.fit.may_stay) {
        match new_and_old(set, place) {
            None => doubled += 1,
            Some((_, None)) => {}
            // A node that takes no new pods keeps its old one.
            Some((None, Some(_))) if !place.fit.should_run => {}
            Some((None, Some(old))) if set.available(old) => candidates.push(place.name.clone()),
            Some((None, Some(_))) => wanted.push(place.name.clone()),
            Some((Some(new), Some(old))) => {
                if set.available(new) {
                    doomed.push(old);
                } else {
                    doubled += 1;
                }
            }
        }
    }
    let room = usize::try_from(most - doubled).unwrap_or_default();
    wanted.extend(candidates.into_iter().take(room));
}

//! Which pods a job starts and stops.
use super::facts::{FINALIZER, Facts, IGNORED_FAILURES, INDEX, INDEX_FAILURES, Pod};
use super::policies::Verdict;
use super::tracking::{Tally, failure_count, release};
use crate::actors::controllers::plan::{Action, Creation, Deletion, ObjectRef, Plan, Propagation, Report};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;

/// The most pods that one run starts or stops, as upstream.
const BURST: usize = 500;
/// The pause after the first failure, seconds; it doubles with every further one.
const FIRST_PAUSE: i64 = 10;
const LONGEST_PAUSE: i64 = 600;

/// Stops what is too much, or starts what is missing: never both in one run.
pub(super) fn pods(facts: &Facts<'_>, tally: &Tally, plan: &mut Plan) {
    let active: Vec<&Pod> = facts.pods.iter().filter(|p| p.active()).collect();
    let wanted = wanted(facts, tally, active.len());
    let doomed = surplus(facts, tally, &active, wanted);
    if !doomed.is_empty() {
        plan.why = format!("Job {}: {} active pods, {wanted} wanted, stopping {}", facts.entry.key, active.len(), doomed.len());
        // Without its finalizer first: these do not count as failed.
        plan.actions.extend(doomed.iter().filter(|p| p.tracked()).map(|p| release(p)));
        plan.actions.extend(doomed.iter().map(|p| stop(facts, p)));
        return;
    }
    let leaving = if facts.waits_for_failure() { facts.pods.iter().filter(|p| p.terminating()).count() } else { 0 };
    let missing = wanted.saturating_sub(active.len() + leaving).min(BURST);
    if missing == 0 {
        return;
    }
    if facts.per_index().is_none()
        && let Some(pause) = pause(facts)
    {
        plan.requeue(pause);
        return;
    }
    let before = plan.actions.len();
    match facts.indexed() {
        None => plan.actions.extend((0..missing).map(|_| start(facts, None, None))),
        Some(end) => start_indexes(facts, tally, end, missing, plan),
    }
    let started = plan.actions.len() - before;
    if started > 0 {
        plan.why = format!("Job {}: {} of {wanted} pods active, starting {started}", facts.entry.key, active.len());
    }
}

/// How many pods shall be active.
fn wanted(facts: &Facts<'_>, tally: &Tally, active: usize) -> usize {
    if facts.suspended() {
        return 0;
    }
    let parallelism = facts.spec()["parallelism"].as_i64().unwrap_or(1);
    let wanted = match facts.completions() {
        // Once one has succeeded, the others end by themselves.
        None if tally.succeeded > 0 => return active.min(usize::try_from(parallelism).unwrap_or_default()),
        None => parallelism,
        Some(completions) => (completions - tally.succeeded - tally.failed_indexes.len()).min(parallelism),
    };
    usize::try_from(wanted).unwrap_or_default()
}

/// The pods to stop: doubles of an index and indexes that are not wanted, then the least advanced.
fn surplus<'a>(facts: &Facts<'_>, tally: &Tally, active: &[&'a Pod], wanted: usize) -> Vec<&'a Pod> {
    let mut doomed: Vec<&Pod> = Vec::new();
    let mut kept: Vec<&Pod> = active.to_vec();
    kept.sort_by_key(|p| (p.light.ready, p.light.started, !p.light.node.is_empty(), -p.entry.meta.created));
    if facts.indexed().is_some() {
        let mut seen = HashSet::new();
        // The most advanced pod of an index stays.
        kept.reverse();
        kept.retain(|pod| {
            let index = facts.index_of(pod).filter(|i| !tally.completed_indexes.contains(*i) && !tally.failed_indexes.contains(*i));
            let good = index.is_some_and(|index| seen.insert(index));
            if !good {
                doomed.push(pod);
            }
            good
        });
        kept.reverse();
    }
    let more = kept.len().saturating_sub(wanted);
    doomed.extend(kept.into_iter().take(more));
    doomed.truncate(BURST);
    doomed
}

/// How long no pod may be started because of the failures since the last success.
fn pause(facts: &Facts<'_>) -> Option<Duration> {
    let last_success = facts.pods.iter().filter(|p| p.succeeded()).map(Pod::finished_at).max().unwrap_or(i64::MIN);
    let failed = facts.pods.iter().filter(|p| facts.failed(p) && !p.succeeded());
    let ends: Vec<i64> = failed.map(Pod::finished_at).filter(|end| *end > last_success).collect();
    rest(ends.iter().copied().max()?, i64::try_from(ends.len()).unwrap_or(i64::MAX), facts.now)
}

/// What is left of the pause after `failures` failures, the last of them at `since`.
fn rest(since: i64, failures: i64, now: i64) -> Option<Duration> {
    let doublings = u32::try_from((failures - 1).clamp(0, 20)).unwrap_or_default();
    let pause = FIRST_PAUSE.saturating_mul(1i64 << doublings).min(LONGEST_PAUSE);
    // A clock that was set back does not make the pause longer.
    let left = since.saturating_add(pause).saturating_sub(now).min(pause);
    u64::try_from(left).ok().filter(|left| *left > 0).map(Duration::from_secs)
}

fn start_indexes(facts: &Facts<'_>, tally: &Tally, end: i64, missing: usize, plan: &mut Plan) {
    let busy = |p: &&Pod| p.active() || (facts.waits_for_failure() && p.terminating());
    let taken: HashSet<i64> = facts.pods.iter().filter(busy).filter_map(|p| facts.index_of(p)).collect();
    let free = (0..end).filter(|i| !taken.contains(i) && !tally.completed_indexes.contains(*i) && !tally.failed_indexes.contains(*i));
    let mut left = missing;
    for index in free {
        if left == 0 {
            return;
        }
        let heir = tally.heirs.get(&index).and_then(|at| facts.pods.get(*at));
        if let Some(pod) = heir
            && let Some(pause) = rest(pod.finished_at(), failure_count(pod) + pod.annotated(IGNORED_FAILURES) + 1, facts.now)
        {
            plan.requeue(pause);
            continue;
        }
        plan.actions.push(start(facts, Some(index), heir));
        left -= 1;
    }
}

/// A new pod; with an index, it takes the place of that index' failed pod.
fn start(facts: &Facts<'_>, index: Option<i64>, replaces: Option<&Pod>) -> Action {
    let job = &facts.entry.key.name;
    let template = &facts.spec()["template"];
    let mut meta = json!({
        "generateName": index.map_or_else(|| format!("{job}-"), |index| format!("{job}-{index}-")),
        "ownerReferences": [owner_reference(facts.entry)],
    });
    for field in ["labels", "annotations", "finalizers"] {
        if !template["metadata"][field].is_null() {
            meta[field] = template["metadata"][field].clone();
        }
    }
    let mut finalizers = meta["finalizers"].as_array().cloned().unwrap_or_default();
    if !finalizers.iter().any(|f| f == FINALIZER) {
        finalizers.push(FINALIZER.into());
    }
    meta["finalizers"] = finalizers.into();
    let mut spec = template["spec"].clone();
    if let Some(index) = index {
        meta["labels"][INDEX] = index.to_string().into();
        meta["annotations"][INDEX] = index.to_string().into();
        if facts.per_index().is_some() {
            let ignored = replaces.is_some_and(|p| facts.verdict(p) == Verdict::Ignore);
            let failures = replaces.map_or(0, |p| failure_count(p) + i64::from(!ignored));
            meta["annotations"][INDEX_FAILURES] = failures.to_string().into();
            let ignored = replaces.map_or(0, |p| p.annotated(IGNORED_FAILURES) + i64::from(ignored));
            if ignored > 0 {
                meta["annotations"][IGNORED_FAILURES] = ignored.to_string().into();
            }
        }
        spec["hostname"] = format!("{job}-{index}").into();
        tell_index(&mut spec);
    }
    Action::Create(Creation {
        kind: "pods".into(),
        namespace: facts.entry.key.namespace.clone(),
        object: json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}),
        report: Some(report(facts, ("SuccessfulCreate", "Created pod: "), ("FailedCreate", "Error creating: "))),
    })
}

/// Gives every container the variable that holds its index.
fn tell_index(spec: &mut Value) {
    for list in ["initContainers", "containers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            let mut env = container["env"].as_array().cloned().unwrap_or_default();
            if !env.iter().any(|e| e["name"] == "JOB_COMPLETION_INDEX") {
                let path = format!("metadata.labels['{INDEX}']");
                env.push(json!({"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}));
            }
            container["env"] = env.into();
        }
    }
}

pub(super) fn owner_reference(job: &crate::storage::entry::Entry) -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "name": &*job.key.name, "uid": &*job.meta.uid,
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// Deletes a pod, with the events that belong to it.
pub(super) fn stop(facts: &Facts<'_>, pod: &Pod) -> Action {
    Action::Delete(Deletion {
        kind: "pods".into(),
        key: pod.entry.key.clone(),
        uid: pod.entry.meta.uid.clone(),
        propagation: Propagation::Background,
        grace: None,
        report: Some(report(facts, ("SuccessfulDelete", "Deleted pod: "), ("FailedDelete", "Error deleting: "))),
    })
}

fn report(facts: &Facts<'_>, success: (&'static str, &'static str), failure: (&'static str, &'static str)) -> Report {
    let regarding = ObjectRef::to("batch/v1", "Job", facts.entry);
    let (success, failure) = ((success.0, success.1.into()), (failure.0, failure.1.into()));
    Report { regarding, component: "job-controller", success, failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_no_clock_makes_them_longer() {
        let cases =
            [(100, 1, 100, Some(10)), (100, 3, 120, Some(20)), (100, 99, 100, Some(600)), (100, 1, 110, None), (5000, 1, 100, Some(10))];
        for (since, failures, now, want) in cases {
            assert_eq!(rest(since, failures, now).map(|d| d.as_secs()), want, "{since} {failures} {now}");
        }
    }
}

//! Counting, so that no pod is ever counted twice, whatever crashes in between.
//!
//! A pod that ended goes through three steps, each of which can be repeated: its uid is written into
//! `status.uncountedTerminatedPods` (an index that succeeded into `completedIndexes`); only when that is stored does the pod
//! lose its finalizer; and only when the finalizer is gone is the uid taken out of the list and added to the count, both in one
//! write. The job is read before its pods, so a pod is never older than the status it is held against.
use super::facts::{FINALIZER, Facts, Pod};
use super::indexes::Indexes;
use super::policies::Verdict;
use crate::actors::controllers::plan::{Action, Patch};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};

/// The most uids a status holds, as upstream.
const MAX_UNCOUNTED: usize = 500;

/// What the pods amount to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Counted, to be counted, and just seen: what decisions are made of.
    pub succeeded: i64,
    pub failed: i64,
    pub completed_indexes: Indexes,
    pub failed_indexes: Indexes,
    /// The failed pod of each index that holds its failure count until a pod takes its place.
    pub heirs: HashMap<i64, usize>,
}

pub(super) fn tally(facts: &Facts<'_>) -> Tally {
    let stored = &facts.status()["uncountedTerminatedPods"];
    let known = Known::read(facts);
    let number = |field: &str| facts.status()[field].as_i64().unwrap_or_default();
    let listed = |field: &str| stored[field].as_array().map_or(0, |l| i64::try_from(l.len()).unwrap_or(i64::MAX));
    let fresh = || facts.pods.iter().filter(|p| p.tracked() && !known.has(p));
    let new_failed = fresh().filter(|p| !p.succeeded() && facts.failed(p) && facts.verdict(p) != Verdict::Ignore).count();
    let mut tally =
        Tally { failed: number("failed") + listed("failed") + i64::try_from(new_failed).unwrap_or(i64::MAX), ..Tally::default() };
    if facts.indexed().is_some() {
        tally.completed_indexes = facts.stored_indexes("completedIndexes");
        let done = facts.pods.iter().filter(|p| p.tracked() && p.succeeded());
        tally.completed_indexes.extend(done.filter_map(|p| facts.index_of(p)));
        tally.succeeded = tally.completed_indexes.len();
    } else {
        let new = i64::try_from(fresh().filter(|p| p.succeeded()).count()).unwrap_or(i64::MAX);
        tally.succeeded = number("succeeded") + listed("succeeded") + new;
    }
    if let Some(limit) = facts.per_index() {
        failures_by_index(facts, limit, &mut tally);
    }
    tally
}

/// Which indexes have failed for good, and which failed pods still stand for theirs.
fn failures_by_index(facts: &Facts<'_>, limit: i64, tally: &mut Tally) {
    tally.failed_indexes = facts.stored_indexes("failedIndexes");
    let mut newest: HashMap<i64, (i64, usize)> = HashMap::new();
    let tracked = facts.pods.iter().enumerate().filter(|(_, p)| p.tracked());
    for (at, pod) in tracked {
        let Some(index) = facts.index_of(pod).filter(|index| !tally.completed_indexes.contains(*index)) else { continue };
        if facts.failed(pod) && !pod.succeeded() {
            let spent = match facts.verdict(pod) {
                Verdict::FailIndex => true,
                Verdict::Ignore => false,
                _ => failure_count(pod) >= limit,
            };
            if spent {
                tally.failed_indexes.extend(std::iter::once(index));
            }
        }
        let order = generation(pod);
        let newer = newest.get(&index).is_none_or(|(other, _)| order > *other);
        if newer {
            newest.insert(index, (order, at));
        }
    }
    let heirs = newest.into_iter().filter(|(index, (_, at))| {
        let failed = facts.pods.get(*at).is_some_and(|p| facts.failed(p) && !p.succeeded());
        failed && !tally.failed_indexes.contains(*index)
    });
    tally.heirs = heirs.map(|(index, (_, at))| (index, at)).collect();
}

/// How often pods of this index failed before this one.
pub(super) fn failure_count(pod: &Pod) -> i64 {
    pod.annotated(super::facts::INDEX_FAILURES)
}

fn generation(pod: &Pod) -> i64 {
    failure_count(pod) + pod.annotated(super::facts::IGNORED_FAILURES)
}

/// What the stored status already knows.
struct Known {
    succeeded: HashSet<String>,
    failed: HashSet<String>,
    completed: Indexes,
}

impl Known {
    fn read(facts: &Facts<'_>) -> Known {
        let stored = &facts.status()["uncountedTerminatedPods"];
        let uids = |list: &Value| list.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_string)).collect();
        Known {
            succeeded: uids(&stored["succeeded"]),
            failed: uids(&stored["failed"]),
            completed: facts.stored_indexes("completedIndexes"),
        }
    }

    fn has(&self, pod: &Pod) -> bool {
        let uid = &*pod.entry.meta.uid;
        self.succeeded.contains(uid) || self.failed.contains(uid)
    }
}

/// How a pod that may be let go is written down first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entered {
    Succeeded,
    Index(i64),
    Failed,
    /// It counts for nothing.
    Nowhere,
}

/// The bookkeeping of one run: `status` takes the next step of every pod, and the actions let those go whose step is stored.
/// `failing`: the job has failed (`Some(true)`) or met its criteria (`Some(false)`), so that no pod is waited for.
pub(super) fn advance(facts: &Facts<'_>, tally: &Tally, failing: Option<bool>, status: &mut Value, actions: &mut Vec<Action>) {
    let known = Known::read(facts);
    let tracked: HashSet<&str> = facts.pods.iter().filter(|p| p.tracked()).map(|p| &*p.entry.meta.uid).collect();
    let (succeeded, mut waiting_succeeded) = settle(&facts.status()["uncountedTerminatedPods"]["succeeded"], &tracked);
    let (failed, mut waiting_failed) = settle(&facts.status()["uncountedTerminatedPods"]["failed"], &tracked);
    let mut indexes = known.completed.clone();
    let mut new_indexes = Vec::new();
    for (at, pod) in facts.pods.iter().enumerate().filter(|(_, p)| p.tracked()) {
        let heir = facts.index_of(pod).is_some_and(|index| tally.heirs.get(&index) == Some(&at));
        let Some(entered) = enter(facts, pod, failing, heir) else { continue };
        let uid = &*pod.entry.meta.uid;
        let stored = known.has(pod)
            || match entered {
                Entered::Index(index) => known.completed.contains(index),
                Entered::Nowhere => true,
                _ => false,
            };
        if stored {
            actions.push(release(pod));
            continue;
        }
        if waiting_succeeded.len() + waiting_failed.len() + new_indexes.len() >= MAX_UNCOUNTED {
            continue;
        }
        match entered {
            Entered::Succeeded => waiting_succeeded.push(uid.into()),
            Entered::Failed => waiting_failed.push(uid.into()),
            Entered::Index(index) => new_indexes.push(index),
            Entered::Nowhere => {}
        }
    }
    indexes.extend(new_indexes.into_iter());
    let number = |field: &str| facts.status()[field].as_i64().unwrap_or_default();
    if facts.indexed().is_some() {
        set(status, "succeeded", indexes.len());
        set_text(status, "completedIndexes", &indexes.to_string());
        if facts.per_index().is_some() {
            status["failedIndexes"] = tally.failed_indexes.to_string().into();
        }
    } else {
        set(status, "succeeded", number("succeeded") + succeeded);
    }
    set(status, "failed", number("failed") + failed);
    status["uncountedTerminatedPods"] = json!({});
    for (field, uids) in [("succeeded", waiting_succeeded), ("failed", waiting_failed)] {
        if !uids.is_empty() {
            status["uncountedTerminatedPods"][field] = uids.into();
        }
    }
}

/// Splits a stored list: how many may be counted now, and who still waits.
fn settle(list: &Value, tracked: &HashSet<&str>) -> (i64, Vec<String>) {
    let all: Vec<&str> = list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let waiting: Vec<String> = all.iter().filter(|uid| tracked.contains(**uid)).map(|uid| uid.to_string()).collect();
    (i64::try_from(all.len() - waiting.len()).unwrap_or_default(), waiting)
}

/// Where a pod belongs; `None` while it is not to be let go.
fn enter(facts: &Facts<'_>, pod: &Pod, failing: Option<bool>, heir: bool) -> Option<Entered> {
    let deleting = facts.entry.meta.deleting.is_some();
    if pod.succeeded() {
        return Some(match (facts.indexed(), facts.index_of(pod)) {
            (None, _) => Entered::Succeeded,
            (_, Some(index)) => Entered::Index(index),
            (_, None) => Entered::Nowhere,
        });
    }
    let failed = facts.failed(pod);
    // Pods on their way out are not waited for by a job that is over.
    let over = (failing.is_some() || deleting) && !pod.active();
    if !(failed && (!heir || failing.is_some() || deleting) || over) {
        return None;
    }
    let counts = failed || failing == Some(true);
    let misplaced = facts.indexed().is_some() && facts.index_of(pod).is_none();
    if !counts || misplaced || facts.verdict(pod) == Verdict::Ignore { Some(Entered::Nowhere) } else { Some(Entered::Failed) }
}

/// Takes the finalizer off a pod.
pub(super) fn release(pod: &Pod) -> Action {
    Action::Patch(Patch {
        kind: "pods".into(),
        key: pod.entry.key.clone(),
        uid: Some(pod.entry.meta.uid.clone()),
        subresource: None,
        patch: json!({"metadata": {"finalizers": other_finalizers(&pod.entry)}}),
        expect_revision: Some(pod.entry.revision),
    })
}

pub(super) fn other_finalizers(pod: &crate::storage::entry::Entry) -> Value {
    let others: Vec<&str> = pod.meta.finalizers.iter().map(|f| &**f).filter(|f| *f != FINALIZER).collect();
    if others.is_empty() { Value::Null } else { json!(others) }
}

/// Counts that are zero are absent, as upstream has it.
pub(super) fn set(status: &mut Value, field: &str, count: i64) {
    status[field] = if count == 0 { Value::Null } else { count.into() };
}

fn set_text(status: &mut Value, field: &str, text: &str) {
    status[field] = if text.is_empty() { Value::Null } else { text.into() };
}

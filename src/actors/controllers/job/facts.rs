//! What a run of the job controller knows: the job and its pods, read once.
use super::indexes::Indexes;
use super::policies::{Verdict, judge};
use crate::protocol::light::{Light, Phase, PodLight};
use crate::protocol::time::parse_seconds;
use crate::storage::entry::Entry;
use serde_json::Value;
use std::cell::OnceCell;
use std::sync::Arc;

/// Pods that the controller has not counted yet carry it.
pub(super) const FINALIZER: &str = "batch.kubernetes.io/job-tracking";
pub(super) const INDEX: &str = "batch.kubernetes.io/job-completion-index";
pub(super) const INDEX_FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
pub(super) const IGNORED_FAILURES: &str = "batch.kubernetes.io/job-index-ignored-failure-count";

/// One pod of the job.
pub(super) struct Pod {
    pub entry: Arc<Entry>,
    pub light: PodLight,
    body: OnceCell<Value>,
}

impl Pod {
    pub fn of(entry: Arc<Entry>) -> Option<Pod> {
        let Light::Pod(light) = &entry.light else { return None };
        let light = (**light).clone();
        Some(Pod { entry, light, body: OnceCell::new() })
    }

    pub fn body(&self) -> &Value {
        self.body.get_or_init(|| self.entry.parse())
    }

    pub fn tracked(&self) -> bool {
        is_tracked(&self.entry)
    }

    pub fn active(&self) -> bool {
        !self.light.phase.finished() && self.entry.meta.deleting.is_none()
    }

    pub fn terminating(&self) -> bool {
        !self.light.phase.finished() && self.entry.meta.deleting.is_some()
    }

    pub fn succeeded(&self) -> bool {
        self.light.phase == Phase::Succeeded
    }

    /// The completion index: its label, or the annotation of pods that older servers made.
    pub fn index(&self) -> Option<i64> {
        let text = self.entry.meta.label(INDEX).or_else(|| self.body()["metadata"]["annotations"][INDEX].as_str());
        text.and_then(|t| t.parse().ok()).filter(|index| *index >= 0)
    }

    pub fn annotated(&self, name: &str) -> i64 {
        self.body()["metadata"]["annotations"][name].as_str().and_then(|t| t.parse().ok()).unwrap_or_default()
    }

    /// When the last container ended, seconds since the epoch; when that is not known, the nearest that is.
    pub fn finished_at(&self) -> i64 {
        let status = &self.body()["status"];
        let ended = |s: &Value| s["state"]["terminated"]["finishedAt"].as_str().and_then(parse_seconds);
        let last = status["containerStatuses"].as_array().into_iter().flatten().filter_map(ended).max();
        let unready = (!self.light.ready && self.light.ready_since > 0).then_some(self.light.ready_since);
        last.or(unready).or(self.entry.meta.deleting).unwrap_or(self.entry.meta.created)
    }
}

pub(super) fn is_tracked(pod: &Entry) -> bool {
    pod.meta.finalizers.iter().any(|f| **f == *FINALIZER)
}

/// See the module.
pub(super) struct Facts<'a> {
    pub entry: &'a Arc<Entry>,
    pub object: Value,
    pub pods: Vec<Pod>,
    pub now: i64,
}

impl Facts<'_> {
    pub fn spec(&self) -> &Value {
        &self.object["spec"]
    }

    pub fn status(&self) -> &Value {
        &self.object["status"]
    }

    pub fn completions(&self) -> Option<i64> {
        self.spec()["completions"].as_i64()
    }

    /// The completions of an indexed job.
    pub fn indexed(&self) -> Option<i64> {
        (self.spec()["completionMode"] == "Indexed").then(|| self.completions().unwrap_or_default())
    }

    pub fn per_index(&self) -> Option<i64> {
        self.indexed().and(self.spec()["backoffLimitPerIndex"].as_i64())
    }

    pub fn suspended(&self) -> bool {
        self.spec()["suspend"] == true
    }

    /// A pod on its way out is replaced, and counted, only when it has failed.
    pub fn waits_for_failure(&self) -> bool {
        self.spec()["podReplacementPolicy"] == "Failed" || self.spec()["podFailurePolicy"].is_object()
    }

    pub fn failed(&self, pod: &Pod) -> bool {
        pod.light.phase == Phase::Failed || (!self.waits_for_failure() && pod.terminating())
    }

    /// What a failed pod means.
    pub fn verdict(&self, pod: &Pod) -> Verdict {
        let policy = &self.spec()["podFailurePolicy"];
        if policy.is_null() || pod.light.phase != Phase::Failed { Verdict::Count } else { judge(policy, pod.body()) }
    }

    /// The index of a pod, if it is one that the job has.
    pub fn index_of(&self, pod: &Pod) -> Option<i64> {
        pod.index().filter(|index| self.indexed().is_some_and(|end| *index < end))
    }

    pub fn stored_indexes(&self, field: &str) -> Indexes {
        Indexes::parse(self.status()[field].as_str().unwrap_or_default(), self.indexed().unwrap_or_default())
    }

    pub fn condition(&self, kind: &str) -> Option<&Value> {
        condition(self.status(), kind)
    }
}

/// A condition that holds.
pub(super) fn condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status["conditions"].as_array()?.iter().find(|c| c["type"] == kind && c["status"] == "True")
}

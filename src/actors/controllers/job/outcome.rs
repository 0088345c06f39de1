//! When a job is over, and why.
use super::facts::{Facts, Pod, condition};
use super::policies::{Verdict, success};
use super::tracking::Tally;
use crate::actors::controllers::plan::Plan;
use crate::protocol::light::Phase;
use crate::protocol::time::parse_seconds;
use serde_json::{Value, json};
use std::time::Duration;

/// What a job is heading for once its pods have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub failed: bool,
    pub reason: String,
    pub message: String,
}

impl Target {
    fn new(failed: bool, reason: &str, message: impl Into<String>) -> Target {
        Target { failed, reason: reason.into(), message: message.into() }
    }

    /// The condition that says so before the pods have ended.
    pub fn interim(&self) -> Value {
        self.condition(if self.failed { "FailureTarget" } else { "SuccessCriteriaMet" })
    }

    pub fn terminal(&self) -> Value {
        self.condition(if self.failed { "Failed" } else { "Complete" })
    }

    fn condition(&self, kind: &str) -> Value {
        json!({"type": kind, "status": "True", "reason": self.reason, "message": self.message})
    }
}

/// Whether the job is over, by upstream's order of reasons. `plan` is asked to look again when the deadline passes.
pub(super) fn target(facts: &Facts<'_>, tally: &Tally, plan: &mut Plan) -> Option<Target> {
    let told = |kind: &str, failed: bool| {
        facts.condition(kind).map(|c| {
            let text = |field: &str| c[field].as_str().unwrap_or_default();
            Target::new(failed, text("reason"), text("message"))
        })
    };
    let stored = told("FailureTarget", true).or_else(|| told("SuccessCriteriaMet", false));
    stored.or_else(|| policy_failure(facts)).or_else(|| limits(facts, tally, plan)).or_else(|| indexes(facts, tally))
}

fn policy_failure(facts: &Facts<'_>) -> Option<Target> {
    let mut failed = facts.pods.iter().filter(|p| p.tracked() && p.light.phase == Phase::Failed);
    failed.find_map(|pod| match facts.verdict(pod) {
        Verdict::FailJob(message) => Some(Target::new(true, "PodFailurePolicy", message)),
        _ => None,
    })
}

fn limits(facts: &Facts<'_>, tally: &Tally, plan: &mut Plan) -> Option<Target> {
    let spec = facts.spec();
    // With a limit per index there is usually none for the whole.
    let limit = spec["backoffLimit"].as_i64().unwrap_or(if facts.per_index().is_some() { i64::MAX } else { 6 });
    let restarted = spec["template"]["spec"]["restartPolicy"] == "OnFailure" && {
        let alive = |p: &&Pod| matches!(p.light.phase, Phase::Running | Phase::Pending);
        let restarts: i64 = facts.pods.iter().filter(alive).map(|p| i64::from(p.light.restarts)).sum();
        if limit == 0 { restarts > 0 } else { restarts >= limit }
    };
    if tally.failed > limit || restarted {
        return Some(Target::new(true, "BackoffLimitExceeded", "Job has reached the specified backoff limit"));
    }
    let deadline = spec["activeDeadlineSeconds"].as_i64().filter(|_| !facts.suspended())?;
    let started = facts.status()["startTime"].as_str().and_then(parse_seconds).unwrap_or(facts.now);
    let left = started.saturating_add(deadline).saturating_sub(facts.now);
    match u64::try_from(left) {
        Ok(left) if left > 0 => {
            plan.requeue(Duration::from_secs(left));
            None
        }
        _ => Some(Target::new(true, "DeadlineExceeded", "Job was active longer than specified deadline")),
    }
}

fn indexes(facts: &Facts<'_>, tally: &Tally) -> Option<Target> {
    let completions = facts.indexed()?;
    if facts.per_index().is_some() {
        let failed = tally.failed_indexes.len();
        if facts.spec()["maxFailedIndexes"].as_i64().is_some_and(|most| failed > most) {
            let why = "Job has exceeded the specified maximal number of failed indexes";
            return Some(Target::new(true, "MaxFailedIndexesExceeded", why));
        }
        if failed > 0 && failed + tally.completed_indexes.len() >= completions {
            return Some(Target::new(true, "FailedIndexes", "Job has failed indexes"));
        }
    }
    let message = success(&facts.spec()["successPolicy"], &tally.completed_indexes, completions)?;
    Some(Target::new(false, "SuccessPolicy", message))
}

/// All that was wanted has succeeded, and nothing runs any more.
pub(super) fn complete(facts: &Facts<'_>, tally: &Tally) -> Option<Target> {
    let active = facts.pods.iter().any(Pod::active);
    let enough = match facts.completions() {
        Some(completions) => tally.succeeded >= completions,
        None => tally.succeeded > 0,
    };
    (enough && !active).then(|| Target::new(false, "CompletionsReached", "Reached expected number of succeeded pods"))
}

/// When the job ended, seconds since the epoch; `None` while it has not.
pub(super) fn finished_at(status: &Value) -> Option<i64> {
    let end = condition(status, "Complete").or_else(|| condition(status, "Failed"))?;
    end["lastTransitionTime"].as_str().and_then(parse_seconds)
}

pub(super) fn finished(status: &Value) -> bool {
    condition(status, "Complete").is_some() || condition(status, "Failed").is_some()
}

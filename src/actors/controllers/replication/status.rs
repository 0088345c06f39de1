//! The status that a replica set's pods justify.
use super::{Flavour, Pod, seconds};
use crate::actors::controllers::plan::{Action, Failure, Patch, Plan};
use crate::protocol::time::rfc3339;
use crate::storage::entry::Entry;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// What the status is computed from.
pub(super) struct Facts<'a> {
    pub flavour: Flavour,
    pub owner: &'a Arc<Entry>,
    pub object: &'a Value,
    pub active: &'a [Pod],
    pub terminating: usize,
    pub failure: Option<&'a Failure>,
    pub now: Timestamp,
}

/// Adds the status patch to a plan when something differs, and a look later when a pod is about to become available.
pub(super) fn add(plan: &mut Plan, facts: &Facts<'_>) {
    let (now, object) = (facts.now.as_second(), facts.object);
    let min_ready = object["spec"]["minReadySeconds"].as_i64().unwrap_or_default();
    let template = object["spec"]["template"]["metadata"]["labels"].as_object();
    let labelled =
        |pod: &Pod| template.into_iter().flatten().all(|(key, value)| value.as_str().is_some_and(|v| pod.entry.meta.label(key) == Some(v)));
    let count = |test: &dyn Fn(&Pod) -> bool| facts.active.iter().filter(|p| test(p)).count();
    let mut wanted = Map::new();
    wanted.insert("replicas".into(), facts.active.len().into());
    wanted.insert("fullyLabeledReplicas".into(), count(&labelled).into());
    wanted.insert("readyReplicas".into(), count(&|p| p.light.ready).into());
    wanted.insert("availableReplicas".into(), count(&|p| p.available(min_ready, now)).into());
    wanted.insert("observedGeneration".into(), facts.owner.meta.generation.into());
    if facts.flavour == Flavour::ReplicaSet {
        wanted.insert("terminatingReplicas".into(), facts.terminating.into());
    }
    let status = &object["status"];
    let mut patch: Map<String, Value> =
        wanted.into_iter().filter(|(key, value)| status[key] != *value && !(status[key].is_null() && starts_absent(key, value))).collect();
    if let Some(conditions) = conditions(&status["conditions"], facts.failure, facts.now) {
        patch.insert("conditions".into(), conditions);
    }
    if !patch.is_empty() {
        if plan.why.is_empty() {
            plan.why = format!("{} {}: status {}", facts.flavour.kind(), facts.owner.key, Value::Object(patch.clone()));
        }
        // The list of conditions is replaced whole: nobody's may be lost.
        let expect_revision = patch.contains_key("conditions").then_some(facts.owner.revision);
        plan.actions.push(Action::Patch(Patch {
            kind: facts.flavour.shelf().into(),
            key: facts.owner.key.clone(),
            uid: Some(facts.owner.meta.uid.clone()),
            subresource: Some("status"),
            patch: json!({ "status": patch }),
            expect_revision,
        }));
    }
    let pending = facts.active.iter().filter(|p| p.light.ready && !p.available(min_ready, now));
    if let Some(first) = pending.map(|p| p.light.ready_since + min_ready - now).min() {
        plan.requeue(seconds(first));
    }
}

/// Upstream leaves these out of a status while they are zero; `replicas` is always there.
fn starts_absent(key: &str, value: &Value) -> bool {
    !matches!(key, "replicas" | "terminatingReplicas") && *value == json!(0)
}

/// The condition list with `ReplicaFailure` set or removed; `None` when it is right already.
fn conditions(current: &Value, failure: Option<&Failure>, now: Timestamp) -> Option<Value> {
    let current: Vec<Value> = current.as_array().cloned().unwrap_or_default();
    let existing = current.iter().find(|c| c["type"] == "ReplicaFailure");
    let mut others: Vec<Value> = current.iter().filter(|c| c["type"] != "ReplicaFailure").cloned().collect();
    match (existing, failure.filter(|f| !f.reason.is_empty())) {
        (None, None) => None,
        (Some(_), None) => Some(if others.is_empty() { Value::Null } else { others.into() }),
        // Upstream keeps the first failure's text until the condition goes away.
        (Some(c), Some(f)) if c["status"] == "True" && c["reason"] == f.reason => None,
        (_, Some(f)) => {
            others.push(json!({
                "type": "ReplicaFailure", "status": "True", "lastTransitionTime": rfc3339(now), "reason": f.reason, "message": f.message,
            }));
            Some(others.into())
        }
    }
}

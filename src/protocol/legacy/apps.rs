//! Workloads of `extensions/v1beta1`, `apps/v1beta1` and `apps/v1beta2`.
use super::fields::{annotate, default, default_text, object, put, take, take_annotation};
use serde_json::{Value, json};

/// Where `spec.rollbackTo.revision` is kept since it is no field any more.
const ROLLBACK: &str = "deprecated.deployment.rollback.to";
/// Where `spec.templateGeneration` is kept.
const GENERATION: &str = "deprecated.daemonset.template.generation";
/// "No limit", and "no deadline".
const NEVER: i64 = i32::MAX as i64;

/// Selector and labels come from the template when they are left out.
fn labels_from_template(workload: &mut Value) {
    let labels = workload["spec"]["template"]["metadata"]["labels"].clone();
    if !labels.is_object() || !workload["spec"].is_object() {
        return;
    }
    default(&mut workload["spec"], "selector", json!({ "matchLabels": labels }));
    if let Some(meta) = object(workload, "metadata")
        && meta.get("labels").and_then(Value::as_object).is_none_or(|l| l.is_empty())
    {
        meta["labels"] = labels;
    }
}

pub(super) fn replica_set(object: &mut Value) {
    labels_from_template(object);
}

pub(super) fn extensions_deployment(deployment: &mut Value) {
    labels_from_template(deployment);
    rollback_to_annotation(deployment);
    let Some(spec) = object(deployment, "spec") else { return };
    default(spec, "revisionHistoryLimit", NEVER);
    default(spec, "progressDeadlineSeconds", NEVER);
    rolling(spec, 1.into());
}

pub(super) fn apps_deployment(deployment: &mut Value) {
    labels_from_template(deployment);
    rollback_to_annotation(deployment);
    let Some(spec) = object(deployment, "spec") else { return };
    default(spec, "revisionHistoryLimit", 2);
    default(spec, "progressDeadlineSeconds", 600);
    rolling(spec, "25%".into());
}

/// How many pods may be missing or too many during a rolling update.
fn rolling(spec: &mut Value, several: Value) {
    let Some(strategy) = object(spec, "strategy") else { return };
    default_text(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate"
        && let Some(rolling) = object(strategy, "rollingUpdate")
    {
        default(rolling, "maxUnavailable", several.clone());
        default(rolling, "maxSurge", several);
    }
}

fn rollback_to_annotation(deployment: &mut Value) {
    let Some(rollback) = deployment.get_mut("spec").and_then(|spec| take(spec, "rollbackTo")) else { return };
    annotate(deployment, ROLLBACK, rollback["revision"].as_i64().unwrap_or(0).to_string());
}

pub(super) fn old_deployment(deployment: &mut Value) {
    let revision = take_annotation(deployment, ROLLBACK).and_then(|r| r.parse::<i64>().ok());
    if let Some(spec) = deployment.get_mut("spec") {
        put(spec, "rollbackTo", revision.map(|r| json!({ "revision": r })));
    }
}

pub(super) fn extensions_daemon_set(set: &mut Value) {
    labels_from_template(set);
    generation_to_annotation(set);
    update_on_delete(set);
}

pub(super) fn apps_daemon_set(set: &mut Value) {
    generation_to_annotation(set);
}

fn generation_to_annotation(set: &mut Value) {
    let Some(generation) = set.get_mut("spec").and_then(|spec| take(spec, "templateGeneration")) else { return };
    annotate(set, GENERATION, generation.as_i64().unwrap_or(0).to_string());
}

pub(super) fn old_daemon_set(set: &mut Value) {
    let generation = take_annotation(set, GENERATION).and_then(|g| g.parse::<i64>().ok());
    if let Some(spec) = set.get_mut("spec") {
        put(spec, "templateGeneration", generation.map(Value::from));
    }
}

pub(super) fn stateful_set(set: &mut Value) {
    labels_from_template(set);
    update_on_delete(set);
}

/// Pods are replaced only when somebody deletes them, unless it is said otherwise.
fn update_on_delete(set: &mut Value) {
    if let Some(spec) = object(set, "spec")
        && let Some(strategy) = object(spec, "updateStrategy")
    {
        default_text(strategy, "type", "OnDelete");
    }
}

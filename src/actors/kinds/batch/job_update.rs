//! What may change in a job once it exists.
use crate::protocol::status::FieldError;
use crate::protocol::validation::defaults::{members, object};
use crate::protocol::validation::{immutable, same};
use serde_json::{Map, Value};

/// Checks a job's next state against the one before.
pub(super) fn validate(new: &Value, old: &Value) -> Vec<FieldError> {
    let (spec, before) = (&new["spec"], &old["spec"]);
    let fixed = |field: &str| immutable(&spec[field], &before[field], &format!("spec.{field}"));
    let mut faults: Vec<FieldError> = completions(spec, before).into_iter().chain(fixed("selector")).collect();
    faults.extend(template(new, old));
    for field in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"] {
        faults.extend(fixed(field));
    }
    faults
}

/// Indexed jobs are elastic: completions may follow parallelism.
fn completions(spec: &Value, before: &Value) -> Option<FieldError> {
    if spec["completionMode"] != "Indexed" {
        return immutable(&spec["completions"], &before["completions"], "spec.completions");
    }
    let (wanted, held) = (&spec["completions"], &before["completions"]);
    if wanted.is_null() || same(wanted, held) || *wanted == spec["parallelism"] {
        return None;
    }
    Some(FieldError::invalid("spec.completions", wanted.clone(), "can only be modified in tandem with spec.parallelism"))
}

/// The template is fixed, save for where and with what the pods of a suspended job that has not started will run.
fn template(new: &Value, old: &Value) -> Option<FieldError> {
    let (wanted, held) = (&new["spec"]["template"], &old["spec"]["template"]);
    let idle = old["spec"]["suspend"] == true && old["status"]["startTime"].is_null();
    let (mut a, mut b) = (wanted.clone(), held.clone());
    if idle {
        strip(&mut a);
        strip(&mut b);
    }
    (!same(&a, &b)).then(|| FieldError::invalid("spec.template", wanted.clone(), "field is immutable"))
}

/// Takes out of a template what may change as long as no pod has been made from it.
fn strip(template: &mut Value) {
    let template = members(template);
    if let Some(meta) = object(template, "metadata") {
        remove(meta, &["labels", "annotations"]);
    }
    let Some(spec) = object(template, "spec") else { return };
    remove(spec, &["nodeSelector", "tolerations", "schedulingGates"]);
    if let Some(affinity) = object(spec, "affinity") {
        remove(affinity, &["nodeAffinity"]);
    }
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            remove(members(container), &["resources"]);
        }
    }
}

fn remove(from: &mut Map<String, Value>, fields: &[&str]) {
    for field in fields {
        from.remove(*field);
    }
}

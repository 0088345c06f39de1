//! `PodDisruptionBudget` of `policy/v1beta1`: an empty selector selected no pod; today it selects all of them.
use super::fields::each;
use serde_json::{Value, json};

/// No pod has this label, so requiring it selects none, and forbidding it selects all.
const LABEL: &str = "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match";

fn requirement(operator: &str) -> Value {
    json!({ "matchExpressions": [{ "key": LABEL, "operator": operator }] })
}

/// Whether it selects by nothing; `null` does not count.
fn is_empty(selector: &Value) -> bool {
    let empty = |field: &str| match &selector[field] {
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        other => other.is_null(),
    };
    selector.is_object() && empty("matchLabels") && empty("matchExpressions")
}

/// Whether it is the selector made of our label alone.
fn is_requirement(selector: &Value, operator: &str) -> bool {
    let labels = selector["matchLabels"].as_object().is_none_or(|l| l.is_empty());
    labels && selector["matchExpressions"] == requirement(operator)["matchExpressions"]
}

pub(super) fn budget_to_today(budget: &mut Value) {
    let Some(selector) = budget.get_mut("spec").and_then(|s| s.get_mut("selector")) else { return };
    if is_empty(selector) {
        *selector = requirement("Exists");
    } else if is_requirement(selector, "DoesNotExist") {
        *selector = json!({});
    } else if !is_requirement(selector, "Exists") {
        strip(selector);
    }
}

pub(super) fn budget_from_today(budget: &mut Value) {
    let Some(selector) = budget.get_mut("spec").and_then(|s| s.get_mut("selector")) else { return };
    if is_empty(selector) {
        *selector = requirement("DoesNotExist");
    } else if is_requirement(selector, "Exists") {
        *selector = json!({});
    } else {
        strip(selector);
    }
}

/// The label never mixes with what users say.
fn strip(selector: &mut Value) {
    if each(selector, "matchExpressions").any(|e| e["key"] == LABEL)
        && let Some(expressions) = selector["matchExpressions"].as_array_mut()
    {
        expressions.retain(|e| e["key"] != LABEL);
    }
}

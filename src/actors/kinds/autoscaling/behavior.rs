//! How fast an autoscaler goes up and down.
use crate::protocol::quantity::Quantity;
use crate::protocol::status::FieldError;
use crate::protocol::validation::defaults::{member, set};
use serde_json::{Map, Value, json};

/// Seconds.
const MAX_PERIOD: i64 = 1800;
const MAX_WINDOW: i64 = 3600;

/// Fills both directions in: up at once by four pods or to the double, down by anything after a while.
pub(super) fn default(behavior: &mut Map<String, Value>) {
    let up = member(behavior, "scaleUp");
    set(up, "stabilizationWindowSeconds", 0);
    let policies = json!([{ "type": "Pods", "value": 4, "periodSeconds": 15 }, { "type": "Percent", "value": 100, "periodSeconds": 15 }]);
    set(up, "policies", policies);
    set(up, "selectPolicy", "Max");
    let down = member(behavior, "scaleDown");
    set(down, "policies", json!([{ "type": "Percent", "value": 100, "periodSeconds": 15 }]));
    set(down, "selectPolicy", "Max");
}

pub(super) fn validate(behavior: &Value, path: &str) -> Vec<FieldError> {
    ["scaleUp", "scaleDown"].into_iter().flat_map(|direction| rules(&behavior[direction], &format!("{path}.{direction}"))).collect()
}

fn rules(rules: &Value, path: &str) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if !rules.is_object() {
        return faults;
    }
    let at = |field: &str| format!("{path}.{field}");
    if let Some(window) = rules["stabilizationWindowSeconds"].as_i64() {
        if window < 0 {
            faults.push(FieldError::invalid(at("stabilizationWindowSeconds"), window, "must be greater than or equal to zero"));
        }
        if window > MAX_WINDOW {
            let why = format!("must be less than or equal to {MAX_WINDOW}");
            faults.push(FieldError::invalid(at("stabilizationWindowSeconds"), window, why));
        }
    }
    if let Some(select) = rules["selectPolicy"].as_str().filter(|p| !matches!(*p, "Max" | "Min" | "Disabled")) {
        faults.push(FieldError::not_supported(at("selectPolicy"), select, &["Disabled", "Max", "Min"]));
    }
    let policies = rules["policies"].as_array().map(Vec::as_slice).unwrap_or_default();
    if policies.is_empty() {
        faults.push(FieldError::required(at("policies"), "must specify at least one Policy"));
    }
    for (index, policy) in policies.iter().enumerate() {
        scaling_policy(policy, &format!("{path}.policies[{index}]"), &mut faults);
    }
    if let Some(tolerance) = rules["tolerance"].as_str()
        && tolerance.parse::<Quantity>().is_ok_and(|q| q.signum() < 0)
    {
        faults.push(FieldError::invalid(at("tolerance"), tolerance, "must be greater than or equal to 0"));
    }
    faults
}

fn scaling_policy(policy: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let type_ = policy["type"].as_str().unwrap_or_default();
    if !matches!(type_, "Pods" | "Percent") {
        faults.push(FieldError::not_supported(format!("{path}.type"), type_, &["Percent", "Pods"]));
    }
    for field in ["value", "periodSeconds"] {
        let number = policy[field].as_i64().unwrap_or_default();
        if number <= 0 {
            faults.push(FieldError::invalid(format!("{path}.{field}"), number, "must be greater than zero"));
        }
    }
    let period = policy["periodSeconds"].as_i64().unwrap_or_default();
    if period > MAX_PERIOD {
        let why = format!("must be less than or equal to {MAX_PERIOD}");
        faults.push(FieldError::invalid(format!("{path}.periodSeconds"), period, why));
    }
}

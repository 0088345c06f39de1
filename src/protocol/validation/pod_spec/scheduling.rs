//! Tolerations, affinity terms and spread constraints.
use crate::names;
use crate::status::FieldError;
use crate::validation::{invalid_each, items, one_of, selector, text};
use serde_json::Value;
use std::collections::HashSet;

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

pub(super) fn validate(spec: &Value, path: &str, faults: &mut Vec<FieldError>) {
    for (path, toleration) in items(spec, path, "tolerations") {
        validate_toleration(toleration, &path, faults);
    }
    let mut spreads = HashSet::new();
    for (path, spread) in items(spec, path, "topologySpreadConstraints") {
        validate_spread(spread, &path, faults);
        let pair = (text(spread, "topologyKey"), text(spread, "whenUnsatisfiable"));
        if !spreads.insert(pair) {
            let text = format!("{{{}, {}}}", pair.0, pair.1);
            faults.push(FieldError::duplicate(format!("{path}.{{topologyKey, whenUnsatisfiable}}"), text));
        }
    }
    let mut gates = HashSet::new();
    for (path, gate) in items(spec, path, "schedulingGates") {
        let name = text(gate, "name");
        faults.extend(invalid_each(&path, name, names::qualified_name(name)));
        if !gates.insert(name) {
            faults.push(FieldError::duplicate(path, name));
        }
    }
    let affinity = format!("{path}.affinity");
    validate_node_affinity(&spec["affinity"]["nodeAffinity"], &format!("{affinity}.nodeAffinity"), faults);
    for kind in ["podAffinity", "podAntiAffinity"] {
        validate_pod_affinity(&spec["affinity"][kind], &format!("{affinity}.{kind}"), faults);
    }
}

fn validate_toleration(toleration: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let (key, operator, effect) = (text(toleration, "key"), text(toleration, "operator"), text(toleration, "effect"));
    if !key.is_empty() {
        faults.extend(invalid_each(&format!("{path}.key"), key, names::qualified_name(key)));
    } else if operator != "Exists" {
        let why = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        faults.push(FieldError::invalid(format!("{path}.operator"), operator, why));
    }
    if !toleration["tolerationSeconds"].is_null() && effect != "NoExecute" {
        let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        faults.push(FieldError::invalid(format!("{path}.effect"), effect, why));
    }
    let value = text(toleration, "value");
    match operator {
        "" | "Equal" => faults.extend(invalid_each(&format!("{path}.operator"), value, names::label_value(value))),
        "Exists" if value.is_empty() => {}
        "Exists" => {
            let why = "value must be empty when `operator` is 'Exists'";
            faults.push(FieldError::invalid(format!("{path}.operator"), toleration.clone(), why));
        }
        other => faults.push(FieldError::not_supported(format!("{path}.operator"), other, &["Equal", "Exists"])),
    }
    if !effect.is_empty() && !EFFECTS.contains(&effect) {
        faults.push(FieldError::not_supported(format!("{path}.effect"), effect, &EFFECTS));
    }
}

fn validate_spread(spread: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let skew = spread["maxSkew"].as_i64().unwrap_or_default();
    if skew <= 0 {
        faults.push(FieldError::invalid(format!("{path}.maxSkew"), skew, "must be greater than zero"));
    }
    let key = text(spread, "topologyKey");
    if key.is_empty() {
        faults.push(FieldError::required(format!("{path}.topologyKey"), "can not be empty"));
    } else {
        faults.extend(invalid_each(&format!("{path}.topologyKey"), key, names::qualified_name(key)));
    }
    faults.extend(one_of(spread, path, "whenUnsatisfiable", &["DoNotSchedule", "ScheduleAnyway"]));
    if let Some(domains) = spread["minDomains"].as_i64().filter(|d| *d <= 0) {
        faults.push(FieldError::invalid(format!("{path}.minDomains"), domains, "must be greater than zero"));
    }
    faults.extend(selector(&spread["labelSelector"], &format!("{path}.labelSelector")));
}

fn validate_node_affinity(affinity: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let hard = &affinity[REQUIRED];
    if hard.is_object() {
        let path = format!("{path}.{REQUIRED}");
        if hard["nodeSelectorTerms"].as_array().is_none_or(Vec::is_empty) {
            faults.push(FieldError::required(format!("{path}.nodeSelectorTerms"), "must have at least one node selector term"));
        }
        for (path, term) in items(hard, &path, "nodeSelectorTerms") {
            validate_node_term(term, &path, faults);
        }
    }
    for (path, preference) in items(affinity, path, PREFERRED) {
        validate_weight(preference, &path, faults);
        validate_node_term(&preference["preference"], &format!("{path}.preference"), faults);
    }
}

fn validate_node_term(term: &Value, path: &str, faults: &mut Vec<FieldError>) {
    for (path, expression) in items(term, path, "matchExpressions") {
        let values = expression["values"].as_array().map_or(0, Vec::len);
        let field = format!("{path}.values");
        match text(expression, "operator") {
            "In" | "NotIn" if values == 0 => {
                faults.push(FieldError::required(field, "must be specified when `operator` is 'In' or 'NotIn'"));
            }
            "Exists" | "DoesNotExist" if values > 0 => {
                faults.push(FieldError::forbidden(field, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
            }
            "Gt" | "Lt" if values != 1 => {
                faults.push(FieldError::required(field, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            other => faults.push(FieldError::invalid(format!("{path}.operator"), other, "not a valid selector operator")),
        }
        let key = text(expression, "key");
        faults.extend(invalid_each(&format!("{path}.key"), key, names::qualified_name(key)));
    }
}

fn validate_pod_affinity(affinity: &Value, path: &str, faults: &mut Vec<FieldError>) {
    for (path, term) in items(affinity, path, REQUIRED) {
        validate_pod_term(term, &path, faults);
    }
    for (path, preference) in items(affinity, path, PREFERRED) {
        validate_weight(preference, &path, faults);
        validate_pod_term(&preference["podAffinityTerm"], &format!("{path}.podAffinityTerm"), faults);
    }
}

fn validate_pod_term(term: &Value, path: &str, faults: &mut Vec<FieldError>) {
    if text(term, "topologyKey").is_empty() {
        faults.push(FieldError::required(format!("{path}.topologyKey"), "can not be empty"));
    } else {
        let key = text(term, "topologyKey");
        faults.extend(invalid_each(&format!("{path}.topologyKey"), key, names::qualified_name(key)));
    }
    for name in ["labelSelector", "namespaceSelector"] {
        faults.extend(selector(&term[name], &format!("{path}.{name}")));
    }
}

fn validate_weight(preference: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let weight = preference["weight"].as_i64().unwrap_or_default();
    if !(1..=100).contains(&weight) {
        faults.push(FieldError::invalid(format!("{path}.weight"), weight, "must be in the range 1-100"));
    }
}

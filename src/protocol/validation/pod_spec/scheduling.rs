//! Tolerations, affinity terms and spread constraints.
use crate::names;
use crate::status::FieldError;
use crate::validation::node_selector::{node_selector, node_selector_term};
use crate::validation::{invalid_each, items, one_of_if_set, selector, text};
use serde_json::Value;
use std::collections::HashSet;

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

pub(super) fn validate(spec: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let pair = |spread: &Value| format!("{{{}, {}}}", text(spread, "topologyKey"), text(spread, "whenUnsatisfiable"));
    let spreads = spec["topologySpreadConstraints"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, spread) in spreads.iter().enumerate() {
        let path = format!("{path}.topologySpreadConstraints[{index}]");
        validate_spread(spread, &path, faults);
        if spreads.iter().skip(index + 1).any(|later| pair(later) == pair(spread)) {
            faults.push(FieldError::duplicate(format!("{path}.{{topologyKey, whenUnsatisfiable}}"), pair(spread)));
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
    for (path, toleration) in items(spec, path, "tolerations") {
        validate_toleration(toleration, &path, faults);
    }
    let affinity = format!("{path}.affinity");
    validate_node_affinity(&spec["affinity"]["nodeAffinity"], &format!("{affinity}.nodeAffinity"), faults);
    for kind in ["podAffinity", "podAntiAffinity"] {
        validate_pod_affinity(&spec["affinity"][kind], &format!("{affinity}.{kind}"), faults);
    }
}

/// One of the taints that a pod puts up with.
pub fn validate_toleration(toleration: &Value, path: &str, faults: &mut Vec<FieldError>) {
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
        "" | "Equal" => {
            let why = names::label_value(value);
            if !why.is_empty() {
                faults.push(FieldError::invalid(format!("{path}.operator"), value, why.join(";")));
            }
        }
        "Exists" if value.is_empty() => {}
        "Exists" => {
            let why = "value must be empty when `operator` is 'Exists'";
            faults.push(FieldError::invalid(format!("{path}.operator"), value, why));
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
    if text(spread, "topologyKey").is_empty() {
        faults.push(FieldError::required(format!("{path}.topologyKey"), "can not be empty"));
    }
    let action = text(spread, "whenUnsatisfiable");
    if !matches!(action, "DoNotSchedule" | "ScheduleAnyway") {
        faults.push(FieldError::not_supported(format!("{path}.whenUnsatisfiable"), action, &["DoNotSchedule", "ScheduleAnyway"]));
    }
    if let Some(domains) = spread["minDomains"].as_i64() {
        if domains <= 0 {
            faults.push(FieldError::invalid(format!("{path}.minDomains"), domains, "must be greater than zero"));
        }
        if action != "DoNotSchedule" {
            let why = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
            faults.push(FieldError::invalid(format!("{path}.minDomains"), domains, why));
        }
    }
    for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
        faults.extend(one_of_if_set(spread, path, policy, &["Honor", "Ignore"]));
    }
    let given = &spread["labelSelector"];
    let keys = spread["matchLabelKeys"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !keys.is_empty() && given.is_null() {
        let why = "must not be specified when labelSelector is not set";
        faults.push(FieldError::forbidden(format!("{path}.matchLabelKeys"), why));
    }
    for (path, key) in items(spread, path, "matchLabelKeys") {
        let key = key.as_str().unwrap_or_default();
        faults.extend(invalid_each(&path, key, names::qualified_name(key)));
        // The key's own expression is there already; a second one is the writer's.
        let own = usize::from(!given["matchLabels"][key].is_null());
        if own + expressions(given).filter(|k| *k == key).count() > 1 {
            faults.push(FieldError::invalid(path, key, "exists in both matchLabelKeys and labelSelector"));
        }
    }
    faults.extend(selector(given, &format!("{path}.labelSelector")));
}

/// The keys of a selector's expressions.
fn expressions(selector: &Value) -> impl Iterator<Item = &str> {
    selector["matchExpressions"].as_array().into_iter().flatten().map(|e| text(e, "key"))
}

fn validate_node_affinity(affinity: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let hard = &affinity[REQUIRED];
    if hard.is_object() {
        faults.extend(node_selector(hard, &format!("{path}.{REQUIRED}")));
    }
    for (path, preference) in items(affinity, path, PREFERRED) {
        validate_weight(preference, &path, faults);
        node_selector_term(&preference["preference"], &format!("{path}.preference"), false, faults);
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
    for name in ["labelSelector", "namespaceSelector"] {
        faults.extend(selector(&term[name], &format!("{path}.{name}")));
    }
    for name in term["namespaces"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        faults.extend(invalid_each(&format!("{path}.namespace"), name, names::dns1123_label(name)));
    }
    match_keys(term, path, faults);
    let key = text(term, "topologyKey");
    if key.is_empty() {
        faults.push(FieldError::required(format!("{path}.topologyKey"), "can not be empty"));
    }
    faults.extend(invalid_each(&format!("{path}.topologyKey"), key, names::qualified_name(key)));
}

/// Labels that must be as, or other than, the pod's own.
fn match_keys(term: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let given = &term["labelSelector"];
    for field in ["matchLabelKeys", "mismatchLabelKeys"] {
        let keys = term[field].as_array().map(Vec::as_slice).unwrap_or_default();
        if !keys.is_empty() && given.is_null() {
            let why = "must not be specified when labelSelector is not set";
            faults.push(FieldError::forbidden(format!("{path}.{field}"), why));
            continue;
        }
        for (path, key) in items(term, path, field) {
            let key = key.as_str().unwrap_or_default();
            faults.extend(invalid_each(&path, key, names::qualified_name(key)));
        }
    }
    for (at, key) in items(term, path, "matchLabelKeys") {
        let name = key.as_str().unwrap_or_default();
        // The key's own expression is there already; a second one is the writer's.
        let own = usize::from(!given["matchLabels"][name].is_null());
        if own + expressions(given).filter(|k| *k == name).count() > 1 {
            let index = at.strip_prefix(&format!("{path}.matchLabelKeys")).unwrap_or_default();
            faults.push(FieldError::invalid(format!("{path}{index}"), name, "exists in both matchLabelKeys and labelSelector"));
        }
        if term["mismatchLabelKeys"].as_array().is_some_and(|l| l.contains(key)) {
            faults.push(FieldError::invalid(at, name, "exists in both matchLabelKeys and mismatchLabelKeys"));
        }
    }
}

fn validate_weight(preference: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let weight = preference["weight"].as_i64().unwrap_or_default();
    if !(1..=100).contains(&weight) {
        faults.push(FieldError::invalid(format!("{path}.weight"), weight, "must be in the range 1-100"));
    }
}

//! What requests a webhook or a policy is for: rules, selectors, conditions.
use super::expressions;
use crate::actors::kinds::findings::{fill, has_wildcard, invalid_each, items, items_mut, list, required, required_one_of, text, texts};
use crate::actors::kinds::findings::{too_many, unsupported};
use crate::protocol::cel::{Environment, Type};
use crate::protocol::names::{name_is_path_segment, qualified_name};
use crate::protocol::status::FieldError;
use crate::protocol::validation;
use serde_json::{Value, json};
use std::collections::HashSet;

pub(super) const FAILURE_POLICIES: &[&str] = &["Fail", "Ignore"];
pub(super) const MATCH_POLICIES: &[&str] = &["Equivalent", "Exact"];
const OPERATIONS: &[&str] = &["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const SCOPES: &[&str] = &["*", "Cluster", "Namespaced"];
const MAX_CONDITIONS: usize = 64;

/// Rules are for every scope unless they say otherwise.
pub(super) fn default_rules(object: &mut Value, field: &str) {
    for rule in items_mut(object, field) {
        fill(rule, "scope", "*");
    }
}

/// Fills in a `MatchResources`.
pub(super) fn default_match_resources(resources: &mut Value) {
    fill(resources, "matchPolicy", "Equivalent");
    fill(resources, "namespaceSelector", json!({}));
    fill(resources, "objectSelector", json!({}));
    default_rules(resources, "resourceRules");
    default_rules(resources, "excludeResourceRules");
}

/// Checks a `MatchResources`.
pub(super) fn match_resources(resources: &Value, path: &str) -> Vec<FieldError> {
    let mut errors: Vec<_> = required_one_of(resources, path, "matchPolicy", MATCH_POLICIES).into_iter().collect();
    for field in ["namespaceSelector", "objectSelector"] {
        let path = format!("{path}.{field}");
        match &resources[field] {
            Value::Null => errors.push(FieldError::required(path, "")),
            selector => errors.extend(validation::selector(selector, &path)),
        }
    }
    for field in ["resourceRules", "excludeResourceRules"] {
        for (path, rule) in items(resources, path, field) {
            let mut seen = HashSet::new();
            for (path, name) in items(rule, &path, "resourceNames") {
                let name = name.as_str().unwrap_or_default();
                errors.extend(invalid_each(&path, name, name_is_path_segment(name, false)));
                if !seen.insert(name) {
                    errors.push(FieldError::duplicate(path, name));
                }
            }
            errors.extend(rule_with_operations(rule, &path));
        }
    }
    errors
}

/// Checks the rules of a webhook.
pub(super) fn rules(object: &Value, path: &str) -> Vec<FieldError> {
    items(object, path, "rules").flat_map(|(path, rule)| rule_with_operations(rule, &path)).collect()
}

fn rule_with_operations(rule: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    errors.extend(list_with_wildcard(rule, path, "operations", "operations"));
    for (path, operation) in items(rule, path, "operations") {
        let operation = operation.as_str().unwrap_or_default();
        if !OPERATIONS.contains(&operation) {
            errors.push(FieldError::not_supported(path, operation, OPERATIONS));
        }
    }
    errors.extend(list_with_wildcard(rule, path, "apiGroups", "API groups"));
    errors.extend(list_with_wildcard(rule, path, "apiVersions", "API versions"));
    for (path, version) in items(rule, path, "apiVersions") {
        if version == "" {
            errors.push(FieldError::required(path, ""));
        }
    }
    errors.extend(resources(rule, path));
    errors.extend(unsupported(rule, path, "scope", SCOPES));
    errors
}

/// A list that must not be empty, and in which `*` stands alone.
fn list_with_wildcard(rule: &Value, path: &str, field: &str, what: &str) -> Option<FieldError> {
    let values = texts(&rule[field]);
    let path = format!("{path}.{field}");
    if values.is_empty() {
        return Some(FieldError::required(path, ""));
    }
    let why = format!("if '*' is present, must not specify other {what}");
    (values.len() > 1 && has_wildcard(&values)).then(|| FieldError::invalid(path, rule[field].clone(), why))
}

/// Resources and subresources; what one entry covers, another must not name again.
fn resources(rule: &Value, path: &str) -> Vec<FieldError> {
    let given = texts(&rule["resources"]);
    let path = format!("{path}.resources");
    let mut errors = Vec::new();
    if given.is_empty() {
        errors.push(FieldError::required(path.clone(), ""));
    }
    let (mut all_subresources_of, mut everywhere) = (HashSet::new(), HashSet::new());
    let mut plain = false;
    for (index, entry) in given.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if entry.is_empty() {
            errors.push(FieldError::required(path, ""));
            continue;
        }
        let Some((resource, subresource)) = entry.split_once('/') else {
            plain = *entry != "*";
            continue;
        };
        if all_subresources_of.contains(resource) {
            let why = format!("if '{resource}/*' is present, must not specify {entry}");
            errors.push(FieldError::invalid(path.clone(), *entry, why));
        }
        if everywhere.contains(subresource) {
            let why = format!("if '*/{subresource}' is present, must not specify {entry}");
            errors.push(FieldError::invalid(path, *entry, why));
        }
        if subresource == "*" {
            all_subresources_of.insert(resource);
        }
        if resource == "*" {
            everywhere.insert(subresource);
        }
    }
    let mut bad = |why: &str| errors.push(FieldError::invalid(path.clone(), rule["resources"].clone(), why));
    if given.len() > 1 && given.contains(&"*/*") {
        bad("if '*/*' is present, must not specify other resources");
    }
    if has_wildcard(&given) && plain {
        bad("if '*' is present, must not specify other resources without subresources");
    }
    errors
}

/// Conditions that are not as they were are checked; see [`expressions`].
pub(super) fn match_conditions(object: &Value, path: &str, params: bool) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let count = list(&object["matchConditions"]).len();
    if count > MAX_CONDITIONS {
        errors.push(too_many(format!("{path}.matchConditions"), count, MAX_CONDITIONS));
    }
    let environment = Environment::condition(params);
    let mut seen = HashSet::new();
    for (path, condition) in items(object, path, "matchConditions") {
        errors.extend(expressions::required_expression(condition, &path, ("expression", ""), &environment, &[Type::Bool]));
        let name = text(condition, "name");
        errors.extend(required(condition, &path, "name"));
        if !name.is_empty() {
            errors.extend(invalid_each(&format!("{path}.name"), name, qualified_name(name)));
            if !seen.insert(name) {
                errors.push(FieldError::duplicate(format!("{path}.name"), name));
            }
        }
    }
    errors
}

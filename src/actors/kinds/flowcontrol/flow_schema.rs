//! `flowcontrol.apiserver.k8s.io/v1 FlowSchema`.
use super::bootstrap::mandatory_flow_schemas;
use super::{GROUP, validate_conditions};
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::findings::{READ_WRITE, has_wildcard, invalid_each, items, list, required, text, texts};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::FLOW_SCHEMA;
use crate::protocol::names::{dns1123_label, dns1123_subdomain};
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::status::FieldError;
use serde_json::{Value, json};

pub static KIND: Kind = Kind {
    resource: Resource {
        group: GROUP,
        version: "v1",
        kind: "FlowSchema",
        plural: "flowschemas",
        singular: "flowschema",
        namespaced: false,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[Subresource { name: "status", group: GROUP, version: "v1", kind: "FlowSchema", verbs: READ_WRITE }],
    },
    body: Body::Typed(&FLOW_SCHEMA),
    schema: "FlowSchema",
    rules: Rules {
        default,
        create: |o| o["status"] = json!({}),
        validate,
        validate_status: |new, _| validate_conditions(new),
        generation: true,
        ..PLAIN
    },
    columns: COLUMNS,
    row,
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("PriorityLevel", "string", 0, "The priority level of the requests that match."),
    column("MatchingPrecedence", "string", 0, "The lowest one that matches decides."),
    column("DistinguisherMethod", "string", 0, "What makes a flow of its own."),
    AGE,
    column("MissingPL", "string", 0, "Whether the priority level is missing."),
];

const DEFAULT_PRECEDENCE: i64 = 1000;
const MAX_PRECEDENCE: i64 = 10_000;
/// Sorted as upstream prints them.
const VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];

fn default(object: &mut Value) {
    if object["spec"].is_object() && object["spec"]["matchingPrecedence"].as_i64().unwrap_or(0) == 0 {
        object["spec"]["matchingPrecedence"] = DEFAULT_PRECEDENCE.into();
    }
}

fn validate(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let name = text(&object["metadata"], "name");
    let mut errors = precedence(name, spec["matchingPrecedence"].as_i64().unwrap_or(0));
    let method = &spec["distinguisherMethod"];
    if !method.is_null() && !matches!(text(method, "type"), "ByNamespace" | "ByUser") {
        let path = "spec.distinguisherMethod.type";
        errors.push(FieldError::not_supported(path, method.clone(), &["ByNamespace", "ByUser"]));
    }
    let level = text(&spec["priorityLevelConfiguration"], "name");
    let path = "spec.priorityLevelConfiguration.name";
    if level.is_empty() {
        errors.push(FieldError::required(path, "must reference a priority level"));
    } else {
        errors.extend(invalid_each(path, level, dns1123_subdomain(level)));
    }
    for (path, rule) in items(spec, "spec", "rules") {
        errors.extend(validate_rule(rule, &path));
    }
    if mandatory_flow_schemas().iter().any(|m| m["metadata"]["name"] == name && m["spec"] != *spec) {
        errors.push(FieldError::invalid("spec", spec.clone(), format!("spec of '{name}' must equal the fixed value")));
    }
    errors
}

fn precedence(name: &str, precedence: i64) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut bad = |why: String| errors.push(FieldError::invalid("spec.matchingPrecedence", precedence, why));
    if precedence <= 0 {
        bad("must be a positive value".into());
    }
    if precedence > MAX_PRECEDENCE {
        bad(format!("must not be greater than {MAX_PRECEDENCE}"));
    }
    if precedence == 1 && name != "exempt" {
        bad("only the schema named 'exempt' may have matchingPrecedence 1".into());
    }
    errors
}

fn validate_rule(rule: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if list(&rule["subjects"]).is_empty() {
        errors.push(FieldError::required(format!("{path}.subjects"), "subjects must contain at least one value"));
    }
    for (path, subject) in items(rule, path, "subjects") {
        errors.extend(validate_subject(subject, &path));
    }
    if list(&rule["resourceRules"]).is_empty() && list(&rule["nonResourceRules"]).is_empty() {
        let why = "at least one of resourceRules and nonResourceRules has to be non-empty";
        errors.push(FieldError::required(path, why));
    }
    for (path, rule) in items(rule, path, "resourceRules") {
        errors.extend(verbs(rule, &path));
        errors.extend(resources(rule, &path));
    }
    for (path, rule) in items(rule, path, "nonResourceRules") {
        errors.extend(verbs(rule, &path));
        errors.extend(paths(rule, &path));
    }
    errors
}

/// A subject names its kind, and has the field of that kind and of no other.
fn validate_subject(subject: &Value, path: &str) -> Vec<FieldError> {
    const KINDS: [(&str, &str); 3] = [("ServiceAccount", "serviceAccount"), ("User", "user"), ("Group", "group")];
    let kind = text(subject, "kind");
    let Some((_, field)) = KINDS.iter().find(|(k, _)| *k == kind) else {
        return vec![FieldError::not_supported(format!("{path}.kind"), kind, &["Group", "ServiceAccount", "User"])];
    };
    let mut errors = Vec::new();
    let given = &subject[*field];
    let at = format!("{path}.{field}");
    if given.is_null() {
        errors.push(FieldError::required(at.clone(), format!("{field} is required when subject kind is '{kind}'")));
    } else {
        errors.extend(required(given, &at, "name"));
        if kind == "ServiceAccount" {
            errors.extend(validate_account(given, &at));
        }
    }
    for (other, field) in KINDS.iter().filter(|(k, f)| *k != kind && !subject[*f].is_null()) {
        errors.push(FieldError::forbidden(format!("{path}.{field}"), format!("{field} is forbidden when subject kind is not '{other}'")));
    }
    errors
}

fn validate_account(account: &Value, path: &str) -> Vec<FieldError> {
    let (name, namespace) = (text(account, "name"), text(account, "namespace"));
    let mut errors = Vec::new();
    if !name.is_empty() && name != "*" {
        errors.extend(invalid_each(&format!("{path}.name"), name, dns1123_subdomain(name)));
    }
    let path = format!("{path}.namespace");
    if namespace.is_empty() {
        errors.push(FieldError::required(path, "must specify namespace for service account"));
    } else {
        errors.extend(invalid_each(&path, namespace, dns1123_label(namespace)));
    }
    errors
}

fn verbs(rule: &Value, path: &str) -> Option<FieldError> {
    let path = format!("{path}.verbs");
    let verbs = texts(&rule["verbs"]);
    if verbs.is_empty() {
        return Some(FieldError::required(path, "verbs must contain at least one value"));
    }
    if has_wildcard(&verbs) {
        let why = "if '*' is present, must not specify other verbs";
        return (verbs.len() > 1).then(|| FieldError::invalid(path, rule["verbs"].clone(), why));
    }
    let unknown = verbs.iter().any(|v| !VERBS.contains(v));
    unknown.then(|| FieldError::not_supported(path, rule["verbs"].clone(), VERBS))
}

fn resources(rule: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (field, one, many) in [("apiGroups", "api group", "api groups"), ("resources", "resource", "resources")] {
        let values = texts(&rule[field]);
        if values.is_empty() {
            errors.push(FieldError::required(format!("{path}.{field}"), format!("resource rules must supply at least one {one}")));
        } else if values.len() > 1 && has_wildcard(&values) {
            let why = format!("if '*' is present, must not specify other {many}");
            errors.push(FieldError::invalid(format!("{path}.{field}"), rule[field].clone(), why));
        }
    }
    let namespaces = texts(&rule["namespaces"]);
    let path = format!("{path}.namespaces");
    if namespaces.is_empty() && rule["clusterScope"] != true {
        let why = "resource rules that are not cluster scoped must supply at least one namespace";
        errors.push(FieldError::required(path, why));
    } else if has_wildcard(&namespaces) {
        if namespaces.len() > 1 {
            let why = "if '*' is present, must not specify other namespaces";
            errors.push(FieldError::invalid(path, rule["namespaces"].clone(), why));
        }
    } else {
        for (index, namespace) in namespaces.iter().enumerate() {
            let faults = dns1123_label(namespace).into_iter();
            let sentences = faults.map(|f| format!("each member of this list must be '*' or a DNS-1123 label; {f}")).collect();
            errors.extend(invalid_each(&format!("{path}[{index}]"), namespace, sentences));
        }
    }
    errors
}

fn paths(rule: &Value, path: &str) -> Vec<FieldError> {
    let urls = texts(&rule["nonResourceURLs"]);
    let path = format!("{path}.nonResourceURLs");
    if urls.is_empty() {
        return vec![FieldError::required(path, "nonResourceURLs must contain at least one value")];
    }
    if has_wildcard(&urls) {
        let why = "if '*' is present, must not specify other non-resource URLs";
        return (urls.len() > 1).then(|| FieldError::invalid(path, rule["nonResourceURLs"].clone(), why)).into_iter().collect();
    }
    let fault = |url: &&str| {
        let stars = url.matches('*').count();
        match *url {
            "" => Some("must not be empty"),
            "/" => None,
            u if !u.starts_with('/') => Some("must start with slash"),
            u if u.contains(' ') => Some("must not contain white-space"),
            u if u.contains("//") => Some("must not contain double slash"),
            u if stars > 1 || (stars == 1 && !u.ends_with("/*")) => Some("wildcard can only do suffix matching"),
            _ => None,
        }
    };
    let findings = urls.iter().enumerate();
    findings.filter_map(|(i, url)| fault(url).map(|why| FieldError::invalid(format!("{path}[{i}]"), *url, why))).collect()
}

fn row(o: &Value, now: i64) -> Vec<Value> {
    let spec = &o["spec"];
    let method = spec["distinguisherMethod"]["type"].as_str().unwrap_or("<none>");
    let dangling = list(&o["status"]["conditions"]).iter().find(|c| c["type"] == "Dangling");
    vec![
        name(o),
        text(&spec["priorityLevelConfiguration"], "name").into(),
        spec["matchingPrecedence"].clone(),
        method.into(),
        age(o, now),
        dangling.map_or("?", |c| text(c, "status")).into(),
    ]
}

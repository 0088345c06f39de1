//! `v1 ResourceQuota`.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::fields::{IMMUTABLE, members, texts};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::RESOURCE_QUOTA;
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::quantities::{is_quota_name, quota_resource_name, resource_amount};
use crate::protocol::validation::text;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "",
        version: "v1",
        kind: "ResourceQuota",
        plural: "resourcequotas",
        singular: "resourcequota",
        namespaced: true,
        short_names: &["quota"],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[Subresource {
            name: "status",
            group: "",
            version: "v1",
            kind: "ResourceQuota",
            verbs: &["get", "patch", "update"],
        }],
    },
    body: Body::Typed(&RESOURCE_QUOTA),
    schema: "ResourceQuota",
    rules: Rules { create: |o| o["status"] = json!({}), validate, validate_update, validate_status, amended: true, ..PLAIN },
    columns: COLUMNS,
    row: |o, now| vec![name(o), usage(o, false).into(), usage(o, true).into(), age(o, now)],
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Request", "string", 0, "What may be requested, and what is: used/hard."),
    column("Limit", "string", 0, "What may be promised as limits, and what is: used/hard."),
    AGE,
];

const SCOPES: [&str; 7] =
    ["BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass", "Terminating", "VolumeAttributesClass"];
const CONFLICTS: [[&str; 2]; 2] = [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]];
const POD_RESOURCES: [&str; 7] = ["pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];
const EXISTS_ONLY: &str = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";

fn validate(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let mut errors = amounts(&spec["hard"], "spec.hard");
    scopes(spec, &mut errors);
    scope_selector(spec, &mut errors);
    errors
}

fn amounts(map: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (name, value) in members(map) {
        let path = format!("{path}[{name}]");
        errors.extend(quota_resource_name(name, &path));
        errors.extend(resource_amount(name, value, &path));
    }
    errors
}

/// Whether a scope can say something about a resource.
fn fits(scope: &str, resource: &str) -> bool {
    match scope {
        "BestEffort" => resource == "pods",
        "VolumeAttributesClass" => matches!(resource, "persistentvolumeclaims" | "requests.storage"),
        _ if SCOPES.contains(&scope) => POD_RESOURCES.contains(&resource),
        _ => true,
    }
}

fn unfit<'a>(spec: &'a Value, scope: &str) -> impl Iterator<Item = &'a String> {
    let scope = scope.to_string();
    members(&spec["hard"]).map(|(name, _)| name).filter(move |name| is_quota_name(name) && !fits(&scope, name))
}

fn scopes(spec: &Value, errors: &mut Vec<FieldError>) {
    let path = "spec.scopes";
    let fault = |why: &str| FieldError::invalid(path, spec["scopes"].clone(), why);
    let given = texts(&spec["scopes"]);
    for scope in &given {
        if !SCOPES.contains(scope) {
            errors.push(fault("unsupported scope"));
        }
        errors.extend(unfit(spec, scope).map(|_| fault("unsupported scope applied to resource")));
    }
    errors.extend(CONFLICTS.iter().filter(|pair| pair.iter().all(|s| given.contains(s))).map(|_| fault("conflicting scopes")));
}

fn scope_selector(spec: &Value, errors: &mut Vec<FieldError>) {
    let path = "spec.scopeSelector.matchExpressions";
    let mut seen = Vec::new();
    for expression in spec["scopeSelector"]["matchExpressions"].as_array().into_iter().flatten() {
        let (scope, operator) = (text(expression, "scopeName"), text(expression, "operator"));
        if !SCOPES.contains(&scope) {
            errors.push(FieldError::invalid(format!("{path}.scopeName"), scope, "unsupported scope"));
        }
        for _ in unfit(spec, scope) {
            errors.push(FieldError::invalid(path, spec["scopeSelector"].clone(), "unsupported scope applied to resource"));
        }
        if SCOPES.contains(&scope) && !matches!(scope, "PriorityClass" | "VolumeAttributesClass") && operator != "Exists" {
            errors.push(FieldError::invalid(format!("{path}.operator"), operator, EXISTS_ONLY));
        }
        let empty = expression["values"].as_array().is_none_or(Vec::is_empty);
        match operator {
            "In" | "NotIn" if empty => {
                let why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
                errors.push(FieldError::required(format!("{path}.values"), why));
            }
            "Exists" | "DoesNotExist" if !empty => {
                let why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
                errors.push(FieldError::invalid(format!("{path}.values"), expression["values"].clone(), why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => errors.push(FieldError::invalid(format!("{path}.operator"), other, "not a valid selector operator")),
        }
        seen.push(scope);
    }
    for _ in CONFLICTS.iter().filter(|pair| pair.iter().all(|s| seen.contains(s))) {
        errors.push(FieldError::invalid(path, spec["scopes"].clone(), "conflicting scopes"));
    }
}

fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let set = |o: &Value| texts(&o["spec"]["scopes"]).into_iter().map(str::to_string).collect::<BTreeSet<_>>();
    if set(new) == set(old) { Vec::new() } else { vec![FieldError::invalid("spec.scopes", new["spec"]["scopes"].clone(), IMMUTABLE)] }
}

fn validate_status(new: &Value, _: &Value) -> Vec<FieldError> {
    let mut errors = amounts(&new["status"]["hard"], "status.hard");
    errors.extend(amounts(&new["status"]["used"], "status.used"));
    errors
}

/// `pods: 1/10, services: 0/5`
fn usage(object: &Value, limits: bool) -> String {
    let status = &object["status"];
    let hard = members(&status["hard"]).filter(|(name, _)| name.starts_with("limits") == limits);
    let parts = hard.map(|(name, hard)| {
        let used = status["used"][name.as_str()].as_str().unwrap_or("0");
        format!("{name}: {used}/{}", hard.as_str().unwrap_or("0"))
    });
    parts.collect::<Vec<_>>().join(", ")
}

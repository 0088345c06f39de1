//! `admissionregistration.k8s.io/v1` ValidatingWebhookConfiguration and MutatingWebhookConfiguration.
use super::matching::{self, FAILURE_POLICIES, MATCH_POLICIES};
use super::{resource, typed};
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::findings::{fill, invalid_each, items, items_mut, list, text, texts, unsupported, unsupported_if_there};
use crate::actors::kinds::{Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::{MUTATING_WEBHOOK_CONFIGURATION, VALIDATING_WEBHOOK_CONFIGURATION};
use crate::protocol::names::{dns1035_label, dns1123_subdomain, port_number};
use crate::protocol::status::FieldError;
use crate::protocol::validation;
use serde_json::{Value, json};
use std::collections::HashSet;

pub static VALIDATING: Kind = Kind {
    resource: resource("ValidatingWebhookConfiguration", "validatingwebhookconfigurations", "validatingwebhookconfiguration", &[]),
    body: typed(&VALIDATING_WEBHOOK_CONFIGURATION),
    schema: "ValidatingWebhookConfiguration",
    rules: Rules {
        default: |o| items_mut(o, "webhooks").for_each(default_webhook),
        validate,
        generation: true,
        unconditional: false,
        ..PLAIN
    },
    columns: COLUMNS,
    row,
    view: None,
};

pub static MUTATING: Kind = Kind {
    resource: resource("MutatingWebhookConfiguration", "mutatingwebhookconfigurations", "mutatingwebhookconfiguration", &[]),
    body: typed(&MUTATING_WEBHOOK_CONFIGURATION),
    schema: "MutatingWebhookConfiguration",
    rules: Rules { default: default_mutating, validate, generation: true, unconditional: false, ..PLAIN },
    columns: COLUMNS,
    row,
    view: None,
};

const COLUMNS: &[Column] = &[NAME, column("Webhooks", "integer", 0, "How many webhooks there are."), AGE];

const SIDE_EFFECTS: &[&str] = &["None", "NoneOnDryRun"];
const REVIEW_VERSIONS: &[&str] = &["v1", "v1beta1"];

fn default_mutating(object: &mut Value) {
    for hook in items_mut(object, "webhooks") {
        default_webhook(hook);
        fill(hook, "reinvocationPolicy", "Never");
    }
}

fn default_webhook(hook: &mut Value) {
    fill(hook, "failurePolicy", "Fail");
    fill(hook, "matchPolicy", "Equivalent");
    fill(hook, "namespaceSelector", json!({}));
    fill(hook, "objectSelector", json!({}));
    fill(hook, "timeoutSeconds", 10);
    matching::default_rules(hook, "rules");
    if let Some(service) = hook.pointer_mut("/clientConfig/service") {
        fill(service, "port", 443);
    }
}

fn validate(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut seen = HashSet::new();
    for (path, hook) in items(object, "", "webhooks") {
        errors.extend(validate_webhook(hook, &path));
        errors.extend(review_versions(hook, &path));
        let name = text(hook, "name");
        if !name.is_empty() && !seen.insert(name) {
            errors.push(FieldError::duplicate(format!("{path}.name"), name));
        }
    }
    errors
}

fn validate_webhook(hook: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = qualified_name(hook, path);
    errors.extend(matching::rules(hook, path));
    errors.extend(unsupported_if_there(hook, path, "failurePolicy", FAILURE_POLICIES));
    errors.extend(unsupported_if_there(hook, path, "matchPolicy", MATCH_POLICIES));
    if text(hook, "sideEffects").is_empty() {
        let why = format!("must specify one of {}", SIDE_EFFECTS.join(", "));
        errors.push(FieldError::required(format!("{path}.sideEffects"), why));
    }
    errors.extend(unsupported(hook, path, "sideEffects", SIDE_EFFECTS));
    if let Some(seconds) = hook["timeoutSeconds"].as_i64().filter(|s| !(1..=30).contains(s)) {
        let why = "the timeout value must be between 1 and 30 seconds";
        errors.push(FieldError::invalid(format!("{path}.timeoutSeconds"), seconds, why));
    }
    for field in ["namespaceSelector", "objectSelector"] {
        errors.extend(validation::selector(&hook[field], &format!("{path}.{field}")));
    }
    errors.extend(unsupported_if_there(hook, path, "reinvocationPolicy", &["IfNeeded", "Never"]));
    errors.extend(client_config(&hook["clientConfig"], &format!("{path}.clientConfig")));
    errors.extend(matching::match_conditions(hook, path, false));
    errors
}

/// A webhook is named like a host of somebody's domain.
fn qualified_name(hook: &Value, path: &str) -> Vec<FieldError> {
    let name = text(hook, "name");
    let path = format!("{path}.name");
    if name.is_empty() {
        return vec![FieldError::required(path, "")];
    }
    let faults = dns1123_subdomain(name);
    if !faults.is_empty() {
        return vec![FieldError::invalid(path, name, faults.join(","))];
    }
    if name.split('.').count() < 3 {
        return vec![FieldError::invalid(path, name, "should be a domain with at least three segments separated by dots")];
    }
    Vec::new()
}

fn review_versions(hook: &Value, path: &str) -> Vec<FieldError> {
    let versions = texts(&hook["admissionReviewVersions"]);
    let path = format!("{path}.admissionReviewVersions");
    let known = REVIEW_VERSIONS.join(", ");
    if versions.is_empty() {
        return vec![FieldError::required(path, format!("must specify one of {known}"))];
    }
    let mut errors = Vec::new();
    let mut seen = HashSet::new();
    for (index, version) in versions.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if !seen.insert(version) {
            errors.push(FieldError::invalid(path, *version, "duplicate version"));
            continue;
        }
        errors.extend(invalid_each(&path, version, dns1035_label(version)));
    }
    if !versions.iter().any(|v| REVIEW_VERSIONS.contains(v)) {
        let why = format!("must include at least one of {known}");
        errors.push(FieldError::invalid(path, hook["admissionReviewVersions"].clone(), why));
    }
    errors
}

fn client_config(config: &Value, path: &str) -> Vec<FieldError> {
    match (config["url"].as_str(), config["service"].is_null()) {
        (Some(url), true) => webhook_url(url, &format!("{path}.url")),
        (None, false) => webhook_service(&config["service"], &format!("{path}.service")),
        _ => vec![FieldError::required(path, "exactly one of url or service is required")],
    }
}

const URL_FORM: &str = "; desired format: https://host[/path]";

fn webhook_url(url: &str, path: &str) -> Vec<FieldError> {
    let bad = |value: &str, why: String| FieldError::invalid(path, value, why);
    let parsed: http::Uri = match url.parse() {
        Ok(parsed) => parsed,
        Err(error) => return vec![FieldError::required(path, format!("url must be a valid URL: {error}{URL_FORM}"))],
    };
    let mut errors = Vec::new();
    let scheme = parsed.scheme_str().unwrap_or_default();
    if scheme != "https" {
        errors.push(bad(scheme, format!("'https' is the only allowed URL scheme{URL_FORM}")));
    }
    let host = parsed.host().unwrap_or_default();
    if host.is_empty() {
        errors.push(bad("", format!("host must be specified{URL_FORM}")));
    }
    if parsed.authority().is_some_and(|a| a.as_str().contains('@')) {
        errors.push(bad(url, "user information is not permitted in the URL".into()));
    }
    if url.contains('#') {
        errors.push(bad(url, "fragments are not permitted in the URL".into()));
    }
    if let Some(query) = parsed.query().filter(|q| !q.is_empty()) {
        errors.push(bad(query, "query parameters are not permitted in the URL".into()));
    }
    errors
}

fn webhook_service(service: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (field, what) in [("name", "service name"), ("namespace", "service namespace")] {
        if text(service, field).is_empty() {
            errors.push(FieldError::required(format!("{path}.{field}"), format!("{what} is required")));
        }
    }
    let port = service["port"].as_i64().unwrap_or(0);
    if let Some(fault) = port_number(port).into_iter().next() {
        errors.push(FieldError::invalid(format!("{path}.port"), port, format!("port is not valid: {fault}")));
    }
    errors.extend(service_path(service["path"].as_str(), &format!("{path}.path")));
    errors
}

fn service_path(given: Option<&str>, path: &str) -> Vec<FieldError> {
    let Some(given) = given else { return Vec::new() };
    let bad = |why: String| FieldError::invalid(path, given, why);
    if !given.starts_with('/') {
        return vec![bad("must start with a '/'".into())];
    }
    let inner = given.trim_start_matches('/');
    if inner.is_empty() && given == "/" {
        return Vec::new();
    }
    let mut errors = Vec::new();
    let steps: Vec<&str> = given.trim_start_matches('/').trim_end_matches('/').split('/').collect();
    for (index, step) in steps.iter().enumerate() {
        if step.is_empty() || given.contains("//") {
            errors.push(bad(format!("segment[{index}] may not be empty")));
            break;
        }
        errors.extend(dns1123_subdomain(step).into_iter().map(|fault| bad(format!("segment[{index}]: {fault}"))));
    }
    errors
}

fn row(o: &Value, now: i64) -> Vec<Value> {
    vec![name(o), list(&o["webhooks"]).len().into(), age(o, now)]
}

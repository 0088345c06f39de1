//! `networking.k8s.io/v1 IngressClass`.
use super::ingress::validate_reference;
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::fields::{fill, immutable};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::INGRESS_CLASS;
use crate::protocol::names;
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::{invalid_each, text};
use serde_json::Value;

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "networking.k8s.io",
        version: "v1",
        kind: "IngressClass",
        plural: "ingressclasses",
        singular: "ingressclass",
        namespaced: false,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&INGRESS_CLASS),
    schema: "IngressClass",
    rules: Rules {
        default,
        validate,
        validate_update: |new, old| {
            immutable(&new["spec"]["controller"], &old["spec"]["controller"], "spec.controller").into_iter().collect()
        },
        generation: true,
        ..PLAIN
    },
    columns: COLUMNS,
    row: |o, now| vec![name(o), text(&o["spec"], "controller").into(), parameters(&o["spec"]["parameters"]).into(), age(o, now)],
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Controller", "string", 0, "Controller that is responsible for handling this class"),
    column("Parameters", "string", 0, "A reference to a resource with additional parameters"),
    AGE,
];

const MAX_CONTROLLER: usize = 250;
const SCOPES: [&str; 2] = ["Cluster", "Namespace"];

fn default(object: &mut Value) {
    if object["spec"]["parameters"].is_object() {
        fill(&mut object["spec"]["parameters"], "scope", "Cluster");
    }
}

fn validate(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let (path, controller) = ("spec.controller", text(&object["spec"], "controller"));
    if controller.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else {
        if controller.len() > MAX_CONTROLLER {
            errors.push(FieldError::too_long(path, MAX_CONTROLLER));
        }
        errors.extend(domain_prefixed_path(controller, path));
    }
    let parameters = &object["spec"]["parameters"];
    if !parameters.is_object() {
        return errors;
    }
    let path = "spec.parameters";
    validate_reference(parameters, path, &mut errors);
    let (field, namespace) = (format!("{path}.namespace"), parameters["namespace"].as_str());
    match (text(parameters, "scope"), namespace) {
        ("", _) => errors.push(FieldError::required(format!("{path}.scope"), "")),
        ("Namespace", None) => errors.push(FieldError::required(field, "`parameters.scope` is set to 'Namespace'")),
        ("Namespace", Some(namespace)) => errors.extend(invalid_each(&field, namespace, names::dns1123_label(namespace))),
        ("Cluster", Some(_)) => errors.push(FieldError::forbidden(field, "`parameters.scope` is set to 'Cluster'")),
        ("Cluster", None) => {}
        (other, _) => errors.push(FieldError::not_supported(format!("{path}.scope"), other, &SCOPES)),
    }
    errors
}

/// `example.com/any/path`
fn domain_prefixed_path(value: &str, path: &str) -> Vec<FieldError> {
    let Some((domain, rest)) = value.split_once('/').filter(|(domain, rest)| !domain.is_empty() && !rest.is_empty()) else {
        return vec![FieldError::invalid(path, value, "must be a domain-prefixed path (such as \"acme.io/foo\")")];
    };
    let mut errors: Vec<_> = invalid_each(path, domain, names::dns1123_subdomain(domain)).collect();
    let good = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%".contains(&b);
    if !rest.bytes().all(good) {
        let why = "a valid path must consist of characters of an HTTP path (e.g. 'my.name',  or '123-abc', regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";
        errors.push(FieldError::invalid(path, rest, why));
    }
    errors
}

/// `Kind.group/name`
fn parameters(reference: &Value) -> String {
    if !reference.is_object() {
        return "<none>".into();
    }
    let group = reference["apiGroup"].as_str().map(|group| format!(".{group}")).unwrap_or_default();
    format!("{}{group}/{}", text(reference, "kind"), text(reference, "name"))
}

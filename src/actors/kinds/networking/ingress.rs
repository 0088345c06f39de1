//! `networking.k8s.io/v1 Ingress`.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name, or_none};
use crate::actors::kinds::core::service::{balancer_addresses, balancer_host};
use crate::actors::kinds::fields::annotation;
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::INGRESS;
use crate::protocol::names;
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::{invalid_each, items, network, text};
use serde_json::{Value, json};

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "networking.k8s.io",
        version: "v1",
        kind: "Ingress",
        plural: "ingresses",
        singular: "ingress",
        namespaced: true,
        short_names: &["ing"],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[Subresource {
            name: "status",
            group: "networking.k8s.io",
            version: "v1",
            kind: "Ingress",
            verbs: &["get", "patch", "update"],
        }],
    },
    body: Body::Typed(&INGRESS),
    schema: "Ingress",
    rules: Rules {
        create: |o| o["status"] = json!({ "loadBalancer": {} }),
        validate,
        validate_create,
        validate_status: |new, _| validate_status(new),
        warnings,
        generation: true,
        ..PLAIN
    },
    columns: COLUMNS,
    row,
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Class", "string", 0, "The name of the IngressClass resource that should be used for additional configuration"),
    column("Hosts", "string", 0, "Hosts that incoming requests are matched against before the ingress rule"),
    column("Address", "string", 0, "Address is a list containing ingress points for the load-balancer"),
    column("Ports", "string", 0, "Ports of TLS configurations that open"),
    AGE,
];

/// The annotation that named the class before there was a field.
const OLD_CLASS: &str = "kubernetes.io/ingress.class";
const PATH_TYPES: [&str; 3] = ["Exact", "ImplementationSpecific", "Prefix"];
const BAD_SEQUENCES: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
const NOT_AN_ADDRESS: &str = "must be a DNS name, not an IP address";

fn validate(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let mut errors = Vec::new();
    if spec["rules"].as_array().is_none_or(Vec::is_empty) && spec["defaultBackend"].is_null() {
        errors.push(FieldError::invalid("spec", spec["rules"].clone(), "either `defaultBackend` or `rules` must be specified"));
    }
    if spec["defaultBackend"].is_object() {
        validate_backend(&spec["defaultBackend"], "spec.defaultBackend", &mut errors);
    }
    items(spec, "spec", "rules").for_each(|(path, rule)| validate_rule(rule, &path, &mut errors));
    for (path, tls) in items(spec, "spec", "tls") {
        for (path, host) in items(tls, &path, "hosts") {
            let host = host.as_str().unwrap_or_default();
            errors.extend(invalid_each(&path, host, host_faults(host)));
        }
        let secret = text(tls, "secretName");
        if !secret.is_empty() {
            errors.extend(invalid_each(&format!("{path}.secretName"), secret, names::dns1123_subdomain(secret)));
        }
    }
    if let Some(class) = spec["ingressClassName"].as_str() {
        errors.extend(invalid_each("spec.ingressClassName", class, names::dns1123_subdomain(class)));
    }
    errors
}

fn validate_create(object: &Value) -> Vec<FieldError> {
    match (object["spec"]["ingressClassName"].as_str(), annotation(object, OLD_CLASS)) {
        (Some(class), Some(noted)) if class != noted => {
            let why = "must match `ingressClassName` when both are specified";
            vec![FieldError::invalid(format!("annotations.{OLD_CLASS}"), noted, why)]
        }
        _ => Vec::new(),
    }
}

fn host_faults(host: &str) -> Vec<String> {
    if host.contains('*') { names::wildcard_subdomain(host) } else { names::dns1123_subdomain(host) }
}

fn validate_rule(rule: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let host = text(rule, "host");
    if !host.is_empty() {
        let field = format!("{path}.host");
        if network::parse_address(host).is_some() {
            errors.push(FieldError::invalid(field.as_str(), host, NOT_AN_ADDRESS));
        }
        errors.extend(invalid_each(&field, host, host_faults(host)));
    }
    if !rule["http"].is_object() {
        return;
    }
    let path = format!("{path}.http");
    if rule["http"]["paths"].as_array().is_none_or(Vec::is_empty) {
        errors.push(FieldError::required(format!("{path}.paths"), ""));
    }
    for (path, entry) in items(&rule["http"], &path, "paths") {
        validate_path(entry, &path, errors);
    }
}

fn validate_path(entry: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let (field, value) = (format!("{path}.path"), text(entry, "path"));
    let mut fault = |why: String| errors.push(FieldError::invalid(field.as_str(), value, why));
    match text(entry, "pathType") {
        "" => {
            errors.push(FieldError::required(format!("{path}.pathType"), "pathType must be specified"));
            return;
        }
        "Exact" | "Prefix" => {
            if !value.starts_with('/') {
                fault("must be an absolute path".into());
            }
            BAD_SEQUENCES.iter().filter(|bad| value.contains(**bad)).for_each(|bad| fault(format!("must not contain '{bad}'")));
            ["/..", "/."].iter().filter(|bad| value.ends_with(**bad)).for_each(|bad| fault(format!("cannot end with '{bad}'")));
        }
        "ImplementationSpecific" => {
            if !value.is_empty() && !value.starts_with('/') {
                fault("must be an absolute path".into());
            }
        }
        other => errors.push(FieldError::not_supported(format!("{path}.pathType"), other, &PATH_TYPES)),
    }
    validate_backend(&entry["backend"], &format!("{path}.backend"), errors);
}

fn validate_backend(backend: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let (service, resource) = (&backend["service"], &backend["resource"]);
    match (service.is_object(), resource.is_object()) {
        (true, true) => errors.push(FieldError::invalid(path, "", "cannot set both resource and service backends")),
        (false, false) => errors.push(FieldError::invalid(path, "", "resource or service backend is required")),
        (false, true) => validate_reference(resource, &format!("{path}.resource"), errors),
        (true, false) => {
            let (field, name) = (format!("{path}.service.name"), text(service, "name"));
            if name.is_empty() {
                errors.push(FieldError::required(field, ""));
            } else {
                errors.extend(invalid_each(&field, name, names::dns1035_label(name)));
            }
            let (name, number) = (text(&service["port"], "name"), service["port"]["number"].as_i64().unwrap_or(0));
            match (name.is_empty(), number == 0) {
                (false, false) => errors.push(FieldError::invalid(path, "", "cannot set both port name & port number")),
                (true, true) => errors.push(FieldError::required(path, "port name or number is required")),
                (false, true) => errors.extend(invalid_each(&format!("{path}.service.port.name"), name, names::port_name(name))),
                (true, false) => errors.extend(network::port_number(&format!("{path}.service.port.number"), number)),
            }
        }
    }
}

/// A reference to an object of any kind in the same namespace.
pub(super) fn validate_reference(reference: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if let Some(group) = reference["apiGroup"].as_str() {
        errors.extend(invalid_each(&format!("{path}.apiGroup"), group, names::dns1123_subdomain(group)));
    }
    for field in ["kind", "name"] {
        let (path, value) = (format!("{path}.{field}"), text(reference, field));
        if value.is_empty() {
            errors.push(FieldError::required(path, ""));
        } else {
            errors.extend(invalid_each(&path, value, names::name_is_path_segment(value, false)));
        }
    }
}

fn validate_status(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (path, ingress) in items(&object["status"]["loadBalancer"], "status.loadBalancer", "ingress") {
        let ip = text(ingress, "ip");
        if !ip.is_empty() {
            errors.extend(network::address(&format!("{path}.ip"), ip));
        }
        balancer_host(ingress, &path, &mut errors);
    }
    errors
}

fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    if old.is_none() && annotation(new, OLD_CLASS).is_some() && new["spec"]["ingressClassName"].is_null() {
        return vec![format!("annotation \"{OLD_CLASS}\" is deprecated, please use 'spec.ingressClassName' instead")];
    }
    Vec::new()
}

fn row(o: &Value, now: i64) -> Vec<Value> {
    let spec = &o["spec"];
    let tls = spec["tls"].as_array().is_some_and(|t| !t.is_empty());
    vec![
        name(o),
        or_none(text(spec, "ingressClassName")),
        hosts(spec).into(),
        balancer_addresses(&o["status"]).join(",").into(),
        if tls { "80, 443" } else { "80" }.into(),
        age(o, now),
    ]
}

/// At most three hosts; `*` when any will do.
fn hosts(spec: &Value) -> String {
    const SHOWN: usize = 3;
    let rules = spec["rules"].as_array().into_iter().flatten();
    let hosts: Vec<&str> = rules.map(|rule| text(rule, "host")).filter(|h| !h.is_empty()).collect();
    if hosts.is_empty() {
        return "*".into();
    }
    let shown = hosts.iter().take(SHOWN).copied().collect::<Vec<_>>().join(",");
    if hosts.len() > SHOWN { format!("{shown} + {} more...", hosts.len() - SHOWN) } else { shown }
}

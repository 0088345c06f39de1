//! `networking.k8s.io/v1 NetworkPolicy`.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name, or_none};
use crate::actors::kinds::fields::{fill, items_mut, texts};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::NETWORK_POLICY;
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::selector::LabelSelector;
use crate::protocol::status::FieldError;
use crate::protocol::validation::network::{self, Network};
use crate::protocol::validation::{items, selector, text};
use serde_json::{Value, json};

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "networking.k8s.io",
        version: "v1",
        kind: "NetworkPolicy",
        plural: "networkpolicies",
        singular: "networkpolicy",
        namespaced: true,
        short_names: &["netpol"],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&NETWORK_POLICY),
    schema: "NetworkPolicy",
    rules: Rules { default, validate, warnings, generation: true, ..PLAIN },
    columns: COLUMNS,
    row: |o, now| {
        let selector = LabelSelector::from_object(&o["spec"]["podSelector"]).map(|s| s.to_string()).unwrap_or_default();
        vec![name(o), or_none(&selector), age(o, now)]
    },
    view: None,
};

const COLUMNS: &[Column] = &[NAME, column("Pod-Selector", "string", 0, "Which pods the policy is for."), AGE];

const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
const TYPES: [&str; 2] = ["Ingress", "Egress"];
/// The two directions, with the member that holds their peers.
const DIRECTIONS: [(&str, &str); 2] = [("ingress", "from"), ("egress", "to")];

fn default(object: &mut Value) {
    let spec = &mut object["spec"];
    if spec.is_null() {
        *spec = json!({});
    }
    for (direction, _) in DIRECTIONS {
        for rule in items_mut(spec, direction) {
            items_mut(rule, "ports").for_each(|port| fill(port, "protocol", "TCP"));
        }
    }
    if spec["policyTypes"].as_array().is_none_or(Vec::is_empty) {
        let egress = spec["egress"].as_array().is_some_and(|e| !e.is_empty());
        spec["policyTypes"] = if egress { json!(TYPES) } else { json!(["Ingress"]) };
    }
}

fn validate(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let mut errors = selector(&spec["podSelector"], "spec.podSelector");
    for (direction, peers) in DIRECTIONS {
        for (path, rule) in items(spec, "spec", direction) {
            items(rule, &path, "ports").for_each(|(path, port)| validate_port(port, &path, &mut errors));
            items(rule, &path, peers).for_each(|(path, peer)| validate_peer(peer, &path, &mut errors));
        }
    }
    let (path, types) = ("spec.policyTypes", texts(&spec["policyTypes"]));
    if types.len() > TYPES.len() {
        errors.push(FieldError::invalid(path, spec["policyTypes"].clone(), "may not specify more than two policyTypes"));
        return errors;
    }
    for (i, type_) in types.into_iter().enumerate().filter(|(_, t)| !TYPES.contains(t)) {
        errors.push(FieldError::not_supported(format!("{path}[{i}]"), type_, &TYPES));
    }
    errors
}

fn validate_port(port: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if let Some(protocol) = port["protocol"].as_str().filter(|p| !PROTOCOLS.contains(p)) {
        errors.push(FieldError::not_supported(format!("{path}.protocol"), protocol, &PROTOCOLS));
    }
    let (field, number) = (format!("{path}.endPort"), &port["port"]);
    let end = port["endPort"].as_i64();
    match (number.as_i64(), end) {
        (Some(number), Some(end)) => {
            errors.extend(network::port_number(&format!("{path}.port"), number));
            if end < number {
                errors.push(FieldError::invalid(field.as_str(), end, "must be greater than or equal to `port`"));
            }
            errors.extend(network::port_number(&field, end));
        }
        (None, Some(end)) => {
            let why = if number.is_null() { "not specified" } else { "non-numeric" };
            errors.push(FieldError::invalid(field, end, format!("may not be specified when `port` is {why}")));
            if !number.is_null() {
                errors.extend(network::port_number_or_name(&format!("{path}.port"), number));
            }
        }
        (_, None) if !number.is_null() => errors.extend(network::port_number_or_name(&format!("{path}.port"), number)),
        _ => {}
    }
}

fn validate_peer(peer: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let mut found = 0;
    for field in ["podSelector", "namespaceSelector"] {
        if peer[field].is_object() {
            found += 1;
            errors.extend(selector(&peer[field], &format!("{path}.{field}")));
        }
    }
    let block = &peer["ipBlock"];
    if block.is_object() {
        found += 1;
        validate_block(block, &format!("{path}.ipBlock"), errors);
    }
    if found == 0 {
        errors.push(FieldError::required(path, "must specify a peer"));
    } else if found > 1 && block.is_object() {
        errors.push(FieldError::forbidden(path, "may not specify both ipBlock and another peer"));
    }
}

fn validate_block(block: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let (field, whole) = (format!("{path}.cidr"), text(block, "cidr"));
    if whole.is_empty() {
        errors.push(FieldError::required(field, ""));
        return;
    }
    errors.extend(network::network(&field, whole));
    let Some(whole) = Network::parse(whole) else { return };
    for (path, except) in items(block, path, "except") {
        let except = except.as_str().unwrap_or_default();
        errors.extend(network::network(&path, except));
        if Network::parse(except).is_some_and(|part| !whole.contains(part.address) || whole.prefix >= part.prefix) {
            errors.push(FieldError::invalid(path, except, "must be a strict subset of `cidr`"));
        }
    }
}

fn warnings(new: &Value, _: Option<&Value>) -> Vec<String> {
    let mut warnings = Vec::new();
    for (direction, peers) in DIRECTIONS {
        for (path, rule) in items(&new["spec"], "spec", direction) {
            for (path, peer) in items(rule, &path, peers) {
                let (path, block) = (format!("{path}.ipBlock"), &peer["ipBlock"]);
                warnings.extend(network::network_warning(&format!("{path}.cidr"), text(block, "cidr")));
                let except = items(block, &path, "except");
                warnings.extend(except.filter_map(|(path, e)| network::network_warning(&path, e.as_str().unwrap_or_default())));
            }
        }
    }
    warnings
}

//! `discovery.k8s.io/v1 EndpointSlice`.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::core::endpoints::PROTOCOLS;
use crate::actors::kinds::fields::{fill, immutable, items_mut, texts, too_many};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::ENDPOINT_SLICE;
use crate::protocol::names;
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::{invalid_each, items, labels, network, one_of, text};
use serde_json::Value;
use std::collections::HashSet;

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "discovery.k8s.io",
        version: "v1",
        kind: "EndpointSlice",
        plural: "endpointslices",
        singular: "endpointslice",
        namespaced: true,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&ENDPOINT_SLICE),
    schema: "EndpointSlice",
    rules: Rules {
        default,
        validate,
        validate_create,
        validate_update: |new, old| immutable(&new["addressType"], &old["addressType"], "addressType").into_iter().collect(),
        warnings,
        generation: true,
        ..PLAIN
    },
    columns: COLUMNS,
    row: |o, now| vec![name(o), text(o, "addressType").into(), ports(o).into(), endpoints(o).into(), age(o, now)],
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("AddressType", "string", 0, "IPv4, IPv6 or FQDN."),
    column("Ports", "string", 0, "The ports of every endpoint."),
    column("Endpoints", "string", 0, "Addresses of the endpoints."),
    AGE,
];

const TYPES: [&str; 3] = ["FQDN", "IPv4", "IPv6"];
/// Stored slices may be of a type that is not accepted any more.
const STORED_TYPES: [&str; 4] = ["FQDN", "IP", "IPv4", "IPv6"];
const MAX_TOPOLOGY: usize = 16;
const MAX_ADDRESSES: usize = 100;
const MAX_PORTS: usize = 20_000;
const MAX_ENDPOINTS: usize = 1000;
const MAX_HINTS: usize = 8;

fn default(object: &mut Value) {
    for port in items_mut(object, "ports") {
        fill(port, "name", "");
        fill(port, "protocol", "TCP");
    }
}

/// The oldest type of addresses is for stored slices only; any other is refused by `validate`.
fn validate_create(object: &Value) -> Vec<FieldError> {
    let type_ = text(object, "addressType");
    let is_old = STORED_TYPES.contains(&type_) && !TYPES.contains(&type_);
    if is_old { vec![FieldError::not_supported("addressType", type_, &TYPES)] } else { Vec::new() }
}

fn validate(object: &Value) -> Vec<FieldError> {
    let type_ = text(object, "addressType");
    let mut errors = Vec::new();
    match type_ {
        "" => errors.push(FieldError::required("addressType", "")),
        known if STORED_TYPES.contains(&known) => {}
        other => errors.push(FieldError::not_supported("addressType", other, &TYPES)),
    }
    let count = |field: &str| object[field].as_array().map_or(0, Vec::len);
    if count("endpoints") > MAX_ENDPOINTS {
        errors.push(too_many("endpoints", count("endpoints"), MAX_ENDPOINTS));
    } else {
        items(object, "", "endpoints").for_each(|(path, endpoint)| validate_endpoint(endpoint, type_, &path, &mut errors));
    }
    if count("ports") > MAX_PORTS {
        errors.push(too_many("ports", count("ports"), MAX_PORTS));
    } else {
        let mut seen = HashSet::new();
        items(object, "", "ports").for_each(|(path, port)| validate_port(port, &path, &mut seen, &mut errors));
    }
    errors
}

fn validate_endpoint(endpoint: &Value, type_: &str, path: &str, errors: &mut Vec<FieldError>) {
    let field = format!("{path}.addresses");
    match endpoint["addresses"].as_array().map_or(0, Vec::len) {
        0 => errors.push(FieldError::required(field, "must contain at least 1 address")),
        n if n > MAX_ADDRESSES => errors.push(too_many(field, n, MAX_ADDRESSES)),
        _ => {}
    }
    for (path, address) in items(endpoint, path, "addresses") {
        validate_address(address.as_str().unwrap_or_default(), type_, &path, errors);
    }
    let field = format!("{path}.deprecatedTopology");
    let topology = endpoint["deprecatedTopology"].as_object().map_or(0, |t| t.len());
    if topology > MAX_TOPOLOGY {
        errors.push(too_many(field.as_str(), topology, MAX_TOPOLOGY));
    }
    errors.extend(labels(&endpoint["deprecatedTopology"], &field));
    if let Some(node) = endpoint["nodeName"].as_str() {
        errors.extend(invalid_each(&format!("{path}.nodeName"), node, names::dns1123_subdomain(node)));
    }
    if let Some(host) = endpoint["hostname"].as_str() {
        errors.extend(invalid_each(&format!("{path}.hostname"), host, names::dns1123_label(host)));
    }
    for list in ["forZones", "forNodes"] {
        let field = format!("{path}.hints.{list}");
        let hints = &endpoint["hints"][list];
        let count = hints.as_array().map_or(0, Vec::len);
        if count > MAX_HINTS {
            errors.push(too_many(field, count, MAX_HINTS));
            continue;
        }
        let mut seen = HashSet::new();
        for (path, hint) in items(&endpoint["hints"], &format!("{path}.hints"), list) {
            let (path, name) = (format!("{path}.name"), text(hint, "name"));
            if !seen.insert(name) {
                errors.push(FieldError::duplicate(path.as_str(), name));
            }
            errors.extend(invalid_each(&path, name, names::label_value(name)));
        }
    }
}

fn validate_address(address: &str, type_: &str, path: &str, errors: &mut Vec<FieldError>) {
    match type_ {
        "IP" => errors.extend(network::address(path, address)),
        "IPv4" | "IPv6" => {
            let is_old = network::parse_address(address).map(|ip| ip.is_ipv4());
            if is_old != Some(type_ == "IPv4") {
                errors.push(FieldError::invalid(path, address, format!("must be a valid {type_} address")));
            }
            errors.extend(network::not_special(path, address));
        }
        "FQDN" => {
            let name = address.strip_suffix('.').unwrap_or(address);
            if address.is_empty() {
                errors.push(FieldError::required(path, ""));
            } else if !name.contains('.') {
                errors.push(FieldError::invalid(path, address, "should be a domain with at least two segments separated by dots"));
            } else {
                errors.extend(invalid_each(path, address, names::dns1123_subdomain(name)));
            }
        }
        _ => {}
    }
}

fn validate_port<'a>(port: &'a Value, path: &str, seen: &mut HashSet<&'a str>, errors: &mut Vec<FieldError>) {
    let (field, name) = (format!("{path}.name"), text(port, "name"));
    if !name.is_empty() {
        errors.extend(invalid_each(&field, name, names::dns1123_label(name)));
    }
    if !seen.insert(name) {
        errors.push(FieldError::duplicate(field, name));
    }
    errors.extend(one_of(port, path, "protocol", &PROTOCOLS));
    if let Some(protocol) = port["appProtocol"].as_str() {
        errors.extend(invalid_each(&format!("{path}.appProtocol"), protocol, names::qualified_name(protocol)));
    }
}

fn warnings(new: &Value, _: Option<&Value>) -> Vec<String> {
    if new["addressType"] == "FQDN" {
        return vec!["addressType: FQDN endpoints are deprecated".into()];
    }
    let mut warnings = Vec::new();
    for (path, endpoint) in items(new, "", "endpoints") {
        let addresses = items(endpoint, &path, "addresses");
        warnings.extend(addresses.filter_map(|(path, ip)| network::address_warning(&path, ip.as_str().unwrap_or_default())));
    }
    warnings
}

fn ports(o: &Value) -> String {
    let shown = |port: &Value| match port["port"].as_i64() {
        Some(number) => number.to_string(),
        None if text(port, "name").is_empty() => "*".into(),
        None => text(port, "name").to_string(),
    };
    shortened(o["ports"].as_array().into_iter().flatten().map(shown).collect())
}

fn endpoints(o: &Value) -> String {
    let each = |endpoint: &'_ Value| texts(&endpoint["addresses"]).into_iter().map(str::to_string).collect::<Vec<_>>();
    shortened(o["endpoints"].as_array().into_iter().flatten().flat_map(each).collect())
}

/// At most three of them, and how many more there are.
fn shortened(list: Vec<String>) -> String {
    const SHOWN: usize = 3;
    if list.is_empty() {
        return "<unset>".into();
    }
    let shown = list.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(",");
    if list.len() > SHOWN { format!("{shown} + {} more...", list.len() - SHOWN) } else { shown }
}

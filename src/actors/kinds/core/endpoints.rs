//! `v1 Endpoints`: what EndpointSlices were before.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::fields::{fill, items_mut};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::ENDPOINTS;
use crate::protocol::names;
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::{invalid_each, items, network, one_of, text};
use serde_json::Value;

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "",
        version: "v1",
        kind: "Endpoints",
        plural: "endpoints",
        singular: "endpoints",
        namespaced: true,
        short_names: &["ep"],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&ENDPOINTS),
    schema: "Endpoints",
    rules: Rules { default, validate, warnings, create_on_update: true, ..PLAIN },
    columns: COLUMNS,
    row: |o, now| vec![name(o), addresses(o).into(), age(o, now)],
    view: None,
};

const COLUMNS: &[Column] = &[NAME, column("Endpoints", "string", 0, "Ready addresses with their ports."), AGE];

/// What upstream tells everybody who uses the kind.
pub const DEPRECATED: &str = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";

/// The protocols of ports, as upstream lists them.
pub const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

fn default(object: &mut Value) {
    for subset in items_mut(object, "subsets") {
        items_mut(subset, "ports").for_each(|port| fill(port, "protocol", "TCP"));
    }
}

fn validate(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (path, subset) in items(object, "", "subsets") {
        let empty = |field: &str| subset[field].as_array().is_none_or(Vec::is_empty);
        if empty("addresses") && empty("notReadyAddresses") {
            errors.push(FieldError::required(path.as_str(), "must specify `addresses` or `notReadyAddresses`"));
        }
        for list in ["addresses", "notReadyAddresses"] {
            items(subset, &path, list).for_each(|(path, address)| validate_address(address, &path, &mut errors));
        }
        let several = subset["ports"].as_array().is_some_and(|p| p.len() > 1);
        items(subset, &path, "ports").for_each(|(path, port)| validate_port(port, several, &path, &mut errors));
    }
    errors
}

fn validate_address(address: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let ip = text(address, "ip");
    let field = format!("{path}.ip");
    errors.extend(network::address(&field, ip));
    let host = text(address, "hostname");
    if !host.is_empty() {
        errors.extend(invalid_each(&format!("{path}.hostname"), host, names::dns1123_label(host)));
    }
    if let Some(node) = address["nodeName"].as_str() {
        errors.extend(invalid_each(&format!("{path}.nodeName"), node, names::dns1123_subdomain(node)));
    }
    errors.extend(network::not_special(&field, ip));
}

fn validate_port(port: &Value, needs_name: bool, path: &str, errors: &mut Vec<FieldError>) {
    let name = text(port, "name");
    if !name.is_empty() {
        errors.extend(invalid_each(&format!("{path}.name"), name, names::dns1123_label(name)));
    } else if needs_name {
        errors.push(FieldError::required(format!("{path}.name"), ""));
    }
    errors.extend(network::port_number(&format!("{path}.port"), port["port"].as_i64().unwrap_or(0)));
    errors.extend(one_of(port, path, "protocol", &PROTOCOLS));
    if let Some(protocol) = port["appProtocol"].as_str() {
        errors.extend(invalid_each(&format!("{path}.appProtocol"), protocol, names::qualified_name(protocol)));
    }
}

fn warnings(new: &Value, _: Option<&Value>) -> Vec<String> {
    let mut warnings = vec![DEPRECATED.to_string()];
    for (path, subset) in items(new, "", "subsets") {
        for list in ["addresses", "notReadyAddresses"] {
            warnings
                .extend(items(subset, &path, list).filter_map(|(path, a)| network::address_warning(&format!("{path}.ip"), text(a, "ip"))));
        }
    }
    warnings
}

/// At most three ready addresses with their ports.
fn addresses(object: &Value) -> String {
    const SHOWN: usize = 3;
    let subsets = object["subsets"].as_array().map(Vec::as_slice).unwrap_or_default();
    if subsets.is_empty() {
        return "<none>".into();
    }
    let mut shown = Vec::new();
    let mut count = 0;
    for subset in subsets {
        let addresses = subset["addresses"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ports = subset["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
        // A headless service's endpoints may have no ports.
        let portless = ports.is_empty().then_some(None);
        for port in ports.iter().map(|p| p["port"].as_i64()).chain(portless) {
            for address in addresses {
                count += 1;
                if shown.len() < SHOWN {
                    shown.push(host_port(text(address, "ip"), port));
                }
            }
        }
    }
    let text = shown.join(",");
    if count > SHOWN { format!("{text} + {} more...", count - SHOWN) } else { text }
}

fn host_port(ip: &str, port: Option<i64>) -> String {
    match port {
        None => ip.to_string(),
        Some(port) if ip.contains(':') => format!("[{ip}]:{port}"),
        Some(port) => format!("{ip}:{port}"),
    }
}

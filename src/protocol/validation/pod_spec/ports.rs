//! A container's ports.
use crate::names;
use crate::status::FieldError;
use crate::validation::{invalid_each, items, one_of, text};
use serde_json::Value;
use std::collections::HashSet;

const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

pub(super) fn validate(container: &Value, path: &str, host_network: bool, faults: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for (path, port) in items(container, path, "ports") {
        let name = text(port, "name");
        if !name.is_empty() {
            let sentences = names::port_name(name);
            if sentences.is_empty() && !seen.insert(name) {
                faults.push(FieldError::duplicate(format!("{path}.name"), name));
            }
            faults.extend(invalid_each(&format!("{path}.name"), name, sentences));
        }
        let number = port["containerPort"].as_i64().unwrap_or_default();
        let host = port["hostPort"].as_i64().unwrap_or_default();
        if number == 0 {
            faults.push(FieldError::required(format!("{path}.containerPort"), ""));
        } else {
            faults.extend(names::port_number(number).into_iter().map(|s| FieldError::invalid(format!("{path}.containerPort"), number, s)));
        }
        if host != 0 {
            faults.extend(names::port_number(host).into_iter().map(|s| FieldError::invalid(format!("{path}.hostPort"), host, s)));
        }
        if host_network && host != 0 && host != number {
            faults.push(FieldError::invalid(format!("{path}.containerPort"), number, "must match `hostPort` when `hostNetwork` is true"));
        }
        faults.extend(one_of(port, &path, "protocol", &PROTOCOLS));
        let address = text(port, "hostIP");
        if !address.is_empty() && address.parse::<std::net::IpAddr>().is_err() {
            faults.push(FieldError::invalid(format!("{path}.hostIP"), address, "must be a valid IP address"));
        }
    }
}

/// Host ports that another container of the pod has taken. `taken` collects over containers.
pub(super) fn conflicts(container: &Value, path: &str, taken: &mut HashSet<String>, faults: &mut Vec<FieldError>) {
    for (path, port) in items(container, path, "ports") {
        let host = port["hostPort"].as_i64().unwrap_or_default();
        if host == 0 {
            continue;
        }
        let claim = format!("{}/{}/{host}", text(port, "protocol"), text(port, "hostIP"));
        if !taken.insert(claim.clone()) {
            faults.push(FieldError::duplicate(format!("{path}.hostPort"), claim));
        }
    }
}

//! A container's ports.
use super::{Pod, dns};
use crate::names;
use crate::status::FieldError;
use crate::validation::{invalid_each, items, one_of, text};
use serde_json::Value;
use std::collections::HashSet;

const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

pub(super) fn validate(container: &Value, path: &str, faults: &mut Vec<FieldError>) {
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
        faults.extend(one_of(port, &path, "protocol", &PROTOCOLS));
        let address = text(port, "hostIP");
        if !address.is_empty() {
            faults.extend(dns::not_an_address(address, &format!("{path}.hostIP")));
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

/// In the host's network a port is the host's port. Templates may leave it out: their pods get it.
pub(super) fn with_host_network(pod: &Pod<'_>, faults: &mut Vec<FieldError>) {
    if pod.spec["hostNetwork"] != true {
        return;
    }
    for (path, container) in items(pod.spec, pod.path, "containers") {
        for (path, port) in items(container, &path, "ports") {
            let (host, own) = (port["hostPort"].as_i64().unwrap_or_default(), port["containerPort"].as_i64().unwrap_or_default());
            if host != own && (pod.real || host != 0) {
                let why = "must match `containerPort` when `hostNetwork` is true";
                faults.push(FieldError::invalid(format!("{path}.hostPort"), host, why));
            }
        }
    }
}

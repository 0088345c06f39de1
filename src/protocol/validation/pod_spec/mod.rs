//! The spec of a pod. Expects defaults to be filled in.
mod containers;
mod env;
mod ports;
mod probes;
mod resources;
mod scheduling;
#[cfg(test)]
mod tests;
mod volumes;

pub use resources::resource_requirements;

use super::{invalid_each, items, labels, not_negative, one_of, text};
use crate::names;
use crate::status::FieldError;
use serde_json::Value;

const DNS_POLICIES: [&str; 4] = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"];
const RESTART_POLICIES: [&str; 3] = ["Always", "Never", "OnFailure"];

/// Checks a `PodSpec`; `path` is where it stands: `spec`, or `spec.template.spec`.
pub fn validate_pod_spec(spec: &Value, path: &str) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let volumes = volumes::validate(spec, path, &mut faults);
    containers::validate(spec, path, &volumes, &mut faults);
    faults.extend(one_of(spec, path, "restartPolicy", &RESTART_POLICIES));
    faults.extend(one_of(spec, path, "dnsPolicy", &DNS_POLICIES));
    validate_dns(spec, path, &mut faults);
    faults.extend(labels(&spec["nodeSelector"], &format!("{path}.nodeSelector")));
    faults.extend(not_negative(spec, path, "terminationGracePeriodSeconds"));
    if let Some(seconds) = spec["activeDeadlineSeconds"].as_i64().filter(|s| !(1..=i64::from(i32::MAX)).contains(s)) {
        faults.push(FieldError::invalid(format!("{path}.activeDeadlineSeconds"), seconds, "must be between 1 and 2147483647, inclusive"));
    }
    for (field, rule) in [
        ("serviceAccountName", names::dns1123_subdomain as fn(&str) -> Vec<String>),
        ("nodeName", names::dns1123_subdomain),
        ("hostname", names::dns1123_label),
        ("subdomain", names::dns1123_label),
        ("priorityClassName", names::dns1123_subdomain),
        ("runtimeClassName", names::dns1123_subdomain),
    ] {
        let name = text(spec, field);
        if !name.is_empty() {
            faults.extend(invalid_each(&format!("{path}.{field}"), name, rule(name)));
        }
    }
    for (path, alias) in items(spec, path, "hostAliases") {
        let address = text(alias, "ip");
        if address.parse::<std::net::IpAddr>().is_err() {
            faults.push(FieldError::invalid(format!("{path}.ip"), address, "must be a valid IP address"));
        }
        for (path, name) in items(alias, &path, "hostnames") {
            let name = name.as_str().unwrap_or_default();
            faults.extend(invalid_each(&path, name, names::dns1123_subdomain(name)));
        }
    }
    scheduling::validate(spec, path, &mut faults);
    faults.extend(resource_requirements(&spec["resources"], &format!("{path}.resources")));
    faults
}

fn validate_dns(spec: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let config = &spec["dnsConfig"];
    let path = format!("{path}.dnsConfig");
    let servers = config["nameservers"].as_array().map_or(0, Vec::len);
    if text(spec, "dnsPolicy") == "None" {
        if config.is_null() {
            faults.push(FieldError::required(path.as_str(), "must provide `dnsConfig` when `dnsPolicy` is None"));
        } else if servers == 0 {
            let why = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            faults.push(FieldError::required(format!("{path}.nameservers"), why));
        }
    }
    if servers > 3 {
        let list = config["nameservers"].clone();
        faults.push(FieldError::invalid(format!("{path}.nameservers"), list, "must not have more than 3 nameservers"));
    }
    for (path, server) in items(config, &path, "nameservers") {
        let server = server.as_str().unwrap_or_default();
        if server.parse::<std::net::IpAddr>().is_err() {
            faults.push(FieldError::invalid(path, server, "must be a valid IP address"));
        }
    }
}

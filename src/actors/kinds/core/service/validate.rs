//! The rules for a service by itself.
use super::changes::{is_external, is_headless, needs_health_check, number};
use crate::actors::kinds::core::endpoints::PROTOCOLS;
use crate::actors::kinds::fields::{annotation, texts};
use crate::protocol::names;
use crate::protocol::status::FieldError;
use crate::protocol::validation::{invalid_each, items, labels, network, one_of, text};
use serde_json::{Value, json};
use std::collections::HashSet;

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const AFFINITIES: [&str; 2] = ["ClientIP", "None"];
const TRAFFIC_POLICIES: [&str; 2] = ["Cluster", "Local"];
const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];
const FAMILY_POLICIES: [&str; 3] = ["PreferDualStack", "RequireDualStack", "SingleStack"];
const DISTRIBUTIONS: [&str; 3] = ["PreferClose", "PreferSameNode", "PreferSameZone"];
const BALANCER_ONLY: &str = "may only be used when `type` is 'LoadBalancer'";
/// The annotations that asked for topology hints, old and new.
const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
const TOPOLOGY_MODE: &str = "service.kubernetes.io/topology-mode";
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
/// A day, the longest affinity, seconds.
const MAX_AFFINITY: i64 = 86_400;

pub(super) fn validate(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let mut errors = Vec::new();
    if let (Some(mode), Some(hints)) = (annotation(object, TOPOLOGY_MODE), annotation(object, HINTS))
        && mode != hints
    {
        let why = format!("must match annotations[{HINTS}] when both are specified");
        errors.push(FieldError::invalid(format!("metadata.annotations[{TOPOLOGY_MODE}]"), mode, why));
    }
    if is_empty(&spec["ports"]) && !is_headless(spec) && text(spec, "type") != "ExternalName" {
        errors.push(FieldError::required("spec.ports", ""));
    }
    by_type(spec, &mut errors);
    let several = spec["ports"].as_array().is_some_and(|p| p.len() > 1);
    let mut seen = HashSet::new();
    for (path, port) in items(spec, "spec", "ports") {
        validate_port(port, several, &path, &mut seen, &mut errors);
    }
    errors.extend(labels(&spec["selector"], "spec.selector"));
    affinity(spec, &mut errors);
    errors.extend(address_fields(spec));
    for (path, ip) in items(spec, "spec", "externalIPs") {
        let ip = ip.as_str().unwrap_or_default();
        let faults = network::address(&path, ip);
        errors.extend(if faults.is_empty() { network::not_special(&path, ip) } else { faults });
    }
    errors.extend(one_of(spec, "spec", "type", &TYPES));
    repeated_ports(spec, &mut errors);
    source_ranges(object, &mut errors);
    balancer(spec, &mut errors);
    traffic(spec, &mut errors);
    errors
}

fn is_empty(list: &Value) -> bool {
    list.as_array().is_none_or(Vec::is_empty)
}

fn by_type(spec: &Value, errors: &mut Vec<FieldError>) {
    match text(spec, "type") {
        type_ @ ("LoadBalancer" | "NodePort") if is_headless(spec) => {
            errors.push(FieldError::invalid("spec.clusterIPs[0]", "None", format!("may not be set to 'None' for {type_} services")));
        }
        "ExternalName" => {
            let why = "may not be set for ExternalName services";
            for field in ["clusterIPs", "ipFamilies"].into_iter().filter(|f| !texts(&spec[*f]).is_empty()) {
                errors.push(FieldError::forbidden(format!("spec.{field}"), why));
            }
            if !spec["ipFamilyPolicy"].is_null() {
                errors.push(FieldError::forbidden("spec.ipFamilyPolicy", why));
            }
            // A name may have a trailing dot to say that it is complete.
            let name = text(spec, "externalName");
            match name.strip_suffix('.').unwrap_or(name) {
                "" => errors.push(FieldError::required("spec.externalName", "")),
                name => errors.extend(invalid_each("spec.externalName", name, names::dns1123_subdomain(name))),
            }
        }
        _ => {}
    }
}

fn validate_port<'a>(port: &'a Value, several: bool, path: &str, seen: &mut HashSet<&'a str>, errors: &mut Vec<FieldError>) {
    let name = text(port, "name");
    let field = format!("{path}.name");
    if name.is_empty() {
        if several {
            errors.push(FieldError::required(field, ""));
        }
    } else {
        errors.extend(invalid_each(&field, name, names::dns1123_label(name)));
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(field, name));
        }
    }
    errors.extend(network::port_number(&format!("{path}.port"), number(port, "port")));
    errors.extend(one_of(port, path, "protocol", &PROTOCOLS));
    errors.extend(network::port_number_or_name(&format!("{path}.targetPort"), &port["targetPort"]));
    if let Some(protocol) = port["appProtocol"].as_str() {
        errors.extend(invalid_each(&format!("{path}.appProtocol"), protocol, names::qualified_name(protocol)));
    }
}

fn affinity(spec: &Value, errors: &mut Vec<FieldError>) {
    errors.extend(one_of(spec, "spec", "sessionAffinity", &AFFINITIES));
    let config = &spec["sessionAffinityConfig"];
    let path = "spec.sessionAffinityConfig";
    match text(spec, "sessionAffinity") {
        "ClientIP" => {
            let field = format!("{path}.clientIP.timeoutSeconds");
            if config.is_null() {
                errors.push(FieldError::required(path, "when session affinity type is ClientIP"));
            } else if config["clientIP"].is_null() {
                errors.push(FieldError::required(format!("{path}.clientIP"), "when session affinity type is ClientIP"));
            } else if let Some(seconds) = config["clientIP"]["timeoutSeconds"].as_i64() {
                if !(1..=MAX_AFFINITY).contains(&seconds) {
                    errors.push(FieldError::invalid(field, seconds, format!("must be greater than 0 and less than {MAX_AFFINITY}")));
                }
            } else {
                errors.push(FieldError::required(field, "when session affinity type is ClientIP"));
            }
        }
        "None" if !config.is_null() => errors.push(FieldError::forbidden(path, "must not be set when session affinity is None")),
        _ => {}
    }
}

/// The rules for `clusterIP`, `clusterIPs`, `ipFamilies` and `ipFamilyPolicy`, which hang together.
pub fn address_fields(spec: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if text(spec, "type") == "ExternalName" {
        return errors;
    }
    let (path, list) = ("spec.clusterIPs", texts(&spec["clusterIPs"]));
    let whole = |why: &str| FieldError::invalid(path, spec["clusterIPs"].clone(), why);
    match (text(spec, "clusterIP"), list.first()) {
        ("", Some(_)) => errors.push(whole("must be empty when `clusterIP` is not specified")),
        ("", None) => {}
        (_, None) => errors.push(FieldError::required(path, "")),
        (single, Some(first)) if single != *first => errors.push(whole("first value must match `clusterIP`")),
        _ => {}
    }
    let mut seen = HashSet::new();
    for (path, family) in items(spec, "spec", "ipFamilies") {
        let family = family.as_str().unwrap_or_default();
        if !FAMILIES.contains(&family) {
            errors.push(FieldError::not_supported(path.as_str(), family, &FAMILIES));
        }
        if !seen.insert(family) {
            errors.push(FieldError::duplicate(path, family));
        }
    }
    if let Some(policy) = spec["ipFamilyPolicy"].as_str().filter(|p| !FAMILY_POLICIES.contains(p)) {
        errors.push(FieldError::not_supported("spec.ipFamilyPolicy", policy, &FAMILY_POLICIES));
    }
    let mut faulty = false;
    for (i, ip) in list.iter().enumerate() {
        if i == 0 && *ip == "None" {
            if list.len() > 1 {
                faulty = true;
                errors.push(whole("'None' must be the first and only value"));
            }
            continue;
        }
        let faults = network::address(&format!("{path}[{i}]"), ip);
        faulty |= !faults.is_empty();
        errors.extend(faults);
    }
    if list.len() > 2 {
        errors.push(whole("may only hold up to 2 values"));
    }
    if faulty {
        return errors;
    }
    let old: Vec<bool> = list.iter().map(|ip| network::parse_address(ip).is_some_and(|ip| ip.is_ipv4())).collect();
    if list.len() > 1 && (list.len() > 2 || old.first() == old.last()) {
        errors.push(whole("may specify no more than one IP for each IP family"));
    }
    if !is_headless(spec) {
        for (i, (family, is_old)) in texts(&spec["ipFamilies"]).into_iter().zip(old).enumerate() {
            if FAMILIES.contains(&family) && (family == "IPv4") != is_old {
                let why = format!("expected an {family} value as indicated by `ipFamilies[{i}]`");
                errors.push(FieldError::invalid(format!("{path}[{i}]"), list.get(i).copied().unwrap_or_default(), why));
            }
        }
    }
    errors
}

fn repeated_ports(spec: &Value, errors: &mut Vec<FieldError>) {
    if text(spec, "type") == "ClusterIP" {
        for (path, _) in items(spec, "spec", "ports").filter(|(_, port)| number(port, "nodePort") != 0) {
            errors.push(FieldError::forbidden(format!("{path}.nodePort"), "may not be used when `type` is 'ClusterIP'"));
        }
    }
    let mut seen = HashSet::new();
    for (path, port) in items(spec, "spec", "ports").filter(|(_, port)| number(port, "nodePort") != 0) {
        if !seen.insert((text(port, "protocol"), number(port, "nodePort"))) {
            errors.push(FieldError::duplicate(format!("{path}.nodePort"), number(port, "nodePort")));
        }
    }
    seen.clear();
    for (path, port) in items(spec, "spec", "ports") {
        let key = (text(port, "protocol"), number(port, "port"));
        if !seen.insert(key) {
            errors.push(FieldError::duplicate(path, json!({ "protocol": key.0, "port": key.1, "targetPort": 0 })));
        }
    }
}

fn source_ranges(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    let balanced = text(spec, "type") == "LoadBalancer";
    let ranges = texts(&spec["loadBalancerSourceRanges"]);
    if !ranges.is_empty() {
        let path = "spec.LoadBalancerSourceRanges";
        if !balanced {
            errors.push(FieldError::forbidden(path, BALANCER_ONLY));
        }
        errors.extend(ranges.iter().enumerate().flat_map(|(i, range)| network::network(&format!("{path}[{i}]"), range.trim())));
    } else if let Some(ranges) = annotation(object, SOURCE_RANGES) {
        let path = format!("metadata.annotations[{SOURCE_RANGES}]");
        if !balanced {
            errors.push(FieldError::forbidden(path.as_str(), BALANCER_ONLY));
        }
        if !ranges.trim().is_empty() {
            errors.extend(ranges.split(',').flat_map(|range| network::network(&path, range.trim())));
        }
    }
}

fn balancer(spec: &Value, errors: &mut Vec<FieldError>) {
    let balanced = text(spec, "type") == "LoadBalancer";
    match (balanced, spec["allocateLoadBalancerNodePorts"].is_null()) {
        (false, false) => errors.push(FieldError::forbidden("spec.allocateLoadBalancerNodePorts", BALANCER_ONLY)),
        (true, true) => errors.push(FieldError::required("allocateLoadBalancerNodePorts", "")),
        _ => {}
    }
    if let Some(class) = spec["loadBalancerClass"].as_str() {
        if balanced {
            errors.extend(invalid_each("spec.loadBalancerClass", class, names::qualified_name(class)));
        } else {
            errors.push(FieldError::forbidden("spec.loadBalancerClass", BALANCER_ONLY));
        }
    }
}

fn traffic(spec: &Value, errors: &mut Vec<FieldError>) {
    let policy = text(spec, "externalTrafficPolicy");
    if is_external(spec) {
        errors.extend(one_of(spec, "spec", "externalTrafficPolicy", &TRAFFIC_POLICIES));
    } else if !policy.is_empty() {
        errors.push(FieldError::invalid("spec.externalTrafficPolicy", policy, "may only be set for externally-accessible services"));
    }
    let (path, port) = ("spec.healthCheckNodePort", number(spec, "healthCheckNodePort"));
    if !needs_health_check(spec) {
        if port != 0 {
            let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            errors.push(FieldError::invalid(path, port, why));
        }
    } else if port == 0 {
        errors.push(FieldError::required(path, ""));
    } else {
        errors.extend(network::port_number(path, port));
    }
    let path = "spec.internalTrafficPolicy";
    match spec["internalTrafficPolicy"].as_str() {
        None if TYPES.contains(&text(spec, "type")) && text(spec, "type") != "ExternalName" => errors.push(FieldError::required(path, "")),
        Some(policy) if !TRAFFIC_POLICIES.contains(&policy) => errors.push(FieldError::not_supported(path, policy, &TRAFFIC_POLICIES)),
        _ => {}
    }
    if let Some(given) = spec["trafficDistribution"].as_str().filter(|d| !DISTRIBUTIONS.contains(d)) {
        errors.push(FieldError::not_supported("spec.trafficDistribution", given, &DISTRIBUTIONS));
    }
}

pub(super) fn validate_status(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let (status, path) = (&object["status"]["loadBalancer"], "status.loadBalancer");
    if text(&object["spec"], "type") != "LoadBalancer" && status["ingress"].as_array().is_some_and(|i| !i.is_empty()) {
        return vec![FieldError::forbidden(format!("{path}.ingress"), "may only be used when `spec.type` is 'LoadBalancer'")];
    }
    for (path, ingress) in items(status, path, "ingress") {
        let ip = text(ingress, "ip");
        if !ip.is_empty() {
            errors.extend(network::address(&format!("{path}.ip"), ip));
        }
        let field = format!("{path}.ipMode");
        match (ingress["ipMode"].as_str(), ip.is_empty()) {
            (None, false) => errors.push(FieldError::required(field, "must be specified when `ip` is set")),
            (Some(_), true) => errors.push(FieldError::forbidden(field, "may not be specified when `ip` is not set")),
            (Some(mode), _) if !["Proxy", "VIP"].contains(&mode) => errors.push(FieldError::not_supported(field, mode, &["Proxy", "VIP"])),
            _ => {}
        }
        balancer_host(ingress, &path, &mut errors);
    }
    errors
}

/// The name of a load balancer is a name, not an address.
pub fn balancer_host(ingress: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let (field, host) = (format!("{path}.hostname"), text(ingress, "hostname"));
    if host.is_empty() {
        return;
    }
    errors.extend(invalid_each(&field, host, names::dns1123_subdomain(host)));
    if network::parse_address(host).is_some() {
        errors.push(FieldError::invalid(field, host, "must be a DNS name, not an IP address"));
    }
}

pub(super) fn warnings(object: &Value) -> Vec<String> {
    let spec = &object["spec"];
    let mut warnings = Vec::new();
    if annotation(object, HINTS).is_some() {
        warnings.push(format!("annotation {HINTS} is deprecated, please use {TOPOLOGY_MODE} instead"));
    }
    if is_headless(spec) && !text(spec, "loadBalancerIP").is_empty() {
        warnings.push("spec.loadBalancerIP is ignored for headless services".into());
    }
    if is_headless(spec) && !texts(&spec["externalIPs"]).is_empty() {
        warnings.push("spec.externalIPs is ignored for headless services".into());
    }
    if is_headless(spec) && text(spec, "sessionAffinity") == "ClientIP" {
        warnings.push("spec.SessionAffinity is ignored for headless services".into());
    }
    for list in ["clusterIPs", "externalIPs"] {
        let addresses = items(spec, "spec", list).filter_map(|(path, ip)| Some((path, ip.as_str().filter(|ip| *ip != "None")?)));
        warnings.extend(addresses.filter_map(|(path, ip)| network::address_warning(&path, ip)));
    }
    let ip = text(spec, "loadBalancerIP");
    if !ip.is_empty() {
        warnings.extend(network::address_warning("spec.loadBalancerIP", ip));
    }
    let ranges = items(spec, "spec", "loadBalancerSourceRanges");
    warnings.extend(ranges.filter_map(|(path, range)| network::network_warning(&path, range.as_str().unwrap_or_default().trim())));
    warnings
}

//! The spec of a pod. Expects defaults to be filled in.
mod containers;
mod dns;
mod env;
mod mounts;
mod os;
mod ports;
mod probes;
mod resources;
mod scheduling;
mod security;
mod sources;
#[cfg(test)]
mod tests;
mod volumes;

pub use resources::{container_resource_name, resource_requirements};
pub use scheduling::validate_toleration;

use super::{invalid_each, items, labels, one_of, pod_annotations, text};
use crate::names;
use crate::status::FieldError;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

const RESTART_POLICIES: [&str; 3] = ["Always", "OnFailure", "Never"];
const DNS_POLICIES: [&str; 4] = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
/// Linux allows a host name no more.
const HOSTNAME_MAX: usize = 64;

/// What the parts of a pod's spec need to know of each other.
struct Pod<'a> {
    spec: &'a Value,
    path: &'a str,
    /// The spec of a pod, not of a template: rules hold that templates of old times may break.
    real: bool,
    volumes: HashMap<&'a str, &'a Value>,
    claims: BTreeSet<&'a str>,
}

impl Pod<'_> {
    fn restart_policy(&self) -> &str {
        text(self.spec, "restartPolicy")
    }

    fn grace(&self) -> Option<i64> {
        self.spec["terminationGracePeriodSeconds"].as_i64()
    }

    fn host_users(&self) -> bool {
        self.spec["hostUsers"] != false
    }
}

/// Checks a `Pod`, all but its metadata.
pub fn validate_pod(pod: &Value) -> Vec<FieldError> {
    let spec = &pod["spec"];
    let mut faults = pod_annotations(&pod["metadata"]["annotations"], spec, "metadata.annotations");
    faults.extend(validate(spec, "spec", true));
    if text(spec, "serviceAccountName").is_empty() {
        for (path, volume) in items(spec, "spec", "volumes") {
            for (path, source) in items(&volume["projected"], &format!("{path}.projected"), "sources") {
                if source["serviceAccountToken"].is_object() {
                    let path = format!("{path}.serviceAccountToken");
                    faults.push(FieldError::forbidden(path, "must not be specified when serviceAccountName is not set"));
                }
            }
        }
    }
    faults
}

/// Checks a `PodSpec` of a template; `path` is where it stands: `spec.template.spec`.
pub fn validate_pod_spec(spec: &Value, path: &str) -> Vec<FieldError> {
    validate(spec, path, false)
}

fn validate(spec: &Value, path: &str, real: bool) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if spec["terminationGracePeriodSeconds"].is_null() {
        faults.push(FieldError::required(format!("{path}.terminationGracePeriodSeconds"), ""));
    }
    let volumes = volumes::validate(spec, path, &mut faults);
    let claims = items(spec, path, "resourceClaims").filter_map(|(_, c)| c["name"].as_str()).filter(|n| !n.is_empty()).collect();
    let pod = Pod { spec, path, real, volumes, claims };
    resources::pod_claims(&pod, &mut faults);
    containers::validate(&pod, &mut faults);
    resources::pod_level(&pod, &mut faults);
    ports::with_host_network(&pod, &mut faults);
    faults.extend(one_of(spec, path, "restartPolicy", &RESTART_POLICIES));
    faults.extend(one_of(spec, path, "dnsPolicy", &DNS_POLICIES));
    faults.extend(labels(&spec["nodeSelector"], &format!("{path}.nodeSelector")));
    security::of_pod(&pod, &mut faults);
    scheduling::validate(spec, path, &mut faults);
    dns::validate(spec, path, &mut faults);
    for (path, gate) in items(spec, path, "readinessGates") {
        let type_ = text(gate, "conditionType");
        faults.extend(invalid_each(&format!("{path}.conditionType"), type_, names::qualified_name(type_)));
    }
    names_of(spec, path, &mut faults);
    hostname_override(spec, path, &mut faults);
    if let Some(seconds) = spec["activeDeadlineSeconds"].as_i64().filter(|s| !(1..=i64::from(i32::MAX)).contains(s)) {
        faults.push(FieldError::invalid(format!("{path}.activeDeadlineSeconds"), seconds, "must be between 1 and 2147483647, inclusive"));
    }
    if let Some(policy) = spec["preemptionPolicy"].as_str().filter(|p| !matches!(*p, "PreemptLowerPriority" | "Never")) {
        faults.push(FieldError::not_supported(format!("{path}.preemptionPolicy"), policy, &["PreemptLowerPriority", "Never"]));
    }
    if spec["overhead"].is_object() {
        faults.extend(resource_requirements(&serde_json::json!({ "limits": spec["overhead"] }), &format!("{path}.overhead")));
    }
    os::validate(spec, path, &mut faults);
    faults
}

fn names_of(spec: &Value, path: &str, faults: &mut Vec<FieldError>) {
    for (field, rule) in [
        ("serviceAccountName", names::dns1123_subdomain as fn(&str) -> Vec<String>),
        ("nodeName", names::dns1123_subdomain),
        ("hostname", names::dns1123_label),
        ("subdomain", names::dns1123_label),
        ("priorityClassName", names::dns1123_subdomain),
        ("runtimeClassName", names::dns1123_subdomain),
    ] {
        let name = text(spec, field);
        let given = !name.is_empty() || (field == "runtimeClassName" && !spec[field].is_null());
        if given {
            faults.extend(invalid_each(&format!("{path}.{field}"), name, rule(name)));
        }
    }
    for (path, alias) in items(spec, path, "hostAliases") {
        faults.extend(dns::not_an_address(text(alias, "ip"), &format!("{path}.ip")));
        for (path, name) in items(alias, &path, "hostnames") {
            let name = name.as_str().unwrap_or_default();
            faults.extend(invalid_each(&path, name, names::dns1123_subdomain(name)));
        }
    }
}

/// A host name that overrides all others excludes what would make one.
fn hostname_override(spec: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let Some(name) = spec["hostnameOverride"].as_str() else { return };
    let path = format!("{path}.hostnameOverride");
    faults.extend(invalid_each(&path, name, names::dns1123_subdomain(name)));
    if name.len() > HOSTNAME_MAX {
        faults.push(FieldError::invalid(&*path, name, format!("must be no more than {HOSTNAME_MAX} characters")));
    }
    for field in ["setHostnameAsFQDN", "hostNetwork"] {
        if spec[field] == true {
            faults.push(FieldError::forbidden(&*path, format!("may not be specified when {field} is true")));
        }
    }
}

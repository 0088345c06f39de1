//! Containers of all three sorts.
use super::{Pod, env, mounts, ports, probes, resources, security};
use crate::names;
use crate::status::FieldError;
use crate::validation::{invalid_each, items, not_found, one_of, text, too_many};
use serde_json::Value;
use std::collections::HashSet;

const PULL_POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];
const MESSAGE_POLICIES: [&str; 2] = ["File", "FallbackToLogsOnError"];
const RESIZE_POLICIES: [&str; 2] = ["NotRequired", "RestartContainer"];
const NOT_EPHEMERAL: [&str; 9] = [
    "lifecycle",
    "livenessProbe",
    "ports",
    "readinessProbe",
    "resizePolicy",
    "resources",
    "restartPolicy",
    "restartPolicyRules",
    "startupProbe",
];
const FOR_EPHEMERAL: &str = "cannot be set for an Ephemeral Container";
const MAX_RESTART_RULES: usize = 20;
const MAX_EXIT_CODES: usize = 255;

pub(super) fn validate(pod: &Pod<'_>, faults: &mut Vec<FieldError>) {
    if pod.spec["containers"].as_array().is_none_or(Vec::is_empty) {
        faults.push(FieldError::required(format!("{}.containers", pod.path), ""));
    }
    let mut names = HashSet::new();
    let mut host_ports = HashSet::new();
    for (path, container) in items(pod.spec, pod.path, "containers") {
        validate_one(container, &path, pod, faults);
        unique(container, &path, &mut names, faults);
        probes::validate(container, &path, pod.grace(), faults);
        restart(container, &path, faults);
        ports::conflicts(container, &path, &mut host_ports, faults);
    }
    for (path, container) in items(pod.spec, pod.path, "initContainers") {
        validate_one(container, &path, pod, faults);
        unique(container, &path, &mut names, faults);
        restart(container, &path, faults);
        // Init containers run alone, one after another: their host ports don't clash with each other's.
        ports::conflicts(container, &path, &mut HashSet::new(), faults);
        if text(container, "restartPolicy") == "Always" {
            probes::validate(container, &path, pod.grace(), faults);
        } else {
            for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
                if !container[field].is_null() {
                    let why = "may not be set for init containers without restartPolicy=Always";
                    faults.push(FieldError::forbidden(format!("{path}.{field}"), why));
                }
            }
        }
    }
    let others = names.clone();
    for (path, container) in items(pod.spec, pod.path, "ephemeralContainers") {
        validate_one(container, &path, pod, faults);
        unique(container, &path, &mut names, faults);
        ephemeral(container, &path, &others, faults);
    }
}

fn unique<'a>(container: &'a Value, path: &str, names: &mut HashSet<&'a str>, faults: &mut Vec<FieldError>) {
    let name = text(container, "name");
    if !name.is_empty() && !names.insert(name) {
        faults.push(FieldError::duplicate(format!("{path}.name"), name));
    }
}

fn validate_one(container: &Value, path: &str, pod: &Pod<'_>, faults: &mut Vec<FieldError>) {
    let name = text(container, "name");
    if name.is_empty() {
        faults.push(FieldError::required(format!("{path}.name"), ""));
    } else {
        faults.extend(invalid_each(&format!("{path}.name"), name, names::dns1123_label(name)));
    }
    let image = text(container, "image");
    if image.is_empty() {
        faults.push(FieldError::required(format!("{path}.image"), ""));
    } else if pod.real && image.trim() != image {
        faults.push(FieldError::invalid(format!("{path}.image"), image, "must not have leading or trailing whitespace"));
    }
    faults.extend(one_of(container, path, "terminationMessagePolicy", &MESSAGE_POLICIES));
    ports::validate(container, path, faults);
    env::validate(container, path, pod, faults);
    mounts::validate(container, path, pod, faults);
    faults.extend(one_of(container, path, "imagePullPolicy", &PULL_POLICIES));
    let at = format!("{path}.resources");
    faults.extend(resources::resource_requirements(&container["resources"], &at));
    resources::container_claims(&container["resources"], &at, pod, faults);
    resize_policy(container, &format!("{path}.resizePolicy"), pod.restart_policy(), faults);
    security::of_container(container, path, pod.host_users(), faults);
}

fn resize_policy(container: &Value, path: &str, restart_policy: &str, faults: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for (index, policy) in container["resizePolicy"].as_array().into_iter().flatten().enumerate() {
        let (resource, restart) = (text(policy, "resourceName"), text(policy, "restartPolicy"));
        if !seen.insert(resource) {
            faults.push(FieldError::duplicate(format!("{path}[{index}]"), resource));
        }
        for (found, valid) in [(resource, ["cpu", "memory"]), (restart, RESIZE_POLICIES)] {
            if found.is_empty() {
                faults.push(FieldError::required(path, ""));
            } else if !valid.contains(&found) {
                faults.push(FieldError::not_supported(path, found, &valid));
            }
        }
        if restart_policy == "Never" && restart != "NotRequired" {
            faults.push(FieldError::invalid(path, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'"));
        }
    }
}

/// A container's own restart policy and its exceptions.
fn restart(container: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let rules = container["restartPolicyRules"].as_array().map(Vec::as_slice).unwrap_or_default();
    match container["restartPolicy"].as_str() {
        None if !rules.is_empty() => {
            faults.push(FieldError::required(format!("{path}.restartPolicy"), "must be specified when restartPolicyRules is specified"));
        }
        None | Some("Always" | "Never" | "OnFailure") => {}
        Some(other) => {
            faults.push(FieldError::not_supported(format!("{path}.restartPolicy"), other, &["Always", "Never", "OnFailure"]));
        }
    }
    let path = format!("{path}.restartPolicyRules");
    if rules.len() > MAX_RESTART_RULES {
        faults.push(too_many(&*path, rules.len(), MAX_RESTART_RULES));
    }
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let codes = &rule["exitCodes"];
        faults.extend(one_of(rule, &path, "action", &["Restart"]));
        if !codes.is_object() {
            faults.push(FieldError::required(format!("{path}.exitCodes"), "must be specified"));
            continue;
        }
        faults.extend(one_of(codes, &format!("{path}.exitCodes"), "operator", &["In", "NotIn"]));
        let count = codes["values"].as_array().map_or(0, Vec::len);
        if count > MAX_EXIT_CODES {
            faults.push(too_many(format!("{path}.exitCodes.values"), count, MAX_EXIT_CODES));
        }
    }
}

/// A container for looking into a running pod: nothing that the pod could come to rely on.
fn ephemeral(container: &Value, path: &str, others: &HashSet<&str>, faults: &mut Vec<FieldError>) {
    let target = text(container, "targetContainerName");
    if !target.is_empty() && !others.contains(target) {
        faults.push(not_found(format!("{path}.targetContainerName"), target));
    }
    for field in NOT_EPHEMERAL {
        if !crate::validation::same(&container[field], &Value::Null) {
            faults.push(FieldError::forbidden(format!("{path}.{field}"), FOR_EPHEMERAL));
        }
    }
    for (path, mount) in items(container, path, "volumeMounts") {
        for field in ["subPath", "subPathExpr"] {
            if !text(mount, field).is_empty() {
                faults.push(FieldError::forbidden(format!("{path}.{field}"), FOR_EPHEMERAL));
            }
        }
    }
}

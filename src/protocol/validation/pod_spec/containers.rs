//! Containers of all three sorts.
use super::{env, ports, probes, resources};
use crate::names;
use crate::status::FieldError;
use crate::validation::{invalid_each, items, not_found, one_of, text};
use serde_json::Value;
use std::collections::HashSet;

const PULL_POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];
const MESSAGE_POLICIES: [&str; 2] = ["FallbackToLogsOnError", "File"];

/// Checks all containers; `volumes` are the names that mounts may refer to.
pub(super) fn validate(spec: &Value, path: &str, volumes: &HashSet<&str>, faults: &mut Vec<FieldError>) {
    if spec["containers"].as_array().is_none_or(Vec::is_empty) {
        faults.push(FieldError::required(format!("{path}.containers"), ""));
    }
    let mut names = HashSet::new();
    let mut host_ports = HashSet::new();
    let host_network = spec["hostNetwork"] == true;
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        for (path, container) in items(spec, path, list) {
            let name = text(container, "name");
            if !name.is_empty() && !names.insert(name) {
                faults.push(FieldError::duplicate(format!("{path}.name"), name));
            }
            validate_one(container, &path, volumes, faults);
            let runs_once = list == "initContainers" && text(container, "restartPolicy") != "Always";
            if runs_once || list == "ephemeralContainers" {
                forbid(container, &path, list, faults);
            } else {
                probes::validate(container, &path, faults);
            }
            ports::validate(container, &path, host_network, faults);
            // Init containers run alone, one after another: their host ports don't clash.
            if list == "containers" {
                ports::conflicts(container, &path, &mut host_ports, faults);
            }
        }
    }
}

fn validate_one(container: &Value, path: &str, volumes: &HashSet<&str>, faults: &mut Vec<FieldError>) {
    let name = text(container, "name");
    if name.is_empty() {
        faults.push(FieldError::required(format!("{path}.name"), ""));
    } else {
        faults.extend(invalid_each(&format!("{path}.name"), name, names::dns1123_label(name)));
    }
    let image = text(container, "image");
    if image.is_empty() {
        faults.push(FieldError::required(format!("{path}.image"), ""));
    } else if image.trim() != image {
        faults.push(FieldError::invalid(format!("{path}.image"), image, "must not have leading or trailing whitespace"));
    }
    faults.extend(one_of(container, path, "terminationMessagePolicy", &MESSAGE_POLICIES));
    faults.extend(one_of(container, path, "imagePullPolicy", &PULL_POLICIES));
    env::validate(container, path, faults);
    validate_mounts(container, path, volumes, faults);
    faults.extend(resources::resource_requirements(&container["resources"], &format!("{path}.resources")));
    let context = &container["securityContext"];
    if context["privileged"] == true && context["allowPrivilegeEscalation"] == false {
        let why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
        faults.push(FieldError::invalid(format!("{path}.securityContext"), context.clone(), why));
    }
}

fn validate_mounts(container: &Value, path: &str, volumes: &HashSet<&str>, faults: &mut Vec<FieldError>) {
    let mut mounted = HashSet::new();
    for (path, mount) in items(container, path, "volumeMounts") {
        let name = text(mount, "name");
        if name.is_empty() {
            faults.push(FieldError::required(format!("{path}.name"), ""));
        } else if !volumes.contains(name) {
            faults.push(not_found(format!("{path}.name"), name));
        }
        let target = text(mount, "mountPath");
        if target.is_empty() {
            faults.push(FieldError::required(format!("{path}.mountPath"), ""));
        } else if !mounted.insert(target) {
            faults.push(FieldError::invalid(format!("{path}.mountPath"), target, "must be unique"));
        }
        for field in ["subPath", "subPathExpr"] {
            let inner = text(mount, field);
            if inner.starts_with('/') {
                faults.push(FieldError::invalid(format!("{path}.{field}"), inner, "must be a relative path"));
            }
            if inner.split('/').any(|part| part == "..") {
                faults.push(FieldError::invalid(format!("{path}.{field}"), inner, "must not contain '..'"));
            }
        }
        if !text(mount, "subPath").is_empty() && !text(mount, "subPathExpr").is_empty() {
            let expression = text(mount, "subPathExpr");
            faults.push(FieldError::invalid(format!("{path}.subPathExpr"), expression, "subPathExpr and subPath are mutually exclusive"));
        }
    }
}

/// What containers that aren't kept running may not have.
fn forbid(container: &Value, path: &str, list: &str, faults: &mut Vec<FieldError>) {
    let ephemeral = list == "ephemeralContainers";
    let why = if ephemeral {
        "cannot be set for an Ephemeral Container"
    } else {
        "may not be set for init containers without restartPolicy=Always"
    };
    let extra: &[&str] = if ephemeral { &["ports", "resources", "resizePolicy"] } else { &[] };
    for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"].iter().chain(extra) {
        let member = &container[*field];
        let empty = member.is_null() || member.as_object().is_some_and(|m| m.is_empty() && *field == "resources");
        if !empty {
            faults.push(FieldError::forbidden(format!("{path}.{field}"), why));
        }
    }
}

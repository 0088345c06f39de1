//! Where a container sees the pod's volumes.
use super::Pod;
use super::volumes::{descending_path, no_backsteps};
use crate::status::FieldError;
use crate::validation::{not_found, text};
use serde_json::Value;
use std::collections::HashSet;

pub(super) fn validate(container: &Value, path: &str, pod: &Pod<'_>, faults: &mut Vec<FieldError>) {
    let list = |field: &str| container[field].as_array().map(Vec::as_slice).unwrap_or_default();
    let (mounts, devices) = (list("volumeMounts"), list("volumeDevices"));
    let at_mounts = format!("{path}.volumeMounts");
    let mut targets = HashSet::new();
    for (index, mount) in mounts.iter().enumerate() {
        let path = format!("{at_mounts}[{index}]");
        let (name, target) = (text(mount, "name"), text(mount, "mountPath"));
        if name.is_empty() {
            faults.push(FieldError::required(format!("{path}.name"), ""));
        }
        if !pod.volumes.contains_key(name) {
            faults.push(not_found(format!("{path}.name"), name));
        }
        if target.is_empty() {
            faults.push(FieldError::required(format!("{path}.mountPath"), ""));
        }
        if !targets.insert(target) {
            faults.push(FieldError::invalid(format!("{path}.mountPath"), target, "must be unique"));
        }
        if devices.iter().any(|d| d["name"] == name) {
            faults.push(FieldError::invalid(format!("{path}.name"), name, "must not already exist in volumeDevices"));
        }
        if devices.iter().any(|d| d["devicePath"] == target) {
            faults.push(FieldError::invalid(format!("{path}.mountPath"), target, "must not already exist as a path in volumeDevices"));
        }
        sub_paths(mount, &path, &at_mounts, faults);
        propagation(mount, container, &at_mounts, faults);
    }
    validate_devices(devices, mounts, &format!("{path}.volumeDevices"), pod, faults);
}

/// The findings about what is in a sub-path name the list and not the mount, as upstream's do.
fn sub_paths(mount: &Value, path: &str, list: &str, faults: &mut Vec<FieldError>) {
    let (plain, expression) = (text(mount, "subPath"), text(mount, "subPathExpr"));
    if !plain.is_empty() {
        faults.extend(descending_path(plain, &format!("{list}.subPath")));
    }
    if expression.is_empty() {
        return;
    }
    if !plain.is_empty() {
        faults.push(FieldError::invalid(format!("{path}.subPathExpr"), expression, "subPathExpr and subPath are mutually exclusive"));
    }
    faults.extend(descending_path(expression, &format!("{list}.subPathExpr")));
}

fn propagation(mount: &Value, container: &Value, list: &str, faults: &mut Vec<FieldError>) {
    let mode = mount["mountPropagation"].as_str();
    let path = format!("{list}.mountPropagation");
    match mode {
        None | Some("None" | "HostToContainer") => {}
        Some("Bidirectional") if container["securityContext"]["privileged"] == true => {}
        Some("Bidirectional") => {
            faults.push(FieldError::forbidden(path, "Bidirectional mount propagation is available only to privileged containers"));
        }
        Some(other) => faults.push(FieldError::not_supported(path, other, &["Bidirectional", "HostToContainer", "None"])),
    }
    let path = format!("{list}.recursiveReadOnly");
    match mount["recursiveReadOnly"].as_str() {
        None | Some("Disabled") => {}
        Some("Enabled" | "IfPossible") => {
            if mount["readOnly"] != true {
                faults.push(FieldError::forbidden(&*path, "may only be specified when readOnly is true"));
            }
            if mode.is_some_and(|m| m != "None") {
                faults.push(FieldError::forbidden(path, "may only be specified when mountPropagation is None or not specified"));
            }
        }
        Some(other) => faults.push(FieldError::not_supported(path, other, &["Disabled", "Enabled", "IfPossible"])),
    }
}

fn validate_devices(devices: &[Value], mounts: &[Value], path: &str, pod: &Pod<'_>, faults: &mut Vec<FieldError>) {
    let (mut names, mut targets) = (HashSet::new(), HashSet::new());
    for (index, device) in devices.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let (name, target) = (text(device, "name"), text(device, "devicePath"));
        let (at_name, at_target) = (format!("{path}.name"), format!("{path}.devicePath"));
        let mut refuse = |at: &str, value: &str, why: &str| faults.push(FieldError::invalid(at, value, why));
        if !name.is_empty() && !names.insert(name) {
            refuse(&at_name, name, "must be unique");
        }
        if !target.is_empty() && !targets.insert(target) {
            refuse(&at_target, target, "must be unique");
        }
        if no_backsteps(target, &path).is_some() {
            refuse(&at_target, target, "can not contain backsteps ('..')");
        }
        if mounts.iter().any(|m| m["name"] == name) {
            refuse(&at_name, name, "must not already exist in volumeMounts");
        }
        if mounts.iter().any(|m| m["mountPath"] == target) {
            refuse(&at_target, target, "must not already exist as a path in volumeMounts");
        }
        let volume = pod.volumes.get(name);
        if volume.is_some_and(|v| v["persistentVolumeClaim"].is_null() && v["ephemeral"].is_null()) {
            refuse(&at_name, name, "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode");
        }
        if volume.is_none() {
            faults.push(not_found(at_name.clone(), name));
        }
        for (value, at) in [(name, at_name), (target, at_target)] {
            if value.is_empty() {
                faults.push(FieldError::required(at, ""));
            }
        }
    }
}

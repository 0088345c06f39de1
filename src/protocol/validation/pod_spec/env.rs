//! A container's environment, and references to fields of the pod itself.
use super::Pod;
use super::volumes::non_reserved_path;
use crate::names;
use crate::quantity::Quantity;
use crate::status::FieldError;
use crate::validation::{invalid_each, items, not_found, required, text};
use serde_json::Value;

const SOURCES: [&str; 5] = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
const FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// Fields that can be referred to anywhere; what is valid in the one place or the other comes on top.
const ALL_FIELDS: [&str; 3] = ["metadata.annotations", "metadata.labels", "spec.restartPolicy"];
const RESOURCES: [&str; 6] =
    ["limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"];
const DIVISORS: [&str; 13] = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

pub(super) fn validate(container: &Value, path: &str, pod: &Pod<'_>, faults: &mut Vec<FieldError>) {
    for (path, variable) in items(container, path, "env") {
        let name = text(variable, "name");
        if name.is_empty() {
            faults.push(FieldError::required(format!("{path}.name"), ""));
        } else {
            faults.extend(invalid_each(&format!("{path}.name"), name, names::env_var_name(name)));
        }
        if variable["valueFrom"].is_object() {
            value_from(variable, &format!("{path}.valueFrom"), pod, faults);
        }
    }
    // Upstream's findings about the number of sources name the list.
    let list = format!("{path}.envFrom");
    for (path, source) in items(container, path, "envFrom") {
        let prefix = text(source, "prefix");
        if !prefix.is_empty() {
            faults.extend(invalid_each(&format!("{path}.prefix"), prefix, names::env_var_name(prefix)));
        }
        let given: Vec<_> = ["configMapRef", "secretRef"].into_iter().filter(|s| source[*s].is_object()).collect();
        for reference in &given {
            let (name, path) = (text(&source[*reference], "name"), format!("{path}.{reference}.name"));
            if name.is_empty() {
                faults.push(FieldError::required(path, ""));
            } else {
                faults.extend(invalid_each(&path, name, names::name_is_subdomain(name, true)));
            }
        }
        match given.len() {
            0 => faults.push(FieldError::invalid(&*list, "", "must specify one of: `configMapRef` or `secretRef`")),
            1 => {}
            _ => faults.push(FieldError::invalid(&*list, "", "may not have more than one field specified at a time")),
        }
    }
}

fn value_from(variable: &Value, path: &str, pod: &Pod<'_>, faults: &mut Vec<FieldError>) {
    let source = &variable["valueFrom"];
    let given: Vec<_> = SOURCES.into_iter().filter(|s| source[*s].is_object()).collect();
    for reference in &given {
        let (value, path) = (&source[*reference], format!("{path}.{reference}"));
        match *reference {
            "fieldRef" => field_reference(value, &path, &FIELDS, faults),
            "resourceFieldRef" => resource_reference(value, &path, false, faults),
            "fileKeyRef" => file_key(value, &path, pod, faults),
            _ => {
                let (name, key) = (text(value, "name"), text(value, "key"));
                faults.extend(invalid_each(&format!("{path}.name"), name, names::name_is_subdomain(name, false)));
                if key.is_empty() {
                    faults.push(FieldError::required(format!("{path}.key"), ""));
                } else {
                    faults.extend(invalid_each(&format!("{path}.key"), key, names::config_map_key(key)));
                }
            }
        }
    }
    if given.is_empty() {
        let why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
        faults.push(FieldError::invalid(path, "", why));
    } else if !text(variable, "value").is_empty() {
        faults.push(FieldError::invalid(path, "", "may not be specified when `value` is not empty"));
    } else if given.len() > 1 {
        faults.push(FieldError::invalid(path, "", "may not have more than one field specified at a time"));
    }
}

/// A `fieldRef`; `valid` are the fields that may be referred to in this place.
pub(super) fn field_reference(reference: &Value, path: &str, valid: &[&str], faults: &mut Vec<FieldError>) {
    let field = text(reference, "fieldPath");
    let at = format!("{path}.fieldPath");
    if text(reference, "apiVersion").is_empty() {
        faults.push(FieldError::required(format!("{path}.apiVersion"), ""));
        return;
    }
    if field.is_empty() {
        faults.push(FieldError::required(at, ""));
        return;
    }
    let subscript = field.split_once('[').and_then(|(base, rest)| Some((base, rest.strip_prefix('\'')?.strip_suffix("']")?)));
    match subscript {
        Some(("metadata.annotations", key)) => faults.extend(invalid_each(path, key, names::qualified_name(&key.to_lowercase()))),
        Some(("metadata.labels", key)) => faults.extend(invalid_each(path, key, names::qualified_name(key))),
        Some((base, _)) if valid.contains(&base) => faults.push(FieldError::invalid(path, base, "does not support subscript")),
        None if valid.contains(&field) => {}
        None if FIELDS.contains(&field) || ALL_FIELDS.contains(&field) => {
            let mut valid = valid.to_vec();
            valid.sort_unstable();
            faults.push(FieldError::not_supported(at, field, &valid));
        }
        _ => {
            let why = format!("error converting fieldPath: field label not supported: {field}");
            faults.push(FieldError::invalid(at, field, why));
        }
    }
}

/// A `resourceFieldRef`; in a volume it must name the container.
pub(super) fn resource_reference(reference: &Value, path: &str, volume: bool, faults: &mut Vec<FieldError>) {
    let resource = text(reference, "resource");
    let huge = resource.starts_with("requests.hugepages-") || resource.starts_with("limits.hugepages-");
    if volume && text(reference, "containerName").is_empty() {
        faults.push(FieldError::required(format!("{path}.containerName"), ""));
    } else if resource.is_empty() {
        faults.push(FieldError::required(format!("{path}.resource"), ""));
    } else if !RESOURCES.contains(&resource) && !huge {
        faults.push(FieldError::not_supported(format!("{path}.resource"), resource, &RESOURCES));
    }
    let divisor = text(reference, "divisor");
    if divisor.parse::<Quantity>().is_ok_and(|q| q.is_zero()) || divisor.is_empty() {
        return;
    }
    let all = "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei";
    let (valid, why): (&[&str], String) = match resource.split_once('.').map_or("", |(_, r)| r) {
        "cpu" => (&["1m", "1"], "only divisor's values 1m and 1 are supported with the cpu resource".into()),
        "memory" => (&DIVISORS, format!("only divisor's values {all} are supported with the memory resource")),
        "ephemeral-storage" => (&DIVISORS, format!("only divisor's values {all} are supported with the local ephemeral storage resource")),
        _ if huge => (&DIVISORS, format!("only divisor's values {all} are supported with the hugepages resource")),
        _ => return,
    };
    if !valid.contains(&divisor) {
        faults.push(FieldError::invalid(format!("{path}.divisor"), resource, why));
    }
}

/// A variable from a file that an init container wrote.
fn file_key(reference: &Value, path: &str, pod: &Pod<'_>, faults: &mut Vec<FieldError>) {
    for field in ["volumeName", "path", "key"] {
        faults.extend(required(reference, path, field));
    }
    let (volume, file, key) = (text(reference, "volumeName"), text(reference, "path"), text(reference, "key"));
    if !volume.is_empty() {
        match pod.volumes.get(volume) {
            None => faults.push(not_found(format!("{path}.volumeName"), volume)),
            Some(found) if found["emptyDir"].is_null() => {
                let why = "must be the name of an emptyDir volume";
                faults.push(FieldError::invalid(format!("{path}.volumeName"), volume, why));
            }
            Some(_) => {}
        }
    }
    faults.extend(non_reserved_path(file, &format!("{path}.path")));
    if !key.is_empty() {
        faults.extend(invalid_each(&format!("{path}.key"), key, names::env_var_name(key)));
    }
}

//! A container's environment.
use crate::names;
use crate::status::FieldError;
use crate::validation::{invalid_each, items, required, text};
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

pub(super) fn validate(container: &Value, path: &str, faults: &mut Vec<FieldError>) {
    for (path, variable) in items(container, path, "env") {
        let name = text(variable, "name");
        if name.is_empty() {
            faults.push(FieldError::required(format!("{path}.name"), ""));
        } else {
            faults.extend(invalid_each(&format!("{path}.name"), name, names::env_var_name(name)));
        }
        if variable["valueFrom"].is_object() {
            value_from(variable, &format!("{path}.valueFrom"), faults);
        }
    }
    for (path, source) in items(container, path, "envFrom") {
        let prefix = text(source, "prefix");
        if !prefix.is_empty() {
            faults.extend(invalid_each(&format!("{path}.prefix"), prefix, names::env_var_name(prefix)));
        }
        let given: Vec<_> = ["configMapRef", "secretRef"].into_iter().filter(|s| source[*s].is_object()).collect();
        match given.as_slice() {
            [] => faults.push(FieldError::invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")),
            [one] => faults.extend(required(&source[*one], &format!("{path}.{one}"), "name")),
            _ => faults.push(FieldError::invalid(path, "", "may not have more than one field specified at a time")),
        }
    }
}

fn value_from(variable: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let source = &variable["valueFrom"];
    let given: Vec<_> = SOURCES.into_iter().filter(|s| source[*s].is_object()).collect();
    if given.is_empty() {
        let why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
        faults.push(FieldError::invalid(path, "", why));
        return;
    }
    if !text(variable, "value").is_empty() {
        faults.push(FieldError::invalid(path, "", "may not be specified when `value` is not empty"));
    }
    if given.len() > 1 {
        faults.push(FieldError::invalid(path, "", "may not have more than one field specified at a time"));
    }
    let field = &source["fieldRef"];
    if field.is_object() {
        let name = text(field, "fieldPath");
        let subscripted = ["metadata.labels['", "metadata.annotations['"].iter().any(|p| name.starts_with(p) && name.ends_with("']"));
        if name.is_empty() {
            faults.push(FieldError::required(format!("{path}.fieldRef.fieldPath"), ""));
        } else if !subscripted && !FIELDS.contains(&name) {
            faults.push(FieldError::not_supported(format!("{path}.fieldRef.fieldPath"), name, &FIELDS));
        }
    }
    for reference in ["configMapKeyRef", "secretKeyRef"].into_iter().filter(|r| source[*r].is_object()) {
        let path = format!("{path}.{reference}");
        let key = text(&source[reference], "key");
        faults.extend(required(&source[reference], &path, "name"));
        if key.is_empty() {
            faults.push(FieldError::required(format!("{path}.key"), ""));
        } else {
            faults.extend(invalid_each(&format!("{path}.key"), key, names::config_map_key(key)));
        }
    }
}

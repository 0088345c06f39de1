//! A pod's volumes.
use crate::names;
use crate::quantity::Quantity;
use crate::status::FieldError;
use crate::validation::{invalid_each, items, one_of_if_set, required, text};
use serde_json::Value;
use std::collections::HashSet;

const HOST_PATH_TYPES: [&str; 8] = ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
const PROJECTIONS: [&str; 6] = ["secret", "downwardAPI", "configMap", "serviceAccountToken", "clusterTrustBundle", "podCertificate"];

/// Checks all volumes and returns the names of those that mounts may use.
pub(super) fn validate<'a>(spec: &'a Value, path: &str, faults: &mut Vec<FieldError>) -> HashSet<&'a str> {
    let mut names_seen = HashSet::new();
    for (path, volume) in items(spec, path, "volumes") {
        let name = text(volume, "name");
        validate_source(volume, &path, faults);
        if name.is_empty() {
            faults.push(FieldError::required(format!("{path}.name"), ""));
            continue;
        }
        faults.extend(invalid_each(&format!("{path}.name"), name, names::dns1123_label(name)));
        if !names_seen.insert(name) {
            faults.push(FieldError::duplicate(format!("{path}.name"), name));
        }
    }
    names_seen
}

fn validate_source(volume: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let mut sources = volume.as_object().into_iter().flatten().filter(|(key, value)| *key != "name" && value.is_object());
    let Some((kind, source)) = sources.next() else {
        faults.push(FieldError::required(path, "must specify a volume type"));
        return;
    };
    faults.extend(sources.map(|(extra, _)| FieldError::forbidden(format!("{path}.{extra}"), "may not specify more than 1 volume type")));
    let path = format!("{path}.{kind}");
    match kind.as_str() {
        "hostPath" => validate_host_path(source, &path, faults),
        "emptyDir" => {
            let size = text(source, "sizeLimit").parse::<Quantity>();
            if size.is_ok_and(|q| q.signum() < 0) {
                faults.push(FieldError::forbidden(format!("{path}.sizeLimit"), "SizeLimit field must be a valid resource quantity"));
            }
        }
        "secret" => {
            faults.extend(required(source, &path, "secretName"));
            validate_files(source, &path, faults);
        }
        "configMap" => {
            faults.extend(required(source, &path, "name"));
            validate_files(source, &path, faults);
        }
        "downwardAPI" => validate_files(source, &path, faults),
        "persistentVolumeClaim" => faults.extend(required(source, &path, "claimName")),
        "nfs" => {
            faults.extend(required(source, &path, "server"));
            faults.extend(required(source, &path, "path"));
            if !text(source, "path").is_empty() && !text(source, "path").starts_with('/') {
                faults.push(FieldError::invalid(format!("{path}.path"), text(source, "path"), "must be an absolute path"));
            }
        }
        "csi" => faults.extend(required(source, &path, "driver")),
        "projected" => validate_projected(source, &path, faults),
        "ephemeral" if !source["volumeClaimTemplate"].is_object() => {
            faults.push(FieldError::required(format!("{path}.volumeClaimTemplate"), ""));
        }
        _ => {}
    }
}

fn validate_host_path(source: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let target = text(source, "path");
    faults.extend(required(source, path, "path"));
    if target.split('/').any(|part| part == "..") {
        faults.push(FieldError::invalid(format!("{path}.path"), target, "must not contain '..'"));
    }
    if !text(source, "type").is_empty() {
        faults.extend(one_of_if_set(source, path, "type", &HOST_PATH_TYPES));
    }
}

fn validate_projected(source: &Value, path: &str, faults: &mut Vec<FieldError>) {
    validate_mode(source, path, "defaultMode", faults);
    for (path, projection) in items(source, path, "sources") {
        let given: Vec<_> = PROJECTIONS.into_iter().filter(|p| projection[*p].is_object()).collect();
        for extra in given.iter().skip(1) {
            faults.push(FieldError::forbidden(format!("{path}.{extra}"), "may not specify more than 1 volume type"));
        }
        let Some(kind) = given.first() else {
            faults.push(FieldError::required(path, "must specify a volume type"));
            continue;
        };
        let (value, path) = (&projection[*kind], format!("{path}.{kind}"));
        match *kind {
            "secret" | "configMap" => faults.extend(required(value, &path, "name")),
            "serviceAccountToken" => {
                let seconds = value["expirationSeconds"].as_i64().unwrap_or(3600);
                if seconds < 600 {
                    let field = format!("{path}.expirationSeconds");
                    faults.push(FieldError::invalid(field, seconds, "may not specify a duration less than 10 minutes"));
                }
                faults.extend(required(value, &path, "path"));
            }
            _ => {}
        }
        validate_files(value, &path, faults);
    }
}

/// `items` and `defaultMode` of volumes that are made of files.
fn validate_files(source: &Value, path: &str, faults: &mut Vec<FieldError>) {
    validate_mode(source, path, "defaultMode", faults);
    for (path, item) in items(source, path, "items") {
        validate_mode(item, &path, "mode", faults);
        let target = text(item, "path");
        if target.is_empty() {
            faults.push(FieldError::required(format!("{path}.path"), ""));
        } else if target.starts_with('/') {
            faults.push(FieldError::invalid(format!("{path}.path"), target, "must be a relative path"));
        } else if target.split('/').any(|part| part == "..") {
            faults.push(FieldError::invalid(format!("{path}.path"), target, "must not contain '..'"));
        } else if target.starts_with("..") {
            faults.push(FieldError::invalid(format!("{path}.path"), target, "must not start with '..'"));
        }
    }
}

fn validate_mode(source: &Value, path: &str, field: &str, faults: &mut Vec<FieldError>) {
    if let Some(mode) = source[field].as_i64().filter(|m| !(0..=0o777).contains(m)) {
        let why = "must be a number between 0 and 0777 (octal), both inclusive";
        faults.push(FieldError::invalid(format!("{path}.{field}"), mode, why));
    }
}

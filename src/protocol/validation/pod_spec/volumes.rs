//! A pod's volumes.
use super::env::{field_reference, resource_reference};
use super::sources;
use crate::names;
use crate::quantity::Quantity;
use crate::status::FieldError;
use crate::validation::{invalid_each, items, required, selector, text};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

const HOST_PATH_TYPES: [&str; 8] = ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
const PROJECTIONS: [&str; 6] = ["secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle", "podCertificate"];
const FILE_FIELDS: [&str; 5] = ["metadata.name", "metadata.namespace", "metadata.labels", "metadata.annotations", "metadata.uid"];
const KEY_TYPES: [&str; 6] = ["RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"];
const MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";
/// The order in which the sources are looked at: the first that is there counts, the others are too many.
const ORDER: [&str; 30] = [
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
];

/// Checks all volumes and returns those that mounts may use, by name.
pub(super) fn validate<'a>(spec: &'a Value, path: &str, faults: &mut Vec<FieldError>) -> HashMap<&'a str, &'a Value> {
    let mut seen: HashMap<&str, &Value> = HashMap::new();
    for (path, volume) in items(spec, path, "volumes") {
        let name = text(volume, "name");
        validate_source(volume, &path, faults);
        if name.is_empty() {
            faults.push(FieldError::required(format!("{path}.name"), ""));
            continue;
        }
        faults.extend(invalid_each(&format!("{path}.name"), name, names::dns1123_label(name)));
        if seen.contains_key(name) {
            faults.push(FieldError::duplicate(format!("{path}.name"), name));
        } else {
            seen.insert(name, volume);
        }
    }
    seen
}

fn validate_source(volume: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let mut given = ORDER.into_iter().filter(|kind| volume[*kind].is_object());
    let Some(kind) = given.next() else {
        faults.push(FieldError::required(path, "must specify a volume type"));
        return;
    };
    let source = &volume[kind];
    match kind {
        "emptyDir" => {
            let size = text(source, "sizeLimit").parse::<Quantity>();
            if size.is_ok_and(|q| q.signum() < 0) {
                let why = "SizeLimit field must be a valid resource quantity";
                faults.push(FieldError::forbidden(format!("{path}.emptyDir.sizeLimit"), why));
            }
        }
        "hostPath" => validate_host_path(source, &format!("{path}.hostPath"), faults),
        "secret" => files(source, &format!("{path}.secret"), "secretName", faults),
        "configMap" => files(source, &format!("{path}.configMap"), "name", faults),
        "downwardAPI" => {
            let path = format!("{path}.downwardAPI");
            mode(source, "defaultMode", &path, faults);
            for (_, file) in items(source, &path, "items") {
                field_file(file, &path, faults);
            }
        }
        "projected" => {
            let path = format!("{path}.projected");
            mode(source, "defaultMode", &path, faults);
            validate_projected(source, &path, faults);
        }
        other => sources::validate(other, source, path, text(volume, "name"), faults),
    }
    faults.extend(given.map(|extra| FieldError::forbidden(format!("{path}.{extra}"), "may not specify more than 1 volume type")));
}

fn validate_host_path(source: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let target = text(source, "path");
    if target.is_empty() {
        faults.push(FieldError::required(format!("{path}.path"), ""));
        return;
    }
    faults.extend(no_backsteps(target, &format!("{path}.path")));
    if let Some(kind) = source["type"].as_str().filter(|k| !HOST_PATH_TYPES.contains(k)) {
        faults.push(FieldError::not_supported(format!("{path}.type"), kind, &HOST_PATH_TYPES));
    }
}

/// A volume of files made from keys; `name` is the field that says whose.
fn files(source: &Value, path: &str, name: &str, faults: &mut Vec<FieldError>) {
    faults.extend(required(source, path, name));
    mode(source, "defaultMode", path, faults);
    for (path, item) in items(source, path, "items") {
        key_to_path(item, &path, faults);
    }
}

fn key_to_path(item: &Value, path: &str, faults: &mut Vec<FieldError>) {
    faults.extend(required(item, path, "key"));
    faults.extend(required(item, path, "path"));
    faults.extend(non_reserved_path(text(item, "path"), &format!("{path}.path")));
    mode(item, "mode", path, faults);
}

/// A file with a field of the pod in it. The findings name the volume, as upstream's do.
fn field_file(file: &Value, path: &str, faults: &mut Vec<FieldError>) {
    faults.extend(required(file, path, "path"));
    faults.extend(non_reserved_path(text(file, "path"), &format!("{path}.path")));
    let (field, resource) = (&file["fieldRef"], &file["resourceFieldRef"]);
    if field.is_object() {
        field_reference(field, &format!("{path}.fieldRef"), &FILE_FIELDS, faults);
        if resource.is_object() {
            let why = "fieldRef and resourceFieldRef can not be specified simultaneously";
            faults.push(FieldError::invalid(path, "resource", why));
        }
    } else if resource.is_object() {
        resource_reference(resource, &format!("{path}.resourceFieldRef"), true, faults);
    } else {
        faults.push(FieldError::required(path, "one of fieldRef and resourceFieldRef is required"));
    }
    mode(file, "mode", path, faults);
}

fn mode(of: &Value, field: &str, path: &str, faults: &mut Vec<FieldError>) {
    if let Some(mode) = of[field].as_i64().filter(|m| !(0..=0o777).contains(m)) {
        faults.push(FieldError::invalid(format!("{path}.{field}"), mode, MODE));
    }
}

fn validate_projected(projected: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let mut paths: HashSet<&str> = HashSet::new();
    for (at, source) in items(projected, path, "sources") {
        let given: Vec<_> = PROJECTIONS.into_iter().filter(|p| source[*p].is_object()).collect();
        for kind in &given {
            let (value, at) = (&source[*kind], format!("{at}.{kind}"));
            match *kind {
                "secret" | "configMap" => {
                    faults.extend(required(value, &at, "name"));
                    for (at, item) in items(value, &at, "items") {
                        key_to_path(item, &at, faults);
                        let target = text(item, "path");
                        faults.extend(once(target, text(value, "name"), path, &mut paths));
                    }
                }
                "downwardAPI" => {
                    for (_, file) in items(value, &at, "items") {
                        field_file(file, &at, faults);
                        let target = text(file, "path");
                        faults.extend(once(target, target, path, &mut paths));
                    }
                }
                "serviceAccountToken" => token(value, &at, path, faults),
                "clusterTrustBundle" => {
                    trust_bundle(value, &at, faults);
                    let target = text(value, "path");
                    faults.extend(once(target, target, path, &mut paths));
                }
                _ => certificate(value, &at, faults),
            }
        }
        if given.len() > 1 {
            faults.push(FieldError::forbidden(at, "may not specify more than 1 volume type per source"));
        }
    }
}

/// No two files of a volume have the same place.
fn once<'a>(target: &'a str, shown: &str, path: &str, paths: &mut HashSet<&'a str>) -> Option<FieldError> {
    let again = !target.is_empty() && !paths.insert(target);
    again.then(|| FieldError::invalid(path, shown, "conflicting duplicate paths"))
}

/// `volume` is where the volume stands: the findings about the file's path name that.
fn token(value: &Value, path: &str, volume: &str, faults: &mut Vec<FieldError>) {
    let seconds = value["expirationSeconds"].as_i64().unwrap_or(3600);
    let at = format!("{path}.expirationSeconds");
    if seconds < 600 {
        faults.push(FieldError::invalid(&*at, seconds, "may not specify a duration less than 10 minutes"));
    }
    if seconds > 1 << 32 {
        faults.push(FieldError::invalid(at, seconds, "may not specify a duration larger than 2^32 seconds"));
    }
    faults.extend(required(value, volume, "path"));
    faults.extend(non_reserved_path(text(value, "path"), &format!("{volume}.path")));
}

fn trust_bundle(value: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let (name, signer) = (value["name"].as_str(), value["signerName"].as_str());
    match (name, signer) {
        (Some(_), Some(_)) => faults.push(FieldError::invalid(path, value.clone(), "only one of name and signerName may be used")),
        (None, None) => faults.push(FieldError::required(path, "either name or signerName must be specified")),
        (Some(name), None) => {
            if name.is_empty() {
                faults.push(FieldError::required(format!("{path}.name"), "must be a valid object name"));
            }
            if !value["labelSelector"].is_null() {
                let why = "labelSelector must be unset if name is specified";
                faults.push(FieldError::invalid(format!("{path}.labelSelector"), value["labelSelector"].clone(), why));
            }
        }
        (None, Some(signer)) => {
            if signer.is_empty() {
                faults.push(FieldError::required(format!("{path}.signerName"), "must be a valid signer name"));
            }
            faults.extend(selector(&value["labelSelector"], &format!("{path}.labelSelector")));
        }
    }
    faults.extend(required(value, path, "path"));
    faults.extend(non_reserved_path(text(value, "path"), &format!("{path}.path")));
}

fn certificate(value: &Value, path: &str, faults: &mut Vec<FieldError>) {
    faults.extend(required(value, path, "signerName"));
    let kind = text(value, "keyType");
    if !KEY_TYPES.contains(&kind) {
        faults.push(FieldError::not_supported(format!("{path}.keyType"), kind, &KEY_TYPES));
    }
    let targets = ["credentialBundlePath", "keyPath", "certificateChainPath"];
    if targets.iter().all(|field| text(value, field).is_empty()) {
        let why = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath";
        faults.push(FieldError::required(path, why));
    }
    for field in targets {
        faults.extend(non_reserved_path(text(value, field), &format!("{path}.{field}")));
    }
    if let Some(seconds) = value["maxExpirationSeconds"].as_i64().filter(|s| !(3600..=91 * 24 * 3600).contains(s)) {
        let why = "if provided, maxExpirationSeconds must be >= 3600 and <= 7862400";
        faults.push(FieldError::invalid(format!("{path}.maxExpirationSeconds"), seconds, why));
    }
}

/// Stays below where it starts.
pub(super) fn descending_path(target: &str, path: &str) -> Vec<FieldError> {
    let absolute = target.starts_with('/').then(|| FieldError::invalid(path, target, "must be a relative path"));
    absolute.into_iter().chain(no_backsteps(target, path)).collect()
}

pub(super) fn no_backsteps(target: &str, path: &str) -> Option<FieldError> {
    target.split('/').any(|part| part == "..").then(|| FieldError::invalid(path, target, "must not contain '..'"))
}

/// Stays below where it starts, and is none of the names that the node uses itself there.
pub(super) fn non_reserved_path(target: &str, path: &str) -> Vec<FieldError> {
    let mut faults = descending_path(target, path);
    if target.starts_with("..") && !target.starts_with("../") {
        faults.push(FieldError::invalid(path, target, "must not start with '..'"));
    }
    faults
}

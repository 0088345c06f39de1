//! Volumes that come from outside of the cluster: claims, drivers, and the storage systems that had plug-ins once.
use super::volumes::descending_path;
use crate::names;
use crate::status::FieldError;
use crate::validation::{invalid_each, one_of_if_set, required, text};
use serde_json::Value;

/// Fields that a source cannot do without.
const REQUIRED: [(&str, &[&str]); 18] = [
    ("gitRepo", &["repository"]),
    ("gcePersistentDisk", &["pdName"]),
    ("awsElasticBlockStore", &["volumeID"]),
    ("nfs", &["server", "path"]),
    ("glusterfs", &["endpoints", "path"]),
    ("persistentVolumeClaim", &["claimName"]),
    ("rbd", &["image"]),
    ("cinder", &["volumeID"]),
    ("quobyte", &["volume"]),
    ("flexVolume", &["driver"]),
    ("azureFile", &["secretName", "shareName"]),
    ("vsphereVolume", &["volumePath"]),
    ("photonPersistentDisk", &["pdID"]),
    ("portworxVolume", &["volumeID"]),
    ("azureDisk", &["diskName", "diskURI"]),
    ("storageos", &["volumeName"]),
    ("scaleIO", &["gateway", "system", "volumeName"]),
    ("csi", &["driver"]),
];

/// Checks the source `kind` of the volume at `path`; `name` is the volume's.
pub(super) fn validate(kind: &str, source: &Value, path: &str, name: &str, faults: &mut Vec<FieldError>) {
    let volume = path;
    // Upstream's name for one of the disks is another in its findings.
    let path = format!("{path}.{}", if kind == "gcePersistentDisk" { "persistentDisk" } else { kind });
    let fields = REQUIRED.iter().find(|(k, _)| *k == kind).map(|(_, fields)| *fields).unwrap_or_default();
    for field in fields {
        faults.extend(required(source, &path, field));
    }
    match kind {
        "gitRepo" => faults.extend(descending_path(text(source, "directory"), &format!("{path}.directory"))),
        "gcePersistentDisk" | "awsElasticBlockStore" => {
            faults.extend(range(source, "partition", 0, "must be between 1 and 255, inclusive", &path))
        }
        "nfs" if !text(source, "path").starts_with('/') => {
            faults.push(FieldError::invalid(format!("{path}.path"), text(source, "path"), "must be an absolute path"));
        }
        "iscsi" => iscsi(source, &path, volume, name, faults),
        "rbd" | "cephfs" if source["monitors"].as_array().is_none_or(Vec::is_empty) => {
            faults.push(FieldError::required(format!("{path}.monitors"), ""));
        }
        "flocker" => flocker(source, &path, faults),
        "cinder" | "storageos" => {
            if source["secretRef"].is_object() {
                faults.extend(required(&source["secretRef"], &format!("{path}.secretRef"), "name"));
            }
            for field in ["volumeName", "volumeNamespace"].into_iter().filter(|f| kind == "storageos" && !text(source, f).is_empty()) {
                let value = text(source, field);
                faults.extend(invalid_each(&format!("{path}.{field}"), value, names::dns1123_label(value)));
            }
        }
        "quobyte" => quobyte(source, &path, faults),
        "fc" => fibre_channel(source, &path, faults),
        "flexVolume" => flex_options(source, &path, faults),
        "azureDisk" => azure_disk(source, &path, faults),
        "csi" => csi(source, &path, faults),
        "ephemeral" => ephemeral(source, &path, faults),
        "image" => {
            faults.extend(required(source, &path, "reference"));
            faults.extend(one_of_if_set(source, &path, "pullPolicy", &["Always", "IfNotPresent", "Never"]));
        }
        _ => {}
    }
}

fn range(source: &Value, field: &str, from: i64, why: &str, path: &str) -> Option<FieldError> {
    let number = source[field].as_i64().filter(|n| !(from..=255).contains(n))?;
    Some(FieldError::invalid(format!("{path}.{field}"), number, why))
}

fn iscsi(source: &Value, path: &str, volume: &str, name: &str, faults: &mut Vec<FieldError>) {
    faults.extend(required(source, path, "targetPortal"));
    faults.extend(required(source, path, "iqn"));
    for (field, shown) in [("iqn", "iqn"), ("initiatorName", "initiatorname")] {
        let value = text(source, field);
        if !value.is_empty() {
            faults.extend(initiator_fault(value).map(|why| FieldError::invalid(format!("{path}.{shown}"), value, why)));
        }
    }
    faults.extend(range(source, "lun", 0, "must be between 0 and 255, inclusive", path));
    let authenticated = source["chapAuthDiscovery"] == true || source["chapAuthSession"] == true;
    if authenticated && source["secretRef"].is_null() {
        faults.push(FieldError::required(format!("{path}.secretRef"), ""));
    }
    if !source["initiatorName"].is_null() && name.len() + 1 + text(source, "targetPortal").len() > 64 {
        let why = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.";
        faults.push(FieldError::invalid(format!("{volume}.name"), name, why));
    }
}

/// The three forms of an iSCSI name: `iqn.2001-04.com.example:storage`, `eui.` and `naa.` with digits.
fn initiator_fault(value: &str) -> Option<&'static str> {
    let digits = |prefix: &str, count: usize| {
        value.strip_prefix(prefix).is_some_and(|d| d.len() == count && d.bytes().all(|b| b.is_ascii_alphanumeric()))
    };
    let good = if value.starts_with("iqn") {
        let parts = value.strip_prefix("iqn.").and_then(|rest| rest.split_once('.'));
        parts.is_some_and(|(date, rest)| {
            let date = date
                .split_once('-')
                .is_some_and(|(y, m)| y.len() == 4 && m.len() == 2 && [y, m].iter().all(|t| t.bytes().all(|b| b.is_ascii_digit())));
            let (authority, local) = rest.split_once(':').unwrap_or((rest, ""));
            let authority = !authority.is_empty() && authority.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
            date && authority
                && !local.is_empty()
                && !local.contains([',', ';', '*', '&', '$', '|'])
                && !local.contains(char::is_whitespace)
        })
    } else if value.starts_with("eui") {
        digits("eui.", 16)
    } else if value.starts_with("naa") {
        digits("naa.", 32)
    } else {
        return Some("must be valid format starting with iqn, eui, or naa");
    };
    (!good).then_some("must be valid format")
}

fn flocker(source: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let (name, uuid) = (text(source, "datasetName"), text(source, "datasetUUID"));
    if name.is_empty() && uuid.is_empty() {
        faults.push(FieldError::required(path, "one of datasetName and datasetUUID is required"));
    }
    if !name.is_empty() && !uuid.is_empty() {
        faults.push(FieldError::invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously"));
    }
    if name.contains('/') {
        faults.push(FieldError::invalid(format!("{path}.datasetName"), name, "must not contain '/'"));
    }
}

fn quobyte(source: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let why = "must be a host:port pair or multiple pairs separated by commas";
    let registry = text(source, "registry");
    if registry.is_empty() {
        faults.push(FieldError::required(format!("{path}.registry"), why));
    } else if text(source, "tenant").len() >= 65 {
        faults.push(FieldError::required(format!("{path}.tenant"), "must be a UUID and may not exceed a length of 64 characters"));
    } else {
        let bad = registry.split(',').filter(|pair| !pair.contains(':'));
        faults.extend(bad.map(|_| FieldError::invalid(format!("{path}.registry"), registry, why)));
    }
}

fn fibre_channel(source: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let some = |field: &str| source[field].as_array().is_some_and(|l| !l.is_empty());
    let (names, ids) = (some("targetWWNs"), some("wwids"));
    if !names && !ids {
        let why = "must specify either targetWWNs or wwids, but not both";
        faults.push(FieldError::required(format!("{path}.targetWWNs"), why));
    }
    if names && ids {
        let why = "targetWWNs and wwids can not be specified simultaneously";
        faults.push(FieldError::invalid(format!("{path}.targetWWNs"), source["targetWWNs"].clone(), why));
    }
    if names && source["lun"].is_null() {
        faults.push(FieldError::required(format!("{path}.lun"), "lun is required if targetWWNs is specified"));
    }
    if names {
        faults.extend(range(source, "lun", 0, "must be between 0 and 255, inclusive", path));
    }
}

fn flex_options(source: &Value, path: &str, faults: &mut Vec<FieldError>) {
    for key in source["options"].as_object().into_iter().flatten().map(|(k, _)| k) {
        let domain = format!(".{}", key.split('/').next().unwrap_or_default().to_lowercase());
        if domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io") {
            let why = "kubernetes.io and k8s.io namespaces are reserved";
            faults.push(FieldError::invalid(format!("{path}.options[{key}]"), &**key, why));
        }
    }
}

fn azure_disk(source: &Value, path: &str, faults: &mut Vec<FieldError>) {
    faults.extend(one_of_if_set(source, path, "cachingMode", &["None", "ReadOnly", "ReadWrite"]));
    faults.extend(one_of_if_set(source, path, "kind", &["Dedicated", "Managed", "Shared"]));
    let (uri, at) = (text(source, "diskURI"), format!("{path}.diskURI"));
    match source["kind"].as_str() {
        Some("Managed") if !uri.starts_with("/subscriptions/") => {
            let form = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
            faults.push(FieldError::not_supported(at, uri, &[form]));
        }
        Some(kind) if kind != "Managed" && !uri.starts_with("https://") => {
            let form = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";
            faults.push(FieldError::not_supported(at, uri, &[form]));
        }
        _ => {}
    }
}

fn csi(source: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let driver = text(source, "driver");
    if !driver.is_empty() {
        let at = format!("{path}.driver");
        if driver.len() > 63 {
            faults.push(FieldError::too_long(&*at, 63));
        }
        faults.extend(invalid_each(&at, driver, names::dns1123_subdomain(&driver.to_lowercase())));
    }
    let secret = &source["nodePublishSecretRef"];
    if secret.is_object() {
        faults.extend(required(secret, &format!("{path}.nodePublishSecretRef"), "name"));
    }
}

fn ephemeral(source: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let template = &source["volumeClaimTemplate"];
    let path = format!("{path}.volumeClaimTemplate");
    if !template.is_object() {
        faults.push(FieldError::required(path, ""));
        return;
    }
    let spec = &template["spec"];
    if spec["accessModes"].as_array().is_none_or(Vec::is_empty) {
        faults.push(FieldError::required(format!("{path}.spec.accessModes"), "at least 1 access mode is required"));
    }
    if spec["resources"]["requests"]["storage"].is_null() {
        faults.push(FieldError::required(format!("{path}.spec.resources[storage]"), ""));
    }
}

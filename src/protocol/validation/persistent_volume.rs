//! The spec of a persistent volume, as an object of its own and inline in an attachment.
use super::node_selector::node_selector;
use super::quantities::{basic_amount, positive_amount};
use super::{invalid_each, text};
use crate::names;
use crate::status::FieldError;
use serde_json::{Value, json};

/// Named the class of a claim or a volume before there was a field for it.
pub const OLD_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// How a volume may be mounted.
pub const ACCESS_MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
/// `volumeMode`
pub const VOLUME_MODES: [&str; 2] = ["Block", "Filesystem"];
const RECLAIM_POLICIES: [&str; 3] = ["Delete", "Recycle", "Retain"];
const TOO_MANY: &str = "may not specify more than 1 volume type";
const INLINE: &str = "may not be specified in the context of inline volumes";

/// The kinds of volumes, in the order in which upstream looks at them, with the fields that each must have.
const SOURCES: [(&str, &[&str]); 22] = [
    ("hostPath", &["path"]),
    ("gcePersistentDisk", &["pdName"]),
    ("awsElasticBlockStore", &["volumeID"]),
    ("glusterfs", &["endpoints", "path"]),
    ("flocker", &[]),
    ("nfs", &["server", "path"]),
    ("rbd", &["image"]),
    ("quobyte", &["volume"]),
    ("cephfs", &[]),
    ("iscsi", &["targetPortal", "iqn"]),
    ("cinder", &["volumeID"]),
    ("fc", &[]),
    ("flexVolume", &["driver"]),
    ("azureFile", &["secretName", "shareName"]),
    ("vsphereVolume", &["volumePath"]),
    ("photonPersistentDisk", &["pdID"]),
    ("portworxVolume", &["volumeID"]),
    ("azureDisk", &["diskName", "diskURI"]),
    ("scaleIO", &["gateway", "system", "volumeName"]),
    ("local", &["path"]),
    ("storageos", &["volumeName"]),
    ("csi", &["driver", "volumeHandle"]),
];

/// The sources of a volume: its spec without what every volume has.
pub fn source(spec: &Value) -> Value {
    let found = SOURCES.iter().filter(|(name, _)| !spec[*name].is_null());
    Value::Object(found.map(|(name, _)| (name.to_string(), spec[*name].clone())).collect())
}

/// Checks a `PersistentVolumeSpec`; `inline` when it is part of a VolumeAttachment.
pub fn persistent_volume_spec(spec: &Value, path: &str, inline: bool) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if inline {
        inline_only(spec, path, &mut faults);
    }
    let empty = spec["accessModes"].as_array().is_none_or(Vec::is_empty);
    if empty {
        faults.push(FieldError::required(format!("{path}.accessModes"), ""));
    }
    faults.extend(access_modes(spec, path));
    if !inline {
        capacity(spec, path, &mut faults);
    }
    policies(spec, path, inline, &mut faults);
    let affinity = &spec["nodeAffinity"];
    if !affinity.is_null() {
        let path = format!("{path}.nodeAffinity");
        if inline {
            faults.push(FieldError::forbidden(path, INLINE));
        } else if affinity["required"].is_null() {
            faults.push(FieldError::required(format!("{path}.required"), "must specify required node constraints"));
        } else {
            faults.extend(node_selector(&affinity["required"], &format!("{path}.required")));
        }
    }
    sources(spec, path, &mut faults);
    classes(spec, path, inline, &mut faults);
    faults
}

/// The modes themselves; whether there is one is for the caller to ask.
pub fn access_modes(spec: &Value, path: &str) -> Vec<FieldError> {
    let path = format!("{path}.accessModes");
    let modes: Vec<&str> = spec["accessModes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut faults: Vec<_> =
        modes.iter().filter(|m| !ACCESS_MODES.contains(m)).map(|m| FieldError::not_supported(path.as_str(), *m, &ACCESS_MODES)).collect();
    let single = modes.contains(&"ReadWriteOncePod");
    if single && modes.iter().any(|m| *m != "ReadWriteOncePod" && ACCESS_MODES.contains(m)) {
        faults.push(FieldError::forbidden(path, "may not use ReadWriteOncePod with other access modes"));
    }
    faults
}

fn inline_only(spec: &Value, path: &str, faults: &mut Vec<FieldError>) {
    for field in ["claimRef", "capacity"] {
        if spec[field].as_object().is_some_and(|o| !o.is_empty()) {
            faults.push(FieldError::forbidden(format!("{path}.{field}"), INLINE));
        }
    }
    if spec["csi"].is_null() {
        faults.push(FieldError::required(format!("{path}.csi"), "has to be specified in the context of inline volumes"));
    }
}

fn capacity(spec: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let path = format!("{path}.capacity");
    let given = spec["capacity"].as_object();
    if given.is_none_or(|c| c.is_empty()) {
        faults.push(FieldError::required(path.as_str(), ""));
    }
    if given.is_none_or(|c| !c.contains_key("storage") || c.len() > 1) {
        let value = if given.is_some() { spec["capacity"].clone() } else { json!({}) };
        faults.push(FieldError::not_supported(path.as_str(), value, &["storage"]));
    }
    for (name, value) in given.into_iter().flatten() {
        let path = format!("{path}[{name}]");
        faults.extend(basic_amount(value, &path));
        faults.extend(positive_amount(value, &path));
    }
}

fn policies(spec: &Value, path: &str, inline: bool, faults: &mut Vec<FieldError>) {
    let policy = text(spec, "persistentVolumeReclaimPolicy");
    let path = format!("{path}.persistentVolumeReclaimPolicy");
    if policy.is_empty() {
        return;
    }
    if inline {
        if policy != "Retain" {
            faults.push(FieldError::forbidden(path, "may only be Retain in the context of inline volumes"));
        }
    } else if !RECLAIM_POLICIES.contains(&policy) {
        faults.push(FieldError::not_supported(path, policy, &RECLAIM_POLICIES));
    }
}

fn sources(spec: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let mut found = 0;
    for (name, fields) in SOURCES {
        let source = &spec[name];
        if source.is_null() {
            continue;
        }
        let at = format!("{path}.{name}");
        found += 1;
        if found > 1 {
            faults.push(FieldError::forbidden(at, TOO_MANY));
            continue;
        }
        if name != "csi" {
            faults.extend(fields.iter().filter(|f| text(source, f).is_empty()).map(|f| FieldError::required(format!("{at}.{f}"), "")));
        }
        match name {
            "hostPath" | "local" => no_backsteps(text(source, "path"), &at, faults),
            "nfs" if !text(source, "path").is_empty() && !text(source, "path").starts_with('/') => {
                faults.push(FieldError::invalid(format!("{at}.path"), text(source, "path"), "must be an absolute path"));
            }
            "csi" => csi(source, &at, faults),
            _ => {}
        }
        if name == "local" && spec["nodeAffinity"].is_null() {
            faults.push(FieldError::required(format!("{path}.nodeAffinity"), "Local volume requires node affinity"));
        }
    }
    if found == 0 {
        faults.push(FieldError::required(path, "must specify a volume type"));
    }
    let root = spec["hostPath"]["path"].as_str().is_some_and(|p| !p.is_empty() && p.split('/').all(|part| part.is_empty() || part == "."));
    if root && text(spec, "persistentVolumeReclaimPolicy") == "Recycle" {
        let why = "may not be 'recycle' for a hostPath mount of '/'";
        faults.push(FieldError::forbidden(format!("{path}.persistentVolumeReclaimPolicy"), why));
    }
}

fn no_backsteps(value: &str, path: &str, faults: &mut Vec<FieldError>) {
    if value.split('/').any(|part| part == "..") {
        faults.push(FieldError::invalid(format!("{path}.path"), value, "must not contain '..'"));
    }
}

fn csi(source: &Value, path: &str, faults: &mut Vec<FieldError>) {
    faults.extend(csi_driver_name(text(source, "driver"), &format!("{path}.driver")));
    if text(source, "volumeHandle").is_empty() {
        faults.push(FieldError::required(format!("{path}.volumeHandle"), ""));
    }
    for field in ["controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef"] {
        let secret = &source[field];
        if secret.is_null() {
            continue;
        }
        for (part, rule) in [("name", names::dns1123_subdomain as fn(&str) -> Vec<String>), ("namespace", names::dns1123_label)] {
            let path = format!("{path}.{field}.{part}");
            match text(secret, part) {
                "" => faults.push(FieldError::required(path, "")),
                value => faults.extend(invalid_each(&path, value, rule(value))),
            }
        }
    }
}

/// The name of a CSI driver where it is referred to.
pub fn csi_driver_name(name: &str, path: &str) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if name.is_empty() {
        faults.push(FieldError::required(path, ""));
    }
    if name.len() > 63 {
        faults.push(FieldError::too_long(path, 63));
    }
    faults.extend(invalid_each(path, name, names::dns1123_subdomain(&name.to_lowercase())));
    faults
}

fn classes(spec: &Value, path: &str, inline: bool, faults: &mut Vec<FieldError>) {
    let class = text(spec, "storageClassName");
    if !class.is_empty() {
        let path = format!("{path}.storageClassName");
        if inline {
            faults.push(FieldError::forbidden(path, INLINE));
        } else {
            faults.extend(invalid_each(&path, class, names::dns1123_subdomain(class)));
        }
    }
    if let Some(mode) = spec["volumeMode"].as_str() {
        let path = format!("{path}.volumeMode");
        if inline {
            if mode != "Filesystem" {
                faults
                    .push(FieldError::forbidden(path, "may not specify volumeMode other than Filesystem in the context of inline volumes"));
            }
        } else if !VOLUME_MODES.contains(&mode) {
            faults.push(FieldError::not_supported(path, mode, &VOLUME_MODES));
        }
    }
    if let Some(class) = spec["volumeAttributesClassName"].as_str() {
        let field = format!("{path}.volumeAttributesClassName");
        if class.is_empty() {
            faults.push(FieldError::required(field, "an empty string is disallowed"));
        } else {
            faults.extend(invalid_each(&field, class, names::dns1123_subdomain(class)));
        }
        if spec["csi"].is_null() {
            faults.push(FieldError::required(format!("{path}.csi"), "has to be specified when using volumeAttributesClassName"));
        }
    }
}

//! Defaults of volumes.
use super::{list, object, set};
use serde_json::{Map, Value, json};

type Object = Map<String, Value>;

/// `rw-r--r--`
const FILE_MODE: i64 = 0o644;
const TOKEN_SECONDS: i64 = 3600;

/// Fills one of `spec.volumes`.
pub(super) fn default_volume(volume: &mut Object) {
    if volume.keys().all(|key| key == "name") {
        volume.insert("emptyDir".into(), json!({}));
    }
    for name in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = object(volume, name) {
            set(source, "defaultMode", FILE_MODE);
        }
    }
    if let Some(source) = object(volume, "downwardAPI") {
        default_items(source);
    }
    if let Some(projected) = object(volume, "projected") {
        for source in list(projected, "sources") {
            if let Some(token) = object(source, "serviceAccountToken") {
                set(token, "expirationSeconds", TOKEN_SECONDS);
            }
            if let Some(downward) = object(source, "downwardAPI") {
                default_items(downward);
            }
        }
    }
    if let Some(host) = object(volume, "hostPath") {
        set(host, "type", "");
    }
    if let Some(iscsi) = object(volume, "iscsi") {
        set(iscsi, "iscsiInterface", "default");
    }
    if let Some(spec) = object(volume, "ephemeral").and_then(|e| object(e, "volumeClaimTemplate")).and_then(|t| object(t, "spec")) {
        set(spec, "volumeMode", "Filesystem");
    }
    if let Some(image) = object(volume, "image") {
        let policy = pull_policy(image.get("reference").and_then(Value::as_str).unwrap_or_default());
        set(image, "pullPolicy", policy);
    }
}

fn default_items(downward: &mut Object) {
    for item in list(downward, "items") {
        if let Some(field) = object(item, "fieldRef") {
            set(field, "apiVersion", "v1");
        }
        if let Some(resource) = object(item, "resourceFieldRef") {
            set(resource, "divisor", "0");
        }
    }
}

/// `Always` for the tag `latest`, also when it is only implied.
pub(super) fn pull_policy(image: &str) -> &'static str {
    let (name, digest) = image.split_once('@').map_or((image, false), |(name, _)| (name, true));
    let last = name.rsplit('/').next().unwrap_or_default();
    let latest = match last.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => !digest && !image.is_empty(),
    };
    if latest { "Always" } else { "IfNotPresent" }
}

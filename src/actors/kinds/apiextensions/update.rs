//! What an update of a definition may change.
use super::conditions::is_true;
use super::crd::storage_version;
use crate::protocol::status::FieldError;
use serde_json::Value;

/// A new storage version joins those that objects may be stored in.
pub(super) fn prepare(new: &mut Value, _old: &Value) {
    let Some(version) = storage_version(new) else { return };
    let mut stored = new["status"]["storedVersions"].as_array().cloned().unwrap_or_default();
    if !stored.iter().any(|v| *v == version.as_str()) {
        stored.push(version.into());
        new["status"]["storedVersions"] = stored.into();
    }
}

pub(super) fn validate(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let at = |object: &Value, path: &str| path.split('.').fold(object.clone(), |value, part| value[part].clone());
    let mut immutable = |path: &str| {
        let (now, before) = (at(new, path), at(old, path));
        if now != before {
            errors.push(FieldError::invalid(path, now, "field is immutable"));
        }
    };
    if is_true(old, "Established") {
        immutable("spec.scope");
        immutable("spec.names.kind");
    }
    immutable("spec.group");
    immutable("spec.names.plural");
    let versions = new["spec"]["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, stored) in new["status"]["storedVersions"].as_array().into_iter().flatten().enumerate() {
        if !versions.iter().any(|v| v["name"] == *stored) {
            let why = "missing from spec.versions; v1 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from status.storedVersions";
            let why = why.replace("v1", stored.as_str().unwrap_or_default());
            errors.push(FieldError::invalid(format!("status.storedVersions[{index}]"), stored.clone(), why));
        }
    }
    errors
}

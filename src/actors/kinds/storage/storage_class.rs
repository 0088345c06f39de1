//! `storage.k8s.io/v1 StorageClass`.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column};
use crate::actors::kinds::fields::{annotation, fill, immutable, members};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::STORAGE_CLASS;
use crate::protocol::names;
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::node_selector::topologies;
use crate::protocol::validation::{invalid_each, text};
use serde_json::Value;

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "storage.k8s.io",
        version: "v1",
        kind: "StorageClass",
        plural: "storageclasses",
        singular: "storageclass",
        namespaced: false,
        short_names: &["sc"],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&STORAGE_CLASS),
    schema: "StorageClass",
    rules: Rules { default, validate, validate_update, warnings, ..PLAIN },
    columns: COLUMNS,
    row,
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Provisioner", "string", 0, "Who makes the volumes."),
    column("ReclaimPolicy", "string", 0, "What happens to volumes that are released."),
    column("VolumeBindingMode", "string", 0, "When volumes are made and bound."),
    column("AllowVolumeExpansion", "string", 0, "Whether volumes can grow."),
    AGE,
];

const RECLAIM_POLICIES: [&str; 2] = ["Delete", "Retain"];
const BINDING_MODES: [&str; 2] = ["Immediate", "WaitForFirstConsumer"];
const MAX_PARAMETERS: usize = 512;
/// Bytes of all parameters' keys and values together.
const MAX_PARAMETERS_SIZE: usize = 256 * 1024;

fn default(object: &mut Value) {
    fill(object, "reclaimPolicy", "Delete");
    fill(object, "volumeBindingMode", "Immediate");
}

fn validate(object: &Value) -> Vec<FieldError> {
    let mut errors = provisioner(text(object, "provisioner"), "provisioner");
    errors.extend(parameters(&object["parameters"]));
    let policy = text(object, "reclaimPolicy");
    if !policy.is_empty() && !RECLAIM_POLICIES.contains(&policy) {
        errors.push(FieldError::not_supported("reclaimPolicy", policy, &RECLAIM_POLICIES));
    }
    match text(object, "volumeBindingMode") {
        "" => errors.push(FieldError::required("volumeBindingMode", "")),
        mode if BINDING_MODES.contains(&mode) => {}
        other => errors.push(FieldError::not_supported("volumeBindingMode", other, &BINDING_MODES)),
    }
    errors.extend(topologies(object, "", "allowedTopologies"));
    errors
}

/// The name of who makes or changes volumes.
pub(super) fn provisioner(name: &str, path: &str) -> Vec<FieldError> {
    if name.is_empty() {
        return vec![FieldError::required(path, "")];
    }
    let name = name.to_lowercase();
    invalid_each(path, &name, names::qualified_name(&name)).collect()
}

/// Opaque to us, but not without bounds.
pub(super) fn parameters(map: &Value) -> Vec<FieldError> {
    let path = "parameters";
    if map.as_object().is_some_and(|m| m.len() > MAX_PARAMETERS) {
        return vec![FieldError::too_long(path, MAX_PARAMETERS)];
    }
    let mut errors = Vec::new();
    let mut size = 0;
    for (key, value) in members(map) {
        if key.is_empty() {
            errors.push(FieldError::invalid(path, "", "field can not be empty."));
        }
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > MAX_PARAMETERS_SIZE {
        errors.push(FieldError::too_long(path, MAX_PARAMETERS_SIZE));
    }
    errors
}

fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for field in ["parameters", "provisioner", "reclaimPolicy"] {
        if new[field] != old[field] {
            errors.push(FieldError::forbidden(field, format!("updates to {field} are forbidden.")));
        }
    }
    errors.extend(immutable(&new["volumeBindingMode"], &old["volumeBindingMode"], "volumeBindingMode"));
    errors
}

/// Node labels of old times, with today's names.
const OLD_LABELS: [(&str, &str, &str); 5] = [
    ("failure-domain.beta.kubernetes.io/zone", "v1.17", "topology.kubernetes.io/zone"),
    ("failure-domain.beta.kubernetes.io/region", "v1.17", "topology.kubernetes.io/region"),
    ("beta.kubernetes.io/os", "v1.14", "kubernetes.io/os"),
    ("beta.kubernetes.io/arch", "v1.14", "kubernetes.io/arch"),
    ("beta.kubernetes.io/instance-type", "v1.17", "node.kubernetes.io/instance-type"),
];

fn warnings(new: &Value, _: Option<&Value>) -> Vec<String> {
    let mut warnings = Vec::new();
    for (i, term) in new["allowedTopologies"].as_array().into_iter().flatten().enumerate() {
        for (j, expression) in term["matchLabelExpressions"].as_array().into_iter().flatten().enumerate() {
            if let Some((_, since, today)) = OLD_LABELS.iter().find(|(old, ..)| *old == text(expression, "key")) {
                let path = format!("allowedTopologies[{i}].matchLabelExpressions[{j}].key");
                warnings.push(format!("{path}: deprecated since {since}; use \"{today}\" instead"));
            }
        }
    }
    warnings
}

fn row(o: &Value, now: i64) -> Vec<Value> {
    let marks = ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
    let is_default = marks.iter().any(|mark| annotation(o, mark) == Some("true"));
    let name = o["metadata"]["name"].as_str().unwrap_or_default();
    vec![
        if is_default { format!("{name} (default)").into() } else { name.into() },
        text(o, "provisioner").into(),
        o["reclaimPolicy"].as_str().unwrap_or("Delete").into(),
        o["volumeBindingMode"].as_str().unwrap_or("Immediate").into(),
        (o["allowVolumeExpansion"] == true).into(),
        age(o, now),
    ]
}

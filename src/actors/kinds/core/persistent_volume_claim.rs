//! `v1 PersistentVolumeClaim`.
use super::persistent_volume::{or_unset, phase, short_modes, storage_class};
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::fields::{annotation, difference, fill, immutable, members, remove};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::PERSISTENT_VOLUME_CLAIM;
use crate::protocol::names;
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::persistent_volume::{OLD_CLASS, VOLUME_MODES, access_modes};
use crate::protocol::validation::quantities::{amount, basic_amount, is_native, positive_amount, resource_amount};
use crate::protocol::validation::{invalid_each, selector, text};
use serde_json::{Value, json};
use std::cmp::Ordering::{Greater, Less};

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "",
        version: "v1",
        kind: "PersistentVolumeClaim",
        plural: "persistentvolumeclaims",
        singular: "persistentvolumeclaim",
        namespaced: true,
        short_names: &["pvc"],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[Subresource {
            name: "status",
            group: "",
            version: "v1",
            kind: "PersistentVolumeClaim",
            verbs: &["get", "patch", "update"],
        }],
    },
    body: Body::Typed(&PERSISTENT_VOLUME_CLAIM),
    schema: "PersistentVolumeClaim",
    rules: Rules { default, create, update, validate, validate_update, validate_status, warnings, ..PLAIN },
    columns: COLUMNS,
    row,
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Status", "string", 0, "Whether it is bound."),
    column("Volume", "string", 0, "The volume that it is bound to."),
    column("Capacity", "string", 0, "How much fits into the volume."),
    column("Access Modes", "string", 0, "How the volume can be mounted."),
    column("StorageClass", "string", 0, "StorageClass of the pvc"),
    column("VolumeAttributesClass", "string", 0, "VolumeAttributesClass of the pvc"),
    AGE,
    column("VolumeMode", "string", 1, "Whether a filesystem or a raw block device is wanted."),
];

const RESIZE_STATUSES: [&str; 5] =
    ["ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizeInProgress", "NodeResizeInfeasible", "NodeResizePending"];

fn default(object: &mut Value) {
    fill(&mut object["spec"], "volumeMode", "Filesystem");
}

fn create(object: &mut Value) {
    object["status"] = json!({ "phase": "Pending" });
    let spec = &mut object["spec"];
    // Sources that no controller of old days knew were dropped silently, and still are.
    let known = matches!(
        (text(&spec["dataSource"], "kind"), text(&spec["dataSource"], "apiGroup")),
        ("PersistentVolumeClaim", "") | ("VolumeSnapshot", "snapshot.storage.k8s.io")
    );
    if !known && spec["dataSourceRef"].is_null() {
        remove(spec, "dataSource");
    }
    align_sources(spec);
}

fn update(new: &mut Value, _: &Value) {
    align_sources(&mut new["spec"]);
}

/// `dataSource` and `dataSourceRef` say the same, unless the reference crosses namespaces.
fn align_sources(spec: &mut Value) {
    let (source, reference) = (spec["dataSource"].clone(), spec["dataSourceRef"].clone());
    if source.is_object() && reference.is_null() {
        spec["dataSourceRef"] = source;
    } else if reference.is_object() && source.is_null() && text(&reference, "namespace").is_empty() {
        let mut source = reference;
        remove(&mut source, "namespace");
        spec["dataSource"] = source;
    }
}

fn validate(object: &Value) -> Vec<FieldError> {
    claim_spec(&object["spec"], "spec")
}

/// Checks a `PersistentVolumeClaimSpec`; `path` is where it stands.
pub fn claim_spec(spec: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if spec["accessModes"].as_array().is_none_or(Vec::is_empty) {
        errors.push(FieldError::required(format!("{path}.accessModes"), "at least 1 access mode is required"));
    }
    errors.extend(selector(&spec["selector"], &format!("{path}.selector")));
    errors.extend(access_modes(spec, path));
    let size = format!("{path}.resources[storage]");
    match spec["resources"]["requests"].get("storage") {
        None => errors.push(FieldError::required(size, "")),
        Some(value) => {
            let faults = positive_amount(value, &size);
            errors.extend(if faults.is_empty() { resource_amount("storage", value, &size) } else { faults });
        }
    }
    for field in ["storageClassName", "volumeAttributesClassName"] {
        let class = text(spec, field);
        if !class.is_empty() {
            errors.extend(invalid_each(&format!("{path}.{field}"), class, names::dns1123_subdomain(class)));
        }
    }
    if let Some(mode) = spec["volumeMode"].as_str().filter(|m| !VOLUME_MODES.contains(m)) {
        errors.push(FieldError::not_supported(format!("{path}.volumeMode"), mode, &VOLUME_MODES));
    }
    data_sources(spec, path, &mut errors);
    errors
}

fn data_sources(spec: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let (source, reference) = (&spec["dataSource"], &spec["dataSourceRef"]);
    for (field, source) in [("dataSource", source), ("dataSourceRef", reference)] {
        if !source.is_object() {
            continue;
        }
        let path = format!("{path}.{field}");
        errors.extend(
            ["name", "kind"].iter().filter(|f| text(source, f).is_empty()).map(|f| FieldError::required(format!("{path}.{f}"), "")),
        );
        let (group, kind) = (text(source, "apiGroup"), text(source, "kind"));
        if group.is_empty() && kind != "PersistentVolumeClaim" {
            let why = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
            errors.push(FieldError::invalid(path.as_str(), kind, why));
        }
        if !group.is_empty() {
            errors.extend(invalid_each(&format!("{path}.apiGroup"), group, names::dns1123_subdomain(group)));
        }
        let namespace = text(source, "namespace");
        if !namespace.is_empty() {
            errors.extend(invalid_each(&format!("{path}.namespace"), namespace, names::dns1123_label(namespace)));
        }
    }
    if !source.is_object() || !reference.is_object() {
        return;
    }
    let differ = || ["apiGroup", "kind", "name"].iter().any(|f| source[*f] != reference[*f]);
    if !text(reference, "namespace").is_empty() {
        let why = "may not be specified when dataSourceRef.namespace is specified";
        errors.push(FieldError::invalid(path, format!("{path}.dataSource"), why));
    } else if differ() {
        errors.push(FieldError::invalid(path, format!("{path}.dataSource"), "must match dataSourceRef"));
    }
}

fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let (mut given, mut held) = (new["spec"].clone(), old["spec"].clone());
    let bound = new["status"]["phase"] == "Bound";
    if text(&held, "volumeName").is_empty() {
        take(&mut held, &given, "volumeName");
    }
    let (old_note, new_note) = (annotation(old, OLD_CLASS), annotation(new, OLD_CLASS));
    let class = given["storageClassName"].as_str();
    let upgraded = held["storageClassName"].is_null() && class.is_some();
    if upgraded && old_note.is_some() && class == old_note && (new_note.is_none() || new_note == old_note) {
        remove(&mut given, "storageClassName");
    } else {
        if new_note.unwrap_or_default() != old_note.unwrap_or_default() {
            let path = format!("metadata.annotations[{OLD_CLASS}]");
            errors.push(FieldError::invalid(path, new_note.unwrap_or_default(), "field is immutable"));
        }
        if upgraded && (old_note.is_none() || class == old_note) {
            take(&mut given, &held, "storageClassName");
        }
    }
    if bound {
        if given["resources"]["requests"].is_object() {
            let size = held["resources"]["requests"]["storage"].clone();
            given["resources"]["requests"]["storage"] = size;
        }
        if !given["volumeAttributesClassName"].is_null() {
            take(&mut given, &held, "volumeAttributesClassName");
        }
    }
    if stripped(&given) != stripped(&held) {
        let why = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        errors.push(FieldError::forbidden("spec", format!("{why}\n{}", difference(&stripped(&held), &stripped(&given)))));
    }
    validate_size(new, old, &mut errors);
    errors.extend(immutable(&new["spec"]["volumeMode"], &old["spec"]["volumeMode"], "volumeMode"));
    let path = "spec.volumeAttributesClassName";
    if !old["spec"]["volumeAttributesClassName"].is_null() {
        match new["spec"]["volumeAttributesClassName"].as_str() {
            None => errors.push(FieldError::forbidden(path, "update from non-nil value to nil is forbidden")),
            Some("") if old["spec"]["volumeAttributesClassName"] != "" => {
                errors.push(FieldError::forbidden(path, "update from non-nil value to an empty string is forbidden"));
            }
            Some(_) => {}
        }
    }
    errors
}

/// Less than before is allowed only to take back an expansion that has not happened.
fn validate_size(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let size = |o: &Value| amount(&o["spec"]["resources"]["requests"]["storage"]).unwrap_or_default();
    let actual = amount(&old["status"]["capacity"]["storage"]).unwrap_or_default();
    if size(new).compare(&size(old)) == Less && size(new).compare(&actual) != Greater {
        errors.push(FieldError::forbidden("spec.resources.requests.storage", "field can not be less than status.capacity"));
    }
}

fn take(to: &mut Value, from: &Value, field: &str) {
    match from.get(field) {
        Some(value) => to[field] = value.clone(),
        None => remove(to, field),
    }
}

/// Without members that are null: as good as absent.
fn stripped(spec: &Value) -> Value {
    let mut spec = spec.clone();
    if let Some(members) = spec.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    spec
}

fn validate_status(new: &Value, _: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if new["spec"]["accessModes"].as_array().is_none_or(Vec::is_empty) {
        errors.push(FieldError::required("Spec.accessModes", ""));
    }
    let status = &new["status"];
    errors.extend(members(&status["capacity"]).flat_map(|(name, value)| basic_amount(value, &format!("status.capacity[{name}]"))));
    let path = "status.allocatedResourceStatus";
    for (name, value) in members(&status["allocatedResourceStatuses"]) {
        errors.extend(resource_key(name, path));
        if !value.as_str().is_some_and(|v| RESIZE_STATUSES.contains(&v)) {
            errors.push(FieldError::not_supported(path, name.as_str(), &RESIZE_STATUSES));
        }
    }
    for (name, value) in members(&status["allocatedResources"]) {
        let faults = resource_key(name, "status.allocatedResources");
        if !faults.is_empty() {
            errors.extend(faults);
            continue;
        }
        let path = format!("status.allocatedResources[{name}]");
        let faults = basic_amount(value, &path);
        errors.extend(if faults.is_empty() { resource_amount("storage", value, &path) } else { faults });
    }
    errors
}

fn resource_key(name: &str, path: &str) -> Vec<FieldError> {
    let faults: Vec<_> = invalid_each(path, name, names::qualified_name(name)).collect();
    if faults.is_empty() && is_native(name) && name != "storage" {
        return vec![FieldError::not_supported(path, name, &["storage"])];
    }
    faults
}

fn warnings(new: &Value, _: Option<&Value>) -> Vec<String> {
    let mut warnings = Vec::new();
    if annotation(new, OLD_CLASS).is_some() {
        warnings.push(format!("metadata.annotations[{OLD_CLASS}]: deprecated since v1.8; use \"storageClassName\" attribute instead"));
    }
    if let Some(size) = amount(&new["spec"]["resources"]["requests"]["storage"]).filter(|q| !q.is_whole()) {
        warnings.push(format!("spec.resources.requests[storage]: fractional byte value \"{size}\" is invalid, must be an integer"));
    }
    warnings
}

fn row(o: &Value, now: i64) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let bound = !text(spec, "volumeName").is_empty();
    let size = status["capacity"]["storage"].as_str().unwrap_or("0");
    vec![
        name(o),
        phase(o),
        text(spec, "volumeName").into(),
        if bound { size } else { "" }.into(),
        if bound { short_modes(&status["accessModes"]) } else { String::new() }.into(),
        storage_class(o),
        or_unset(&spec["volumeAttributesClassName"]),
        age(o, now),
        or_unset(&spec["volumeMode"]),
    ]
}

//! `storage.k8s.io/v1 CSIStorageCapacity`.
use crate::actors::kinds::columns::{Column, NAME, column, name};
use crate::actors::kinds::core::persistent_volume::or_unset;
use crate::actors::kinds::fields::immutable;
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::CSI_STORAGE_CAPACITY;
use crate::protocol::names;
use crate::protocol::quantity;
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::quantities::not_negative_amount;
use crate::protocol::validation::{invalid_each, selector, text};
use serde_json::Value;

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "storage.k8s.io",
        version: "v1",
        kind: "CSIStorageCapacity",
        plural: "csistoragecapacities",
        singular: "csistoragecapacity",
        namespaced: true,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&CSI_STORAGE_CAPACITY),
    schema: "CSIStorageCapacity",
    rules: Rules { default, validate, validate_update, unconditional: false, ..PLAIN },
    columns: COLUMNS,
    row: |o, _| vec![name(o), text(o, "storageClassName").into(), or_unset(&o["capacity"])],
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("StorageClassName", "string", 0, "The class that the capacity is for."),
    column("Capacity", "string", 0, "How much room is left."),
];

/// Amounts get their canonical spelling; elsewhere the codec does that, but here their names mean maps in other kinds.
fn default(object: &mut Value) {
    for field in ["capacity", "maximumVolumeSize"] {
        if let Some(canonical) = object[field].as_str().and_then(|text| quantity::canonical(text).ok()) {
            object[field] = canonical.into();
        } else if object[field].is_null()
            && let Some(members) = object.as_object_mut()
        {
            members.remove(field);
        }
    }
}

fn validate(object: &Value) -> Vec<FieldError> {
    let mut errors = selector(&object["nodeTopology"], "nodeTopology");
    let class = text(object, "storageClassName");
    errors.extend(invalid_each("storageClassName", class, names::dns1123_subdomain(class)));
    for field in ["capacity", "maximumVolumeSize"] {
        if !object[field].is_null() {
            errors.extend(not_negative_amount(&object[field], field));
        }
    }
    errors
}

fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    ["nodeTopology", "storageClassName"].into_iter().filter_map(|field| immutable(&new[field], &old[field], field)).collect()
}

//! `storage.k8s.io/v1 VolumeAttributesClass`.
use super::storage_class::{parameters, provisioner};
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::VOLUME_ATTRIBUTES_CLASS;
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::text;
use serde_json::Value;

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "storage.k8s.io",
        version: "v1",
        kind: "VolumeAttributesClass",
        plural: "volumeattributesclasses",
        singular: "volumeattributesclass",
        namespaced: false,
        short_names: &["vac"],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&VOLUME_ATTRIBUTES_CLASS),
    schema: "VolumeAttributesClass",
    rules: Rules { validate, validate_update, ..PLAIN },
    columns: COLUMNS,
    row: |o, now| vec![name(o), text(o, "driverName").into(), age(o, now)],
    view: None,
};

const COLUMNS: &[Column] = &[NAME, column("DriverName", "string", 0, "The CSI driver that the class is for."), AGE];

fn validate(object: &Value) -> Vec<FieldError> {
    let mut errors = provisioner(text(object, "driverName"), "driverName");
    errors.extend(parameters(&object["parameters"]));
    if object["parameters"].as_object().is_none_or(|p| p.is_empty()) {
        errors.push(FieldError::required("parameters", "must contain at least one key/value pair"));
    }
    errors
}

fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let changed = ["driverName", "parameters"].into_iter().filter(|field| new[*field] != old[*field]);
    changed.map(|field| FieldError::forbidden(field, format!("updates to {field} are forbidden."))).collect()
}

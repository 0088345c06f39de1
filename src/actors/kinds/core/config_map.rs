//! `v1 ConfigMap`.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::CONFIG_MAP;
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::status::FieldError;
use serde_json::Value;

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "",
        version: "v1",
        kind: "ConfigMap",
        plural: "configmaps",
        singular: "configmap",
        namespaced: true,
        short_names: &["cm"],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&CONFIG_MAP),
    schema: "ConfigMap",
    rules: Rules { validate, validate_update, ..PLAIN },
    columns: COLUMNS,
    row: |o, now| vec![name(o), (entries(&o["data"]) + entries(&o["binaryData"])).into(), age(o, now)],
    view: None,
};

const COLUMNS: &[Column] = &[NAME, column("Data", "string", 0, "Number of entries in data and binaryData."), AGE];

fn entries(map: &Value) -> usize {
    map.as_object().map_or(0, |m| m.len())
}

fn validate(object: &Value) -> Vec<FieldError> {
    super::secret::validate_data(object, &["data", "binaryData"])
}

fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    super::secret::validate_immutable(new, old, &["data", "binaryData"])
}

//! `v1 ConfigMap`.
use super::secret::{MAX_SIZE, decoded_len, validate_immutable, validate_keys};
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::fields::members;
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
    let mut errors = validate_keys(object, "data");
    for (key, _) in members(&object["data"]).filter(|(key, _)| object["binaryData"].get(key.as_str()).is_some()) {
        errors.push(FieldError::invalid(format!("data[{key}]"), key.as_str(), "duplicate of key present in binaryData"));
    }
    errors.extend(validate_keys(object, "binaryData"));
    let plain: usize = members(&object["data"]).filter_map(|(_, value)| value.as_str()).map(str::len).sum();
    let binary: usize = members(&object["binaryData"]).map(|(_, value)| decoded_len(value)).sum();
    if plain + binary > MAX_SIZE {
        // The object as a whole is too long, so no field is named.
        errors.push(FieldError::too_long("", MAX_SIZE));
    }
    errors
}

fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    validate_immutable(new, old, &["data", "binaryData"])
}

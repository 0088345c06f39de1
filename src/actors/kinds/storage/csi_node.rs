//! `storage.k8s.io/v1 CSINode`.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::fields::{immutable, remove, texts};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::CSI_NODE;
use crate::protocol::names;
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::persistent_volume::csi_driver_name;
use crate::protocol::validation::{invalid_each, items, not_negative, text};
use serde_json::{Value, json};
use std::collections::HashSet;

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "storage.k8s.io",
        version: "v1",
        kind: "CSINode",
        plural: "csinodes",
        singular: "csinode",
        namespaced: false,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&CSI_NODE),
    schema: "CSINode",
    rules: Rules { default, validate, validate_update, unconditional: false, ..PLAIN },
    columns: COLUMNS,
    row: |o, now| vec![name(o), o["spec"]["drivers"].as_array().map_or(0, Vec::len).into(), age(o, now)],
    view: None,
};

const COLUMNS: &[Column] =
    &[NAME, column("Drivers", "integer", 0, "Drivers indicates the number of CSI drivers registered on the node"), AGE];

/// Bytes of a node's name for its driver; longer ones were never accepted.
const MAX_NODE_ID: usize = 256;

fn default(object: &mut Value) {
    if !object["spec"]["drivers"].is_array() {
        object["spec"]["drivers"] = json!([]);
    }
}

fn validate(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut seen = HashSet::new();
    for (path, driver) in items(&object["spec"], "spec", "drivers") {
        let (driver_name, id) = (text(driver, "name"), text(driver, "nodeID"));
        let field = format!("{path}.name");
        errors.extend(csi_driver_name(driver_name, &field));
        let node_id = format!("{path}.nodeID");
        if id.is_empty() {
            errors.push(FieldError::required(node_id.as_str(), ""));
        }
        if id.len() > MAX_NODE_ID {
            errors.push(FieldError::invalid(node_id, id, format!("must be {MAX_NODE_ID} characters or less")));
        }
        errors.extend(not_negative(&driver["allocatable"], &format!("{path}.allocatable"), "count"));
        if !seen.insert(driver_name) {
            errors.push(FieldError::duplicate(field, driver_name));
        }
        let mut keys = HashSet::new();
        for key in texts(&driver["topologyKeys"]) {
            if key.is_empty() {
                errors.push(FieldError::required(path.as_str(), ""));
            }
            if !keys.insert(key) {
                errors.push(FieldError::duplicate(path.as_str(), key));
            }
            errors.extend(invalid_each(&path, key, names::qualified_name(key)));
        }
    }
    errors
}

/// Drivers come and go, but don't change, save for how many volumes they take.
fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let drivers = |o: &Value| o["spec"]["drivers"].as_array().cloned().unwrap_or_default();
    let mut errors = Vec::new();
    for held in drivers(old) {
        for given in drivers(new).into_iter().filter(|driver| driver["name"] == held["name"]) {
            let [mut given, mut held] = [given, held.clone()];
            remove(&mut given, "allocatable");
            remove(&mut held, "allocatable");
            errors.extend(immutable(&given, &held, "spec.drivers"));
        }
    }
    errors
}

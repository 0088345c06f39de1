//! `resource.k8s.io/v1 ResourceSlice`: the devices that a driver offers.
use super::claim_status::node_selector;
use super::devices::{counters, validate_device};
use super::formats::{by_name, driver, each_once, label, pool};
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::findings::{child, fill, immutable, invalid_each, items_mut, list, text};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::RESOURCE_SLICE;
use crate::protocol::names::dns1123_subdomain;
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::status::FieldError;
use crate::protocol::time;
use serde_json::Value;

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "resource.k8s.io",
        version: "v1",
        kind: "ResourceSlice",
        plural: "resourceslices",
        singular: "resourceslice",
        namespaced: false,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&RESOURCE_SLICE),
    schema: "ResourceSlice",
    rules: Rules { default, validate, validate_update, fields: &["spec.driver", "spec.nodeName"], generation: true, ..PLAIN },
    columns: COLUMNS,
    row,
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Node", "string", 0, "The node that the devices are at."),
    column("Driver", "string", 0, "The driver that offers them."),
    column("Pool", "string", 0, "The pool that this is a part of."),
    AGE,
];

const DEVICES_MAX: usize = 128;
/// With taints, shared counters or lists as attributes.
const ADVANCED_DEVICES_MAX: usize = 64;
const COUNTER_SETS_MAX: usize = 8;
const COUNTERS_MAX: usize = 32;

/// A taint says since when it is there.
fn default(object: &mut Value) {
    let Some(spec) = object.get_mut("spec") else { return };
    for device in items_mut(spec, "devices") {
        for taint in items_mut(device, "taints") {
            fill(taint, "timeAdded", time::rfc3339(time::now()));
        }
    }
}

fn validate(object: &Value) -> Vec<FieldError> {
    let (spec, path) = (&object["spec"], "spec");
    let mut errors = driver(text(spec, "driver"), "spec.driver");
    errors.extend(pool(text(&spec["pool"], "name"), "spec.pool.name"));
    let count = spec["pool"]["resourceSliceCount"].as_i64().unwrap_or(0);
    if count <= 0 {
        errors.push(FieldError::invalid("spec.pool.resourceSliceCount", count, "must be greater than zero"));
    }
    let generation = spec["pool"]["generation"].as_i64().unwrap_or(0);
    if generation < 0 {
        errors.push(FieldError::invalid("spec.pool.generation", generation, "must be greater than or equal to zero"));
    }
    errors.extend(place(spec));
    if !spec["sharedCounters"].is_null() && !spec["devices"].is_null() {
        errors.push(FieldError::invalid(path, "", "only one of `sharedCounters` or `devices` is allowed"));
    }
    let max = if list(&spec["devices"]).iter().any(is_advanced) { ADVANCED_DEVICES_MAX } else { DEVICES_MAX };
    let each_selects = spec["perDeviceNodeSelection"] == true;
    errors.extend(each_once(spec, path, "devices", max, by_name, |device, path| validate_device(device, path, each_selects)));
    errors.extend(each_once(spec, path, "sharedCounters", COUNTER_SETS_MAX, by_name, |set, path| {
        let mut errors = if text(set, "name").is_empty() {
            vec![FieldError::required(child(path, "name"), "")]
        } else {
            label(text(set, "name"), &child(path, "name"))
        };
        errors.extend(counters(set, path, COUNTERS_MAX));
        errors
    }));
    errors
}

/// Which nodes can use the devices: said in exactly one way.
fn place(spec: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut set = Vec::new();
    if let Some(node) = spec["nodeName"].as_str() {
        if node.is_empty() {
            errors.push(FieldError::invalid("spec.nodeName", node, "must be either unset or set to a non-empty string"));
        } else {
            set.push("`nodeName`");
            errors.extend(invalid_each("spec.nodeName", node, dns1123_subdomain(node)));
        }
    }
    let selector = &spec["nodeSelector"];
    if !selector.is_null() {
        set.push("`nodeSelector`");
        errors.extend(node_selector(selector, "spec.nodeSelector"));
        if list(&selector["nodeSelectorTerms"]).len() != 1 {
            let terms = selector["nodeSelectorTerms"].clone();
            errors.push(FieldError::invalid("spec.nodeSelector.nodeSelectorTerms", terms, "must have exactly one node selector term"));
        }
    }
    for (field, quoted) in [("allNodes", "`allNodes`"), ("perDeviceNodeSelection", "`perDeviceNodeSelection`")] {
        match spec[field].as_bool() {
            Some(true) => set.push(quoted),
            Some(false) => errors.push(FieldError::invalid(child("spec", field), false, "must be either unset or set to true")),
            None => {}
        }
    }
    let why = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    match set.len() {
        0 => errors.push(FieldError::required("spec", why)),
        1 => {}
        _ => errors.push(FieldError::invalid("spec", format!("{{{}}}", set.join(", ")), format!("{why}, but multiple fields are set"))),
    }
    errors
}

fn is_advanced(device: &Value) -> bool {
    let lists = |attribute: &Value| ["bools", "ints", "strings", "versions"].iter().any(|f| !attribute[*f].is_null());
    !list(&device["taints"]).is_empty()
        || !list(&device["consumesCounters"]).is_empty()
        || device["attributes"].as_object().is_some_and(|a| a.values().any(lists))
}

fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let (new, old) = (&new["spec"], &old["spec"]);
    let pool = immutable(&new["pool"], &old["pool"], "spec.pool", "name");
    pool.into_iter().chain(["driver", "nodeName"].iter().filter_map(|field| immutable(new, old, "spec", field))).collect()
}

fn row(o: &Value, now: i64) -> Vec<Value> {
    let spec = &o["spec"];
    let node = spec["nodeName"].as_str().unwrap_or("<unset>");
    vec![name(o), node.into(), text(spec, "driver").into(), text(&spec["pool"], "name").into(), age(o, now)]
}

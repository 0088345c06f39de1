//! `storage.k8s.io/v1 CSIDriver`.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::core::persistent_volume::or_unset;
use crate::actors::kinds::fields::{fill, immutable, texts};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::CSI_DRIVER;
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::{items, text};
use serde_json::{Value, json};
use std::collections::HashSet;

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "storage.k8s.io",
        version: "v1",
        kind: "CSIDriver",
        plural: "csidrivers",
        singular: "csidriver",
        namespaced: false,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&CSI_DRIVER),
    schema: "CSIDriver",
    rules: Rules { default, update, validate, validate_update, unconditional: false, ..PLAIN },
    columns: COLUMNS,
    row,
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("AttachRequired", "boolean", 0, "Whether volumes are attached to nodes first."),
    column("PodInfoOnMount", "boolean", 0, "Whether the driver is told about the pod."),
    column("StorageCapacity", "boolean", 0, "Whether the driver tells how much room is left."),
    column("TokenRequests", "string", 0, "Audiences of the tokens that the driver gets."),
    column("RequiresRepublish", "boolean", 0, "Whether mounts are refreshed from time to time."),
    column("Modes", "string", 0, "Kinds of volumes that the driver supports."),
    AGE,
];

const GROUP_POLICIES: [&str; 3] = ["File", "None", "ReadWriteOnceWithFSType"];
const MODES: [&str; 2] = ["Persistent", "Ephemeral"];
/// Bounds of a token's life, seconds.
const TOKEN_LIFE: std::ops::RangeInclusive<i64> = 600..=(1 << 32);

fn default(object: &mut Value) {
    let spec = &mut object["spec"];
    if spec.is_null() {
        *spec = json!({});
    }
    fill(spec, "attachRequired", true);
    for field in ["podInfoOnMount", "storageCapacity", "requiresRepublish", "seLinuxMount"] {
        fill(spec, field, false);
    }
    fill(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    if texts(&spec["volumeLifecycleModes"]).is_empty() {
        spec["volumeLifecycleModes"] = json!(["Persistent"]);
    }
}

/// Changes are counted, but a new driver starts without a number.
fn update(new: &mut Value, old: &Value) {
    if new["spec"] != old["spec"] {
        let next = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
        new["metadata"]["generation"] = next.into();
    }
}

fn validate(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let mut errors = Vec::new();
    let policy = text(spec, "fsGroupPolicy");
    if !GROUP_POLICIES.contains(&policy) {
        errors.push(FieldError::not_supported("spec.fsGroupPolicy", policy, &GROUP_POLICIES));
    }
    let mut audiences = HashSet::new();
    for (path, request) in items(spec, "spec", "tokenRequests") {
        let audience = text(request, "audience");
        if !audiences.insert(audience) {
            errors.push(FieldError::duplicate(format!("{path}.audience"), audience));
            continue;
        }
        if let Some(seconds) = request["expirationSeconds"].as_i64().filter(|s| !TOKEN_LIFE.contains(s)) {
            let why = if seconds < *TOKEN_LIFE.start() { "less than 10 minutes" } else { "larger than 2^32 seconds" };
            errors.push(FieldError::invalid(format!("{path}.expirationSeconds"), seconds, format!("may not specify a duration {why}")));
        }
    }
    for mode in texts(&spec["volumeLifecycleModes"]).into_iter().filter(|mode| !MODES.contains(mode)) {
        errors.push(FieldError::not_supported("spec.volumeLifecycleModes", mode, &MODES));
    }
    if let Some(seconds) = spec["nodeAllocatableUpdatePeriodSeconds"].as_i64().filter(|s| *s < 10) {
        let why = "must be greater than or equal to 10 seconds";
        errors.push(FieldError::invalid("spec.nodeAllocatableUpdatePeriodSeconds", seconds, why));
    }
    errors
}

fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let frozen = [("attachRequired", "spec.attachedRequired"), ("volumeLifecycleModes", "spec.volumeLifecycleModes")];
    frozen.into_iter().filter_map(|(field, path)| immutable(&new["spec"][field], &old["spec"][field], path)).collect()
}

fn row(o: &Value, now: i64) -> Vec<Value> {
    let spec = &o["spec"];
    let audiences: Vec<&str> = spec["tokenRequests"].as_array().into_iter().flatten().map(|r| text(r, "audience")).collect();
    let modes = texts(&spec["volumeLifecycleModes"]).join(",");
    vec![
        name(o),
        (spec["attachRequired"] != false).into(),
        (spec["podInfoOnMount"] == true).into(),
        (spec["storageCapacity"] == true).into(),
        if audiences.is_empty() { or_unset(&Value::Null) } else { audiences.join(",").into() },
        (spec["requiresRepublish"] == true).into(),
        if modes.is_empty() { "<none>".into() } else { modes.into() },
        age(o, now),
    ]
}

//! `v1 Namespace`.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::fields::texts;
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::NAMESPACE;
use crate::protocol::names::{name_is_label, qualified_name};
use crate::protocol::resource::{Resource, Subresource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::invalid_each;
use serde_json::{Value, json};

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "",
        version: "v1",
        kind: "Namespace",
        plural: "namespaces",
        singular: "namespace",
        namespaced: false,
        short_names: &["ns"],
        categories: &[],
        verbs: &["create", "delete", "get", "list", "patch", "update", "watch"],
        subresources: &[
            Subresource { name: "finalize", group: "", version: "v1", kind: "Namespace", verbs: &["update"] },
            Subresource { name: "status", group: "", version: "v1", kind: "Namespace", verbs: &["get", "patch", "update"] },
        ],
    },
    body: Body::Typed(&NAMESPACE),
    schema: "Namespace",
    rules: Rules {
        name: name_is_label,
        default,
        create,
        update,
        validate,
        validate_status,
        validate_finalize,
        fields: &["status.phase"],
        ..PLAIN
    },
    columns: COLUMNS,
    row: |o, now| vec![name(o), o["status"]["phase"].clone(), age(o, now)],
    view: None,
};

const COLUMNS: &[Column] = &[NAME, column("Status", "string", 0, "The namespace's phase."), AGE];

/// Every namespace carries its name as a label; one whose name is still to be generated gets it when it is made.
fn default(object: &mut Value) {
    let name = object["metadata"]["name"].clone();
    if name.as_str().is_none_or(str::is_empty) {
        return;
    }
    if !object["metadata"]["labels"].is_object() {
        object["metadata"]["labels"] = json!({});
    }
    object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
}

fn create(object: &mut Value) {
    default(object);
    if !object["spec"].is_object() {
        object["spec"] = json!({});
    }
    let mut finalizers = object["spec"]["finalizers"].as_array().cloned().unwrap_or_default();
    if !finalizers.iter().any(|f| f == "kubernetes") {
        finalizers.push("kubernetes".into());
    }
    object["spec"]["finalizers"] = finalizers.into();
    object["status"] = json!({ "phase": "Active" });
}

/// `spec.finalizers` changes through the `finalize` subresource only.
fn update(new: &mut Value, old: &Value) {
    new["spec"] = old["spec"].clone();
}

/// Names without a domain are Kubernetes' own.
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

fn validate(object: &Value) -> Vec<FieldError> {
    texts(&object["spec"]["finalizers"]).into_iter().flat_map(|finalizer| finalizer_faults(finalizer, "spec.finalizers")).collect()
}

/// Upstream names the place of each finalizer here, and the list alone elsewhere.
fn validate_finalize(object: &Value) -> Vec<FieldError> {
    let finalizers = texts(&object["spec"]["finalizers"]).into_iter().enumerate();
    finalizers.flat_map(|(at, finalizer)| finalizer_faults(finalizer, &format!("spec.finalizers[{at}]"))).collect()
}

fn finalizer_faults(finalizer: &str, path: &str) -> Vec<FieldError> {
    let mut errors: Vec<_> = invalid_each(path, finalizer, qualified_name(finalizer)).collect();
    if !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(&finalizer) {
        let why = "name is neither a standard finalizer name nor is it fully qualified";
        errors.push(FieldError::invalid(path, finalizer, why));
    }
    errors
}

fn validate_status(new: &Value, _: &Value) -> Vec<FieldError> {
    let phase = &new["status"]["phase"];
    let (expected, why) = if new["metadata"]["deletionTimestamp"].is_null() {
        ("Active", "may only be 'Active' if `deletionTimestamp` is empty")
    } else {
        ("Terminating", "may only be 'Terminating' if `deletionTimestamp` is not empty")
    };
    if phase == expected { Vec::new() } else { vec![FieldError::invalid("status.Phase", phase.clone(), why)] }
}

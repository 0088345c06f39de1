//! `scheduling.k8s.io/v1 PriorityClass`.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::fields::{fill, immutable};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::PRIORITY_CLASS;
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::text;
use serde_json::Value;

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "scheduling.k8s.io",
        version: "v1",
        kind: "PriorityClass",
        plural: "priorityclasses",
        singular: "priorityclass",
        namespaced: false,
        short_names: &["pc"],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&PRIORITY_CLASS),
    schema: "PriorityClass",
    // The generation is set once and never counts: nothing that matters can change.
    rules: Rules { default, create: |o| o["metadata"]["generation"] = 1.into(), validate, validate_update, ..PLAIN },
    columns: COLUMNS,
    row: |o, now| {
        let policy = o["preemptionPolicy"].as_str().unwrap_or("PreemptLowerPriority");
        vec![name(o), value(o).into(), (o["globalDefault"] == true).into(), age(o, now), policy.into()]
    },
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Value", "integer", 0, "The priority that pods of the class get."),
    column("Global-Default", "boolean", 0, "Whether pods that name no class get this one."),
    AGE,
    column("PreemptionPolicy", "string", 0, "Whether pods of the class may push out others."),
];

const POLICIES: [&str; 2] = ["PreemptLowerPriority", "Never"];
/// The greatest priority that a class of somebody else than the system may have.
pub const HIGHEST_OF_USERS: i64 = 1_000_000_000;
/// The system's own classes, with their priorities.
pub const SYSTEM_CLASSES: [(&str, i64); 2] = [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

fn default(object: &mut Value) {
    fill(object, "preemptionPolicy", "PreemptLowerPriority");
}

fn value(object: &Value) -> i64 {
    object["value"].as_i64().unwrap_or(0)
}

fn validate(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let name = text(&object["metadata"], "name");
    if name.starts_with("system-") {
        if let Some(why) = not_a_system_class(name, object) {
            let why = format!("priority class names with 'system-' prefix are reserved for system use only. error: {why}");
            errors.push(FieldError::forbidden("metadata.name", why));
        }
    } else if value(object) > HIGHEST_OF_USERS {
        let why = format!("maximum allowed value of a user defined priority is {HIGHEST_OF_USERS}");
        errors.push(FieldError::forbidden("value", why));
    }
    if let Some(policy) = object["preemptionPolicy"].as_str().filter(|policy| !POLICIES.contains(policy)) {
        errors.push(FieldError::not_supported("preemptionPolicy", policy, &POLICIES));
    }
    errors
}

fn not_a_system_class(name: &str, object: &Value) -> Option<String> {
    let Some((_, priority)) = SYSTEM_CLASSES.iter().find(|(known, _)| *known == name) else {
        return Some(format!("{name} is not a known system priority class"));
    };
    if value(object) != *priority {
        return Some(format!("value of {name} PriorityClass must be {priority}"));
    }
    (object["globalDefault"] == true).then(|| format!("globalDefault of {name} PriorityClass must be false"))
}

fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if value(new) != value(old) {
        errors.push(FieldError::forbidden("value", "may not be changed in an update."));
    }
    errors.extend(immutable(&new["preemptionPolicy"], &old["preemptionPolicy"], "preemptionPolicy"));
    errors
}

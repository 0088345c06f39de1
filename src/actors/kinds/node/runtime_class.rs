//! `node.k8s.io/v1 RuntimeClass`.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::fields::immutable;
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::RUNTIME_CLASS;
use crate::protocol::names;
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::{invalid_each, items, labels, resource_requirements, text, validate_pod_spec};
use serde_json::{Value, json};

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "node.k8s.io",
        version: "v1",
        kind: "RuntimeClass",
        plural: "runtimeclasses",
        singular: "runtimeclass",
        namespaced: false,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&RUNTIME_CLASS),
    schema: "RuntimeClass",
    rules: Rules {
        validate,
        validate_update: |new, old| immutable(&new["handler"], &old["handler"], "handler").into_iter().collect(),
        unconditional: false,
        ..PLAIN
    },
    columns: COLUMNS,
    row: |o, now| vec![name(o), text(o, "handler").into(), age(o, now)],
    view: None,
};

const COLUMNS: &[Column] = &[NAME, column("Handler", "string", 0, "The runtime's name on the node."), AGE];

fn validate(object: &Value) -> Vec<FieldError> {
    let handler = text(object, "handler");
    let mut errors: Vec<_> = invalid_each("handler", handler, names::dns1123_label(handler)).collect();
    if object["overhead"].is_object() {
        errors.extend(resource_requirements(&json!({ "limits": object["overhead"]["podFixed"] }), "overhead"));
    }
    let (path, scheduling) = ("scheduling", &object["scheduling"]);
    if scheduling.is_object() {
        errors.extend(labels(&scheduling["nodeSelector"], &format!("{path}.nodeSelector")));
        // They end up in pods, so the rules are those of a pod.
        let tolerations = format!("{path}.tolerations");
        let faults = validate_pod_spec(&json!({ "tolerations": scheduling["tolerations"] }), path);
        errors.extend(faults.into_iter().filter(|fault| fault.field.starts_with(&tolerations)));
        let mut seen = Vec::new();
        for (path, toleration) in items(scheduling, path, "tolerations") {
            if seen.contains(&toleration) {
                errors.push(FieldError::duplicate(path, toleration.clone()));
            }
            seen.push(toleration);
        }
    }
    errors
}

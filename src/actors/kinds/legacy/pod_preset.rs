//! `settings.k8s.io/v1alpha1 PodPreset`.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, name};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::legacy::pod_preset::{POD_PRESET, WARNING};
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::{default_pod_spec, selector, validate_pod_spec};
use serde_json::{Value, json};

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "settings.k8s.io",
        version: "v1alpha1",
        kind: "PodPreset",
        plural: "podpresets",
        singular: "podpreset",
        namespaced: true,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&POD_PRESET),
    schema: "",
    rules: Rules { validate, generation: true, warnings: |_, _| vec![WARNING.into()], ..PLAIN },
    columns: COLUMNS,
    row: |o, now| vec![name(o), age(o, now)],
    view: None,
};

const COLUMNS: &[Column] = &[NAME, AGE];
const PARTS: [&str; 3] = ["env", "envFrom", "volumeMounts"];

fn validate(preset: &Value) -> Vec<FieldError> {
    let spec = &preset["spec"];
    let mut errors: Vec<FieldError> = selector(&spec["selector"], "spec.selector");
    if PARTS.iter().chain(&["volumes"]).all(|part| spec[*part].is_null()) {
        errors.push(FieldError::required("spec.volumes.env.envFrom.volumeMounts", "must specify at least one"));
    }
    errors.extend(as_pod(spec));
    errors
}

/// The rules of a pod that has nothing but what the preset gives.
fn as_pod(spec: &Value) -> Vec<FieldError> {
    let mut container = json!({ "name": "c", "image": "i" });
    for part in PARTS {
        container[part] = spec[part].clone();
    }
    let mut pod = json!({ "containers": [container], "volumes": spec["volumes"] });
    default_pod_spec(&mut pod);
    let mut errors = validate_pod_spec(&pod, "spec");
    for error in &mut errors {
        if let Some(rest) = error.field.strip_prefix("spec.containers[0].") {
            error.field = format!("spec.{rest}");
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_gives_something_good() {
        let findings = |spec: Value| validate(&json!({ "spec": spec })).into_iter().map(|e| e.field).collect::<Vec<_>>();
        assert_eq!(findings(json!({ "selector": {} })), ["spec.volumes.env.envFrom.volumeMounts"]);
        assert_eq!(findings(json!({ "env": [{ "name": "A", "value": "1" }] })), Vec::<String>::new());
        assert_eq!(findings(json!({ "env": [{ "name": "" }] })), ["spec.env[0].name"]);
        let mounted = json!({ "volumes": [{ "name": "v", "emptyDir": {} }], "volumeMounts": [{ "name": "v", "mountPath": "/v" }] });
        assert_eq!(findings(mounted), Vec::<String>::new());
    }
}

//! `v1 PodTemplate`.
use crate::actors::kinds::columns::{Column, NAME, column, container_images, container_names, label_map, name};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::POD_TEMPLATE;
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::{default_pod_spec, labels, validate_pod_spec, workload_warnings};
use serde_json::Value;

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "",
        version: "v1",
        kind: "PodTemplate",
        plural: "podtemplates",
        singular: "podtemplate",
        namespaced: true,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&POD_TEMPLATE),
    schema: "PodTemplate",
    rules: Rules { default, validate, warnings: |new, old| workload_warnings(new, old, "/template"), generation: true, ..PLAIN },
    columns: COLUMNS,
    row: |o, _| {
        let template = &o["template"];
        vec![name(o), container_names(template), container_images(template), label_map(&template["metadata"]["labels"])]
    },
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Containers", "string", 0, "Names of each container in the template."),
    column("Images", "string", 0, "Images referenced by each container in the template."),
    column("Pod Labels", "string", 0, "The labels for the pod template."),
];

fn default(object: &mut Value) {
    if object["template"]["spec"].is_object() {
        default_pod_spec(&mut object["template"]["spec"]);
    }
}

fn validate(object: &Value) -> Vec<FieldError> {
    let template = &object["template"];
    let mut errors = labels(&template["metadata"]["labels"], "template.labels");
    errors.extend(validate_pod_spec(&template["spec"], "template.spec"));
    if template["spec"]["ephemeralContainers"].as_array().is_some_and(|c| !c.is_empty()) {
        let why = "ephemeral containers not allowed in pod template";
        errors.push(FieldError::forbidden("template.spec.ephemeralContainers", why));
    }
    errors
}

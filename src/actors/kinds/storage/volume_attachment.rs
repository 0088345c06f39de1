//! `storage.k8s.io/v1 VolumeAttachment`.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::fields::{immutable, members};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::VOLUME_ATTACHMENT;
use crate::protocol::names;
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::persistent_volume::persistent_volume_spec;
use crate::protocol::validation::{invalid_each, text};
use serde_json::{Value, json};

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "storage.k8s.io",
        version: "v1",
        kind: "VolumeAttachment",
        plural: "volumeattachments",
        singular: "volumeattachment",
        namespaced: false,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[Subresource {
            name: "status",
            group: "storage.k8s.io",
            version: "v1",
            kind: "VolumeAttachment",
            verbs: &["get", "patch", "update"],
        }],
    },
    body: Body::Typed(&VOLUME_ATTACHMENT),
    schema: "VolumeAttachment",
    rules: Rules {
        create: |o| o["status"] = json!({ "attached": false }),
        validate,
        validate_create,
        validate_update: |new, old| immutable(&new["spec"], &old["spec"], "spec").into_iter().collect(),
        validate_status: |new, _| validate_status(&new["status"]),
        unconditional: false,
        ..PLAIN
    },
    columns: COLUMNS,
    row,
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Attacher", "string", "name", "The driver that attaches.", 0),
    column("PV", "string", 0, "The volume."),
    column("Node", "string", 0, "Where the volume is attached."),
    column("Attached", "boolean", 0, "Whether it is attached."),
    AGE,
];

/// Bytes of a driver's notes about an attachment.
const MAX_METADATA: usize = 256 * 1024;
/// Bytes of an error's message.
const MAX_MESSAGE: usize = 1024;

fn validate(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let mut errors = Vec::new();
    let attacher = text(spec, "attacher");
    if attacher.is_empty() {
        errors.push(FieldError::required("spec.attacher", ""));
    }
    let (path, source) = ("spec.source", &spec["source"]);
    let why = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    let volume = source["persistentVolumeName"].as_str();
    match (source["inlineVolumeSpec"].is_object(), volume) {
        (false, None) => errors.push(FieldError::required(path, why)),
        (true, Some(_)) => errors.push(FieldError::forbidden(path, why)),
        (false, Some("")) => {
            errors.push(FieldError::required(format!("{path}.persistentVolumeName"), "must specify non empty persistentVolumeName"));
        }
        (false, Some(_)) => {}
        (true, None) => errors.extend(persistent_volume_spec(&source["inlineVolumeSpec"], &format!("{path}.inlineVolumeSpec"), true)),
    }
    let node = text(spec, "nodeName");
    errors.extend(invalid_each("spec.nodeName", node, names::dns1123_subdomain(node)));
    errors
}

fn validate_create(object: &Value) -> Vec<FieldError> {
    let attacher = text(&object["spec"], "attacher");
    let mut errors: Vec<_> = invalid_each("spec.attacher", attacher, names::dns1123_subdomain(attacher)).collect();
    if let Some(volume) = object["spec"]["source"]["persistentVolumeName"].as_str() {
        errors.extend(invalid_each("spec.source.persistentVolumeName", volume, names::dns1123_subdomain(volume)));
    }
    errors
}

fn validate_status(status: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let size: usize = members(&status["attachmentMetadata"]).map(|(k, v)| k.len() + v.as_str().map_or(0, str::len)).sum();
    if size > MAX_METADATA {
        errors.push(FieldError::too_long("status.attachmentMetadata", MAX_METADATA));
    }
    for field in ["attachError", "detachError"] {
        let (path, error) = (format!("status.{field}"), &status[field]);
        if text(error, "message").len() > MAX_MESSAGE {
            // Upstream names the bound of the metadata here.
            errors.push(FieldError::too_long(format!("{path}.message"), MAX_METADATA));
        }
        if let Some(code) = error["errorCode"].as_i64().filter(|code| *code < 0) {
            errors.push(FieldError::invalid(format!("{path}.errorCode"), code, "must be between 0 and 2147483647, inclusive"));
        }
    }
    errors
}

fn row(o: &Value, now: i64) -> Vec<Value> {
    let spec = &o["spec"];
    vec![
        name(o),
        text(spec, "attacher").into(),
        text(&spec["source"], "persistentVolumeName").into(),
        text(spec, "nodeName").into(),
        (o["status"]["attached"] == true).into(),
        age(o, now),
    ]
}

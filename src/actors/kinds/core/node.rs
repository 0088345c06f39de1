//! `v1 Node`.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name, or_none};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::NODE;
use crate::protocol::light::{Light, node_light};
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::status::FieldError;
use serde_json::{Value, json};

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "",
        version: "v1",
        kind: "Node",
        plural: "nodes",
        singular: "node",
        namespaced: false,
        short_names: &["no"],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[Subresource { name: "status", group: "", version: "v1", kind: "Node", verbs: &["get", "patch", "update"] }],
    },
    body: Body::Typed(&NODE),
    schema: "Node",
    rules: Rules {
        default,
        validate_update,
        light: |o| Light::Node(Box::new(node_light(o))),
        fields: &["spec.unschedulable"],
        field,
        ..PLAIN
    },
    columns: COLUMNS,
    row,
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Status", "string", 0, "The node's readiness."),
    column("Roles", "string", 0, "The node's roles."),
    AGE,
    column("Version", "string", 0, "Version that the node reports."),
    column("Internal-IP", "string", 1, "Address inside of the cluster."),
    column("External-IP", "string", 1, "Address outside of the cluster."),
    column("OS-Image", "string", 1, "Operating system of the node."),
    column("Kernel-Version", "string", 1, "Kernel of the node."),
    column("Container-Runtime", "string", 1, "Container runtime of the node."),
];

/// A new node has a status object, so that agents may patch into it.
fn default(object: &mut Value) {
    if !object["spec"].is_object() {
        object["spec"] = json!({});
    }
}

fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let (before, after) = (&old["spec"]["podCIDR"], &new["spec"]["podCIDR"]);
    if !before.is_null() && before != "" && after != before {
        errors.push(FieldError::forbidden("spec", "node updates may not change podCIDR except from \"\" to valid"));
    }
    errors
}

fn field(entry: &crate::storage::Entry, path: &str) -> Option<String> {
    match (&entry.light, path) {
        (Light::Node(node), "spec.unschedulable") => Some(node.unschedulable.to_string()),
        _ => None,
    }
}

fn row(o: &Value, now: i64) -> Vec<Value> {
    let conditions = o["status"]["conditions"].as_array();
    let ready = conditions.into_iter().flatten().find(|c| c["type"] == "Ready");
    let mut status = match ready.map(|c| c["status"] == "True") {
        Some(true) => "Ready".to_string(),
        Some(false) => "NotReady".to_string(),
        None => "Unknown".to_string(),
    };
    if o["spec"]["unschedulable"] == true {
        status.push_str(",SchedulingDisabled");
    }
    let labels = o["metadata"]["labels"].as_object();
    let mut roles: Vec<&str> =
        labels.into_iter().flatten().filter_map(|(k, _)| k.strip_prefix("node-role.kubernetes.io/")).filter(|r| !r.is_empty()).collect();
    roles.sort_unstable();
    let address = |type_: &str| {
        let addresses = o["status"]["addresses"].as_array();
        addresses.into_iter().flatten().find(|a| a["type"] == type_).and_then(|a| a["address"].as_str()).unwrap_or_default()
    };
    let info = |field: &str| {
        let text = o["status"]["nodeInfo"][field].as_str().unwrap_or_default();
        if text.is_empty() { "<unknown>".into() } else { Value::from(text) }
    };
    vec![
        name(o),
        status.into(),
        or_none(&roles.join(",")),
        age(o, now),
        o["status"]["nodeInfo"]["kubeletVersion"].as_str().unwrap_or_default().into(),
        or_none(address("InternalIP")),
        or_none(address("ExternalIP")),
        info("osImage"),
        info("kernelVersion"),
        info("containerRuntimeVersion"),
    ]
}

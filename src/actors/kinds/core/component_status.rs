//! `v1 ComponentStatus`: what is left of an old way to ask after the control plane. Its objects are made when asked for, never stored.
use crate::actors::kinds::columns::{Column, NAME, column, name};
use crate::actors::kinds::{Body, Kind, PLAIN};
use crate::protocol::codec::kinds::COMPONENT_STATUS;
use crate::protocol::resource::Resource;
use serde_json::{Value, json};

/// How it is listed and shown. It is none of the kinds that are stored: nothing of it can be written or watched.
pub static KIND: Kind = Kind {
    resource: Resource {
        group: "",
        version: "v1",
        kind: "ComponentStatus",
        plural: "componentstatuses",
        singular: "componentstatus",
        namespaced: false,
        short_names: &["cs"],
        categories: &[],
        verbs: &["get", "list"],
        subresources: &[],
    },
    body: Body::Typed(&COMPONENT_STATUS),
    schema: "ComponentStatus",
    rules: PLAIN,
    columns: COLUMNS,
    row: |o, _| row(o),
    view: None,
};

/// What upstream tells everybody who asks.
pub const DEPRECATED: &str = "v1 ComponentStatus is deprecated in v1.19+";

/// Printer columns.
const COLUMNS: &[Column] = &[
    NAME,
    column("Status", "string", 0, "Status of the component conditions"),
    column("Message", "string", 0, "Message of the component conditions"),
    column("Error", "string", 0, "Error of the component conditions"),
];

/// The components of the control plane, all of which live in this process: if it answers, they are well.
pub fn objects() -> Vec<Value> {
    ["scheduler", "controller-manager", "etcd-0"].into_iter().map(object).collect()
}

fn object(name: &str) -> Value {
    json!({
        "kind": "ComponentStatus", "apiVersion": "v1", "metadata": { "name": name },
        "conditions": [{ "type": "Healthy", "status": "True", "message": "ok" }],
    })
}

/// The cells of a table row.
pub fn row(o: &Value) -> Vec<Value> {
    let healthy = o["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == "Healthy");
    let text = |field: &str| healthy.and_then(|c| c[field].as_str()).unwrap_or_default().to_string();
    let status = if text("status") == "True" { "Healthy" } else { "Unhealthy" };
    vec![name(o), status.into(), text("message").into(), text("error").into()]
}

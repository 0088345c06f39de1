//! `v1 Service`.
mod changes;
mod defaults;
mod update;
mod validate;

use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, label_map, name, or_none};
use crate::actors::kinds::fields::texts;
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::SERVICE;
use crate::protocol::light::{Light, workload_light};
use crate::protocol::names::name_is_dns1035_label;
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::validation::text;
use serde_json::{Value, json};

pub use changes::{needs_address, needs_health_check, needs_node_ports};
pub use validate::{address_fields, balancer_host};

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "",
        version: "v1",
        kind: "Service",
        plural: "services",
        singular: "service",
        namespaced: true,
        short_names: &["svc"],
        categories: &["all"],
        verbs: ALL_VERBS,
        subresources: &[
            Subresource {
                name: "proxy",
                group: "",
                version: "v1",
                kind: "ServiceProxyOptions",
                verbs: &["create", "delete", "get", "patch", "update"],
            },
            Subresource { name: "status", group: "", version: "v1", kind: "Service", verbs: &["get", "patch", "update"] },
        ],
    },
    body: Body::Typed(&SERVICE),
    schema: "Service",
    rules: Rules {
        name: name_is_dns1035_label,
        default: defaults::default,
        create,
        update: changes::update,
        validate: validate::validate,
        validate_update: update::validate_update,
        validate_status: |new, _| validate::validate_status(new),
        warnings: |new, _| validate::warnings(new),
        fields: &["spec.clusterIP", "spec.type"],
        create_on_update: true,
        light: |o| Light::Workload(Box::new(workload_light(o))),
        ..PLAIN
    },
    columns: COLUMNS,
    row,
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Type", "string", 0, "How the service is exposed."),
    column("Cluster-IP", "string", 0, "The service's address inside of the cluster."),
    column("External-IP", "string", 0, "Addresses outside of the cluster."),
    column("Port(s)", "string", 0, "The ports of the service."),
    AGE,
    column("Selector", "string", 1, "Which pods serve."),
];

fn create(object: &mut Value) {
    object["status"] = json!({ "loadBalancer": {} });
    changes::align_addresses(object, None);
}

fn row(o: &Value, now: i64) -> Vec<Value> {
    let spec = &o["spec"];
    let ports: Vec<String> = spec["ports"].as_array().into_iter().flatten().map(port_text).collect();
    let address = texts(&spec["clusterIPs"]).first().copied().unwrap_or_else(|| text(spec, "clusterIP"));
    vec![
        name(o),
        text(spec, "type").into(),
        or_none(address),
        external(o),
        or_none(&ports.join(",")),
        age(o, now),
        label_map(&spec["selector"]),
    ]
}

fn external(o: &Value) -> Value {
    let spec = &o["spec"];
    let given = texts(&spec["externalIPs"]);
    match text(spec, "type") {
        "ExternalName" => text(spec, "externalName").into(),
        "LoadBalancer" => {
            let mut found = balancer_addresses(&o["status"]);
            found.extend(given);
            if found.is_empty() { "<pending>".into() } else { found.join(",").into() }
        }
        "ClusterIP" | "NodePort" => or_none(&given.join(",")),
        _ => "<unknown>".into(),
    }
}

/// Addresses or names of a load balancer, each once, in order.
pub fn balancer_addresses(status: &Value) -> Vec<&str> {
    let mut found = Vec::new();
    for entry in status["loadBalancer"]["ingress"].as_array().into_iter().flatten() {
        found.extend([text(entry, "ip"), text(entry, "hostname")].into_iter().find(|t| !t.is_empty()));
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn port_text(port: &Value) -> String {
    let number = port["port"].as_i64().unwrap_or(0);
    let protocol = port["protocol"].as_str().unwrap_or("TCP");
    match port["nodePort"].as_i64().unwrap_or(0) {
        0 => format!("{number}/{protocol}"),
        node => format!("{number}:{node}/{protocol}"),
    }
}

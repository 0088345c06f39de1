//! `v1 Service`.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, label_map, name, or_none};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::SERVICE;
use crate::protocol::names::name_is_dns1035_label;
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::status::FieldError;
use serde_json::{Value, json};

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
        subresources: &[Subresource { name: "status", group: "", version: "v1", kind: "Service", verbs: &["get", "patch", "update"] }],
    },
    body: Body::Typed(&SERVICE),
    schema: "Service",
    rules: Rules { name: name_is_dns1035_label, default, create, update, validate, fields: &["spec.clusterIP", "spec.type"], ..PLAIN },
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

fn default(object: &mut Value) {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    spec.entry("type").or_insert_with(|| "ClusterIP".into());
    spec.entry("sessionAffinity").or_insert_with(|| "None".into());
    let kind = spec["type"].as_str().unwrap_or_default().to_string();
    if kind != "ExternalName" {
        spec.entry("internalTrafficPolicy").or_insert_with(|| "Cluster".into());
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        spec.entry("externalTrafficPolicy").or_insert_with(|| "Cluster".into());
    }
    if kind == "LoadBalancer" {
        spec.entry("allocateLoadBalancerNodePorts").or_insert_with(|| true.into());
    }
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(port) = port.as_object_mut() else { continue };
        port.entry("protocol").or_insert_with(|| "TCP".into());
        let number = port.get("port").cloned().unwrap_or_default();
        port.entry("targetPort").or_insert(number);
    }
}

fn create(object: &mut Value) {
    object["status"] = json!({ "loadBalancer": {} });
}

/// The cluster IP stays when an update leaves it out.
fn update(new: &mut Value, old: &Value) {
    for field in ["clusterIP", "clusterIPs"] {
        if new["spec"].get(field).is_none()
            && let Some(held) = old["spec"].get(field)
        {
            new["spec"][field] = held.clone();
        }
    }
}

fn validate(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let mut errors = Vec::new();
    let kinds = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    let kind = spec["type"].as_str().unwrap_or_default();
    if !kinds.contains(&kind) {
        errors.push(FieldError::not_supported("spec.type", kind, &kinds));
    }
    let ports = spec["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    let headless = spec["clusterIP"] == "None";
    if ports.is_empty() && kind != "ExternalName" && !headless {
        errors.push(FieldError::required("spec.ports", ""));
    }
    if kind == "ExternalName" && spec["externalName"].as_str().unwrap_or_default().is_empty() {
        errors.push(FieldError::required("spec.externalName", ""));
    }
    for (i, port) in ports.iter().enumerate() {
        let number = port["port"].as_i64().unwrap_or(0);
        if !(1..=65535).contains(&number) {
            errors.push(FieldError::invalid(format!("spec.ports[{i}].port"), number, "must be between 1 and 65535, inclusive"));
        }
        if ports.len() > 1 && port["name"].as_str().unwrap_or_default().is_empty() {
            errors.push(FieldError::required(format!("spec.ports[{i}].name"), ""));
        }
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        if !["TCP", "UDP", "SCTP"].contains(&protocol) {
            errors.push(FieldError::not_supported(format!("spec.ports[{i}].protocol"), protocol, &["SCTP", "TCP", "UDP"]));
        }
    }
    errors
}

fn row(o: &Value, now: i64) -> Vec<Value> {
    let spec = &o["spec"];
    let ports: Vec<String> = spec["ports"].as_array().into_iter().flatten().map(port_text).collect();
    let external = match spec["type"].as_str() {
        Some("ExternalName") => spec["externalName"].as_str().unwrap_or_default().to_string(),
        Some("LoadBalancer") => load_balancer(o),
        _ => texts(&spec["externalIPs"]).join(","),
    };
    vec![
        name(o),
        spec["type"].clone(),
        or_none(spec["clusterIP"].as_str().unwrap_or_default()),
        or_none(&external),
        or_none(&ports.join(",")),
        age(o, now),
        label_map(&spec["selector"]),
    ]
}

fn port_text(port: &Value) -> String {
    let number = port["port"].as_i64().unwrap_or(0);
    let protocol = port["protocol"].as_str().unwrap_or("TCP");
    match port["nodePort"].as_i64().unwrap_or(0) {
        0 => format!("{number}/{protocol}"),
        node => format!("{number}:{node}/{protocol}"),
    }
}

fn load_balancer(o: &Value) -> String {
    let ingress = o["status"]["loadBalancer"]["ingress"].as_array();
    let found: Vec<&str> = ingress.into_iter().flatten().filter_map(|i| i["ip"].as_str().or(i["hostname"].as_str())).collect();
    if found.is_empty() { "<pending>".to_string() } else { found.join(",") }
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

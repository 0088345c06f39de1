//! `v1 Node`.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name, or_none};
use crate::actors::kinds::fields::{members, texts};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::NODE;
use crate::protocol::light::{Light, node_light};
use crate::protocol::names;
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::quantities::resource_amount;
use crate::protocol::validation::{invalid_each, items, network, text};
use serde_json::{Value, json};
use std::collections::HashSet;

const EFFECTS: [&str; 3] = ["NoExecute", "NoSchedule", "PreferNoSchedule"];

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
        subresources: &[
            Subresource {
                name: "proxy",
                group: "",
                version: "v1",
                kind: "NodeProxyOptions",
                verbs: &["create", "delete", "get", "patch", "update"],
            },
            Subresource { name: "status", group: "", version: "v1", kind: "Node", verbs: &["get", "patch", "update"] },
        ],
    },
    body: Body::Typed(&NODE),
    schema: "Node",
    rules: Rules {
        default,
        validate,
        validate_update,
        validate_status,
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

/// The old `podCIDR` always says what the first of `podCIDRs` says.
fn default(object: &mut Value) {
    if !object["spec"].is_object() {
        object["spec"] = json!({});
    }
    let spec = &mut object["spec"];
    let single = spec["podCIDR"].as_str().unwrap_or_default().to_string();
    let first = texts(&spec["podCIDRs"]).first().map(|f| f.to_string());
    match first {
        Some(first) if single.is_empty() => spec["podCIDR"] = first.into(),
        Some(first) if first != single => spec["podCIDRs"] = json!([single]),
        None if !single.is_empty() => spec["podCIDRs"] = json!([single]),
        _ => {}
    }
}

fn validate(object: &Value) -> Vec<FieldError> {
    let mut errors = taints(object);
    errors.extend(resources(object));
    errors.extend(pod_networks(&object["spec"]));
    errors
}

fn taints(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut seen = HashSet::new();
    // Upstream looks for them in the metadata, and so do its messages.
    for (path, taint) in items(&object["spec"], "metadata", "taints") {
        let (key, value, effect) = (text(taint, "key"), text(taint, "value"), text(taint, "effect"));
        errors.extend(invalid_each(&format!("{path}.key"), key, names::qualified_name(key)));
        let faults = names::label_value(value);
        if !faults.is_empty() {
            errors.push(FieldError::invalid(format!("{path}.value"), value, faults.join(";")));
        }
        let field = format!("{path}.effect");
        match effect {
            "" => errors.push(FieldError::required(field, "")),
            known if EFFECTS.contains(&known) => {}
            other => errors.push(FieldError::not_supported(field, other, &EFFECTS)),
        }
        if !seen.insert((key, effect)) {
            let mut error = FieldError::duplicate(path, taint.clone());
            error.detail = "taints must be unique by key and effect pair".into();
            errors.push(error);
        }
    }
    errors
}

fn resources(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for list in ["capacity", "allocatable"] {
        for (name, value) in members(&object["status"][list]) {
            errors.extend(resource_amount(name, value, &format!("status.{list}.{name}")));
        }
    }
    errors
}

fn pod_networks(spec: &Value) -> Vec<FieldError> {
    let path = "spec.podCIDRs";
    let networks = texts(&spec["podCIDRs"]);
    let mut errors: Vec<_> = networks.iter().enumerate().flat_map(|(i, n)| network::network(&format!("{path}[{i}]"), n)).collect();
    if networks.len() > 1 {
        let old = networks.iter().filter(|n| !n.contains(':')).count();
        if networks.len() > 2 || old != 1 {
            let why = "may specify no more than one CIDR for each IP family";
            errors.push(FieldError::invalid(path, spec["podCIDRs"].clone(), why));
        }
        let mut seen = HashSet::new();
        for (i, network) in networks.iter().enumerate().filter(|(_, n)| !seen.insert(**n)) {
            errors.push(FieldError::duplicate(format!("{path}[{i}]"), *network));
        }
    }
    errors
}

fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut seen = Vec::new();
    for (path, address) in items(&new["status"], "status", "addresses") {
        if seen.contains(&address) {
            errors.push(FieldError::duplicate(path, address.clone()));
        }
        seen.push(address);
    }
    let (before, after) = (held_networks(old), held_networks(new));
    if !before.is_empty() && after != before {
        errors.push(FieldError::forbidden("spec.podCIDRs", "node updates may not change podCIDR except from \"\" to valid"));
    }
    let (before, after) = (text(&old["spec"], "providerID"), text(&new["spec"], "providerID"));
    if !before.is_empty() && before != after {
        errors.push(FieldError::forbidden("spec.providerID", "node updates may not change providerID except from \"\" to valid"));
    }
    if text(&new["spec"], "externalID") != text(&old["spec"], "externalID") {
        errors.push(FieldError::forbidden("spec.externalID", "may not be updated"));
    }
    errors
}

/// `podCIDRs`, or the single one of an object from before there were several.
fn held_networks(object: &Value) -> Vec<&str> {
    let networks = texts(&object["spec"]["podCIDRs"]);
    if networks.is_empty() { object["spec"]["podCIDR"].as_str().filter(|n| !n.is_empty()).into_iter().collect() } else { networks }
}

/// A status is checked like the node that it is part of.
fn validate_status(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = resources(new);
    errors.extend(validate_update(new, old));
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
    let role = |(key, value): (&'_ String, &Value)| match key.strip_prefix("node-role.kubernetes.io/") {
        Some(role) => Some(role.to_string()),
        None if key == "kubernetes.io/role" => value.as_str().map(str::to_string),
        None => None,
    };
    let mut roles: Vec<String> = labels.into_iter().flatten().filter_map(role).filter(|r| !r.is_empty()).collect();
    roles.sort_unstable();
    roles.dedup();
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

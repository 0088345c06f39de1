//! `networking.k8s.io/v1 IPAddress`: an address of a service range that somebody holds.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::fields::{immutable, omit_empty};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::IP_ADDRESS;
use crate::protocol::names;
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::{invalid_each, network, text};
use serde_json::Value;

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "networking.k8s.io",
        version: "v1",
        kind: "IPAddress",
        plural: "ipaddresses",
        singular: "ipaddress",
        namespaced: false,
        short_names: &["ip"],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&IP_ADDRESS),
    schema: "IPAddress",
    rules: Rules {
        name: |name, _| network::strict_address_faults(name),
        default: |o| omit_empty(&mut o["spec"]["parentRef"], &["group", "namespace"]),
        validate,
        validate_update: |new, old| immutable(&new["spec"]["parentRef"], &old["spec"]["parentRef"], "spec.parentRef").into_iter().collect(),
        fields: &["spec.parentRef.group", "spec.parentRef.resource", "spec.parentRef.namespace", "spec.parentRef.name"],
        ..PLAIN
    },
    columns: COLUMNS,
    row: |o, now| vec![name(o), parent(&o["spec"]["parentRef"]).into(), age(o, now)],
    view: None,
};

const COLUMNS: &[Column] = &[NAME, column("ParentRef", "string", 0, "The object that holds the address."), AGE];

fn validate(object: &Value) -> Vec<FieldError> {
    let (path, parent) = ("spec.parentRef", &object["spec"]["parentRef"]);
    if !parent.is_object() {
        return vec![FieldError::required(path, "")];
    }
    let mut errors = Vec::new();
    let group = text(parent, "group");
    // The group of services is the empty one.
    if !group.is_empty() {
        errors.extend(invalid_each(&format!("{path}.group"), group, names::dns1123_subdomain(group)));
    }
    for (field, required) in [("resource", true), ("name", true), ("namespace", false)] {
        let (path, value) = (format!("{path}.{field}"), text(parent, field));
        if !value.is_empty() {
            errors.extend(invalid_each(&path, value, names::name_is_path_segment(value, false)));
        } else if required {
            errors.push(FieldError::required(path, ""));
        }
    }
    errors
}

/// `services/default/web`
fn parent(reference: &Value) -> String {
    if !reference.is_object() {
        return "<none>".into();
    }
    let (group, namespace) = (text(reference, "group"), text(reference, "namespace"));
    let mut path = text(reference, "resource").to_lowercase();
    if !group.is_empty() {
        path = format!("{path}.{}", group.to_lowercase());
    }
    if !namespace.is_empty() {
        path = format!("{path}/{namespace}");
    }
    format!("{path}/{}", text(reference, "name"))
}

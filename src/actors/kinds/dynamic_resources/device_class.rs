//! `resource.k8s.io/v1 DeviceClass`.
use super::formats::each;
use super::requests::{CONFIG_MAX, configuration, selectors};
use crate::actors::kinds::columns::{AGE, NAME, age, name};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::DEVICE_CLASS;
use crate::protocol::names::qualified_name;
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::status::FieldError;
use serde_json::Value;

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "resource.k8s.io",
        version: "v1",
        kind: "DeviceClass",
        plural: "deviceclasses",
        singular: "deviceclass",
        namespaced: false,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&DEVICE_CLASS),
    schema: "DeviceClass",
    rules: Rules { validate, generation: true, ..PLAIN },
    columns: &[NAME, AGE],
    row: |o, now| vec![name(o), age(o, now)],
    view: None,
};

fn validate(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let mut errors = selectors(spec, "spec");
    errors.extend(each(spec, "spec", "config", CONFIG_MAX, configuration));
    if let Some(extended) = spec["extendedResourceName"].as_str().filter(|name| !is_extended_resource(name)) {
        errors.push(FieldError::invalid("spec.extendedResourceName", extended, "must be a valid extended resource name"));
    }
    errors
}

/// A resource that somebody else than Kubernetes defined: `example.com/gpu`.
fn is_extended_resource(name: &str) -> bool {
    let Some((domain, _)) = name.split_once('/') else { return false };
    let native = domain == "kubernetes.io" || domain.ends_with(".kubernetes.io");
    !native && !name.starts_with("requests.") && qualified_name(&format!("requests.{name}")).is_empty()
}

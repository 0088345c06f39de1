//! `apiregistration.k8s.io/v1 APIService`.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::findings::{READ_WRITE, fill, invalid_each, items, list, required, text};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::API_SERVICE;
use crate::protocol::names::{dns1035_label, dns1123_subdomain, name_is_path_segment};
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::status::FieldError;
use crate::protocol::time;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "apiregistration.k8s.io",
        version: "v1",
        kind: "APIService",
        plural: "apiservices",
        singular: "apiservice",
        namespaced: false,
        short_names: &[],
        categories: &["api-extensions"],
        verbs: ALL_VERBS,
        subresources: &[Subresource {
            name: "status",
            group: "apiregistration.k8s.io",
            version: "v1",
            kind: "APIService",
            verbs: READ_WRITE,
        }],
    },
    body: Body::Typed(&API_SERVICE),
    schema: "APIService",
    rules: Rules { name: name_is_path_segment, default, create, validate, validate_status, unconditional: false, ..PLAIN },
    columns: COLUMNS,
    row,
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Service", "string", 0, "The reference to the service that hosts this API endpoint."),
    column("Available", "string", 0, "Whether this service is available."),
    AGE,
];

fn default(object: &mut Value) {
    if object["spec"]["service"].is_object() {
        fill(&mut object["spec"]["service"], "port", 443);
    }
}

/// What this server serves itself is available from the start.
fn create(object: &mut Value) {
    object["status"] = json!({});
    if object["spec"]["service"].is_null() {
        object["status"]["conditions"] = json!([{
            "type": "Available", "status": "True", "lastTransitionTime": time::rfc3339(time::now()),
            "reason": "Local", "message": "Local APIServices are always available",
        }]);
    }
}

fn validate(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let (group, version) = (text(spec, "group"), text(spec, "version"));
    let mut errors = Vec::new();
    let wanted = format!("{version}.{group}");
    let name = text(&object["metadata"], "name");
    if name != wanted && name_is_path_segment(name, false).is_empty() {
        let why = format!("must be `spec.version+\".\"+spec.group`: \"{wanted}\"");
        errors.push(FieldError::invalid("metadata.name", name, why));
    }
    if group.is_empty() && version != "v1" {
        errors.push(FieldError::required("spec.group", "only v1 may have an empty group and it better be legacy kube"));
    }
    if !group.is_empty() {
        errors.extend(invalid_each("spec.group", group, dns1123_subdomain(group)));
    }
    errors.extend(invalid_each("spec.version", version, dns1035_label(version)));
    for (field, max) in [("groupPriorityMinimum", 20_000), ("versionPriority", 1000)] {
        let number = spec[field].as_i64().unwrap_or(0);
        if !(1..=max).contains(&number) {
            errors.push(FieldError::invalid(format!("spec.{field}"), number, format!("must be positive and less than {max}")));
        }
    }
    errors.extend(server(spec));
    errors
}

/// Where requests go, and how its certificate is checked.
fn server(spec: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let bundle = STANDARD.decode(text(spec, "caBundle")).map_or(0, |b| b.len());
    let blind = spec["insecureSkipTLSVerify"] == true;
    let service = &spec["service"];
    if service.is_null() {
        if bundle > 0 {
            let why = "local APIServices may not have a caBundle";
            errors.push(FieldError::invalid("spec.caBundle", format!("{bundle} bytes"), why));
        }
        if blind {
            let why = "local APIServices may not have insecureSkipTLSVerify";
            errors.push(FieldError::invalid("spec.insecureSkipTLSVerify", true, why));
        }
        return errors;
    }
    errors.extend(required(service, "spec.service", "namespace"));
    errors.extend(required(service, "spec.service", "name"));
    let port = service["port"].as_i64().unwrap_or(0);
    if !(1..=65535).contains(&port) {
        errors.push(FieldError::invalid("spec.service.port", port, "port is not valid: must be between 1 and 65535, inclusive"));
    }
    if blind && bundle > 0 {
        errors.push(FieldError::invalid("spec.insecureSkipTLSVerify", true, "may not be true if caBundle is present"));
    }
    errors
}

fn validate_status(new: &Value, _old: &Value) -> Vec<FieldError> {
    let states = ["True", "False", "Unknown"];
    let bad = items(&new["status"], "status", "conditions").filter(|(_, c)| !states.contains(&text(c, "status")));
    bad.map(|(path, c)| FieldError::not_supported(format!("{path}.status"), text(c, "status"), &states)).collect()
}

fn row(o: &Value, now: i64) -> Vec<Value> {
    let service = &o["spec"]["service"];
    let service = if service.is_null() { "Local".to_string() } else { format!("{}/{}", text(service, "namespace"), text(service, "name")) };
    let available = list(&o["status"]["conditions"]).iter().find(|c| c["type"] == "Available");
    let available = match available.map(|c| (text(c, "status"), text(c, "reason"))) {
        None => "Unknown".to_string(),
        Some((status, reason)) if status == "True" || reason.is_empty() => status.to_string(),
        Some((status, reason)) => format!("{status} ({reason})"),
    };
    vec![name(o), service.into(), available.into(), age(o, now)]
}

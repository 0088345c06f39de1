//! `Ingress` of `extensions/v1beta1` and `networking.k8s.io/v1beta1`: backends named services by two flat fields.
use super::fields::{default_text, each, put, rename, take};
use serde_json::{Value, json};

pub(super) fn to_today(ingress: &mut Value) {
    let Some(spec) = ingress.get_mut("spec") else { return };
    rename(spec, "backend", "defaultBackend");
    if let Some(backend) = spec.get_mut("defaultBackend") {
        backend_to_today(backend);
    }
    for path in paths(spec) {
        default_text(path, "pathType", "ImplementationSpecific");
        if let Some(backend) = path.get_mut("backend") {
            backend_to_today(backend);
        }
    }
}

pub(super) fn from_today(ingress: &mut Value) {
    let Some(spec) = ingress.get_mut("spec") else { return };
    rename(spec, "defaultBackend", "backend");
    if let Some(backend) = spec.get_mut("backend") {
        backend_from_today(backend);
    }
    for path in paths(spec) {
        if let Some(backend) = path.get_mut("backend") {
            backend_from_today(backend);
        }
    }
}

fn paths(spec: &mut Value) -> impl Iterator<Item = &mut Value> {
    each(spec, "rules").filter_map(|rule| rule.get_mut("http")).flat_map(|http| each(http, "paths"))
}

fn backend_to_today(backend: &mut Value) {
    let (name, port) = (take(backend, "serviceName"), take(backend, "servicePort"));
    if name.is_none() && port.is_none() {
        return;
    }
    let mut service = json!({ "name": name.unwrap_or_else(|| "".into()) });
    let port = port.map(|port| if port.is_string() { json!({ "name": port }) } else { json!({ "number": port }) });
    put(&mut service, "port", port);
    put(backend, "service", Some(service));
}

fn backend_from_today(backend: &mut Value) {
    let Some(mut service) = take(backend, "service") else { return };
    put(backend, "serviceName", take(&mut service, "name"));
    let port = take(&mut service, "port").unwrap_or_default();
    let named = port["name"].as_str().filter(|n| !n.is_empty()).map(Value::from);
    // An absent port was written as 0.
    put(backend, "servicePort", named.or_else(|| Some(port["number"].as_i64().unwrap_or(0).into())));
}

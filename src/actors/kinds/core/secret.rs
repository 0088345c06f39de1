//! `v1 Secret`.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::SECRET;
use crate::protocol::resource::{ALL_VERBS, Resource};
use crate::protocol::status::FieldError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "",
        version: "v1",
        kind: "Secret",
        plural: "secrets",
        singular: "secret",
        namespaced: true,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    },
    body: Body::Typed(&SECRET),
    schema: "Secret",
    rules: Rules { default, validate, validate_update, fields: &["type"], ..PLAIN },
    columns: COLUMNS,
    row: |o, now| vec![name(o), o["type"].clone(), o["data"].as_object().map_or(0, |m| m.len()).into(), age(o, now)],
    view: None,
};

const COLUMNS: &[Column] =
    &[NAME, column("Type", "string", 0, "What the secret is for."), column("Data", "string", 0, "Number of entries."), AGE];

/// Upstream's limit on the sum of all values, bytes.
const MAX_SIZE: usize = 1024 * 1024;

/// `type` Opaque; `stringData` is folded into `data`.
fn default(object: &mut Value) {
    if object["type"].as_str().unwrap_or_default().is_empty() {
        object["type"] = "Opaque".into();
    }
    let Some(map) = object.as_object_mut() else { return };
    let Some(Value::Object(plain)) = map.remove("stringData") else { return };
    let data = map.entry("data").or_insert_with(|| json!({}));
    for (key, value) in plain {
        data[key] = STANDARD.encode(value.as_str().unwrap_or_default()).into();
    }
}

fn validate(object: &Value) -> Vec<FieldError> {
    let mut errors = validate_data(object, &["data"]);
    let required: &[&str] = match object["type"].as_str().unwrap_or_default() {
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        _ => &[],
    };
    for key in required {
        if object["data"].get(*key).is_none() {
            errors.push(FieldError::required(format!("data[{key}]"), ""));
        }
    }
    errors
}

fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = validate_immutable(new, old, &["data"]);
    if new["type"] != old["type"] {
        errors.push(FieldError::invalid("type", new["type"].clone(), "field is immutable"));
    }
    errors
}

/// Keys and sizes of the maps of a ConfigMap or a Secret.
pub(super) fn validate_data(object: &Value, maps: &[&str]) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut size = 0;
    for map in maps {
        for (key, value) in object[*map].as_object().into_iter().flatten() {
            size += value.as_str().map_or(0, str::len);
            let path = format!("{map}[{key}]");
            let good = key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
            if !good || key.is_empty() || key.len() > 253 || key == "." || key.starts_with("..") {
                let detail = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
                errors.push(FieldError::invalid(path, key.as_str(), detail));
            }
        }
    }
    if size > MAX_SIZE {
        errors.push(FieldError::too_long("", MAX_SIZE));
    }
    errors
}

/// `immutable: true` cannot be taken back, and freezes the data.
pub(super) fn validate_immutable(new: &Value, old: &Value, maps: &[&str]) -> Vec<FieldError> {
    if old["immutable"] != true {
        return Vec::new();
    }
    let why = "field is immutable when `immutable` is set";
    let mut errors = Vec::new();
    if new["immutable"] != true {
        errors.push(FieldError::forbidden("immutable", why));
    }
    errors.extend(maps.iter().filter(|m| new[**m] != old[**m]).map(|m| FieldError::forbidden(*m, why)));
    errors
}

//! `v1 Secret`.
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name};
use crate::actors::kinds::fields::{annotation, immutable, members};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::SECRET;
use crate::protocol::names;
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
pub(super) const MAX_SIZE: usize = 1024 * 1024;
const REDACTED: &str = "<secret contents redacted>";

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
    let mut errors = validate_keys(object, "data");
    if members(&object["data"]).map(|(_, value)| decoded_len(value)).sum::<usize>() > MAX_SIZE {
        errors.push(FieldError::too_long("data", MAX_SIZE));
    }
    let has = |key: &str| object["data"].get(key).is_some();
    let missing = |key: &str| FieldError::required(format!("data[{key}]"), "");
    match object["type"].as_str().unwrap_or_default() {
        "kubernetes.io/service-account-token" => {
            let key = "kubernetes.io/service-account.name";
            if annotation(object, key).is_none_or(str::is_empty) {
                errors.push(FieldError::required(format!("metadata.annotations[{key}]"), ""));
            }
        }
        "kubernetes.io/dockercfg" => errors.extend(docker_config(object, ".dockercfg")),
        "kubernetes.io/dockerconfigjson" => errors.extend(docker_config(object, ".dockerconfigjson")),
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            errors.extend([missing("username"), missing("password")]);
        }
        "kubernetes.io/ssh-auth" if object["data"]["ssh-privatekey"].as_str().is_none_or(str::is_empty) => {
            errors.push(missing("ssh-privatekey"));
        }
        "kubernetes.io/tls" => errors.extend(["tls.crt", "tls.key"].into_iter().filter(|key| !has(key)).map(missing)),
        _ => {}
    }
    errors
}

/// The entry must be there, and a JSON object.
fn docker_config(object: &Value, key: &str) -> Option<FieldError> {
    let path = format!("data[{key}]");
    let Some(encoded) = object["data"].get(key).and_then(Value::as_str) else { return Some(FieldError::required(path, "")) };
    let decoded = STANDARD.decode(encoded).unwrap_or_default();
    let fault = serde_json::from_slice::<serde_json::Map<String, Value>>(&decoded).err()?;
    Some(FieldError::invalid(path, REDACTED, fault.to_string()))
}

fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors: Vec<_> = immutable(&new["type"], &old["type"], "type").into_iter().collect();
    errors.extend(validate_immutable(new, old, &["data"]));
    errors
}

/// The keys of a map of a ConfigMap or a Secret.
pub(super) fn validate_keys(object: &Value, map: &str) -> Vec<FieldError> {
    members(&object[map])
        .flat_map(|(key, _)| {
            names::config_map_key(key).into_iter().map(move |why| FieldError::invalid(format!("{map}[{key}]"), key.as_str(), why))
        })
        .collect()
}

/// Bytes that a base64 text stands for.
pub(super) fn decoded_len(value: &Value) -> usize {
    let text = value.as_str().unwrap_or_default().trim_end_matches('=');
    text.len() * 3 / 4
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

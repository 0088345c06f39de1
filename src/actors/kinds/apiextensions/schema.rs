//! `schema.openAPIV3Schema`: which keywords a definition may use, and that all of it is well defined.
use crate::protocol::status::FieldError;
use crate::protocol::structural::{Structural, check_defaults, check_structural, compile_rules};
use serde_json::{Map, Value};

const TYPES: &[&str] = &["array", "boolean", "integer", "number", "object", "string"];
/// What the root may say when `status` is a subresource: nothing that looks at spec and status together.
const AT_ROOT: &[&str] = &[
    "description",
    "type",
    "format",
    "title",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "multipleOf",
    "required",
    "enum",
    "items",
    "properties",
    "externalDocs",
    "example",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
    "nullable",
    "x-kubernetes-map-type",
    "maxProperties",
    "minProperties",
];

/// The findings about a schema at `path`.
pub(super) fn validate(given: &Value, schema: &Structural, with_status: bool, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if with_status && let Some(members) = given.as_object() {
        let says = |value: &Value| !(value.is_null() || value == false || value.as_array().is_some_and(Vec::is_empty));
        if members.iter().any(|(key, value)| says(value) && !AT_ROOT.contains(&key.as_str())) {
            let why =
                format!("only [{}] fields are allowed at the root of the schema if the status subresource is enabled", AT_ROOT.join(" "));
            errors.push(FieldError::invalid(path, "", why));
        }
    }
    node(given, path, &mut errors);
    errors.extend(check_structural(schema, path));
    if errors.is_empty() {
        errors.extend(check_defaults(schema, path));
        errors.extend(compile_rules(schema, path).errors);
    }
    errors
}

fn node(given: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let Some(members) = given.as_object() else { return };
    let at = |name: &str| format!("{path}.{name}");
    keywords(members, path, errors);
    list(members, path, errors);
    map(members, path, errors);
    let additional = members.get("additionalProperties").filter(|a| !a.is_null());
    let has_properties = members.get("properties").and_then(Value::as_object).is_some_and(|p| !p.is_empty());
    if additional.is_some_and(|a| *a != true) && has_properties {
        let why = "additionalProperties and properties are mutual exclusive";
        errors.push(FieldError::forbidden(at("additionalProperties"), why));
    }
    for key in ["items", "additionalProperties", "not"] {
        if let Some(below @ Value::Object(_)) = members.get(key) {
            node(below, &at(key), errors);
        }
    }
    for (name, below) in members.get("properties").and_then(Value::as_object).into_iter().flatten() {
        node(below, &format!("{}[{name}]", at("properties")), errors);
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        for (index, below) in members.get(key).and_then(Value::as_array).into_iter().flatten().enumerate() {
            node(below, &format!("{}[{index}]", at(key)), errors);
        }
    }
}

fn keywords(members: &Map<String, Value>, path: &str, errors: &mut Vec<FieldError>) {
    let at = |name: &str| format!("{path}.{name}");
    for key in ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"] {
        let empty = |v: &Value| v.is_null() || v == "" || v.as_object().is_some_and(Map::is_empty);
        if members.get(key).is_some_and(|v| !empty(v)) {
            errors.push(FieldError::forbidden(at(key), format!("{key} is not supported")));
        }
    }
    if members.get("uniqueItems") == Some(&Value::Bool(true)) {
        let why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        errors.push(FieldError::forbidden(at("uniqueItems"), why));
    }
    if matches!(members.get("items"), Some(Value::Array(_))) {
        errors.push(FieldError::forbidden(at("items"), "items must be a schema object and not an array"));
    }
    match members.get("type").and_then(Value::as_str).unwrap_or_default() {
        "" => {}
        "null" => errors.push(FieldError::forbidden(at("type"), "type cannot be set to null, use nullable as an alternative")),
        kind if !TYPES.contains(&kind) => errors.push(FieldError::not_supported(at("type"), kind, TYPES)),
        _ => {}
    }
    if members.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
        let why = "must be true or undefined";
        errors.push(FieldError::invalid(at("x-kubernetes-preserve-unknown-fields"), false, why));
    }
}

fn map(members: &Map<String, Value>, path: &str, errors: &mut Vec<FieldError>) {
    let Some(kind) = members.get("x-kubernetes-map-type").and_then(Value::as_str) else { return };
    if !matches!(kind, "atomic" | "granular") {
        errors.push(FieldError::not_supported(format!("{path}.x-kubernetes-map-type"), kind, &["atomic", "granular"]));
    }
    must_be(members, "object", "must be object if x-kubernetes-map-type is specified", path, errors);
}

fn must_be(members: &Map<String, Value>, wanted: &str, why: &str, path: &str, errors: &mut Vec<FieldError>) {
    let at = format!("{path}.type");
    match members.get("type").and_then(Value::as_str).unwrap_or_default() {
        kind if kind == wanted => {}
        "" => errors.push(FieldError::required(at, why)),
        kind => errors.push(FieldError::invalid(at, kind, why)),
    }
}

fn list(members: &Map<String, Value>, path: &str, errors: &mut Vec<FieldError>) {
    let kind = members.get("x-kubernetes-list-type").and_then(Value::as_str);
    let keys: Vec<&str> =
        members.get("x-kubernetes-list-map-keys").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let at = |name: &str| format!("{path}.{name}");
    if let Some(kind) = kind {
        if !matches!(kind, "atomic" | "set" | "map") {
            errors.push(FieldError::not_supported(at("x-kubernetes-list-type"), kind, &["atomic", "map", "set"]));
        }
        must_be(members, "array", "must be array if x-kubernetes-list-type is specified", path, errors);
    }
    if kind != Some("map") && !keys.is_empty() {
        let why = "must be map if x-kubernetes-list-map-keys is non-empty";
        errors.push(match kind {
            None => FieldError::required(at("x-kubernetes-list-type"), why),
            Some(kind) => FieldError::invalid(at("x-kubernetes-list-type"), kind, why),
        });
    }
    let items = members.get("items").and_then(Value::as_object);
    match kind {
        Some("map") => map_list(items, &keys, path, errors),
        Some("set") => {
            let Some(items) = items else { return };
            let atomic = items.get("x-kubernetes-list-type").is_none_or(|t| t == "atomic") && items.get("type") == Some(&"array".into())
                || items.get("x-kubernetes-map-type") == Some(&"atomic".into());
            let scalar = !matches!(items.get("type").and_then(Value::as_str), Some("object" | "array"));
            if !atomic && !scalar {
                let key = if items.get("type") == Some(&"array".into()) { "list" } else { "map" };
                let why = "must be atomic as item of a list with x-kubernetes-list-type=set";
                errors.push(FieldError::invalid(format!("{path}.items.x-kubernetes-{key}-type"), "granular", why));
            }
        }
        _ => {}
    }
}

/// A list whose items are told apart by keys.
fn map_list(items: Option<&Map<String, Value>>, keys: &[&str], path: &str, errors: &mut Vec<FieldError>) {
    let at = format!("{path}.x-kubernetes-list-map-keys");
    if keys.is_empty() {
        errors.push(FieldError::required(at.clone(), "must not be empty if x-kubernetes-list-type is map"));
    }
    let Some(items) = items else {
        errors.push(FieldError::required(format!("{path}.items"), "must have a schema if x-kubernetes-list-type is map"));
        return;
    };
    must_be(items, "object", "must be object if parent array's x-kubernetes-list-type is map", &format!("{path}.items"), errors);
    let required = items.get("required").and_then(Value::as_array);
    let mut seen = std::collections::HashSet::new();
    for (index, key) in keys.iter().enumerate() {
        if !seen.insert(key) {
            errors.push(FieldError::duplicate(format!("{at}[{index}]"), *key));
        }
        let Some(property) = items.get("properties").and_then(|p| p.get(key)) else {
            let why = "entries must all be names of item properties";
            errors.push(FieldError::invalid(format!("{at}[{index}]"), *key, why));
            continue;
        };
        let place = format!("{path}.items.properties[{key}]");
        if matches!(property["type"].as_str(), Some("array" | "object")) {
            errors.push(FieldError::invalid(
                format!("{place}.type"),
                property["type"].clone(),
                "must be a scalar type if parent array's x-kubernetes-list-type is map",
            ));
        }
        if property["nullable"] == true {
            let why = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            errors.push(FieldError::forbidden(format!("{place}.nullable"), why));
        }
        let is_required = required.is_some_and(|r| r.iter().any(|name| name == key));
        if !is_required && property.get("default").is_none() {
            let why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            errors.push(FieldError::required(format!("{place}.default"), why));
        }
    }
}

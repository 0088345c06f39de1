//! `x-kubernetes-list-type`: sets without equal items, maps without equal keys.
use super::{Additional, ListType, Structural, child, keyed};
use crate::status::FieldError;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The duplicates in all lists below `value`.
pub fn check_lists(value: &Value, schema: &Structural, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    node(value, schema, path, &mut errors);
    errors
}

fn node(value: &Value, schema: &Structural, path: &str, errors: &mut Vec<FieldError>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match (schema.properties.get(name), &schema.additional) {
                    (Some(property), _) => node(member, property, &child(path, name), errors),
                    (None, Additional::Schema(additional)) => node(member, additional, &keyed(path, name), errors),
                    _ => {}
                }
            }
        }
        Value::Array(items) => {
            match schema.list_type {
                ListType::Set => duplicates(items, |item| item.clone(), path, errors),
                ListType::Map => duplicates(items, |item| Value::Object(keys(item, schema)), path, errors),
                ListType::Unset | ListType::Atomic => {}
            }
            let Some(schema) = &schema.items else { return };
            for (at, item) in items.iter().enumerate() {
                node(item, schema, &keyed(path, at), errors);
            }
        }
        _ => {}
    }
}

fn keys(item: &Value, schema: &Structural) -> Map<String, Value> {
    let default = |key: &str| schema.items.as_ref().and_then(|i| i.properties.get(key)).and_then(|p| p.default.as_ref());
    let value = |key: &String| item.get(key).or(default(key)).cloned().map(|value| (key.clone(), value));
    schema.list_keys.iter().filter_map(value).collect()
}

fn duplicates(items: &[Value], part: impl Fn(&Value) -> Value, path: &str, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    let mut told = BTreeSet::new();
    for (at, item) in items.iter().enumerate() {
        let part = part(item);
        // Members are sorted, so equal values have equal texts.
        let text = part.to_string();
        if !seen.insert(text.clone()) && told.insert(text) {
            errors.push(FieldError::duplicate(keyed(path, at), part));
        }
    }
}

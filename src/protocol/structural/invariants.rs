//! What makes a schema structural: every field is specified outside of `allOf`, `anyOf`, `oneOf` and `not`, so that pruning and
//! defaults are well defined.
use super::{Additional, Kind, ListType, Structural, ValueRules, child, keyed};
use crate::status::FieldError;

#[derive(Clone, Copy, PartialEq)]
enum Level {
    Root,
    Item,
    Field,
}

/// The findings about a schema at `path`, sorted; none for a structural one.
pub fn check_structural(schema: &Structural, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    node(schema, Level::Root, path, &mut errors);
    completeness(schema, &schema.values, path, &mut errors);
    errors.sort_by_key(ToString::to_string);
    errors.dedup();
    errors
}

fn node(s: &Structural, level: Level, path: &str, errors: &mut Vec<FieldError>) {
    let at = |name: &str| child(path, name);
    if s.kind == Kind::Array && s.items.is_none() {
        errors.push(FieldError::required(at("items"), "must be specified"));
    }
    if let Some(items) = &s.items {
        node(items, Level::Item, &at("items"), errors);
    }
    for (name, property) in &s.properties {
        node(property, Level::Field, &keyed(&at("properties"), name), errors);
    }
    if level == Level::Root && !matches!(s.additional, Additional::Unset) {
        errors.push(FieldError::forbidden(at("additionalProperties"), "must not be used at the root"));
    }
    if let Additional::Schema(schema) = &s.additional {
        node(schema, Level::Field, &at("additionalProperties"), errors);
    }
    if s.int_or_string && s.preserve {
        let why = "must be false if x-kubernetes-int-or-string is true";
        errors.push(FieldError::invalid(at("x-kubernetes-preserve-unknown-fields"), true, why));
    }
    if s.int_or_string && s.embedded {
        let why = "must be false if x-kubernetes-int-or-string is true";
        errors.push(FieldError::invalid(at("x-kubernetes-embedded-resource"), true, why));
    }
    let skip_any = is_int_or_string(&s.values.any_of);
    let skip_all = s.values.all_of.first().is_some_and(|first| is_int_or_string(&first.values.any_of));
    value_rules(&s.values, (skip_any, skip_all), path, errors);
    types(s, level, path, errors);
    names(s, level, path, errors);
}

/// The exception that lets `x-kubernetes-int-or-string` repeat its two types.
fn is_int_or_string(any: &[Structural]) -> bool {
    matches!(any, [a, b] if a.kind == Kind::Integer && b.kind == Kind::String)
}

fn types(s: &Structural, level: Level, path: &str, errors: &mut Vec<FieldError>) {
    let at = child(path, "type");
    if s.embedded && s.kind != Kind::Object {
        let why = "must be object if x-kubernetes-embedded-resource is true";
        errors.push(if s.kind == Kind::Unset {
            FieldError::required(at.clone(), why)
        } else {
            FieldError::invalid(at.clone(), type_name(s.kind), why)
        });
    } else if s.kind == Kind::Unset && !s.int_or_string && !s.preserve {
        let why = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        errors.push(FieldError::required(at.clone(), why));
    }
    if s.embedded && !matches!(s.additional, Additional::Unset) {
        let why = "must not be used if x-kubernetes-embedded-resource is set";
        errors.push(FieldError::forbidden(child(path, "additionalProperties"), why));
    }
    if level == Level::Root && s.kind != Kind::Unset && s.kind != Kind::Object {
        errors.push(FieldError::invalid(at, type_name(s.kind), "must be object at the root"));
    }
    if s.embedded && !s.preserve && s.properties.is_empty() {
        let why = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
        errors.push(FieldError::required(child(path, "properties"), why));
    }
}

/// `apiVersion`, `kind` and `metadata` are the server's own.
fn names(s: &Structural, level: Level, path: &str, errors: &mut Vec<FieldError>) {
    let reserved = level == Level::Root || s.embedded;
    let at = |name: &str| keyed(&child(path, "properties"), name);
    for name in ["kind", "apiVersion"] {
        if let Some(property) = s.properties.get(name).filter(|p| reserved && p.kind != Kind::String) {
            errors.push(FieldError::invalid(child(&at(name), "type"), type_name(property.kind), "must be string"));
        }
    }
    let Some(metadata) = s.properties.get("metadata") else { return };
    if reserved && metadata.kind != Kind::Object {
        errors.push(FieldError::invalid(child(&at("metadata"), "type"), type_name(metadata.kind), "must be object"));
    }
    if level == Level::Root {
        let names_only = metadata.properties.keys().all(|name| name == "name" || name == "generateName");
        if !names_only || says_more(metadata) {
            let why = "must not specify anything other than name and generateName, but metadata is implicitly specified";
            errors.push(FieldError::forbidden(at("metadata"), why));
        }
    }
}

fn says_more(metadata: &Structural) -> bool {
    let v = &metadata.values;
    metadata.items.is_some()
        || !matches!(metadata.additional, Additional::Unset)
        || metadata.nullable
        || metadata.preserve
        || metadata.embedded
        || metadata.int_or_string
        || metadata.title
        || metadata.description
        || !v.required.is_empty()
        || !v.all_of.is_empty()
        || !v.any_of.is_empty()
        || !v.one_of.is_empty()
        || v.not.is_some()
}

fn value_rules(v: &ValueRules, (skip_any, skip_first): (bool, bool), path: &str, errors: &mut Vec<FieldError>) {
    if !skip_any {
        for (at, part) in v.any_of.iter().enumerate() {
            nested(part, false, &keyed(&child(path, "anyOf"), at), errors);
        }
    }
    for (at, part) in v.all_of.iter().enumerate() {
        nested(part, skip_first && at == 0, &keyed(&child(path, "allOf"), at), errors);
    }
    for (at, part) in v.one_of.iter().enumerate() {
        nested(part, false, &keyed(&child(path, "oneOf"), at), errors);
    }
    if let Some(part) = &v.not {
        nested(part, false, &child(path, "not"), errors);
    }
    if let Some(pattern) = &v.pattern
        && let Err(why) = &pattern.regex
    {
        let why = format!("must be a valid regular expression, but isn't: {why}");
        errors.push(FieldError::invalid(child(path, "pattern"), pattern.source.as_str(), why));
    }
}

/// Below a logical keyword only values may be restricted.
fn nested(part: &Structural, skip_any: bool, path: &str, errors: &mut Vec<FieldError>) {
    value_rules(&part.values, (skip_any, false), path, errors);
    if let Some(items) = &part.items {
        nested(items, false, &child(path, "items"), errors);
    }
    for (name, property) in &part.properties {
        nested(property, false, &keyed(&child(path, "properties"), name), errors);
    }
    let mut forbid = |found: bool, name: &str, why: &str| {
        if found {
            errors.push(FieldError::forbidden(child(path, name), format!("must be {why} to be structural")));
        }
    };
    forbid(part.kind != Kind::Unset, "type", "empty");
    forbid(!matches!(part.additional, Additional::Unset), "additionalProperties", "undefined");
    forbid(part.default.is_some(), "default", "undefined");
    forbid(part.title, "title", "empty");
    forbid(part.description, "description", "empty");
    forbid(part.nullable, "nullable", "false");
    forbid(part.external_docs, "externalDocs", "undefined");
    forbid(part.preserve, "x-kubernetes-preserve-unknown-fields", "false");
    forbid(part.embedded, "x-kubernetes-embedded-resource", "false");
    forbid(part.int_or_string, "x-kubernetes-int-or-string", "false");
    forbid(!part.list_keys.is_empty(), "x-kubernetes-list-map-keys", "empty");
    forbid(part.list_type != ListType::Unset, "x-kubernetes-list-type", "undefined");
    forbid(part.map_type.is_some(), "x-kubernetes-map-type", "undefined");
    forbid(!part.rules.is_empty(), "x-kubernetes-validations", "empty");
    if part.properties.contains_key("metadata") {
        let at = keyed(&child(path, "properties"), "metadata");
        errors.push(FieldError::forbidden(at, "must not be specified in a nested context"));
    }
}

/// What a logical keyword speaks about must be specified outside of it, too.
fn completeness(s: &Structural, v: &ValueRules, path: &str, errors: &mut Vec<FieldError>) {
    for (name, list) in [("allOf", &v.all_of), ("anyOf", &v.any_of), ("oneOf", &v.one_of)] {
        for (at, part) in list.iter().enumerate() {
            complete(Some(s), part, path, &keyed(&child(path, name), at), errors);
        }
    }
    if let Some(part) = &v.not {
        complete(Some(s), part, path, &child(path, "not"), errors);
    }
    for (name, property) in &s.properties {
        completeness(property, &property.values, &keyed(&child(path, "properties"), name), errors);
    }
    if let Some(items) = &s.items {
        completeness(items, &items.values, &child(path, "items"), errors);
    }
    if let Additional::Schema(schema) = &s.additional {
        completeness(schema, &schema.values, &child(path, "additionalProperties"), errors);
    }
}

fn complete(s: Option<&Structural>, part: &Structural, main: &str, path: &str, errors: &mut Vec<FieldError>) {
    let Some(s) = s else {
        let structural_at = main.to_string();
        errors.push(FieldError::required(structural_at, format!("because it is defined in {path}")));
        return;
    };
    if let Some(items) = &part.items {
        complete(s.items.as_deref(), items, &child(main, "items"), &child(path, "items"), errors);
    }
    for (name, property) in &part.properties {
        let at = keyed(&child(main, "properties"), name);
        complete(s.properties.get(name), property, &at, &keyed(&child(path, "properties"), name), errors);
    }
    for (name, list) in [("allOf", &part.values.all_of), ("anyOf", &part.values.any_of), ("oneOf", &part.values.one_of)] {
        for (at, inner) in list.iter().enumerate() {
            complete(Some(s), inner, main, &keyed(&child(path, name), at), errors);
        }
    }
    if let Some(inner) = &part.values.not {
        complete(Some(s), inner, main, &child(path, "not"), errors);
    }
}

pub(super) fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Unset => "",
        Kind::Object => "object",
        Kind::Array => "array",
        Kind::String => "string",
        Kind::Integer => "integer",
        Kind::Number => "number",
        Kind::Boolean => "boolean",
    }
}

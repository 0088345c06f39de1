//! The types that a schema declares for expressions, and how large its values can get.
use super::{Additional, Kind, Structural};
use crate::cel::Type;
use std::sync::Arc;

/// What fits into a request, in bytes: bounds what no schema does.
const REQUEST: u64 = 3 * 1024 * 1024;

/// The type of a value with this schema. `root`: it is an object with metadata of its own.
pub(super) fn type_of(s: &Structural, root: bool) -> Type {
    if s.int_or_string {
        return Type::Dyn;
    }
    match s.kind {
        Kind::Unset => Type::Dyn,
        Kind::Boolean => Type::Bool,
        Kind::Integer => Type::Int,
        Kind::Number => Type::Double,
        Kind::String => text(s),
        Kind::Array => match &s.items {
            Some(items) => Type::List(Arc::new(type_of(items, items.embedded)), most_items(s)),
            None => Type::Dyn,
        },
        Kind::Object => object(s, root || s.embedded),
    }
}

fn object(s: &Structural, root: bool) -> Type {
    if let Additional::Schema(additional) = &s.additional {
        return Type::Map(Arc::new(type_of(additional, additional.embedded)), most_members(s));
    }
    if s.properties.is_empty() && !root && (s.preserve || !matches!(s.additional, Additional::Unset)) {
        return Type::Dyn;
    }
    let mut fields: Vec<(String, Type)> = s.properties.iter().map(|(name, p)| (name.clone(), type_of(p, p.embedded))).collect();
    if root {
        fields.retain(|(name, _)| !matches!(name.as_str(), "apiVersion" | "kind" | "metadata"));
        let name = || Type::String(253);
        let metadata = Type::object([("name".to_string(), name()), ("generateName".to_string(), name())]);
        fields.extend([("apiVersion".into(), name()), ("kind".into(), name()), ("metadata".into(), metadata)]);
    }
    Type::object(fields)
}

fn text(s: &Structural) -> Type {
    match s.values.format.as_str() {
        "date" | "date-time" | "datetime" => return Type::Timestamp,
        "duration" => return Type::Duration,
        "byte" => return Type::Bytes,
        _ => {}
    }
    let longest_allowed = s.values.allowed.iter().filter_map(|v| v.as_str().map(|t| t.len() as u64)).max();
    Type::String(longest_allowed.or(s.values.max_length).unwrap_or(REQUEST))
}

/// Items that a list can have.
pub(super) fn most_items(s: &Structural) -> u64 {
    let fit = s.items.as_ref().map_or(REQUEST, |items| REQUEST / (smallest(items) + 1));
    s.values.max_items.unwrap_or(fit).min(fit)
}

/// Members that a map can have; each has a key of at least one character, in quotes, and a colon.
pub(super) fn most_members(s: &Structural) -> u64 {
    let fit = match &s.additional {
        Additional::Schema(additional) => REQUEST / (smallest(additional) + 5),
        _ => REQUEST / 6,
    };
    s.values.max_properties.unwrap_or(fit).min(fit)
}

/// Bytes that the smallest value takes in JSON.
fn smallest(s: &Structural) -> u64 {
    if s.nullable {
        return 4;
    }
    match s.kind {
        Kind::String => match s.values.format.as_str() {
            "date" => 12,
            "date-time" | "datetime" => 22,
            "duration" => 3,
            _ => 2 + s.values.min_length.unwrap_or(0),
        },
        Kind::Boolean => 4,
        Kind::Integer | Kind::Number | Kind::Unset => 1,
        Kind::Array => 2,
        Kind::Object => {
            let members = s.values.required.iter().filter_map(|name| s.properties.get(name).map(|p| (name, p)));
            2 + members.filter(|(_, p)| p.default.is_none()).map(|(name, p)| name.len() as u64 + 4 + smallest(p)).sum::<u64>()
        }
    }
}

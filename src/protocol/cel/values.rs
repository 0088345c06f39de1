//! JSON as values of expressions, and back.
use super::Type;
use super::call::library;
use kube_cel::cel::Value;
use kube_cel::cel::objects::{Key, Map, OptionalValue};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::sync::Arc;

/// Words that mean something in the language: as field names they are written between double underscores.
const RESERVED: &[&str] = &[
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// How an expression spells a field: `x-y` is `x__dash__y`. `None` when it can't be spelled at all.
pub fn escape(field: &str) -> Option<String> {
    if RESERVED.contains(&field) {
        return Some(format!("__{field}__"));
    }
    let first = field.chars().next()?;
    if !(first.is_ascii_alphabetic() || first == '_') {
        return None;
    }
    let mut out = String::with_capacity(field.len());
    let mut rest = field;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("__") {
            out.push_str("__underscores__");
            rest = after;
            continue;
        }
        match c {
            '.' => out.push_str("__dot__"),
            '-' => out.push_str("__dash__"),
            '/' => out.push_str("__slash__"),
            c if c.is_ascii_alphanumeric() || c == '_' => out.push(c),
            _ => return None,
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    Some(out)
}

/// A JSON value as the declared type has it: objects with escaped field names, whole numbers of `number` fields as doubles, times as
/// times.
pub fn from_json(json: &Json, declared: &Type) -> Value {
    match (json, declared) {
        (Json::Null, _) => Value::Null,
        (Json::Bool(truth), _) => Value::Bool(*truth),
        (Json::Number(number), Type::Double) => Value::Float(number.as_f64().unwrap_or(0.0)),
        (Json::Number(number), _) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            // 1.0 is a whole number where one is declared.
            None => match number.as_f64() {
                Some(double) if *declared == Type::Int && double.fract() == 0.0 => Value::Int(double as i64),
                Some(double) => Value::Float(double),
                None => Value::Null,
            },
        },
        (Json::String(text), Type::Timestamp) => timestamp_or_text(text),
        (Json::String(text), Type::Duration) => {
            library("duration", None, vec![text.as_str().into()]).unwrap_or_else(|_| text.as_str().into())
        }
        (Json::String(text), Type::Bytes) => {
            library("base64.decode", None, vec![text.as_str().into()]).unwrap_or_else(|_| text.as_str().into())
        }
        (Json::String(text), _) => text.as_str().into(),
        (Json::Array(items), declared) => {
            let item = match declared {
                Type::List(item, _) => item,
                _ => &Type::Dyn,
            };
            Value::List(Arc::new(items.iter().map(|i| from_json(i, item)).collect()))
        }
        (Json::Object(members), Type::Object(fields)) => {
            let declared = |name: &str| fields.iter().find(|(known, _)| *known == name).map_or(&Type::Dyn, |(_, field)| &field.of);
            map(members.iter().filter_map(|(name, value)| {
                let spelled = escape(name)?;
                let value = from_json(value, declared(&spelled));
                Some((spelled, value))
            }))
        }
        (Json::Object(members), declared) => {
            let item = match declared {
                Type::Map(item, _) => item,
                _ => &Type::Dyn,
            };
            map(members.iter().map(|(name, value)| (name.clone(), from_json(value, item))))
        }
    }
}

pub(super) fn map(members: impl Iterator<Item = (String, Value)>) -> Value {
    let map: HashMap<Key, Value> = members.map(|(key, value)| (Key::String(Arc::new(key)), value)).collect();
    Value::Map(Map { map: Arc::new(map) })
}

/// A time, or the text where it is none.
pub fn timestamp_or_text(text: &str) -> Value {
    library("timestamp", None, vec![text.into()]).unwrap_or_else(|_| text.into())
}

/// `optional.none()`
pub fn optional_none() -> Value {
    Value::Opaque(Arc::new(OptionalValue::none()))
}

/// `optional.of(value)`
pub fn optional_of(value: Value) -> Value {
    Value::Opaque(Arc::new(OptionalValue::of(value)))
}

/// A result as JSON: what an audit annotation or an applied configuration is made from. `None` for what JSON has no form for.
pub fn to_json(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Null => Json::Null,
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) => (*number).into(),
        Value::UInt(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::String(text) => text.as_str().into(),
        Value::List(items) => Json::Array(items.iter().map(to_json).collect::<Option<_>>()?),
        Value::Map(map) => {
            let mut members = serde_json::Map::new();
            for (key, value) in map.map.iter() {
                members.insert(key.to_string(), to_json(value)?);
            }
            members.into()
        }
        Value::Timestamp(_) | Value::Duration(_) => match library("string", None, vec![value.clone()]).ok()? {
            Value::String(text) => text.as_str().into(),
            _ => return None,
        },
        other => return super::message::Message::of(other)?.to_json(),
    })
}

//! What the published schema says of an object that was taken in: a second opinion, independent of the decoder and of the rules.
use super::models::Models;
use crate::protocol::quantity::Quantity;
use serde_json::Value;

/// The first place that doesn't look as published, if there is one.
pub fn wrong(models: &Models, schema: &Value, value: &Value, path: &str) -> Option<String> {
    // Declared an object, and anything all the same.
    if Models::reference(schema).is_some_and(|name| name.ends_with(".RawExtension") || name.ends_with(".FieldsV1")) {
        return None;
    }
    let is_quantity = Models::reference(schema).is_some_and(|name| name.ends_with(".resource.Quantity"));
    let schema = models.resolve(schema);
    let found = match (schema["type"].as_str(), value) {
        (None, _) => return None,
        (Some("object"), Value::Object(_)) => return members(models, schema, value, path),
        (Some("array"), Value::Array(items)) => {
            return items.iter().enumerate().find_map(|(at, item)| wrong(models, &schema["items"], item, &format!("{path}[{at}]")));
        }
        (Some("string"), Value::String(text)) if is_quantity => text.parse::<Quantity>().is_ok(),
        (Some("string"), Value::String(text)) => written(schema, text, path),
        (Some("string"), Value::Number(number)) => is_quantity || schema["format"] == "int-or-string" && number.is_i64(),
        (Some("integer"), Value::Number(number)) => match (schema["format"].as_str(), number.as_i64()) {
            (Some("int32"), Some(number)) => i32::try_from(number).is_ok(),
            (_, number) => number.is_some(),
        },
        (Some("number"), Value::Number(_)) | (Some("boolean"), Value::Bool(_)) => true,
        _ => false,
    };
    (!found).then(|| format!("{path}: {} is no {}", super::objects::short(value), short_of(schema)))
}

fn members(models: &Models, schema: &Value, value: &Value, path: &str) -> Option<String> {
    let of = value.as_object()?;
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !of.contains_key(name) {
            return Some(format!("{path}.{name}: required, and not there"));
        }
    }
    of.iter().find_map(|(name, inner)| {
        let schema = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"))?;
        wrong(models, schema, inner, &format!("{path}.{name}"))
    })
}

/// Fields whose published words nobody holds writers to, upstream no more than here: what an object says of itself, and claims that are
/// looked at when they are made. An empty word counts as none.
fn is_free(path: &str) -> bool {
    path.contains(".status.") || path.contains(".volumeClaimTemplates[")
}

fn written(schema: &Value, text: &str, path: &str) -> bool {
    use base64::Engine;
    let listed = schema["enum"].as_array().is_none_or(|words| words.iter().any(|w| w == text));
    (listed || text.is_empty() || is_free(path))
        && match schema["format"].as_str() {
            Some("date-time") => text.parse::<jiff::Timestamp>().is_ok(),
            Some("byte") => base64::engine::general_purpose::STANDARD.decode(text).is_ok(),
            _ => true,
        }
}

fn short_of(schema: &Value) -> String {
    let mut text = schema["type"].as_str().unwrap_or_default().to_string();
    if let Some(format) = schema["format"].as_str() {
        text = format!("{text} ({format})");
    }
    if let Some(words) = schema["enum"].as_array() {
        text = format!("{text} of {}", words.iter().map(Value::to_string).collect::<Vec<_>>().join(", "));
    }
    text
}

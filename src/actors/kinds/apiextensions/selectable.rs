//! `selectableFields`: what field selectors of a custom kind may name.
use crate::protocol::jsonpath::JsonPath;
use crate::protocol::status::{FieldError, FieldErrorKind};
use crate::protocol::structural::{Kind, Structural};
use serde_json::Value;
use std::collections::HashSet;

const MOST: usize = 8;

pub(super) fn validate(fields: &Value, schema: Option<&Structural>, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let fields = fields.as_array().map(Vec::as_slice).unwrap_or_default();
    if fields.len() > MOST {
        errors.push(FieldError {
            kind: FieldErrorKind::TooMany,
            field: path.into(),
            detail: format!("must have at most {MOST} items"),
            value: fields.len().to_string(),
        });
    }
    let mut seen = HashSet::new();
    for (at, field) in fields.iter().enumerate() {
        let given = field["jsonPath"].as_str().unwrap_or_default();
        let place = format!("{path}[{at}].jsonPath");
        if given.is_empty() {
            errors.push(FieldError::required(place, ""));
            continue;
        }
        if !seen.insert(given) {
            errors.push(FieldError::duplicate(place.clone(), given));
        }
        if let Some(why) = refused(given, schema) {
            errors.push(FieldError::invalid(place, given, why));
        }
    }
    errors
}

fn refused(given: &str, schema: Option<&Structural>) -> Option<String> {
    if !given.starts_with('.') {
        return Some("is an invalid path: must be a simple json path starting with .".into());
    }
    let parsed = match JsonPath::parse(given) {
        Ok(parsed) => parsed,
        Err(why) => return Some(format!("is an invalid path: {why}")),
    };
    let Some(fields) = parsed.fields() else { return Some("is an invalid path: array notation is not allowed".into()) };
    if fields.first() == Some(&"metadata") {
        return Some("must not point to fields in metadata".into());
    }
    let mut node = schema?;
    for name in fields {
        match node.properties.get(name) {
            Some(property) => node = property,
            None => return Some("is an invalid path: does not refer to a valid field".into()),
        }
    }
    if matches!(node.kind, Kind::String | Kind::Boolean | Kind::Integer) {
        return None;
    }
    Some("must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.".into())
}

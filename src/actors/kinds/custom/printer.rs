//! `additionalPrinterColumns`: cells found by JSONPath.
use crate::actors::kinds::columns::{Column, NAME, since};
use crate::protocol::jsonpath::JsonPath;
use serde_json::Value;
use std::borrow::Cow;

/// Fills one column.
pub(super) enum Printer {
    Name,
    Path { path: Option<JsonPath>, kind: String },
}

/// The columns of a version: the name, then those declared, or the age when none are.
pub(super) fn printers(declared: &Value) -> (Vec<Column>, Vec<Printer>) {
    let (mut columns, mut printers) = (vec![NAME], vec![Printer::Name]);
    let listed = declared.as_array().map(Vec::as_slice).unwrap_or_default();
    for column in listed {
        let text = |field: &str| column[field].as_str().unwrap_or_default().to_string();
        columns.push(Column {
            name: Cow::Owned(text("name")),
            type_: Cow::Owned(text("type")),
            format: Cow::Owned(text("format")),
            description: Cow::Owned(match text("description") {
                none if none.is_empty() => format!("Custom resource definition column (in JSONPath format): {}", text("jsonPath")),
                given => given,
            }),
            priority: i32::try_from(column["priority"].as_i64().unwrap_or(0)).unwrap_or(0),
        });
        printers.push(Printer::Path { path: JsonPath::parse(&text("jsonPath")).ok(), kind: text("type") });
    }
    if listed.is_empty() {
        columns.push(Column::new("Age", "date", "", "Time since the object was created.", 0));
        printers.push(Printer::Path { path: JsonPath::parse(".metadata.creationTimestamp").ok(), kind: "date".into() });
    }
    (columns, printers)
}

impl Printer {
    pub fn cell(&self, object: &Value, now: i64) -> Value {
        let Printer::Path { path, kind } = self else { return object["metadata"]["name"].clone() };
        let Some(found) = path.as_ref().and_then(|p| p.find(object).into_iter().next()) else { return Value::Null };
        match (kind.as_str(), found) {
            (_, Value::Null) => Value::Null,
            ("string", value) => as_text(value).into(),
            ("date", Value::String(text)) => match since(found, now) {
                unknown if unknown == "<unknown>" && !text.is_empty() => "<invalid>".into(),
                age => age,
            },
            ("integer", Value::Number(number)) => number.as_i64().or(number.as_f64().map(|f| f as i64)).into(),
            ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => found.clone(),
            _ => Value::Null,
        }
    }
}

/// A value as upstream's printer, which is Go's, writes it.
fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".into(),
        Value::Array(_) | Value::Object(_) => value.to_string(),
        other => other.to_string(),
    }
}

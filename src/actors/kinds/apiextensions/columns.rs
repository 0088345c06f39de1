//! `additionalPrinterColumns`.
use crate::protocol::jsonpath::JsonPath;
use crate::protocol::status::FieldError;
use serde_json::Value;

const TYPES: &[&str] = &["boolean", "date", "integer", "number", "string"];
const FORMATS: &[&str] = &["binary", "byte", "date", "date-time", "double", "float", "int32", "int64", "password"];

pub(super) fn validate(columns: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (at, column) in columns.as_array().into_iter().flatten().enumerate() {
        let text = |field: &str| column[field].as_str().unwrap_or_default();
        let place = |field: &str| format!("{path}[{at}].{field}");
        if text("name").is_empty() {
            errors.push(FieldError::required(place("name"), ""));
        }
        let one_of = |list: &[&str]| format!("must be one of {}", list.join(","));
        match text("type") {
            "" => errors.push(FieldError::required(place("type"), one_of(TYPES))),
            kind if !TYPES.contains(&kind) => errors.push(FieldError::invalid(place("type"), kind, one_of(TYPES))),
            _ => {}
        }
        let format = text("format");
        if !format.is_empty() && !FORMATS.contains(&format) {
            errors.push(FieldError::invalid(place("format"), format, one_of(FORMATS)));
        }
        let given = text("jsonPath");
        if given.is_empty() {
            errors.push(FieldError::required(place("jsonPath"), ""));
        } else if let Err(why) = JsonPath::parse(given).map_err(|e| e.to_string()).and_then(starts_with_dot(given)) {
            errors.push(FieldError::invalid(place("jsonPath"), given, why));
        }
    }
    errors
}

fn starts_with_dot(given: &str) -> impl FnOnce(JsonPath) -> Result<(), String> + '_ {
    move |_| if given.starts_with('.') { Ok(()) } else { Err("must be a json path starting with .".into()) }
}

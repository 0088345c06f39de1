//! CEL expressions: they must be there, and must compile.
use crate::actors::kinds::findings::{child, text};
use crate::protocol::cel::{Environment, Type};
use crate::protocol::status::FieldError;
use serde_json::Value;

/// Words that CEL keeps for itself.
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

/// An expression that must be there; `missing` says so. Its result has to be of one of `results`, if there are any.
pub(super) fn required_expression(
    object: &Value,
    path: &str,
    (field, missing): (&str, &str),
    environment: &Environment,
    results: &[Type],
) -> Option<FieldError> {
    let expression = text(object, field);
    if expression.trim().is_empty() {
        return Some(FieldError::required(child(path, field), missing));
    }
    compiled(expression, &child(path, field), environment, results).err()
}

/// The type of an expression's result, or what is wrong with it.
pub(super) fn compiled(expression: &str, path: &str, environment: &Environment, results: &[Type]) -> Result<Type, FieldError> {
    environment.check(expression, results).map_err(|why| FieldError::invalid(path, expression, why))
}

/// True for what CEL takes as a name.
pub(super) fn is_identifier(name: &str) -> bool {
    let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    first && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !RESERVED.contains(&name)
}

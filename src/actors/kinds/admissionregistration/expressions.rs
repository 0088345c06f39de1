//! CEL expressions: they must be there, and must parse.
use crate::actors::kinds::findings::{child, text};
use crate::protocol::cel_syntax::syntax_error;
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

/// An expression that must be there; `missing` says so.
pub(super) fn required_expression(object: &Value, path: &str, field: &str, missing: &str) -> Option<FieldError> {
    let expression = text(object, field);
    if expression.trim().is_empty() {
        return Some(FieldError::required(child(path, field), missing));
    }
    parsed(expression, &child(path, field))
}

/// What is wrong with an expression.
pub(super) fn parsed(expression: &str, path: &str) -> Option<FieldError> {
    let why = syntax_error(expression)?;
    Some(FieldError::invalid(path, expression, format!("compilation failed: {why}")))
}

/// True for what CEL takes as a name.
pub(super) fn is_identifier(name: &str) -> bool {
    let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    first && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !RESERVED.contains(&name)
}

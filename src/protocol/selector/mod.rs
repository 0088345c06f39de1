//! Label and field selectors.
mod field;
mod label;
mod lexer;
mod parser;

#[cfg(test)]
mod tests;

pub use field::{FieldSelector, FieldTerm};
pub use label::{LabelSelector, Operator, Requirement};

/// Longest selector text looked at, bytes.
pub const MAX_TEXT: usize = 64 * 1024;

/// Why a text or object is not a selector, in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    #[error("{0}")]
    Syntax(String),
    #[error("selector is longer than {max} bytes", max = MAX_TEXT)]
    TooLong,
    #[error("invalid selector: '{selector}'; can't understand '{part}'")]
    FieldTerm { selector: String, part: String },
    #[error("invalid field selector: invalid escape sequence: {0}")]
    Escape(String),
    #[error("invalid field selector: unescaped character in value: {0}")]
    Unescaped(char),
    #[error("field label not supported: {0}")]
    UnsupportedField(String),
}

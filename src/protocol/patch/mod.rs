//! The three patch types of the API: JSON patch, JSON merge patch, strategic merge patch.
mod json;
pub mod keys;
mod merge;
mod order;
mod strategic;

#[cfg(test)]
mod tests;

pub use json::{MAX_OPERATIONS, apply_json};
pub use keys::{ListRule, ListType, Strategy, child_type, is_atomic_type, list_rule};
pub use merge::apply_merge;
pub use strategic::apply_strategic;

use crate::status::{ApiError, Cause, Details};
use serde_json::Value;

/// Why a patch can't be applied, in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch document itself is wrong.
    #[error("{0}")]
    Malformed(String),
    #[error("The allowed maximum operations in a JSON patch is {max}, got {found}", max = MAX_OPERATIONS)]
    TooManyOperations { found: usize },
    /// The patch is well formed but doesn't fit the object.
    #[error("{0}")]
    Unprocessable(String),
    /// A `test` operation found something else.
    #[error("testing value {0} failed: test failed")]
    TestFailed(String),
    #[error("invalid patch format of primitive list")]
    PrimitiveList,
    #[error("invalid patch format of retainKeys")]
    RetainKeys,
    #[error("invalid patch format of setElementOrder list")]
    SetElementOrder,
    #[error("lists of lists are not supported")]
    ListOfLists,
    #[error("map: {item} does not contain declared merge key: {key}")]
    NoMergeKey { item: String, key: String },
    #[error("unknown patch type: {directive} in map: {item}")]
    Directive { directive: String, item: String },
}

impl PatchError {
    /// The answer to the client: 413 for too many operations, 422 for what doesn't fit the object, else 400.
    pub fn to_api_error(&self) -> ApiError {
        match self {
            PatchError::TooManyOperations { .. } => ApiError::too_large(self.to_string()),
            PatchError::Unprocessable(_) | PatchError::TestFailed(_) => {
                let mut error = ApiError::new(422, "Invalid", "the server rejected our request due to an error in our request");
                let cause = Cause { reason: "UnexpectedServerResponse".into(), message: self.to_string(), field: String::new() };
                error.details = Some(Details { causes: vec![cause], ..Default::default() });
                error
            }
            _ => ApiError::bad_request(self.to_string()),
        }
    }
}
/// A value in Go's `%+v`, as upstream prints strategic patches.
pub fn printed(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(printed).collect::<Vec<_>>().join(" ")),
        Value::Object(members) => {
            let mut members: Vec<String> = members.iter().map(|(key, value)| format!("{key}:{}", printed(value))).collect();
            members.sort_unstable();
            format!("map[{}]", members.join(" "))
        }
        other => other.to_string(),
    }
}

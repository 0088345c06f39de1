//! `flowcontrol.apiserver.k8s.io`: which requests wait for which.
pub mod bootstrap;
pub mod flow_schema;
pub mod priority_level;
#[cfg(test)]
mod tests;

use super::Kind;
use super::findings::{items, text};
use crate::protocol::status::FieldError;
use serde_json::Value;
use std::collections::HashSet;

pub(super) const KINDS: &[&Kind] = &[&flow_schema::KIND, &priority_level::KIND];

const GROUP: &str = "flowcontrol.apiserver.k8s.io";

/// Conditions need a type, and have it once.
fn validate_conditions(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut seen = HashSet::new();
    for (path, condition) in items(&object["status"], "status", "conditions") {
        let type_ = text(condition, "type");
        if !seen.insert(type_) {
            errors.push(FieldError::duplicate(format!("{path}.type"), type_));
        }
        if type_.is_empty() {
            errors.push(FieldError::required(format!("{path}.type"), "must not be empty"));
        }
    }
    errors
}

//! `rbac.authorization.k8s.io/v1`: roles and who has them.
mod cluster_role;
mod cluster_role_binding;
mod role;
mod role_binding;
#[cfg(test)]
mod tests;

use super::Kind;
use crate::actors::kinds::columns::{Column, NAME, column};
use crate::protocol::time::{parse_seconds, rfc3339};
use jiff::Timestamp;
use serde_json::Value;

pub(super) const KINDS: &[&Kind] = &[&cluster_role_binding::KIND, &cluster_role::KIND, &role_binding::KIND, &role::KIND];

/// Roles show when they were made, not how old they are.
const CREATED: Column = column("Created At", "date", 0, "When the role was made.");
const ROLE_COLUMNS: &[Column] = &[NAME, CREATED];

fn created_at(object: &Value) -> Value {
    let seconds = object["metadata"]["creationTimestamp"].as_str().and_then(parse_seconds);
    seconds.and_then(|s| Timestamp::from_second(s).ok()).map(rfc3339).unwrap_or_default().into()
}

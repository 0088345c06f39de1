//! NamespaceLifecycle: namespaces that every cluster needs stay. That nothing is created in a missing or ending namespace is
//! checked in the commit itself.
use crate::actors::admission::refusal::forbidden;
use crate::actors::kinds::Attributes;
use crate::protocol::status::ApiError;

const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// Judges the deletion of a namespace.
pub fn validate(a: &Attributes<'_>) -> Result<(), ApiError> {
    if IMMORTAL.contains(&&*a.key.name) {
        return Err(forbidden(a, None, "this namespace may not be deleted"));
    }
    Ok(())
}

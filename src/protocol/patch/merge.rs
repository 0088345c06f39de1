//! JSON merge patch (RFC 7386).
use super::PatchError;
use serde_json::Value;

/// Members of the patch replace those of the object, nulls delete them, lists are replaced whole. The patch must be an object.
pub fn apply_merge(current: &Value, patch: &Value) -> Result<Value, PatchError> {
    if !patch.is_object() {
        return Err(PatchError::Malformed("Invalid JSON Patch".into()));
    }
    let mut patched = current.clone();
    json_patch::merge(&mut patched, patch);
    Ok(patched)
}

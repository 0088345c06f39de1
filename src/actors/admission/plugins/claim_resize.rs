//! PersistentVolumeClaimResize: a claim grows only when its class says that it can.
use crate::actors::admission::refusal::{forbidden, text};
use crate::actors::kinds::Attributes;
use crate::protocol::quantity::Quantity;
use crate::protocol::status::ApiError;
use serde_json::Value;

/// Judges the update of a claim.
pub fn validate(a: &Attributes<'_>, claim: &Value, old: &Value, classes: &[Value]) -> Result<(), ApiError> {
    let (Some(wanted), Some(held)) = (size(claim), size(old)) else { return Ok(()) };
    if wanted.compare(&held).is_le() {
        return Ok(());
    }
    if old["status"]["phase"] != "Bound" {
        return Err(forbidden(a, Some(claim), "Only bound persistent volume claims can be expanded"));
    }
    let annotated = text(&claim["metadata"]["annotations"], "volume.beta.kubernetes.io/storage-class");
    let name = if annotated.is_empty() { text(&claim["spec"], "storageClassName") } else { annotated };
    let class = classes.iter().find(|c| text(&c["metadata"], "name") == name);
    if class.is_some_and(|c| c["allowVolumeExpansion"] == true) {
        return Ok(());
    }
    let why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize";
    Err(forbidden(a, Some(claim), why))
}

fn size(claim: &Value) -> Option<Quantity> {
    text(&claim["spec"]["resources"]["requests"], "storage").parse().ok()
}

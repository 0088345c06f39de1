//! StorageObjectInUseProtection: what a pod or claim uses is not removed under it. Controllers take the finalizers away.
use crate::actors::admission::refusal::{append, list};
use serde_json::Value;

/// Adds the finalizer of a new claim or volume.
pub fn mutate(object: &mut Value, claim: bool) {
    let finalizer = if claim { "kubernetes.io/pvc-protection" } else { "kubernetes.io/pv-protection" };
    let meta = &mut object["metadata"];
    if !list(meta, "finalizers").iter().any(|f| f == finalizer) {
        append(meta, "finalizers", [finalizer.into()]);
    }
}

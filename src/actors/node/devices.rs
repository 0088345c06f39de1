//! Devices that a pod was given. Drivers make them usable on a node; none can register here, so a pod that was given one is told so
//! and not started without it.
use super::control_plane::{ControlPlane, get};
use super::object::PodObject;
use crate::actors::controllers::resource_claim::{Meant, meant};
use crate::runtime::api::RuntimeError;
use serde_json::Value;

/// The reason of the event for devices that cannot be had.
pub const FAILED: &str = "FailedPrepareDynamicResources";

/// Makes the pod's devices usable.
///
/// # Errors
/// [`FAILED`] with the words for the event: a claim cannot be read, or was given a device.
pub async fn prepare(object: &PodObject, control: &dyn ControlPlane) -> Result<(), RuntimeError> {
    let failed = |why: String| RuntimeError::new(FAILED, format!("Failed to prepare dynamic resources: prepare dynamic resources: {why}"));
    for entry in object.raw["spec"]["resourceClaims"].as_array().into_iter().flatten() {
        let name = match meant(&object.raw, entry) {
            Meant::Named(name) | Meant::Own(name) => name,
            Meant::Nothing => continue,
            Meant::Missing => return Err(failed(format!("pod \"{}/{}\": ResourceClaim not created yet", object.namespace, object.name))),
        };
        let path = format!("/apis/resource.k8s.io/v1/namespaces/{}/resourceclaims/{name}", object.namespace);
        let claim = get(control, &path).await.map_err(|e| failed(format!("fetch ResourceClaim {}/{name}: {e}", object.namespace)))?;
        if let Some(driver) = driver(&claim) {
            return Err(failed(format!("NodePrepareResources: DRA driver {driver} is not registered")));
        }
    }
    Ok(())
}

/// The driver of the first device that a claim was given.
fn driver(claim: &Value) -> Option<&str> {
    claim["status"]["allocation"]["devices"]["results"].get(0)?["driver"].as_str()
}

//! DenyServiceExternalIPs: no new external addresses on services.
use crate::actors::admission::refusal::{forbidden, list};
use crate::actors::kinds::Attributes;
use crate::protocol::status::ApiError;
use serde_json::Value;

/// Refuses addresses that the service did not have before.
pub fn validate(a: &Attributes<'_>, service: &Value, old: Option<&Value>) -> Result<(), ApiError> {
    let held = old.map(|o| list(&o["spec"], "externalIPs")).unwrap_or_default();
    if list(&service["spec"], "externalIPs").iter().any(|ip| !held.contains(ip)) {
        return Err(forbidden(a, Some(service), "Use of external IPs is denied by admission control."));
    }
    Ok(())
}

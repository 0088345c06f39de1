//! The address families of a service, in a cluster that has IPv4 only.
use super::AllocationError;
use crate::actors::kinds::core::service::{address_fields, needs_address};
use crate::actors::kinds::fields::texts;
use crate::protocol::status::FieldError;
use crate::protocol::validation::{network, text};
use serde_json::{Value, json};

const FAMILY: &str = "IPv4";

/// Sets `ipFamilyPolicy` and `ipFamilies` where the client did not, and refuses what the cluster cannot give.
pub(super) fn complete(spec: &mut Value, old: Option<&Value>) -> Result<(), AllocationError> {
    if !needs_address(spec) || settled(spec, old) {
        return Ok(());
    }
    let headless = text(spec, "clusterIP") == "None";
    let selectorless = headless && spec["selector"].as_object().is_none_or(|s| s.is_empty());
    if spec["ipFamilyPolicy"].is_null() {
        let held = old.map(|o| &o["ipFamilyPolicy"]).filter(|p| !p.is_null()).cloned();
        let default = if selectorless { "RequireDualStack" } else { "SingleStack" };
        spec["ipFamilyPolicy"] = held.unwrap_or_else(|| default.into());
    }
    let errors = address_fields(spec);
    if !errors.is_empty() {
        return Err(AllocationError::Invalid(errors));
    }
    let mut errors = Vec::new();
    if let Some(old) = old {
        reduce(spec, old, &mut errors);
    }
    agree(spec, &mut errors);
    infer(spec, &mut errors);
    if !errors.is_empty() {
        return Err(AllocationError::Invalid(errors));
    }
    if selectorless {
        // Nobody needs an address of it, so it may be of any family.
        if texts(&spec["ipFamilies"]).is_empty() {
            spec["ipFamilies"] = json!([FAMILY]);
        }
        if spec["ipFamilyPolicy"] != "SingleStack" && texts(&spec["ipFamilies"]).len() == 1 {
            let other = if spec["ipFamilies"][0] == FAMILY { "IPv6" } else { FAMILY };
            spec["ipFamilies"] = json!([spec["ipFamilies"][0], other]);
        }
        return Ok(());
    }
    if spec["ipFamilyPolicy"] == "RequireDualStack" {
        errors.push(policy(spec, "this cluster is not configured for dual-stack services"));
    }
    for (i, family) in texts(&spec["ipFamilies"]).into_iter().enumerate().filter(|(_, f)| *f != FAMILY) {
        errors.push(FieldError::invalid(format!("spec.ipFamilies[{i}]"), family, "not configured on this cluster"));
    }
    if !errors.is_empty() {
        return Err(AllocationError::Invalid(errors));
    }
    if texts(&spec["ipFamilies"]).is_empty() {
        spec["ipFamilies"] = json!([FAMILY]);
    }
    Ok(())
}

/// A service that prefers two families, and is not changed in that respect, stays as it is.
fn settled(spec: &Value, old: Option<&Value>) -> bool {
    let Some(old) = old.filter(|o| needs_address(o)) else { return false };
    let prefers = |s: &Value| s["ipFamilyPolicy"] == "PreferDualStack";
    prefers(old) && prefers(spec) && old["clusterIPs"] == spec["clusterIPs"] && old["ipFamilies"] == spec["ipFamilies"]
}

fn policy(spec: &Value, why: &str) -> FieldError {
    FieldError::invalid("spec.ipFamilyPolicy", spec["ipFamilyPolicy"].clone(), why)
}

/// A single-stack service gives up the second address and family; any other must say so.
fn reduce(spec: &mut Value, old: &Value, errors: &mut Vec<FieldError>) {
    for (field, what) in [("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")] {
        let (given, held) = (texts(&spec[field]).len(), texts(&old[field]).len());
        if spec["ipFamilyPolicy"] == "SingleStack" {
            if spec[field] == old[field] && given > 1 {
                let first = spec[field][0].clone();
                spec[field] = json!([first]);
            }
        } else if given == 1 && held == 2 {
            errors.push(policy(spec, &format!("must be 'SingleStack' to release the secondary {what}")));
        }
    }
}

fn agree(spec: &Value, errors: &mut Vec<FieldError>) {
    if spec["ipFamilyPolicy"] != "SingleStack" {
        return;
    }
    for (field, what) in [("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")] {
        if texts(&spec[field]).len() == 2 {
            errors.push(policy(spec, &format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified")));
        }
    }
}

/// Addresses tell the families that were not given.
fn infer(spec: &mut Value, errors: &mut Vec<FieldError>) {
    let addresses: Vec<String> = texts(&spec["clusterIPs"]).into_iter().map(str::to_string).collect();
    for (i, ip) in addresses.iter().enumerate().skip(texts(&spec["ipFamilies"]).len()) {
        if ip == "None" {
            break;
        }
        if network::parse_address(ip).is_some_and(|ip| ip.is_ipv6()) {
            let why = "IPv6 is not configured on this cluster";
            errors.push(FieldError::invalid(format!("spec.clusterIPs[{i}]"), spec["clusterIPs"].clone(), why));
        } else {
            let mut families = spec["ipFamilies"].as_array().cloned().unwrap_or_default();
            families.push(FAMILY.into());
            spec["ipFamilies"] = families.into();
        }
    }
}

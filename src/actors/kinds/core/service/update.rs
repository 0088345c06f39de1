//! What may not change about a service.
use super::changes::{is_headless, needs_health_check};
use crate::actors::kinds::fields::{IMMUTABLE, texts};
use crate::protocol::status::FieldError;
use crate::protocol::validation::text;
use serde_json::Value;

const SET_ONCE: &str = "may not change once set";

pub(super) fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let (new, old) = (&new["spec"], &old["spec"]);
    let mut errors = Vec::new();
    let external = |spec: &Value| text(spec, "type") == "ExternalName";
    if !external(new) && !external(old) {
        if !(is_headless(new) && is_headless(old)) {
            addresses(new, old, &mut errors);
        }
        if !is_headless(new) && !is_headless(old) {
            families(new, old, &mut errors);
        }
    }
    let balanced = |spec: &Value| text(spec, "type") == "LoadBalancer";
    if balanced(new) && balanced(old) && new["loadBalancerClass"] != old["loadBalancerClass"] {
        errors.push(FieldError::invalid("spec.loadBalancerClass", new["loadBalancerClass"].clone(), SET_ONCE));
    }
    if needs_health_check(new) && needs_health_check(old) && new["healthCheckNodePort"] != old["healthCheckNodePort"] {
        errors.push(FieldError::forbidden("spec.healthCheckNodePort", IMMUTABLE));
    }
    errors
}

/// The first address stays; a second one may come and, for a service that says so, go.
fn addresses(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let (given, held) = (texts(&new["clusterIPs"]), texts(&old["clusterIPs"]));
    let fault = |index: usize, why: &str| FieldError::invalid(format!("spec.clusterIPs[{index}]"), new["clusterIPs"].clone(), why);
    if given.len() == held.len() {
        errors.extend((0..held.len()).filter(|i| given.get(*i) != held.get(*i)).map(|i| fault(i, SET_ONCE)));
        return;
    }
    if given.is_empty() {
        errors.push(fault(0, "primary clusterIP can not be unset"));
    } else if !held.is_empty() && given.first() != held.first() {
        errors.push(fault(0, SET_ONCE));
    }
    if held.len() > given.len() && given.len() == 1 {
        released(new, "must be set to 'SingleStack' when releasing the secondary clusterIP", errors);
    }
}

fn families(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let (given, held) = (texts(&new["ipFamilies"]), texts(&old["ipFamilies"]));
    let fault = |value: &str, why: &str| FieldError::invalid("spec.ipFamilies[0]", new[value].clone(), why);
    if given.len() == held.len() {
        errors.extend((0..held.len()).filter(|i| given.get(*i) != held.get(*i)).map(|_| fault("ipFamilies", SET_ONCE)));
        return;
    }
    if held.len() > given.len() && texts(&new["clusterIPs"]).is_empty() {
        errors.push(fault("ipFamilies", "primary ipFamily can not be unset"));
    }
    if !given.is_empty() && !held.is_empty() && given.first() != held.first() {
        errors.push(fault("clusterIPs", SET_ONCE));
    }
    if held.len() > given.len() && given.len() == 1 {
        released(new, "must be set to 'SingleStack' when releasing the secondary ipFamily", errors);
    }
}

fn released(new: &Value, why: &str, errors: &mut Vec<FieldError>) {
    if new["ipFamilyPolicy"] != "SingleStack" {
        errors.push(FieldError::invalid("spec.ipFamilyPolicy", new["ipFamilyPolicy"].clone(), why));
    }
}

//! Amounts of resources, and the names that resources may have in quotas and limit ranges.
use super::invalid_each;
use crate::names;
use crate::quantity::Quantity;
use crate::status::FieldError;
use serde_json::Value;

const NEGATIVE: &str = "must be greater than or equal to 0";
const NOT_AN_INTEGER: &str = "must be an integer";
const NOT_STANDARD: &str = "must be a standard resource type or fully qualified";

const CONTAINER: [&str; 3] = ["cpu", "ephemeral-storage", "memory"];
const COUNTS: [&str; 8] = [
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
];
const QUOTA: [&str; 11] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "services.loadbalancers",
];

/// The amount, if the text is one.
pub fn amount(value: &Value) -> Option<Quantity> {
    value.as_str()?.parse().ok()
}

/// A resource that is not somebody's extension: no domain, or one of kubernetes.io.
pub fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Whether more of it may be promised than there is.
pub fn overcommits(name: &str) -> bool {
    is_native(name) && !name.starts_with("hugepages-")
}

/// Resources that only come in wholes.
fn is_counted(name: &str) -> bool {
    COUNTS.contains(&name) || name == "services.loadbalancers" || is_extended(name)
}

fn is_extended(name: &str) -> bool {
    !is_native(name) && !name.starts_with("requests.") && names::qualified_name(&format!("requests.{name}")).is_empty()
}

fn is_standard(name: &str) -> bool {
    is_quota_name(name) || name == "storage"
}

/// A standard name in a quota.
pub fn is_quota_name(name: &str) -> bool {
    QUOTA.contains(&name) || COUNTS.contains(&name) || name.starts_with("hugepages-") || name.starts_with("requests.hugepages-")
}

/// A name that any resource may have.
pub fn resource_name(name: &str, path: &str) -> Vec<FieldError> {
    let faults: Vec<_> = invalid_each(path, name, names::qualified_name(name)).collect();
    if faults.is_empty() && !name.contains('/') && !is_standard(name) {
        return vec![FieldError::invalid(path, name, NOT_STANDARD)];
    }
    faults
}

/// A name that a resource of containers may have.
pub fn container_resource_name(name: &str, path: &str) -> Vec<FieldError> {
    let mut faults = resource_name(name, path);
    if !name.contains('/') {
        if !CONTAINER.contains(&name) && !name.starts_with("hugepages-") {
            faults.push(FieldError::invalid(path, name, "must be a standard resource for containers"));
        }
    } else if !is_native(name) && !is_extended(name) {
        faults.push(FieldError::invalid(path, name, "doesn't follow extended resource name standard"));
    }
    faults
}

/// A name that a quota may limit.
pub fn quota_resource_name(name: &str, path: &str) -> Vec<FieldError> {
    let mut faults = resource_name(name, path);
    if !name.contains('/') && !is_quota_name(name) {
        faults.push(FieldError::invalid(path, name, "must be a standard resource for quota"));
    }
    faults
}

/// An amount that is not negative, and whole where parts make no sense.
pub fn resource_amount(name: &str, value: &Value, path: &str) -> Vec<FieldError> {
    let mut faults = not_negative_amount(value, path);
    if is_counted(name) && amount(value).is_some_and(|q| q.milli_value() % 1000 != 0) {
        faults.push(FieldError::invalid(path, value.clone(), NOT_AN_INTEGER));
    }
    faults
}

/// An amount of zero or more.
pub fn not_negative_amount(value: &Value, path: &str) -> Vec<FieldError> {
    match amount(value) {
        Some(q) if q.signum() >= 0 => Vec::new(),
        _ => vec![FieldError::invalid(path, value.clone(), NEGATIVE)],
    }
}

/// An amount of more than zero.
pub fn positive_amount(value: &Value, path: &str) -> Vec<FieldError> {
    match amount(value) {
        Some(q) if q.signum() > 0 => Vec::new(),
        _ => vec![FieldError::invalid(path, value.clone(), "must be greater than zero")],
    }
}

/// An amount in a status: the older and looser rule.
pub fn basic_amount(value: &Value, path: &str) -> Vec<FieldError> {
    match amount(value).map(|q| q.value()) {
        Some(units) if units < 0 => vec![FieldError::invalid(path, units, "must be a valid resource quantity")],
        _ => Vec::new(),
    }
}

//! Amounts of resources, of containers and of pods as a whole, and claims of devices.
use super::Pod;
use crate::names;
use crate::quantity::{Format, Quantity, QuantityError};
use crate::status::{FieldError, FieldErrorKind};
use crate::validation::{invalid_each, items, text};
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::collections::HashSet;

const HUGE: &str = "hugepages-";
/// Names without a domain that mean something somewhere, but not to a container.
const ELSEWHERE: [&str; 13] = [
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
    "storage",
    "requests.cpu",
    "requests.memory",
    "limits.cpu",
];

/// Checks limits and requests: names, signs, whole numbers where fractions make no sense, and requests within limits.
pub fn resource_requirements(resources: &Value, path: &str) -> Vec<FieldError> {
    amounts(resources, path, container_resource_name)
}

fn amounts(resources: &Value, path: &str, name_rule: fn(&str, &str) -> Vec<FieldError>) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let list = |name: &str| resources[name].as_object().into_iter().flatten();
    for kind in ["limits", "requests"] {
        for (name, amount) in list(kind) {
            let path = format!("{path}.{kind}[{name}]");
            faults.extend(name_rule(name, &path));
            check_amount(name, amount, &path, &mut faults);
            if kind == "requests" {
                against_limit(name, amount, resources, path.strip_suffix(&format!("[{name}]")).unwrap_or(&path), &mut faults);
            }
        }
    }
    let any = |rule: fn(&str) -> bool| ["limits", "requests"].into_iter().flat_map(list).any(|(name, _)| rule(name));
    if any(|n| n.starts_with(HUGE)) && !any(|n| matches!(n, "cpu" | "memory")) {
        faults.push(FieldError::forbidden(path, "HugePages require cpu or memory"));
    }
    faults
}

fn against_limit(name: &str, amount: &Value, resources: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let limit = &resources["limits"][name];
    match (parse(amount), parse(limit)) {
        (Ok(request), Ok(limit)) if !overcommits(name) && request.compare(&limit) != Ordering::Equal => {
            faults.push(FieldError::invalid(path, request.to_string(), format!("must be equal to {name} limit of {limit}")));
        }
        (Ok(request), Ok(limit)) if request.compare(&limit) == Ordering::Greater => {
            let why = format!("must be less than or equal to {name} limit of {limit}");
            faults.push(FieldError::invalid(path, request.to_string(), why));
        }
        (Ok(_), Err(_)) if limit.is_null() && !overcommits(name) => {
            let path = path.strip_suffix("requests").map_or_else(|| path.to_string(), |p| format!("{p}limits"));
            faults.push(FieldError::required(path, "Limit must be set for non overcommitable resources"));
        }
        _ => {}
    }
}

/// The name of something that a container can ask for.
pub fn container_resource_name(name: &str, path: &str) -> Vec<FieldError> {
    let mut faults: Vec<_> = invalid_each(path, name, names::qualified_name(name)).collect();
    let known = matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with(HUGE);
    if !name.contains('/') {
        if faults.is_empty() && !known && !ELSEWHERE.contains(&name) {
            faults.push(FieldError::invalid(path, name, "must be a standard resource type or fully qualified"));
        }
        if !known {
            faults.push(FieldError::invalid(path, name, "must be a standard resource for containers"));
        }
    } else if !is_native(name) && !is_extended(name) {
        faults.push(FieldError::invalid(path, name, "doesn't follow extended resource name standard"));
    }
    faults
}

fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Whether there could be a quota for it: `requests.example.com/gpu`.
fn is_extended(name: &str) -> bool {
    !is_native(name) && !name.starts_with("requests.") && names::qualified_name(&format!("requests.{name}")).is_empty()
}

/// Native resources may be promised beyond the limit's guarantee; extended ones and huge pages not.
fn overcommits(name: &str) -> bool {
    is_native(name) && !name.starts_with(HUGE)
}

fn check_amount(name: &str, amount: &Value, path: &str, faults: &mut Vec<FieldError>) {
    let quantity = match parse(amount) {
        Ok(quantity) => quantity,
        Err(error) => return faults.push(FieldError::invalid(path, amount.clone(), error.to_string())),
    };
    if quantity.signum() < 0 {
        faults.push(FieldError::invalid(path, quantity.to_string(), "must be greater than or equal to 0"));
    }
    if is_extended(name) && !quantity.is_whole() {
        faults.push(FieldError::invalid(path, quantity.to_string(), "must be an integer"));
    }
    if let Some(size) = name.strip_prefix(HUGE) {
        let page = size.parse::<Quantity>().map(|q| q.value()).unwrap_or_default();
        if page <= 0 || quantity.value().checked_rem(page) != Some(0) {
            let why = format!("{quantity} is not positive integer multiple of {name}");
            faults.push(FieldError::invalid(path, quantity.to_string(), why));
        }
    }
}

fn parse(amount: &Value) -> Result<Quantity, QuantityError> {
    amount.as_str().unwrap_or_default().parse()
}

/// Resources of the pod as a whole: enough for what its containers ask for.
pub(super) fn pod_level(pod: &Pod<'_>, faults: &mut Vec<FieldError>) {
    let own = &pod.spec["resources"];
    if !own.is_object() {
        return;
    }
    let path = format!("{}.resources", pod.path);
    if !own["claims"].is_null() {
        faults.push(FieldError::forbidden(format!("{path}.claims"), "claims cannot be set for Resources at pod-level"));
    }
    faults.extend(amounts(own, &path, |name, path| {
        let known = matches!(name, "cpu" | "memory") || name.starts_with(HUGE);
        if known { Vec::new() } else { vec![FieldError::not_supported(path, name, &["cpu", "hugepages-", "memory"])] }
    }));
    let mut alone = pod.spec.clone();
    if let Some(spec) = alone.as_object_mut() {
        spec.remove("resources");
        spec.remove("overhead");
    }
    let alone = json!({ "spec": alone });
    for (name, amount) in own["requests"].as_object().into_iter().flatten() {
        let (held, needed) = match (name.as_str(), parse(amount)) {
            ("cpu", Ok(held)) => (held, Quantity::from_milli(crate::light::pod_request(&alone, name))),
            (_, Ok(held)) => (held, Quantity::from_units(crate::light::pod_request(&alone, name), Format::BinarySi)),
            _ => continue,
        };
        if needed.compare(&held) == Ordering::Greater {
            let why = format!("must be greater than or equal to aggregate container requests of {needed}");
            faults.push(FieldError::invalid(format!("{path}.requests[{name}]"), held.to_string(), why));
        }
    }
    for (index, container) in pod.spec["containers"].as_array().into_iter().flatten().enumerate() {
        for (name, limit) in container["resources"]["limits"].as_object().into_iter().flatten() {
            if let (Ok(limit), Ok(most)) = (parse(limit), parse(&own["limits"][name]))
                && limit.compare(&most) == Ordering::Greater
            {
                let why = format!("must be less than or equal to pod limits of {most}");
                faults.push(FieldError::invalid(format!("{path}.containers[{index}][{name}].limits"), limit.to_string(), why));
            }
        }
    }
}

/// `resourceClaims`: each names a claim, or a template for one.
pub(super) fn pod_claims(pod: &Pod<'_>, faults: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for (path, claim) in items(pod.spec, pod.path, "resourceClaims") {
        let name = text(claim, "name");
        if name.is_empty() {
            faults.push(FieldError::required(format!("{path}.name"), ""));
        } else if !seen.insert(name) {
            faults.push(FieldError::duplicate(format!("{path}.name"), name));
        } else {
            faults.extend(invalid_each(&format!("{path}.name"), name, names::dns1123_label(name)));
        }
        let given: Vec<_> =
            ["resourceClaimName", "resourceClaimTemplateName"].into_iter().filter_map(|f| Some((f, claim[f].as_str()?))).collect();
        if given.len() > 1 {
            let why = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified";
            faults.push(FieldError::invalid(&*path, claim.clone(), why));
        }
        if given.is_empty() {
            let why = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`";
            faults.push(FieldError::invalid(&*path, claim.clone(), why));
        }
        for (field, value) in given {
            faults.extend(invalid_each(&format!("{path}.{field}"), value, names::dns1123_subdomain(value)));
        }
    }
}

/// `resources.claims` of a container: of the pod's, each once, as a whole or by request.
pub(super) fn container_claims(resources: &Value, path: &str, pod: &Pod<'_>, faults: &mut Vec<FieldError>) {
    let mut seen: HashSet<(&str, &str)> = HashSet::new();
    for (path, claim) in items(resources, path, "claims") {
        let (name, request) = (text(claim, "name"), text(claim, "request"));
        if name.is_empty() {
            faults.push(FieldError::required(path, ""));
            continue;
        }
        if !request.is_empty() {
            faults.extend(invalid_each(&format!("{path}.request"), request, names::dns1123_label(request)));
        }
        let whole = seen.contains(&(name, ""));
        let parts = request.is_empty() && seen.iter().any(|(n, _)| *n == name);
        if whole || parts {
            faults.push(FieldError::duplicate(&*path, name));
        } else if seen.contains(&(name, request)) {
            faults.push(FieldError::duplicate(&*path, format!("{name}/{request}")));
        }
        seen.insert((name, request));
        if !pod.claims.contains(name) {
            let known = pod.claims.iter().copied().collect::<Vec<_>>().join(", ");
            let detail = match known.as_str() {
                "" => "must be one of the names in pod.spec.resourceClaims which is empty".to_string(),
                known => format!("must be one of the names in pod.spec.resourceClaims: {known}"),
            };
            faults.push(FieldError { kind: FieldErrorKind::NotFound, field: path, detail, value: Value::from(name).to_string() });
        }
    }
}

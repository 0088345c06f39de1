//! LimitRanger: what containers get when they say nothing, and the least and the most that they, pods and claims may ask for.
use crate::actors::admission::quota::pod_demand;
use crate::actors::admission::refusal::{annotate, forbidden, list, text};
use crate::actors::kinds::Attributes;
use crate::protocol::quantity::Quantity;
use crate::protocol::status::ApiError;
use crate::storage::Snapshot;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Quantities by resource.
pub type Amounts = BTreeMap<String, Quantity>;

const ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// One item of a LimitRange.
#[derive(Clone, Debug, Default)]
pub struct Limit {
    /// `Container`, `Pod`, `PersistentVolumeClaim`.
    of: String,
    min: Amounts,
    max: Amounts,
    default: Amounts,
    default_request: Amounts,
    ratio: Amounts,
}

/// The items of every LimitRange, by namespace.
pub fn by_namespace(snapshot: &Snapshot) -> HashMap<Arc<str>, Arc<[Limit]>> {
    let mut found: HashMap<Arc<str>, Vec<Limit>> = HashMap::new();
    for entry in snapshot.iter() {
        let object = entry.parse();
        found.entry(entry.key.namespace.clone()).or_default().extend(list(&object["spec"], "limits").iter().map(limit));
    }
    found.into_iter().map(|(namespace, limits)| (namespace, limits.into())).collect()
}

/// Parses an item.
pub fn limit(item: &Value) -> Limit {
    Limit {
        of: text(item, "type").into(),
        min: amounts(&item["min"]),
        max: amounts(&item["max"]),
        default: amounts(&item["default"]),
        default_request: amounts(&item["defaultRequest"]),
        ratio: amounts(&item["maxLimitRequestRatio"]),
    }
}

/// A resource list; what is no quantity is left out (validation has spoken about it).
pub fn amounts(object: &Value) -> Amounts {
    let members = object.as_object().into_iter().flatten();
    members.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.parse().ok()?))).collect()
}

/// Gives containers what they did not ask for, and notes it in an annotation.
pub fn default_pod(pod: &mut Value, limits: &[Limit]) {
    // Of several LimitRanges the first that says something about a resource counts, as upstream applies one after the other.
    let mut notes = Vec::new();
    for limit in limits.iter().filter(|l| l.of == "Container") {
        for (field, what) in [("containers", "container"), ("initContainers", "init container")] {
            for container in pod["spec"].get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
                let name = text(container, "name").to_string();
                for (kind, word, defaults) in [("requests", "request", &limit.default_request), ("limits", "limit", &limit.default)] {
                    let set = fill(container, kind, defaults);
                    if !set.is_empty() {
                        notes.push(format!("{} {word} for {what} {name}", set.join(", ")));
                    }
                }
            }
        }
    }
    if !notes.is_empty() {
        annotate(pod, ANNOTATION, format!("LimitRanger plugin set: {}", notes.join("; ")));
    }
}

fn fill(container: &mut Value, kind: &str, defaults: &Amounts) -> Vec<String> {
    let mut set = Vec::new();
    for (resource, quantity) in defaults {
        if container["resources"][kind].get(resource).is_some() {
            continue;
        }
        if !container["resources"].is_object() {
            container["resources"] = json!({});
        }
        if !container["resources"][kind].is_object() {
            container["resources"][kind] = json!({});
        }
        container["resources"][kind][resource] = quantity.to_string().into();
        set.push(resource.clone());
    }
    set
}

/// Judges a new pod.
pub fn validate_pod(a: &Attributes<'_>, pod: &Value, limits: &[Limit]) -> Result<(), ApiError> {
    let mut errors = Vec::new();
    for limit in limits {
        match limit.of.as_str() {
            "Container" => {
                for container in list(&pod["spec"], "containers").iter().chain(list(&pod["spec"], "initContainers")) {
                    let resources = &container["resources"];
                    limit.judge(&amounts(&resources["requests"]), &amounts(&resources["limits"]), &mut errors);
                }
            }
            "Pod" => limit.judge(&pod_demand(&pod["spec"], "requests"), &pod_demand(&pod["spec"], "limits"), &mut errors),
            _ => {}
        }
    }
    refuse(a, pod, errors)
}

/// Judges a claim.
pub fn validate_claim(a: &Attributes<'_>, claim: &Value, limits: &[Limit]) -> Result<(), ApiError> {
    let requests = amounts(&claim["spec"]["resources"]["requests"]);
    let mut errors = Vec::new();
    for limit in limits.iter().filter(|l| l.of == "PersistentVolumeClaim") {
        for (resource, least) in &limit.min {
            limit.min_of(resource, least, requests.get(resource), None, &mut errors);
        }
        for (resource, most) in &limit.max {
            let head = format!("maximum {resource} usage per {} is {most}", limit.of);
            match requests.get(resource) {
                None => errors.push(format!("{head}.  No request is specified")),
                Some(request) if request.compare(most).is_gt() => errors.push(format!("{head}, but request is {request}")),
                Some(_) => {}
            }
        }
    }
    refuse(a, claim, errors)
}

fn refuse(a: &Attributes<'_>, object: &Value, mut errors: Vec<String>) -> Result<(), ApiError> {
    let mut seen = std::collections::HashSet::new();
    errors.retain(|e| seen.insert(e.clone()));
    match errors.as_slice() {
        [] => Ok(()),
        [one] => Err(forbidden(a, Some(object), one)),
        many => Err(forbidden(a, Some(object), &format!("[{}]", many.join(", ")))),
    }
}

impl Limit {
    fn judge(&self, requests: &Amounts, limits: &Amounts, errors: &mut Vec<String>) {
        for (resource, least) in &self.min {
            self.min_of(resource, least, requests.get(resource), limits.get(resource), errors);
        }
        for (resource, most) in &self.max {
            self.max_of(resource, most, requests.get(resource), limits.get(resource), errors);
        }
        for (resource, ratio) in &self.ratio {
            self.ratio_of(resource, ratio, requests.get(resource), limits.get(resource), errors);
        }
    }

    fn min_of(&self, resource: &str, least: &Quantity, request: Option<&Quantity>, limit: Option<&Quantity>, errors: &mut Vec<String>) {
        let head = format!("minimum {resource} usage per {} is {least}", self.of);
        match (request, limit) {
            (None, _) => errors.push(format!("{head}.  No request is specified")),
            (Some(request), _) if request.compare(least).is_lt() => errors.push(format!("{head}, but request is {request}")),
            (_, Some(limit)) if limit.compare(least).is_lt() => errors.push(format!("{head}, but limit is {limit}")),
            _ => {}
        }
    }

    fn max_of(&self, resource: &str, most: &Quantity, request: Option<&Quantity>, limit: Option<&Quantity>, errors: &mut Vec<String>) {
        let head = format!("maximum {resource} usage per {} is {most}", self.of);
        match (request, limit) {
            (_, None) => errors.push(format!("{head}.  No limit is specified")),
            (_, Some(limit)) if limit.compare(most).is_gt() => errors.push(format!("{head}, but limit is {limit}")),
            (Some(request), _) if request.compare(most).is_gt() => errors.push(format!("{head}, but request is {request}")),
            _ => {}
        }
    }

    fn ratio_of(&self, resource: &str, most: &Quantity, request: Option<&Quantity>, limit: Option<&Quantity>, errors: &mut Vec<String>) {
        let head = format!("{resource} max limit to request ratio per {} is {most}", self.of);
        let positive = |quantity: Option<&Quantity>| quantity.filter(|q| !q.is_zero()).map(|q| q.milli_value() as f64);
        let Some(request) = positive(request) else {
            return errors.push(format!("{head}, but no request is specified or request is 0"));
        };
        let Some(limit) = positive(limit) else {
            return errors.push(format!("{head}, but no limit is specified or limit is 0"));
        };
        let ratio = limit / request;
        if ratio * 1000.0 > most.milli_value() as f64 {
            errors.push(format!("{head}, but provided ratio is {ratio:.6}"));
        }
    }
}

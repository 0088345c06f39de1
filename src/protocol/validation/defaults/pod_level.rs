//! `spec.resources` of a pod: what it says nothing about follows from its containers and from its other half.
use crate::quantity::Quantity;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const HUGE: &str = "hugepages-";

/// What a pod's containers ask for together (`kind`: `requests` or `limits`), by resource: the containers and sidecars, or more while
/// one of its init containers runs. What the pod says as a whole is left out, and so is its overhead.
pub fn aggregated(spec: &Value, kind: &str) -> BTreeMap<String, Quantity> {
    let list = |field: &str| spec[field].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut total = BTreeMap::new();
    list("containers").iter().for_each(|container| add(&mut total, &amounts(&container["resources"][kind])));
    let (mut sidecars, mut initial) = (BTreeMap::new(), BTreeMap::new());
    for container in list("initContainers") {
        let mut own = amounts(&container["resources"][kind]);
        if container["restartPolicy"] == "Always" {
            add(&mut total, &own);
            add(&mut sidecars, &own);
            raise(&mut initial, &sidecars);
        } else {
            add(&mut own, &sidecars);
            raise(&mut initial, &own);
        }
    }
    raise(&mut total, &initial);
    total
}

type Amounts = BTreeMap<String, Quantity>;

fn amounts(object: &Value) -> Amounts {
    let members = object.as_object().into_iter().flatten();
    members.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.parse().ok()?))).collect()
}

fn add(total: &mut Amounts, more: &Amounts) {
    for (name, quantity) in more {
        let sum = total.get(name).map_or(*quantity, |held| held.add(quantity));
        total.insert(name.clone(), sum);
    }
}

fn raise(total: &mut Amounts, least: &Amounts) {
    for (name, quantity) in least {
        if total.get(name).is_none_or(|held| held.compare(quantity).is_lt()) {
            total.insert(name.clone(), *quantity);
        }
    }
}

/// Whether a pod can ask for it as a whole.
fn is_pod_level(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || name.starts_with(HUGE)
}

/// Fills in limits of huge pages, then requests, of a pod that says something of its resources as a whole.
pub(super) fn default_pod_level(spec: &mut Value) {
    let given = |spec: &Value, kind: &str| spec["resources"][kind].as_object().cloned().unwrap_or_default();
    let (mut limits, mut requests) = (given(spec, "limits"), given(spec, "requests"));
    if !spec["resources"].is_object() || (limits.is_empty() && requests.is_empty()) {
        return;
    }
    for (name, quantity) in aggregated(spec, "limits") {
        if name.starts_with(HUGE) && !requests.contains_key(&name) {
            limits.entry(name).or_insert_with(|| quantity.to_string().into());
        }
    }
    if limits.is_empty() {
        return;
    }
    for (name, quantity) in aggregated(spec, "requests") {
        if matches!(name.as_str(), "cpu" | "memory") {
            requests.entry(name).or_insert_with(|| quantity.to_string().into());
        }
    }
    for (name, limit) in limits.iter().filter(|(name, _)| is_pod_level(name)) {
        requests.entry(name.clone()).or_insert_with(|| limit.clone());
    }
    put(spec, "limits", limits);
    put(spec, "requests", requests);
}

fn put(spec: &mut Value, kind: &str, amounts: Map<String, Value>) {
    if !amounts.is_empty() {
        spec["resources"][kind] = json!(amounts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_a_pod_follow_from_its_containers_then_from_its_limits() {
        let container = |requests: Value| json!({ "resources": { "requests": requests, "limits": { "hugepages-2Mi": "4Mi" } } });
        let mut spec = json!({
            "resources": { "limits": { "cpu": "2", "memory": "1Gi" } },
            "containers": [container(json!({ "cpu": "100m" })), container(json!({ "cpu": "150m" }))],
            "initContainers": [{ "restartPolicy": "Always", "resources": { "requests": { "cpu": "50m" } } }, { "resources": { "requests": { "cpu": "200m" } } }],
        });
        default_pod_level(&mut spec);
        assert_eq!(spec["resources"]["requests"], json!({ "cpu": "300m", "memory": "1Gi", "hugepages-2Mi": "8Mi" }));
        assert_eq!(spec["resources"]["limits"], json!({ "cpu": "2", "memory": "1Gi", "hugepages-2Mi": "8Mi" }));
        for alone in [json!({ "resources": {} }), json!({ "resources": { "requests": { "cpu": "1" } } }), json!({})] {
            let mut spec = alone.clone();
            default_pod_level(&mut spec);
            assert_eq!(spec, alone);
        }
    }
}

//! What matters of a namespace's objects: without times, uids, revisions and the random part of names.
use crate::https::Client;
use serde_json::{Map, Value, json};
use std::io;

const COLLECTIONS: [&str; 19] = [
    "/api/v1/nodes",
    "/api/v1/persistentvolumes",
    "/api/v1/namespaces/{}/pods",
    "/api/v1/namespaces/{}/configmaps",
    "/api/v1/namespaces/{}/serviceaccounts",
    "/api/v1/namespaces/{}/persistentvolumeclaims",
    "/api/v1/namespaces/{}/replicationcontrollers",
    "/api/v1/namespaces/{}/services",
    "/api/v1/namespaces/{}/endpoints",
    "/api/v1/namespaces/{}/resourcequotas",
    "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
    "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "/apis/apps/v1/namespaces/{}/daemonsets",
    "/apis/apps/v1/namespaces/{}/deployments",
    "/apis/apps/v1/namespaces/{}/replicasets",
    "/apis/apps/v1/namespaces/{}/statefulsets",
    "/apis/apps/v1/namespaces/{}/controllerrevisions",
    "/apis/batch/v1/namespaces/{}/jobs",
    "/apis/batch/v1/namespaces/{}/cronjobs",
];

/// Fields that differ from one run to the next.
const CHANCE: [&str; 8] = [
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "managedFields",
    "generation",
    "observedGeneration",
    "deletionTimestamp",
    "generateName",
];

/// The state of a namespace, as a sorted list.
pub fn of(client: &mut Client, namespace: &str) -> io::Result<Value> {
    let mut objects = Vec::new();
    for collection in COLLECTIONS {
        let list = client.get(&collection.replace("{}", namespace))?.json();
        let kind = collection.rsplit('/').next().unwrap_or_default();
        for item in list["items"].as_array().into_iter().flatten() {
            let random = random_part(item);
            let mut shaped = shaped(item, &random);
            shaped["kind"] = kind.into();
            objects.push(shaped);
        }
    }
    objects.sort_by_key(Value::to_string);
    Ok(objects.into())
}

/// The part of an object's name that was made up.
fn random_part(object: &Value) -> String {
    let meta = &object["metadata"];
    let (name, prefix) = (meta["name"].as_str().unwrap_or_default(), meta["generateName"].as_str().unwrap_or_default());
    if prefix.is_empty() { String::new() } else { name.strip_prefix(prefix).unwrap_or_default().to_string() }
}

fn shaped(value: &Value, random: &str) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, _)| !CHANCE.contains(&name.as_str()) && !name.ends_with("-uid"));
            let timeless = kept.filter(|(name, value)| !(is_time(name) && value.is_string()));
            let shaped = |(name, value): (&String, &Value)| {
                let value = if name == "targetRef" { anybody(value) } else { shaped(value, random) };
                (name.clone(), value)
            };
            timeless.map(shaped).collect::<Map<String, Value>>().into()
        }
        Value::Array(items) => {
            let mut list: Vec<Value> = items.iter().map(|item| shaped(item, random)).collect();
            // The order of conditions tells when each was first set.
            list.sort_by_key(Value::to_string);
            list.into()
        }
        Value::String(text) if text.starts_with("kube-api-access-") => json!("kube-api-access"),
        Value::String(text) if !random.is_empty() && text.ends_with(random) => json!(format!("{}*", text.trim_end_matches(random))),
        other => other.clone(),
    }
}

/// A reference to a pod: which of its owner's it is does not matter.
fn anybody(reference: &Value) -> Value {
    let name = reference["name"].as_str().unwrap_or_default();
    json!({"kind": reference["kind"], "name": name.rsplit_once('-').map_or(name, |(owner, _)| owner)})
}

fn is_time(name: &str) -> bool {
    name.ends_with("Time") || name.ends_with("trigger-time") || matches!(name, "timestamp" | "timeAdded" | "controller-uid")
}

/// The lines that only one of two states has.
pub fn difference(wanted: &Value, found: &Value) -> String {
    let lines = |value: &Value| -> Vec<String> { value.as_array().into_iter().flatten().map(Value::to_string).collect() };
    let (wanted, found) = (lines(wanted), lines(found));
    let only = |these: &[String], those: &[String], sign: &str| -> String {
        these.iter().filter(|line| !those.contains(line)).map(|line| format!("{sign} {line}\n")).collect()
    };
    only(&wanted, &found, "-") + &only(&found, &wanted, "+")
}

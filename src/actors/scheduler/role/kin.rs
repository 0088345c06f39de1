//! Which workloads and services a pod is part of: what default spread constraints select by.
use crate::actors::controllers::feed::Objects;
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Selectors of owners that are remembered.
const REMEMBERED: usize = 8192;

/// See the module.
#[derive(Default)]
pub struct Kin {
    /// The selectors of services, by namespace and name.
    services: HashMap<Arc<str>, BTreeMap<Arc<str>, Value>>,
    /// The selectors of owners, by uid.
    owners: HashMap<Arc<str>, Value>,
}

impl Kin {
    /// A service appeared, changed, or is gone.
    pub fn service(&mut self, entry: &Entry, gone: bool) {
        let Light::Workload(light) = &entry.light else { return };
        let selector: Value = serde_json::from_str(&light.selector).unwrap_or_default();
        let here = self.services.entry(entry.key.namespace.clone()).or_default();
        match &selector["matchLabels"] {
            Value::Object(labels) if !gone && !labels.is_empty() => {
                here.insert(entry.key.name.clone(), selector["matchLabels"].clone());
            }
            _ => drop(here.remove(&entry.key.name)),
        }
        if here.is_empty() {
            self.services.remove(&entry.key.namespace);
        }
    }

    /// The selector of everything that the pod is part of, all taken together; null when it is part of nothing.
    pub fn selector(&mut self, pod: &Entry, objects: &dyn Objects) -> Value {
        let (mut labels, mut expressions) = (Map::new(), Vec::new());
        for service in self.services.get(&pod.key.namespace).into_iter().flat_map(BTreeMap::values) {
            let pairs = service.as_object().into_iter().flatten();
            if pairs.clone().all(|(key, value)| pod.meta.label(key) == value.as_str()) {
                labels.extend(pairs.map(|(key, value)| (key.clone(), value.clone())));
            }
        }
        if let Some(owner) = self.owner(pod, objects) {
            labels.extend(owner["matchLabels"].as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
            expressions.extend(owner["matchExpressions"].as_array().into_iter().flatten().cloned());
        }
        if labels.is_empty() && expressions.is_empty() {
            Value::Null
        } else {
            json!({"matchLabels": labels, "matchExpressions": expressions})
        }
    }

    fn owner(&mut self, pod: &Entry, objects: &dyn Objects) -> Option<&Value> {
        let owner = pod.meta.controller()?;
        let shelf = match &*owner.kind {
            "ReplicaSet" => "replicasets.apps",
            "ReplicationController" => "replicationcontrollers",
            "StatefulSet" => "statefulsets.apps",
            _ => return None,
        };
        if !self.owners.contains_key(&owner.uid) {
            let held = objects.get(shelf, &ObjectKey::new(pod.key.namespace.clone(), owner.name.clone()));
            let object = held.filter(|e| e.meta.uid == owner.uid)?.parse();
            let selector = &object["spec"]["selector"];
            let selector = if &*owner.kind == "ReplicationController" { json!({"matchLabels": selector}) } else { selector.clone() };
            if self.owners.len() >= REMEMBERED {
                self.owners.clear();
            }
            self.owners.insert(owner.uid.clone(), selector);
        }
        self.owners.get(&owner.uid)
    }
}

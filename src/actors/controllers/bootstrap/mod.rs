//! What a cluster has from the start and keeps: the priority classes and flow schemas of the system, the service addresses, and
//! the `kubernetes` service that leads to the API server.
mod desired;
mod flow_schemas;
#[cfg(test)]
mod tests;

pub use desired::{Desired, Keep, Settings, desired};
pub use flow_schemas::FlowSchemas;

use super::feed::{Change, KindInfo};
use super::index::Parts;
use super::plan::{Action, Creation, Failure, Patch, Plan};
use super::runner::{Controller, Key};
use super::world::World;
use crate::actors::kinds::flowcontrol::bootstrap::AUTO_UPDATE;
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::sync::Arc;

/// The namespace whose appearance starts everything: it is there as long as the cluster is.
const ANCHOR: &str = "default";

/// The controller. Kinds that are not served are passed over.
pub struct Bootstrap {
    wanted: Vec<Desired>,
    served: HashSet<Arc<str>>,
}

impl Bootstrap {
    pub fn new(settings: &Settings) -> Self {
        Bootstrap { wanted: desired(settings), served: HashSet::new() }
    }
}

impl Controller for Bootstrap {
    fn name(&self) -> &'static str {
        "bootstrap"
    }

    fn parts(&self) -> Parts {
        Parts::default()
    }

    fn watches(&self, kind: &str) -> bool {
        kind == "namespaces" || self.wanted.iter().any(|d| d.shelf == kind)
    }

    fn kinds_changed(&mut self, kinds: Vec<KindInfo>) {
        self.served = kinds.into_iter().map(|k| k.shelf).collect();
    }

    fn keys(&self, change: &Change, _before: Option<&Entry>, _world: &dyn World, out: &mut Vec<Key>) {
        let key = &change.entry.key;
        let anchor = &*change.kind == "namespaces" && &*key.name == ANCHOR;
        let concerned = self.wanted.iter().filter(|d| anchor || (d.shelf == &*change.kind && d.key == *key));
        out.extend(concerned.map(|d| Key::of(d.shelf, &d.key)));
    }

    fn plan(&mut self, key: &Key, world: &dyn World, _now: Timestamp, _failure: Option<&Failure>) -> Plan {
        let Some(wanted) = self.wanted.iter().find(|d| *d.shelf == *key.kind && d.key == key.object) else { return Plan::quiet() };
        if !self.served.contains(wanted.shelf) {
            return Plan::quiet();
        }
        let namespace = ObjectKey::new("", wanted.key.namespace.clone());
        if !wanted.key.namespace.is_empty() && world.get("namespaces", &namespace).is_none_or(|n| n.meta.deleting.is_some()) {
            return Plan::quiet();
        }
        plan(wanted, world.get(wanted.shelf, &wanted.key).as_deref())
    }
}

/// Decides about one object, which is `held` now.
pub fn plan(wanted: &Desired, held: Option<&Entry>) -> Plan {
    let mut plan = Plan::quiet();
    let (shelf, key) = (wanted.shelf, &wanted.key);
    let Some(held) = held else {
        let creation = Creation { kind: shelf.into(), namespace: key.namespace.clone(), object: wanted.object.clone(), report: None };
        plan.why = format!("{shelf} {}: missing", key.name);
        plan.actions.push(Action::Create(creation));
        return plan;
    };
    let object = held.parse();
    if held.meta.deleting.is_some() || wanted.keep == Keep::Present || (wanted.keep == Keep::Suggested && !is_ours(&object)) {
        return plan;
    }
    if let Some(patch) = repair(wanted, &object) {
        plan.why = format!("{shelf} {}: not as it should be", key.name);
        plan.actions.push(Action::Patch(Patch {
            kind: shelf.into(),
            key: key.clone(),
            uid: Some(held.meta.uid.clone()),
            subresource: None,
            patch,
            expect_revision: Some(held.revision),
        }));
    }
    plan
}

/// Whether the server keeps a suggested object, or people took it over: the annotation says, or that nobody changed it yet.
fn is_ours(object: &Value) -> bool {
    match object["metadata"]["annotations"][AUTO_UPDATE].as_str() {
        Some(value) => value == "true",
        None => object["metadata"]["generation"].as_i64().unwrap_or(0) <= 1,
    }
}

/// The patch that puts an object right, if it takes one. Labels and annotations of others stay.
fn repair(wanted: &Desired, object: &Value) -> Option<Value> {
    let mut patch = Map::new();
    for field in wanted.fields {
        let (want, have) = (&wanted.object[*field], &object[*field]);
        if let Some(difference) = difference(have, want, wanted.keep == Keep::Fields) {
            patch.insert((*field).to_string(), difference);
        }
    }
    let labels: Map<String, Value> = wanted.object["metadata"]["labels"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, value)| object["metadata"]["labels"][name.as_str()] != **value)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if !labels.is_empty() {
        patch.insert("metadata".into(), json!({ "labels": labels }));
    }
    (!patch.is_empty()).then(|| patch.into())
}

/// The merge patch that turns `have` into `want`; with `loose`, members that are not wanted stay as they are.
fn difference(have: &Value, want: &Value, loose: bool) -> Option<Value> {
    if have == want {
        return None;
    }
    let (Value::Object(had), Value::Object(wanted)) = (have, want) else { return Some(want.clone()) };
    let mut patch = Map::new();
    for (name, value) in wanted {
        if let Some(change) = difference(had.get(name).unwrap_or(&Value::Null), value, loose) {
            patch.insert(name.clone(), change);
        }
    }
    if !loose {
        patch.extend(had.keys().filter(|name| !wanted.contains_key(*name)).map(|name| (name.clone(), Value::Null)));
    }
    (!patch.is_empty()).then(|| patch.into())
}

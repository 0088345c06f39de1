//! What every active namespace holds: the `default` ServiceAccount and the cluster's CA in `kube-root-ca.crt`.
use super::feed::Change;
use super::index::Parts;
use super::plan::{Action, Creation, Failure, Patch, Plan};
use super::runner::{Controller, Key};
use super::world::World;
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use jiff::Timestamp;
use serde_json::{Value, json};

const ACCOUNT: &str = "default";
const BUNDLE: &str = "kube-root-ca.crt";

/// Decides about one namespace. `ca` is the cluster's CA, PEM.
pub fn plan(namespace: &Entry, world: &dyn World, ca: &str) -> Plan {
    if namespace.meta.deleting.is_some() {
        return Plan::quiet();
    }
    let name = &namespace.key.name;
    let key = |object: &str| ObjectKey::new(name.clone(), object);
    let mut plan = Plan::quiet();
    let mut missing = Vec::new();
    if world.get("serviceaccounts", &key(ACCOUNT)).is_none() {
        let object = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": &**name}});
        plan.actions.push(create("serviceaccounts", namespace, object));
        missing.push(ACCOUNT);
    }
    match world.get("configmaps", &key(BUNDLE)) {
        None => {
            let object = json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": BUNDLE, "namespace": &**name}, "data": {"ca.crt": ca},
            });
            plan.actions.push(create("configmaps", namespace, object));
            missing.push(BUNDLE);
        }
        Some(bundle) if bundle.meta.deleting.is_none() => {
            let object = bundle.parse();
            if let Some(patch) = correction(&object["data"], ca) {
                plan.actions.push(Action::Patch(Patch {
                    kind: "configmaps".into(),
                    key: bundle.key.clone(),
                    uid: Some(bundle.meta.uid.clone()),
                    subresource: None,
                    patch,
                    expect_revision: Some(bundle.revision),
                }));
                missing.push(BUNDLE);
            }
        }
        Some(_) => {}
    }
    if !missing.is_empty() {
        plan.why = format!("namespace {name}: putting {} in order", missing.join(" and "));
    }
    plan
}

/// The patch that makes `data` hold the CA and nothing else.
fn correction(data: &Value, ca: &str) -> Option<Value> {
    if *data == json!({"ca.crt": ca}) {
        return None;
    }
    let mut wanted: serde_json::Map<String, Value> =
        data.as_object().into_iter().flatten().map(|(key, _)| (key.clone(), Value::Null)).collect();
    wanted.insert("ca.crt".into(), ca.into());
    Some(json!({ "data": wanted }))
}

fn create(kind: &str, namespace: &Entry, object: Value) -> Action {
    Action::Create(Creation { kind: kind.into(), namespace: namespace.key.name.clone(), object, report: None })
}

/// The controller around [`plan`].
pub struct ServiceAccounts {
    /// The cluster's CA, PEM.
    pub ca: String,
}

impl Controller for ServiceAccounts {
    fn name(&self) -> &'static str {
        "serviceaccount"
    }

    fn parts(&self) -> Parts {
        Parts::default()
    }

    fn watches(&self, kind: &str) -> bool {
        matches!(kind, "namespaces" | "serviceaccounts" | "configmaps")
    }

    fn keys(&self, change: &Change, _before: Option<&Entry>, _world: &dyn World, out: &mut Vec<Key>) {
        let key = &change.entry.key;
        match (&*change.kind, &*key.name) {
            ("namespaces", _) => out.push(Key::of("namespaces", key)),
            ("serviceaccounts", ACCOUNT) | ("configmaps", BUNDLE) => {
                out.push(Key { kind: "namespaces".into(), object: ObjectKey::new("", key.namespace.clone()) });
            }
            _ => {}
        }
    }

    fn plan(&mut self, key: &Key, world: &dyn World, _now: Timestamp, _failure: Option<&Failure>) -> Plan {
        world.get(&key.kind, &key.object).map_or_else(Plan::quiet, |n| plan(&n, world, &self.ca))
    }
}

//! What tests of rights stand on: an empty store, entries made by hand, an authorizer that knows the defaults.
use super::Authorizer;
use super::bootstrap;
use crate::protocol::codec::meta_of;
use crate::protocol::light::{Light, pod_light};
use crate::storage::{Committer, Entry, MemoryStore, Shelves};
use serde_json::Value;
use std::sync::Arc;

/// An empty store. Its thread ends with the committer.
pub fn store() -> (Committer, Arc<Shelves>) {
    let (committer, shelves, _) = Committer::start(Box::new(MemoryStore::new()), |_, _| Light::None).expect("an empty store");
    (committer, shelves)
}

/// An authorizer over an empty store that knows the default roles and bindings.
pub fn authorizer() -> Arc<Authorizer> {
    let authorizer = Authorizer::new(store().1);
    authorizer.rbac.store(Arc::new(bootstrap::index()));
    authorizer
}

/// An object as memory holds it.
pub fn entry(object: &Value, revision: u64) -> Arc<Entry> {
    let (key, meta) = meta_of(object);
    let light = if object["kind"] == "Pod" { Light::Pod(Box::new(pod_light(object))) } else { Light::None };
    Arc::new(Entry { key, body: object.to_string().into(), splice: 0, revision, token: revision, meta, light })
}

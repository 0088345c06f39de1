//! The server's own plugins: a file for each, pure functions over the object and what the cluster holds.
pub mod certificates;
pub mod claim_resize;
pub mod default_class;
pub mod external_ips;
pub mod limit_ranger;
pub mod namespace_lifecycle;
pub mod owner_references;
pub mod pod_presets;
pub mod priority;
pub mod pull_images;
pub mod runtime_class;
pub mod service_account;
pub mod storage_protection;
pub mod taint_nodes;
pub mod tolerations;
pub mod topology_labels;

use super::chain::derived;
use super::derived::Derived;
use crate::protocol::meta::ObjectKey;
use crate::storage::{Entry, Shelf, Shelves, Snapshot};
use limit_ranger::Limit;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// What plugins look at.
pub struct World {
    limits: Derived<HashMap<Arc<str>, Arc<[Limit]>>>,
    pub priorities: Derived<Vec<priority::Class>>,
    pub storage_classes: Derived<Vec<Value>>,
    pub ingress_classes: Derived<Vec<Value>>,
    pub runtime_classes: Derived<Vec<Value>>,
    pub namespaces: Arc<Shelf>,
    pub accounts: Arc<Shelf>,
    pub nodes: Arc<Shelf>,
    pub pods: Arc<Shelf>,
    pub quotas: Arc<Shelf>,
    pub presets: Arc<Shelf>,
}

impl World {
    pub fn new(shelves: &Shelves) -> Self {
        World {
            limits: derived(shelves, "limitranges", limit_ranger::by_namespace),
            priorities: derived(shelves, "priorityclasses.scheduling.k8s.io", priority::classes),
            storage_classes: derived(shelves, "storageclasses.storage.k8s.io", parsed),
            ingress_classes: derived(shelves, "ingressclasses.networking.k8s.io", parsed),
            runtime_classes: derived(shelves, "runtimeclasses.node.k8s.io", parsed),
            namespaces: shelves.shelf("namespaces"),
            accounts: shelves.shelf("serviceaccounts"),
            nodes: shelves.shelf("nodes"),
            pods: shelves.shelf("pods"),
            quotas: shelves.shelf("resourcequotas"),
            presets: shelves.shelf("podpresets.settings.k8s.io"),
        }
    }

    /// What the LimitRanges of a namespace say.
    pub fn limits_of(&self, namespace: &str) -> Arc<[Limit]> {
        if self.limits.is_empty() {
            return Arc::default();
        }
        self.limits.get().get(namespace).cloned().unwrap_or_default()
    }

    pub fn namespace(&self, name: &str) -> Option<Arc<Entry>> {
        self.namespaces.snapshot().get(&ObjectKey::new("", name)).cloned()
    }

    pub fn account(&self, namespace: &str, name: &str) -> Option<Arc<Entry>> {
        self.accounts.snapshot().get(&ObjectKey::new(namespace, name)).cloned()
    }
}

/// All objects of a small shelf.
fn parsed(snapshot: &Snapshot) -> Vec<Value> {
    snapshot.iter().map(|entry| entry.parse()).collect()
}

/// Five random bytes for a made-up name. Zeroes when there is no randomness to be had: a name, not a secret.
pub fn random() -> [u8; 5] {
    let mut bytes = [0; 5];
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::warn!(%error, "no randomness to be had for a volume's name");
    }
    bytes
}

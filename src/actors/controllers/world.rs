//! What a controller sees when it plans.
use super::feed::{KindInfo, Objects};
use super::index::Index;
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use std::sync::Arc;

/// Committed objects plus the look-ups that would be a scan without an index. Look-ups answer only for what the
/// controller's [`super::index::Parts`] ask to be indexed.
pub trait World {
    fn get(&self, kind: &str, key: &ObjectKey) -> Option<Arc<Entry>>;

    fn list(&self, kind: &str, namespace: Option<&str>) -> Vec<Arc<Entry>>;

    fn kinds(&self) -> Vec<KindInfo>;

    /// Objects of a kind that name this uid among their owners.
    fn owned_by(&self, kind: &str, uid: &str) -> Vec<Arc<Entry>>;

    /// Objects of any kind that name this uid among their owners, with their shelf.
    fn dependents(&self, uid: &str) -> Vec<(Arc<str>, Arc<Entry>)>;

    /// Objects of a kind in a namespace that no controller owns.
    fn orphans(&self, kind: &str, namespace: &str) -> Vec<Arc<Entry>>;

    /// Pods bound to a node.
    fn pods_of_node(&self, node: &str) -> Vec<Arc<Entry>>;

    /// The namespace in which an object with this uid lives (empty for cluster-scoped ones).
    fn namespace_of_uid(&self, uid: &str) -> Option<Arc<str>>;
}

/// The world of a running controller: published snapshots, and membership by the controller's own index. The index may
/// be a moment behind; what it names is read from the snapshots, so no stale object is ever seen.
pub struct View<'a> {
    pub objects: &'a dyn Objects,
    pub index: &'a Index,
}

impl World for View<'_> {
    fn get(&self, kind: &str, key: &ObjectKey) -> Option<Arc<Entry>> {
        self.objects.get(kind, key)
    }

    fn list(&self, kind: &str, namespace: Option<&str>) -> Vec<Arc<Entry>> {
        self.objects.list(kind, namespace)
    }

    fn kinds(&self) -> Vec<KindInfo> {
        self.objects.kinds()
    }

    fn owned_by(&self, kind: &str, uid: &str) -> Vec<Arc<Entry>> {
        let owned = self.index.dependents(uid).filter(|(k, _)| **k == *kind);
        owned.filter_map(|(_, key)| self.objects.get(kind, key)).filter(|e| has_owner(e, uid)).collect()
    }

    fn dependents(&self, uid: &str) -> Vec<(Arc<str>, Arc<Entry>)> {
        let all = self.index.dependents(uid);
        all.filter_map(|(kind, key)| Some((kind.clone(), self.objects.get(kind, key)?))).filter(|(_, e)| has_owner(e, uid)).collect()
    }

    fn orphans(&self, kind: &str, namespace: &str) -> Vec<Arc<Entry>> {
        let keys = self.index.orphans(kind, namespace);
        keys.filter_map(|key| self.objects.get(kind, key)).filter(|e| e.meta.controller().is_none()).collect()
    }

    fn pods_of_node(&self, node: &str) -> Vec<Arc<Entry>> {
        self.index.pods_of_node(node).filter_map(|key| self.objects.get("pods", key)).collect()
    }

    fn namespace_of_uid(&self, uid: &str) -> Option<Arc<str>> {
        self.index.namespace_of_uid(uid).cloned()
    }
}

fn has_owner(entry: &Entry, uid: &str) -> bool {
    entry.meta.owners.iter().any(|o| *o.uid == *uid)
}

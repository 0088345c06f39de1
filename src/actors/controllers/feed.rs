//! What controllers and the scheduler need from outside: objects to read, changes to follow, and someone who writes.
//!
//! The kind actors and the store implement these traits; tests implement them over maps.
use super::plan::{Creation, Deletion, EventNote, Patch};
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use crate::storage::decisions::Decision;
use crate::storage::entry::Entry;
use async_trait::async_trait;
use std::sync::Arc;

/// A kind that the API serves, as the collectors need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindInfo {
    /// The shelf: `pods`, `replicasets.apps`.
    pub shelf: Arc<str>,
    /// Empty for the legacy group.
    pub group: Arc<str>,
    pub version: Arc<str>,
    pub kind: Arc<str>,
    /// The plural: `replicasets`.
    pub resource: Arc<str>,
    pub namespaced: bool,
}

impl KindInfo {
    /// `v1`, or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// The committed objects, readable at any time.
pub trait Objects: Send + Sync {
    fn get(&self, kind: &str, key: &ObjectKey) -> Option<Arc<Entry>>;

    /// Every object of a kind, or those in one namespace, in key order.
    fn list(&self, kind: &str, namespace: Option<&str>) -> Vec<Arc<Entry>>;

    /// Every kind that is served now.
    fn kinds(&self) -> Vec<KindInfo>;

    /// The revision up to which reads are complete.
    fn revision(&self) -> u64;
}

/// One committed change.
#[derive(Clone, Debug)]
pub struct Change {
    /// The shelf that changed.
    pub kind: Arc<str>,
    /// The new state, or the last one when deleted.
    pub entry: Arc<Entry>,
    pub deleted: bool,
    /// The revision of the commit (for a deletion greater than the entry's own).
    pub revision: u64,
}

/// What a subscription says next.
#[derive(Debug)]
pub enum News {
    /// Changes in commit order, all of one shelf.
    Changes(Vec<Change>),
    /// Changes were lost because the subscriber was too slow: everything must be read anew. The feed goes on.
    Lagged,
}

/// A subscription to one shelf.
#[async_trait]
pub trait Feed: Send {
    /// Waits for the next news. `None`: the kind is no longer served, or the server is shutting down.
    async fn next(&mut self) -> Option<News>;
}

/// Objects that can also be followed.
pub trait Source: Objects {
    /// Every change of a shelf that is committed after this call. `None`: no such kind.
    fn subscribe(&self, kind: &str) -> Option<Box<dyn Feed>>;
}

/// Who carries out writes: the kind actors. Every answer comes after the commit, with the state committed.
#[async_trait]
pub trait Writer: Send + Sync {
    async fn create(&self, creation: &Creation) -> Result<Arc<Entry>, ApiError>;

    /// A JSON merge patch.
    async fn patch(&self, patch: &Patch) -> Result<Arc<Entry>, ApiError>;

    /// The object's last state: still there with a deletion timestamp, or gone.
    async fn delete(&self, deletion: &Deletion) -> Result<Arc<Entry>, ApiError>;

    /// Records an event; repeated ones are counted.
    async fn event(&self, note: &EventNote) -> Result<(), ApiError>;

    /// Binds a pod to a node (the `binding` subresource). Refused with 409 when the pod is already bound or is another one.
    async fn bind(&self, pod: &ObjectKey, uid: &str, node: &str) -> Result<Arc<Entry>, ApiError>;

    /// Leaves a decision for the causal log. Never waits.
    fn decided(&self, _decision: Decision) {}
}

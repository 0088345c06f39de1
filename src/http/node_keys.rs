//! Which key a node's name belongs to: the first that took it, for good. Kept in a ConfigMap, so that a human can take it back.
use crate::actors::kinds::{Kinds, Part, Patch};
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Mutex as Turns;

/// Where node names are pinned to keys, in `kube-system`.
const KEYS: &str = "impresario-node-keys";
/// Somebody else may write to the ConfigMap in between: so often it is tried.
const ATTEMPTS: usize = 5;

/// The pinned names. Many machines may join at the same time: while one write is under way the others gather for the next.
pub(super) struct NodeKeys {
    kinds: Arc<Kinds>,
    known: Mutex<Known>,
    waiting: Mutex<Map<String, Value>>,
    turn: Turns<()>,
}

/// The ConfigMap as it was at a revision.
#[derive(Default)]
struct Known {
    revision: u64,
    keys: HashMap<String, String>,
}

impl NodeKeys {
    pub fn new(kinds: Arc<Kinds>) -> NodeKeys {
        NodeKeys { kinds, known: Mutex::default(), waiting: Mutex::default(), turn: Turns::new(()) }
    }

    /// Gives the name to the key with this fingerprint, unless another has it.
    pub async fn pin(&self, node: &str, fingerprint: &str) -> Result<(), ApiError> {
        if let Some(known) = self.key_of(node)? {
            return owned(node, &known, fingerprint);
        }
        self.waiting().entry(node).or_insert_with(|| fingerprint.into());
        let _turn = self.turn.lock().await;
        for _ in 0..ATTEMPTS {
            // Whoever had the turn before may have written this name too.
            if let Some(known) = self.key_of(node)? {
                return owned(node, &known, fingerprint);
            }
            let mut names = std::mem::take(&mut *self.waiting());
            names.entry(node).or_insert_with(|| fingerprint.into());
            match self.write(names).await {
                // Somebody else wrote in between: look again.
                Err(error) if error.code == 409 => {}
                Err(error) => return Err(error),
                Ok(()) => {}
            }
        }
        Err(ApiError::unavailable("too many nodes join at the same time; try again"))
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Map<String, Value>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fingerprint that has the name, by the ConfigMap as it is now.
    fn key_of(&self, node: &str) -> Result<Option<String>, ApiError> {
        let served = self.kinds.find("", "configmaps").ok_or_else(|| ApiError::internal("ConfigMaps are not served"))?;
        let held = served.shelf.snapshot().get(&ObjectKey::new("kube-system", KEYS)).cloned();
        let Some(entry) = held else { return Ok(None) };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.revision != entry.revision {
            let object = entry.parse();
            let pairs = object["data"].as_object().into_iter().flatten();
            let keys = pairs.map(|(name, key)| (name.clone(), key.as_str().unwrap_or_default().to_string())).collect();
            *known = Known { revision: entry.revision, keys };
        }
        Ok(known.keys.get(node).cloned())
    }

    /// Adds names that nobody has. Refused with 409 when the ConfigMap is no longer as it was looked at.
    async fn write(&self, mut names: Map<String, Value>) -> Result<(), ApiError> {
        let served = self.kinds.find("", "configmaps").ok_or_else(|| ApiError::internal("ConfigMaps are not served"))?;
        let key = ObjectKey::new("kube-system", KEYS);
        let exists = served.shelf.snapshot().get(&key).is_some();
        if !exists {
            let body = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": KEYS }, "data": names });
            return self.kinds.create(&served, "kube-system", body, false).await.map(|_| ());
        }
        let revision = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            names.retain(|name, _| !known.keys.contains_key(name));
            known.revision
        };
        let patch = json!({ "metadata": { "resourceVersion": revision.to_string() }, "data": names });
        self.kinds.patch(&served, key, Part::Main, Patch::Merge(patch), false, false).await.map(|_| ())
    }
}

fn owned(node: &str, known: &str, fingerprint: &str) -> Result<(), ApiError> {
    if known == fingerprint {
        return Ok(());
    }
    let why = format!(
        "node name \"{node}\" is already taken by another machine: choose another name, or remove \"{node}\" from ConfigMap kube-system/{KEYS} if that machine is gone for good"
    );
    Err(ApiError::new(409, "Conflict", why))
}

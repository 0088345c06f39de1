//! Which node needs what: pods by node, and what they refer to. Persistent maps, as in the index of roles.
use super::references::{self, Sort, Thing};
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use crate::storage::Entry;
use imbl::{HashMap, OrdSet};
use serde_json::Value;
use std::sync::Arc;

/// What one pod on a node refers to.
#[derive(Debug)]
struct Use {
    node: Arc<str>,
    uid: Arc<str>,
    generation: i64,
    /// Which claims a pod has got for the templates in its specification is told by its status.
    by_status: bool,
    things: Vec<Thing>,
}

impl Use {
    /// The pod refers to the same as before: its specification, which is counted by its generation, is the same.
    fn stands(&self, pod: &Entry, node: &Arc<str>) -> bool {
        !self.by_status && self.node == *node && self.uid == pod.meta.uid && self.generation == pod.meta.generation
    }
}

/// What one PersistentVolume is bound to.
#[derive(Debug)]
struct Volume {
    claim: ObjectKey,
    secrets: Vec<ObjectKey>,
}

/// Who refers to what.
#[derive(Clone, Debug, Default)]
pub struct NodeGraph {
    /// Pods that are bound to a node.
    pods: HashMap<ObjectKey, Arc<Use>>,
    /// How many pods of a node refer to a thing.
    uses: HashMap<Thing, HashMap<Arc<str>, u32>>,
    volumes: HashMap<Arc<str>, Arc<Volume>>,
    /// The volumes that need a secret.
    volume_secrets: HashMap<ObjectKey, OrdSet<Arc<str>>>,
    /// The last change of pods that is taken in.
    pub revision: u64,
}

/// The node that a pod is bound to, if it is.
pub fn node_of(pod: &Entry) -> Option<&Arc<str>> {
    match &pod.light {
        Light::Pod(light) if !light.node.is_empty() => Some(&light.node),
        _ => None,
    }
}

impl NodeGraph {
    /// Takes in a pod; `deleted` when it is gone.
    pub fn set_pod(&mut self, pod: &Entry, deleted: bool) {
        self.revision = self.revision.max(pod.revision);
        let node = node_of(pod).filter(|_| !deleted);
        // Most changes are of the status: they are told without a look at the object.
        if let (Some(known), Some(node)) = (self.pods.get(&pod.key), node)
            && known.stands(pod, node)
        {
            return;
        }
        let object = node.map(|_| pod.parse());
        let things = object.as_ref().map(references::of_pod);
        if let Some(old) = self.pods.remove(&pod.key) {
            old.things.iter().for_each(|thing| self.count(thing, &old.node, false));
        }
        if let (Some(node), Some(things)) = (node, things) {
            things.iter().for_each(|thing| self.count(thing, node, true));
            let by_status = object.is_some_and(|pod| !pod["spec"]["resourceClaims"].is_null());
            let (uid, generation) = (pod.meta.uid.clone(), pod.meta.generation);
            self.pods.insert(pod.key.clone(), Arc::new(Use { node: node.clone(), uid, generation, by_status, things }));
        }
    }

    fn count(&mut self, thing: &Thing, node: &Arc<str>, add: bool) {
        if add {
            *self.uses.entry(thing.clone()).or_default().entry(node.clone()).or_default() += 1;
            return;
        }
        let Some(nodes) = self.uses.get_mut(thing) else { return };
        match nodes.get_mut(node) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(nodes.remove(node)),
        }
        if nodes.is_empty() {
            self.uses.remove(thing);
        }
    }

    /// Takes in a PersistentVolume; `None` when it is gone.
    pub fn set_volume(&mut self, name: &Arc<str>, volume: Option<&Value>) {
        if let Some(old) = self.volumes.remove(name) {
            for secret in &old.secrets {
                let Some(users) = self.volume_secrets.get_mut(secret) else { continue };
                users.remove(name);
                if users.is_empty() {
                    self.volume_secrets.remove(secret);
                }
            }
        }
        let Some(volume) = volume else { return };
        let claim = &volume["spec"]["claimRef"];
        let (Some(namespace), Some(claimed)) = (claim["namespace"].as_str(), claim["name"].as_str()) else { return };
        let secrets = references::of_volume(volume, namespace);
        for secret in &secrets {
            self.volume_secrets.entry(secret.clone()).or_default().insert(name.clone());
        }
        self.volumes.insert(name.clone(), Arc::new(Volume { claim: ObjectKey::new(namespace, claimed), secrets }));
    }

    /// Whether a pod of the node refers to it, by itself or by a volume.
    pub fn needs(&self, node: &str, thing: &Thing) -> bool {
        let direct = |thing: &Thing| self.uses.get(thing).is_some_and(|nodes| nodes.contains_key(node));
        if direct(thing) {
            return true;
        }
        let volumes = self.volume_secrets.get(&thing.key).filter(|_| thing.sort == Sort::Secret);
        volumes.is_some_and(|names| names.iter().any(|name| self.needs_volume(node, name)))
    }

    /// Whether a pod of the node uses the claim that a PersistentVolume is bound to.
    pub fn needs_volume(&self, node: &str, volume: &str) -> bool {
        let claim = self.volumes.get(volume).map(|v| Thing { sort: Sort::Claim, key: v.claim.clone() });
        claim.is_some_and(|claim| self.uses.get(&claim).is_some_and(|nodes| nodes.contains_key(node)))
    }

    /// Whether the pod is bound to the node.
    pub fn has_pod(&self, node: &str, pod: &ObjectKey) -> bool {
        self.pods.get(pod).is_some_and(|held| &*held.node == node)
    }
}

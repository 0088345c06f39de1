//! What the binder remembers of all volumes, of the claims that have none yet, and of the pods that these wait for, so that a
//! change costs a few look-ups and not a walk over everything.
use super::super::storage_protection::claims_of;
use super::facts::{ClaimFacts, VolumeFacts};
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

type Name = Arc<str>;

/// See the module.
#[derive(Default)]
pub struct Index {
    volumes: HashMap<Name, VolumeFacts>,
    /// Volumes that any claim may have: class, then capacity.
    free: HashMap<Name, BTreeSet<(i64, Name)>>,
    /// Volumes by the claim that they are for.
    reserved: HashMap<ObjectKey, BTreeSet<Name>>,
    /// Claims that were never bound.
    waiting: BTreeMap<ObjectKey, ClaimFacts>,
    /// Pods without a node that mount claims, and the other way round.
    pods: HashMap<ObjectKey, Vec<ObjectKey>>,
    consumers: HashMap<ObjectKey, BTreeSet<Name>>,
    /// Volumes that a claim was just given, as far as is known here.
    promised: HashMap<Name, ObjectKey>,
    /// What was last told of a waiting claim.
    told: HashMap<ObjectKey, (&'static str, String)>,
}

impl Index {
    /// Takes in a volume (`None`: it is gone) and answers with what it was before.
    pub fn volume(&mut self, name: &Name, facts: Option<VolumeFacts>) -> Option<VolumeFacts> {
        self.promised.remove(name);
        let before = self.volumes.remove(name);
        if let Some(before) = &before {
            remove(&mut self.free, &before.class, &(before.capacity, name.clone()));
            if let Some((claim, _)) = &before.claim {
                remove(&mut self.reserved, claim, name);
            }
        }
        let Some(facts) = facts else { return before };
        match &facts.claim {
            Some((claim, _)) => drop(self.reserved.entry(claim.clone()).or_default().insert(name.clone())),
            None if facts.available && !facts.deleting => {
                self.free.entry(facts.class.clone()).or_default().insert((facts.capacity, name.clone()));
            }
            None => {}
        }
        self.volumes.insert(name.clone(), facts);
        before
    }

    /// Takes in a claim; `None`: it is gone.
    pub fn claim(&mut self, key: &ObjectKey, facts: Option<ClaimFacts>) {
        match facts.filter(|f| !f.completed) {
            Some(facts) => drop(self.waiting.insert(key.clone(), facts)),
            None => {
                self.waiting.remove(key);
                self.told.remove(key);
                self.promised.retain(|_, to| to != key);
            }
        }
    }

    /// Takes in a pod, and answers with the claims that wait for it, or did.
    pub fn pod(&mut self, pod: &Entry, deleted: bool) -> Vec<ObjectKey> {
        let Light::Pod(light) = &pod.light else { return Vec::new() };
        let before = self.pods.remove(&pod.key).unwrap_or_default();
        for claim in &before {
            remove(&mut self.consumers, claim, &pod.key.name);
        }
        let waits = !deleted && light.node.is_empty() && !light.phase.finished();
        let claims: Vec<ObjectKey> = if waits { claims_of(pod).collect() } else { Vec::new() };
        for claim in &claims {
            self.consumers.entry(claim.clone()).or_default().insert(pod.key.name.clone());
        }
        let concerned = before.into_iter().chain(claims.iter().cloned()).filter(|c| self.waiting.contains_key(c)).collect();
        if !claims.is_empty() {
            self.pods.insert(pod.key.clone(), claims);
        }
        concerned
    }

    /// Names of pods without a node that mount the claim.
    pub fn consumers(&self, claim: &ObjectKey) -> impl Iterator<Item = &Name> {
        self.consumers.get(claim).into_iter().flatten()
    }

    /// Volumes that are for the claim by name.
    pub fn reserved(&self, claim: &ObjectKey) -> impl Iterator<Item = &Name> {
        self.reserved.get(claim).into_iter().flatten()
    }

    /// Volumes of a class that nobody has, of at least so many bytes, the smallest first.
    pub fn free(&self, class: &str, least: i64) -> impl Iterator<Item = (&Name, &VolumeFacts)> {
        let sizes = self.free.get(class).into_iter();
        let names = sizes.flat_map(move |all| all.range((least, Name::from(""))..).map(|(_, name)| name));
        names.filter_map(|name| Some((name, self.volumes.get(name)?)))
    }

    /// Whether the volume was given to somebody else a moment ago.
    pub fn is_promised(&self, volume: &str, claim: &ObjectKey) -> bool {
        self.promised.get(volume).is_some_and(|to| to != claim)
    }

    /// The claim gets the volume, and loses what else it was promised.
    pub fn promise(&mut self, claim: &ObjectKey, volume: Option<&Name>) {
        self.promised.retain(|_, to| to != claim);
        if let Some(volume) = volume {
            self.promised.insert(volume.clone(), claim.clone());
        }
    }

    /// Claims without a volume for which `test` holds.
    pub fn waiting(&self, test: impl Fn(&ClaimFacts) -> bool) -> impl Iterator<Item = &ObjectKey> {
        self.waiting.iter().filter(move |(_, facts)| test(facts)).map(|(key, _)| key)
    }

    /// Whether this is news about the claim; it is none the next time.
    pub fn is_news(&mut self, claim: &ObjectKey, reason: &'static str, message: &str) -> bool {
        if self.told.get(claim).is_some_and(|(r, m)| *r == reason && m == message) {
            return false;
        }
        self.told.insert(claim.clone(), (reason, message.into()));
        true
    }
}

/// Removes one member of a set in a map, and the set with its last member.
fn remove<K: std::hash::Hash + Eq, M: Ord>(map: &mut HashMap<K, BTreeSet<M>>, key: &K, member: &M) {
    if let Some(set) = map.get_mut(key) {
        set.remove(member);
        if set.is_empty() {
            map.remove(key);
        }
    }
}

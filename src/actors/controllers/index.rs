//! A controller's own incremental index: who depends on whom, what nobody owns, what runs where.
//!
//! It is fed by changes and holds keys only (plus, per filed object, the state it was filed under, which it shares with
//! the snapshots). A change costs a few map operations, whatever the size of the cluster.
use super::feed::Change;
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A shelf and a key in it.
pub type Slot = (Arc<str>, ObjectKey);

/// Which look-ups a controller needs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts {
    /// Owner uid → dependents.
    pub owners: bool,
    /// Shelves whose objects without a controller are indexed by namespace.
    pub orphans: &'static [&'static str],
    /// Node → pods.
    pub nodes: bool,
    /// uid → namespace, for every object.
    pub uids: bool,
}

impl Parts {
    /// Whether two states of an object stand in the same places, as nearly all changes leave it.
    fn same_places(&self, a: &Entry, b: &Entry) -> bool {
        a.meta.uid == b.meta.uid && a.meta.owners == b.meta.owners && (!self.nodes || bound_to(a) == bound_to(b))
    }
}

fn bound_to(entry: &Entry) -> Option<&Arc<str>> {
    if let Light::Pod(pod) = &entry.light { Some(&pod.node).filter(|node| !node.is_empty()) } else { None }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Index {
    parts: Parts,
    filed: HashMap<Slot, Arc<Entry>>,
    dependents: HashMap<Arc<str>, BTreeSet<Slot>>,
    orphans: HashMap<(Arc<str>, Arc<str>), BTreeSet<ObjectKey>>,
    nodes: HashMap<Arc<str>, BTreeSet<ObjectKey>>,
    uids: HashMap<Arc<str>, Arc<str>>,
}

impl Index {
    pub fn new(parts: Parts) -> Self {
        Index { parts, ..Index::default() }
    }

    /// Takes a change in and returns the state that was filed before, if any. A change older than what is filed (seen
    /// already while listing) is ignored.
    pub fn apply(&mut self, change: &Change) -> Option<Arc<Entry>> {
        let slot = (change.kind.clone(), change.entry.key.clone());
        let before = match self.filed.get_mut(&slot) {
            Some(held) if held.revision > change.revision => return Some(held.clone()),
            Some(held) if !change.deleted && self.parts.same_places(held, &change.entry) => {
                return Some(std::mem::replace(held, change.entry.clone()));
            }
            held => held.cloned(),
        };
        if let Some(before) = &before {
            self.unfile(&slot, before);
        }
        if change.deleted {
            self.uids.remove(&change.entry.meta.uid);
        } else {
            self.file(slot, &change.entry);
        }
        before
    }

    fn file(&mut self, slot: Slot, entry: &Arc<Entry>) {
        let mut filed = false;
        if self.parts.uids {
            self.uids.insert(entry.meta.uid.clone(), entry.key.namespace.clone());
        }
        if self.parts.owners {
            for owner in &entry.meta.owners {
                self.dependents.entry(owner.uid.clone()).or_default().insert(slot.clone());
                filed = true;
            }
        }
        if self.wants_orphan(&slot.0, entry) {
            let place = (slot.0.clone(), entry.key.namespace.clone());
            self.orphans.entry(place).or_default().insert(entry.key.clone());
            filed = true;
        }
        if let Some(node) = self.node_of(entry) {
            self.nodes.entry(node).or_default().insert(entry.key.clone());
            filed = true;
        }
        if filed {
            self.filed.insert(slot, entry.clone());
        }
    }

    fn unfile(&mut self, slot: &Slot, before: &Entry) {
        for owner in &before.meta.owners {
            remove_from(&mut self.dependents, &owner.uid, slot);
        }
        if self.wants_orphan(&slot.0, before) {
            remove_from(&mut self.orphans, &(slot.0.clone(), before.key.namespace.clone()), &before.key);
        }
        if let Some(node) = self.node_of(before) {
            remove_from(&mut self.nodes, &node, &before.key);
        }
        self.uids.remove(&before.meta.uid);
        self.filed.remove(slot);
    }

    fn wants_orphan(&self, kind: &str, entry: &Entry) -> bool {
        self.parts.orphans.contains(&kind) && entry.meta.controller().is_none()
    }

    fn node_of(&self, entry: &Entry) -> Option<Arc<str>> {
        bound_to(entry).filter(|_| self.parts.nodes).cloned()
    }

    pub fn dependents(&self, uid: &str) -> impl Iterator<Item = &Slot> {
        self.dependents.get(uid).into_iter().flatten()
    }

    pub fn orphans(&self, kind: &str, namespace: &str) -> impl Iterator<Item = &ObjectKey> {
        self.orphans.get(&(kind.into(), namespace.into())).into_iter().flatten()
    }

    pub fn pods_of_node(&self, node: &str) -> impl Iterator<Item = &ObjectKey> {
        self.nodes.get(node).into_iter().flatten()
    }

    pub fn namespace_of_uid(&self, uid: &str) -> Option<&Arc<str>> {
        self.uids.get(uid)
    }
}

/// Removes one member of a set in a map, and the set with its last member.
fn remove_from<K: std::hash::Hash + Eq, M: Ord>(map: &mut HashMap<K, BTreeSet<M>>, key: &K, member: &M) {
    if let Some(set) = map.get_mut(key) {
        set.remove(member);
        if set.is_empty() {
            map.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::codec;
    use crate::protocol::light::pod_light;
    use proptest::prelude::*;
    use serde_json::json;

    const PARTS: Parts = Parts { owners: true, orphans: &["pods"], nodes: true, uids: true };
    const OWNERS: [&str; 3] = ["a", "b", "c"];
    const NODES: [&str; 3] = ["", "n", "m"];

    /// A state of one of three pods.
    #[derive(Clone, Debug)]
    struct State {
        pod: usize,
        uid: usize,
        owners: Vec<(usize, bool)>,
        node: usize,
        deleted: bool,
    }

    impl State {
        fn change(&self, revision: u64) -> Change {
            let owner = |(owner, controller): &(usize, bool)| json!({ "uid": OWNERS[*owner], "name": "o", "controller": controller });
            let owners: Vec<_> = self.owners.iter().map(owner).collect();
            let object = json!({
                "metadata": { "name": format!("p{}", self.pod), "namespace": "x", "uid": format!("p{}-{}", self.pod, self.uid), "ownerReferences": owners },
                "spec": { "nodeName": NODES[self.node] },
            });
            let ((body, splice), (key, meta)) = (codec::encode(&object), codec::meta_of(&object));
            let light = Light::Pod(Box::new(pod_light(&object)));
            let entry = Arc::new(Entry { key, body, splice, revision, token: revision, meta, light });
            Change { kind: "pods".into(), revision, entry, deleted: self.deleted }
        }
    }

    fn states() -> impl Strategy<Value = Vec<State>> {
        let owners = prop::collection::vec((0..OWNERS.len(), any::<bool>()), 0..3);
        let state = (0..3usize, 0..2usize, owners, 0..NODES.len(), prop::bool::weighted(0.2));
        let state = state.prop_map(|(pod, uid, owners, node, deleted)| State { pod, uid, owners, node, deleted });
        prop::collection::vec(state, 1..40)
    }

    /// Everything that can be asked.
    fn told(index: &Index) -> (Vec<Vec<Slot>>, Vec<ObjectKey>, Vec<Vec<ObjectKey>>, Vec<bool>) {
        let uids = (0..3).flat_map(|pod| (0..2).map(move |uid| format!("p{pod}-{uid}")));
        (
            OWNERS.iter().map(|uid| index.dependents(uid).cloned().collect()).collect(),
            index.orphans("pods", "x").cloned().collect(),
            NODES.iter().map(|node| index.pods_of_node(node).cloned().collect()).collect(),
            uids.map(|uid| index.namespace_of_uid(&uid).is_some()).collect(),
        )
    }

    proptest! {
        #![proptest_config(crate::actors::properties::property(256))]

        #[test]
        fn what_is_told_follows_from_the_last_states_alone(states in states()) {
            let mut index = Index::new(PARTS);
            let mut last: HashMap<usize, Change> = HashMap::new();
            for (revision, state) in (1..).zip(&states) {
                let change = state.change(revision);
                let before = index.apply(&change);
                let held = last.insert(state.pod, change).filter(|held| !held.deleted);
                prop_assert_eq!(before.map(|before| before.revision), held.map(|held| held.revision));
            }
            let mut fresh = Index::new(PARTS);
            last.values().filter(|change| !change.deleted).for_each(|change| drop(fresh.apply(change)));
            prop_assert_eq!(told(&index), told(&fresh));
            // Older states that come late change nothing.
            let known = told(&index);
            let stays = |state: &State| last.get(&state.pod).is_some_and(|last| !last.deleted);
            for (revision, state) in (1..).zip(&states).filter(|(_, state)| stays(state)) {
                index.apply(&state.change(revision));
            }
            prop_assert_eq!(told(&index), known);
        }
    }
}

//! A kind's objects at one revision: immutable, shared, cheap to derive the next one from.
use super::entry::Entry;
use crate::protocol::meta::ObjectKey;
use imbl::OrdMap;
use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

/// What an entry costs in memory beside its bytes: index, metadata, map node. An estimate, for bounds.
pub(super) const ENTRY_OVERHEAD: usize = 512;

type Names = OrdMap<Arc<str>, Arc<Entry>>;

/// All objects of one kind, by namespace and name. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The revision of the last change to this shelf; of the load when there was none since.
    pub revision: u64,
    namespaces: OrdMap<Arc<str>, Names>,
    len: usize,
    bytes: usize,
    /// Bytes replaced or deleted since the start: the difference between two snapshots bounds what the older keeps alive.
    pub(super) churn: u64,
}

impl Snapshot {
    pub fn get(&self, key: &ObjectKey) -> Option<&Arc<Entry>> {
        self.namespaces.get(&*key.namespace)?.get(&*key.name)
    }

    /// Objects in all namespaces.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// An estimate of the memory that the objects take, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Objects in one namespace.
    pub fn namespace_len(&self, namespace: &str) -> usize {
        self.namespaces.get(namespace).map_or(0, |names| names.len())
    }

    /// Every object, ordered by namespace and name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.namespaces.values().flat_map(|names| names.values())
    }

    /// The objects of one namespace, ordered by name.
    pub fn iter_namespace<'s>(&'s self, namespace: &str) -> impl Iterator<Item = &'s Arc<Entry>> + use<'s> {
        self.namespaces.get(namespace).into_iter().flat_map(|names| names.values())
    }

    /// What follows `after` (which need not exist any more) in the order of `iter`, in one namespace or in all: a page of a list
    /// is this, taken up to the limit.
    pub fn iter_after<'s>(&'s self, namespace: Option<&str>, after: Option<&ObjectKey>) -> impl Iterator<Item = &'s Arc<Entry>> + use<'s> {
        // The first namespace may be entered in its middle; in a list of all, those behind it follow.
        let (first, rest) = match (namespace, after) {
            (None, None) => (None, Some(Bound::Unbounded)),
            (None, Some(key)) => (self.names_after(&key.namespace, Some(&key.name)), Some(Bound::Excluded(&*key.namespace))),
            (Some(namespace), None) => (self.names_after(namespace, None), None),
            (Some(namespace), Some(key)) => match (*key.namespace).cmp(namespace) {
                Ordering::Less => (self.names_after(namespace, None), None),
                Ordering::Equal => (self.names_after(namespace, Some(&key.name)), None),
                Ordering::Greater => (None, None),
            },
        };
        let rest = rest.map(|bound| self.namespaces.range::<_, str>((bound, Bound::Unbounded)));
        first.into_iter().flatten().chain(rest.into_iter().flatten().flat_map(|(_, names)| names.values()))
    }

    fn names_after<'s>(&'s self, namespace: &str, after: Option<&str>) -> Option<impl Iterator<Item = &'s Arc<Entry>> + use<'s>> {
        let bound = after.map_or(Bound::Unbounded, Bound::Excluded);
        let names = self.namespaces.get(namespace)?;
        Some(names.range::<_, str>((bound, Bound::Unbounded)).map(|(_, entry)| entry))
    }

    /// The same objects, said to be of this revision.
    pub(super) fn at(self, revision: u64) -> Snapshot {
        Snapshot { revision, ..self }
    }

    /// Puts an entry at its key.
    pub(super) fn put(&mut self, entry: Arc<Entry>) {
        let added = entry.body.len() + ENTRY_OVERHEAD;
        self.revision = self.revision.max(entry.revision);
        self.bytes += added;
        let name = entry.key.name.clone();
        let replaced = match self.namespaces.get_mut(&*entry.key.namespace) {
            Some(names) => names.insert(name, entry),
            None => {
                let namespace = entry.key.namespace.clone();
                self.namespaces.insert(namespace, OrdMap::unit(name, entry));
                None
            }
        };
        match replaced {
            Some(old) => self.forget(&old),
            None => self.len += 1,
        }
    }

    /// Removes what is at a key, by the change with this revision.
    pub(super) fn remove(&mut self, key: &ObjectKey, revision: u64) {
        self.revision = self.revision.max(revision);
        let Some(names) = self.namespaces.get_mut(&*key.namespace) else { return };
        let removed = names.remove(&*key.name);
        if names.is_empty() {
            self.namespaces.remove(&*key.namespace);
        }
        if let Some(old) = removed {
            self.len -= 1;
            self.forget(&old);
        }
    }

    /// An empty one after that much churn.
    #[cfg(test)]
    pub(super) fn churned(churn: u64) -> Snapshot {
        Snapshot { churn, ..Default::default() }
    }

    fn forget(&mut self, old: &Entry) {
        let bytes = old.body.len() + ENTRY_OVERHEAD;
        self.bytes = self.bytes.saturating_sub(bytes);
        self.churn += bytes as u64;
    }
}

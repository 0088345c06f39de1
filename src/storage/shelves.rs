//! Everything that is read: the shelves by name, and how far the number line got.
use super::shelf::Shelf;
use super::snapshot::Snapshot;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// The two positions on the number line. Only the committer moves them.
#[derive(Default)]
pub(super) struct Clock {
    pub committed: AtomicU64,
    pub fanned_out: AtomicU64,
}

/// All shelves of the cluster.
pub struct Shelves {
    by_name: RwLock<HashMap<Arc<str>, Arc<Shelf>>>,
    clock: Arc<Clock>,
    /// The revision at which this process loaded the store.
    loaded: u64,
}

impl Shelves {
    pub(super) fn new(loaded: u64, snapshots: HashMap<Arc<str>, Snapshot>) -> Self {
        let clock = Arc::new(Clock { committed: AtomicU64::new(loaded), fanned_out: AtomicU64::new(loaded) });
        let make =
            |(name, snapshot): (Arc<str>, Snapshot)| (name.clone(), Arc::new(Shelf::new(name, snapshot.at(loaded), loaded, clock.clone())));
        let by_name = snapshots.into_iter().map(make).collect();
        Shelves { by_name: RwLock::new(by_name), clock, loaded }
    }

    /// The shelf of that name (`pods`, `replicasets.apps`), made when first asked for.
    pub fn shelf(&self, name: &str) -> Arc<Shelf> {
        if let Some(shelf) = self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return shelf.clone();
        }
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(shelf) = by_name.get(name) {
            return shelf.clone();
        }
        let name: Arc<str> = name.into();
        // Nothing was ever written to it, so its events are known from the load on.
        let empty = Snapshot::default().at(self.loaded);
        let shelf = Arc::new(Shelf::new(name.clone(), empty, self.loaded, self.clock.clone()));
        by_name.insert(name, shelf.clone());
        shelf
    }

    /// The shelves that exist, in no order.
    pub fn all(&self) -> Vec<Arc<Shelf>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The last revision that is durable and published, on every shelf.
    pub fn committed(&self) -> u64 {
        self.clock.committed.load(Ordering::Acquire)
    }

    /// The last revision whose events have reached every watcher's queue.
    pub fn fanned_out(&self) -> u64 {
        self.clock.fanned_out.load(Ordering::Acquire)
    }

    /// A shelf's state and the revision that a list of it says: the order of the two loads makes sure that the state
    /// is at least that new, also for kinds that have been idle.
    pub fn read(&self, shelf: &Shelf) -> (u64, Arc<Snapshot>) {
        let committed = self.committed();
        let snapshot = shelf.snapshot();
        (committed.max(snapshot.revision), snapshot)
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }
}

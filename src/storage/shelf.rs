//! One kind's place: its published snapshot, its watchers, and the old snapshots that paginated lists still read.
use super::hub::Hub;
use super::retained::Retained;
use super::shelves::Clock;
use super::snapshot::Snapshot;
use arc_swap::ArcSwap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A kind's objects, for reading. Only the committer publishes.
pub struct Shelf {
    /// `pods`, `replicasets.apps`.
    pub name: Arc<str>,
    published: Arc<ArcSwap<Snapshot>>,
    hub: Hub,
    retained: Mutex<Retained>,
}

impl Shelf {
    /// `floor`: the revision from which on the shelf's events are known.
    pub(super) fn new(name: Arc<str>, snapshot: Snapshot, floor: u64, clock: Arc<Clock>) -> Self {
        let published = Arc::new(ArcSwap::from_pointee(snapshot));
        Shelf { name, hub: Hub::new(published.clone(), clock, floor), published, retained: Mutex::default() }
    }

    /// The latest durable state. To answer a list, use `Shelves::read`, which knows the revision to say.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.load_full()
    }

    /// The watchers' side.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Keeps a snapshot for the pages to come, under the revision that the first page said. At most 64 per shelf, for ten minutes
    /// since the last use, and while no more than 64 MiB of objects were replaced since.
    pub fn retain(&self, snapshot: Arc<Snapshot>, revision: u64) {
        self.retained_set().keep(revision, snapshot, Instant::now());
    }

    /// The snapshot retained under a revision, unless it had to go: then the continue token has expired.
    pub fn retained(&self, revision: u64) -> Option<Arc<Snapshot>> {
        let now = Instant::now();
        let mut retained = self.retained_set();
        retained.prune(self.published.load().churn, now);
        retained.find(revision, now)
    }

    pub(super) fn publish(&self, snapshot: Snapshot) {
        self.retained_set().prune(snapshot.churn, Instant::now());
        self.published.store(Arc::new(snapshot));
    }

    fn retained_set(&self) -> MutexGuard<'_, Retained> {
        self.retained.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Old snapshots that continue tokens refer to, so that every page of a list shows one revision.
use super::snapshot::Snapshot;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Snapshots kept per shelf.
const MAX_SNAPSHOTS: usize = 64;
/// How long one is kept after it was last asked for; upstream's tokens live five to ten minutes.
const MAX_AGE: Duration = Duration::from_secs(600);
/// Bytes of replaced and deleted objects that old snapshots may keep alive, per shelf.
const MAX_BYTES: u64 = 64 << 20;

/// Bounded by count, by age since last use, and by the memory that only old snapshots hold.
#[derive(Default)]
pub(super) struct Retained {
    by_revision: BTreeMap<u64, (Arc<Snapshot>, Instant)>,
}

impl Retained {
    /// Keeps a snapshot under the revision that a list said it has.
    pub fn keep(&mut self, revision: u64, snapshot: Arc<Snapshot>, now: Instant) {
        self.by_revision.insert(revision, (snapshot, now));
        while self.by_revision.len() > MAX_SNAPSHOTS {
            self.by_revision.pop_first();
        }
    }

    /// The snapshot kept under that revision; its time starts again.
    pub fn find(&mut self, revision: u64, now: Instant) -> Option<Arc<Snapshot>> {
        let (snapshot, used) = self.by_revision.get_mut(&revision)?;
        *used = now;
        Some(snapshot.clone())
    }

    /// Drops what is over the bounds, given the shelf's present churn.
    pub fn prune(&mut self, churn: u64, now: Instant) {
        if self.by_revision.is_empty() {
            return;
        }
        self.by_revision.retain(|_, (snapshot, used)| {
            churn.saturating_sub(snapshot.churn) <= MAX_BYTES && now.saturating_duration_since(*used) <= MAX_AGE
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_by_count_age_and_bytes() {
        let start = Instant::now();
        let mut kept = Retained::default();
        for revision in 1..=70 {
            let snapshot = Snapshot::churned(revision << 20);
            kept.keep(revision, Arc::new(snapshot), start);
        }
        assert!(kept.find(6, start).is_none() && kept.find(7, start).is_some(), "the oldest six made room");
        kept.prune(74 << 20, start);
        assert!(kept.find(9, start).is_none() && kept.find(10, start).is_some(), "64 MiB of churn are kept alive, not more");
        let later = start + MAX_AGE;
        assert!(kept.find(70, later).is_some());
        kept.prune(0, later + Duration::from_secs(1));
        assert!(kept.find(69, later).is_none() && kept.find(70, later).is_some(), "use keeps a snapshot");
    }
}

//! After a failed commit: reopen the store, look, and find out what became of the writes.
use super::store::{Store, StoreError, StoreWrite};
use std::collections::HashMap;

/// What the store says about writes whose commit failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// All are durable, with these revisions.
    Landed(Vec<u64>),
    /// None is.
    Lost,
    /// The store holds something that this process did not write: nothing it says can be relied on.
    Foreign,
}

/// Reopens the store and looks for `writes`, the commit after revision `last`.
pub(super) fn settle(store: &mut dyn Store, writes: &[StoreWrite], last: u64) -> Result<Fate, StoreError> {
    store.reopen()?;
    let now = store.last_revision()?;
    if now == last {
        return Ok(Fate::Lost);
    }
    if now != last + writes.len() as u64 {
        return Ok(Fate::Foreign);
    }
    // The transaction is atomic and the count fits; the records themselves must agree as well.
    let revisions: Vec<u64> = (last + 1..=now).collect();
    let finals: HashMap<_, _> =
        writes.iter().zip(&revisions).map(|(write, revision)| ((&write.shelf, &write.key), (write, *revision))).collect();
    for (write, revision) in finals.values() {
        let stored = store.read(&write.shelf, &write.key)?;
        let agrees = match (&stored, &write.record) {
            (None, None) => true,
            (Some(stored), Some((_, body))) => stored.revision == *revision && stored.body == *body,
            _ => false,
        };
        if !agrees {
            return Ok(Fate::Foreign);
        }
    }
    Ok(Fate::Landed(revisions))
}

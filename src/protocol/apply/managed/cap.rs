//! A bound on how many managers an object remembers.
use super::entry::{Entry, Operation};

/// The most managers that came by updates.
const MAX_UPDATERS: usize = 10;
/// Who manages what older updaters did.
const ANCIENT: &str = "ancient-changes";

/// Merges the oldest updaters, those of each version into one, until there are few enough.
pub(super) fn cap(mut entries: Vec<Entry>) -> Vec<Entry> {
    let mut count = entries.iter().filter(|e| e.operation == Operation::Update).count();
    if count <= MAX_UPDATERS {
        return entries;
    }
    // Applied ones stay apart; the rest by age.
    let mut updaters: Vec<Entry> = Vec::with_capacity(count);
    let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
    for entry in entries.drain(..) {
        if entry.operation == Operation::Update { updaters.push(entry) } else { kept.push(entry) }
    }
    updaters.sort_by_cached_key(|e| (e.seconds(), e.identity()));
    // The buckets: an entry stands for its version until a second one comes.
    let mut buckets: Vec<(Entry, bool)> = Vec::new();
    let mut rest = Vec::new();
    for entry in updaters {
        if count <= MAX_UPDATERS {
            rest.push(entry);
            continue;
        }
        match buckets.iter_mut().find(|(bucket, _)| bucket.api_version == entry.api_version) {
            Some((bucket, merged)) => {
                *merged = true;
                bucket.gain(&entry.set());
                bucket.time = entry.time;
                count -= 1;
            }
            None => buckets.push((entry, false)),
        }
    }
    kept.extend(buckets.into_iter().map(|(mut bucket, merged)| {
        if merged {
            bucket.manager = ANCIENT.into();
            bucket.subresource = String::new();
        }
        bucket
    }));
    // An earlier bucket may have been too young to be merged.
    for entry in rest {
        match kept.iter_mut().find(|old| old.is_same(&entry)) {
            Some(old) => {
                old.gain(&entry.set());
                old.time = entry.time;
            }
            None => kept.push(entry),
        }
    }
    kept
}

//! From a plan that was carried out to a line of the causal log.
use super::executor::Outcome;
use super::feed::Change;
use super::runner::Key;
use crate::storage::decisions::{Cause, Decision, Subject};
use jiff::Timestamp;

/// The change that made a key worth a look.
pub(super) fn cause(change: &Change) -> Cause {
    Cause { object: Subject::new(&change.kind, &change.entry.key), deleted: change.deleted, revision: change.revision }
}

/// What is worth remembering of a plan: `None` when nothing was done but to write down a status, and nothing went wrong either.
pub(super) fn decision(
    by: &'static str,
    at: Timestamp,
    key: &Key,
    why: String,
    cause: Option<Cause>,
    outcome: &mut Outcome,
) -> Option<Decision> {
    let deeds = std::mem::take(&mut outcome.deeds);
    let failure = outcome.failure.as_ref().map(|f| f.message.clone());
    if why.is_empty() || (deeds.is_empty() && failure.is_none()) {
        return None;
    }
    Some(Decision { at: at.as_millisecond(), by: by.into(), about: Subject::new(&key.kind, &key.object), why, cause, deeds, failure })
}

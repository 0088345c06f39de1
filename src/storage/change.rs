//! What a kind actor hands to the committer: drafts of new states, what must hold for them to be written, and the answer.
use super::entry::Entry;
use super::shelf::Shelf;
use crate::protocol::light::Light;
use crate::protocol::meta::{Meta, ObjectKey};
use crate::protocol::status::ApiError;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// A new state of an object; the commit gives it its revision.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Canonical JSON without `metadata.resourceVersion`.
    pub body: Bytes,
    /// Where `"resourceVersion":"N",` belongs in `body`.
    pub splice: u32,
    pub meta: Meta,
    pub light: Light,
}

/// What must be at the key, pending writes of the same batch included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    Any,
    /// Nothing is there.
    Absent,
    /// The state that the write with this token made.
    Token(u64),
}

/// What to do at the key.
pub enum Op {
    Put(Draft),
    /// Removes the object; the draft is its final state, served in the `DELETED` event. Deleting what is not there fails
    /// the expectation, whatever it is.
    Delete(Draft),
    /// Writes nothing: the rest of the commit depends on this.
    Check(Guard),
    /// Writes what is made of the newest state in the batch. Nothing at the key: nothing to do.
    Amend(Arc<Amendment>),
}

/// Makes the next state out of the newest one; `None` leaves it, an error refuses the whole commit. It runs on the committer
/// thread: cheap, without waiting.
pub type Amendment = dyn Fn(&Entry) -> Result<Option<Draft>, ApiError> + Send + Sync;

/// A custom guard's function: what is at the key decides.
pub type Condition = dyn Fn(Option<&Entry>) -> Result<(), ApiError> + Send + Sync;

/// A condition on an object that the commit doesn't write.
#[derive(Clone)]
pub enum Guard {
    /// Fails with `… not found`.
    Exists,
    /// Exists and nobody asked for its deletion. Fails with `… not found`, or `… is forbidden: it is being deleted`; use `Custom`
    /// for other words.
    Live,
    /// Any condition. It runs on the committer thread: cheap, without waiting.
    Custom(Arc<Condition>),
}

/// One step of a commit.
pub struct Change {
    pub shelf: Arc<Shelf>,
    pub key: ObjectKey,
    pub expect: Expect,
    pub op: Op,
    /// Of the new state, from `Committer::next_token`. Ignored for `Check`.
    pub token: u64,
}

/// Where the outcome goes: one entry per `Put` and `Delete`, and per `Amend` that wrote something, in order.
pub type Reply = Box<dyn FnOnce(Result<Vec<Arc<Entry>>, CommitError>) + Send>;

/// Changes that happen together or not at all. Later changes see earlier ones.
pub struct Commit {
    pub changes: Vec<Change>,
    /// Runs on the committer thread once the outcome is known and, if good, durable and published: it must be cheap and never wait
    /// (send a message, and return).
    pub reply: Reply,
}

/// Why a commit was not (or perhaps not) carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// An `Expect` did not hold. `found` is what is there, durable and published.
    #[error("{shelf} \"{key}\" is not in the expected state")]
    Expectation { shelf: Arc<str>, key: ObjectKey, found: Option<Arc<Entry>> },
    /// A guard refused.
    #[error("{0}")]
    Guard(ApiError),
    /// The store could not take it. Nothing was written.
    #[error("the write was refused: {0}")]
    Refused(String),
    /// The store failed, and whether the write happened is not known.
    #[error("the outcome of the write is not known: {0}")]
    Unknown(String),
    /// The committer stopped before it came to this commit. Nothing was written.
    #[error("the server is shutting down")]
    Closed,
}

impl Guard {
    pub(super) fn check(&self, shelf: &str, key: &ObjectKey, found: Option<&Entry>) -> Result<(), ApiError> {
        let (plural, group) = shelf.split_once('.').unwrap_or((shelf, ""));
        match (self, found) {
            (Guard::Custom(check), found) => check(found),
            (_, None) => Err(ApiError::not_found(group, plural, &key.name)),
            (Guard::Live, Some(entry)) if entry.meta.deleting.is_some() => {
                Err(ApiError::forbidden(group, plural, &key.name, "it is being deleted"))
            }
            (Guard::Live | Guard::Exists, Some(_)) => Ok(()),
        }
    }
}

impl Draft {
    pub(super) fn into_entry(self, key: ObjectKey, token: u64) -> Entry {
        Entry { key, body: self.body, splice: self.splice, revision: 0, token, meta: self.meta, light: self.light }
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Commit({} changes)", self.changes.len())
    }
}

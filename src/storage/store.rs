//! The store's contract: durable transactions over records, one number line of revisions. Its one user is the committer thread.
pub use super::record::Record;
use crate::protocol::meta::ObjectKey;
use bytes::Bytes;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One write of a transaction.
#[derive(Clone, Debug)]
pub struct StoreWrite {
    /// `pods`, `replicasets.apps`: the plural, with the group where there is one.
    pub shelf: Arc<str>,
    pub key: ObjectKey,
    /// Splice and body of the new state; `None` deletes.
    pub record: Option<(u32, Bytes)>,
}

/// A copy of the store being made: runs anywhere, and doesn't hold up writes.
pub type Backup = Box<dyn FnOnce() -> Result<(), StoreError> + Send>;

/// Durable storage of records.
///
/// Revisions start at 1 and only grow, also over restarts and deletions. Each write has its own; those of one commit are consecutive
/// and end at the new `last_revision`.
pub trait Store: Send {
    /// Calls `each(shelf, key, record)` for everything stored, ordered by shelf, namespace, name. Answers the last revision given out.
    fn load(&mut self, each: &mut dyn FnMut(&str, ObjectKey, Record)) -> Result<u64, StoreError>;

    /// Writes everything in one transaction, in order, and returns once it is durable: a revision per write. After an error
    /// nobody knows whether the transaction happened, unless the error says so (see [`StoreError::nothing_written`]):
    /// call `reopen` and look.
    fn commit(&mut self, writes: &[StoreWrite]) -> Result<Vec<u64>, StoreError>;

    /// Replaces what is stored under each key in one transaction, revisions included: the number line does not move, and nobody is
    /// told. Only for what means the same as before.
    fn rewrite(&mut self, records: &[(Arc<str>, ObjectKey, Record)]) -> Result<(), StoreError>;

    /// Closes and opens again, after an error.
    fn reopen(&mut self) -> Result<(), StoreError>;

    /// What is stored at a key.
    fn read(&mut self, shelf: &str, key: &ObjectKey) -> Result<Option<Record>, StoreError>;

    /// The last revision that is durable.
    fn last_revision(&mut self) -> Result<u64, StoreError>;

    /// Prepares a consistent copy of the present state into the new file `to`; the job returned makes it.
    fn backup(&mut self, to: &Path) -> Result<Backup, StoreError>;
}

/// What can go wrong with a store, in words for the user who must do something about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("another impresario uses this data directory ({}); stop it first, or start this one with another directory", .0.display())]
    InUse(PathBuf),
    #[error("{} is not an Impresario store ({why}); move it away, or start with another data directory", .path.display())]
    NotOurs { path: PathBuf, why: String },
    #[error("{} was written by a newer Impresario (store format {found}; this one knows {known}); start that version, or restore a backup made before the upgrade", .path.display())]
    Newer { path: PathBuf, found: u32, known: u32 },
    #[error("the disk of {} is full ({free} bytes left); writes are refused until there is room", .path.display())]
    Full { path: PathBuf, free: u64 },
    #[error("the store is damaged: {0}; restore it from a backup")]
    Corrupt(String),
    #[error("{doing}: {source}")]
    Io { doing: String, source: io::Error },
    #[error("the store's engine failed: {0}")]
    Engine(String),
    #[error("{} exists already; choose a new file for the backup", .0.display())]
    Exists(PathBuf),
    #[error("{0}")]
    Unsupported(&'static str),
}

impl StoreError {
    /// The store was not touched and is fit for use: no need to reopen it.
    pub fn nothing_written(&self) -> bool {
        matches!(self, StoreError::Full { .. } | StoreError::Unsupported(_) | StoreError::Exists(_))
    }

    pub(crate) fn io(doing: impl Into<String>, source: io::Error) -> Self {
        StoreError::Io { doing: doing.into(), source }
    }
}

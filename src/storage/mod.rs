//! What is kept: objects in the store, snapshots in memory, the cluster's keys on disk.
//!
//! A write goes [`Committer`] → [`Store`] → [`Shelf`] (published) → [`Hub`] (watchers). A read touches nothing but the shelf.
pub mod entry;
pub mod pki;

mod batch;
pub mod change;
pub mod committer;
pub mod decisions;
mod failpoint;
pub mod history;
pub mod hub;
mod isolate;
mod load;
pub mod memory_store;
pub mod record;
mod redb_file;
pub mod redb_store;
mod retained;
pub mod sealed_store;
mod settle;
pub mod shelf;
pub mod shelves;
pub mod snapshot;
pub mod store;
pub mod subscription;
mod writer;

#[cfg(test)]
mod tests;

pub use change::{Amendment, Change, Commit, CommitError, Draft, Expect, Guard, Op};
pub use committer::{Committer, Stats};
pub use decisions::DecisionLog;
pub use entry::Entry;
pub use hub::{Event, EventKind, Expired, Filter, Hub, Scope, Start};
pub use memory_store::MemoryStore;
pub use record::Record;
pub use redb_store::RedbStore;
pub use sealed_store::SealedStore;
pub use shelf::Shelf;
pub use shelves::Shelves;
pub use snapshot::Snapshot;
pub use store::{Store, StoreError, StoreWrite};
pub use subscription::{Delivery, Next, Subscription};

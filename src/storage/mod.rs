//! What is kept: objects in the store, snapshots in memory, the cluster's keys on disk.
pub mod entry;
pub mod pki;

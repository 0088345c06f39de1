//! Counters of one end of the mesh.
use std::sync::atomic::{AtomicU64, Ordering};

/// Plain atomics: whoever serves metrics reads them when asked.
#[derive(Debug, Default)]
pub struct MeshMetrics {
    /// Connections open now.
    pub connections: AtomicU64,
    /// Connections accepted or made since the start.
    pub connections_total: AtomicU64,
    /// Connections or machines turned away: unknown, name taken, bad token, no common version.
    pub refused_total: AtomicU64,
    /// Calls that peers made to this end.
    pub calls_in_total: AtomicU64,
    /// Calls that this end made.
    pub calls_out_total: AtomicU64,
    /// Of those, the ones that failed or were refused.
    pub calls_failed_total: AtomicU64,
    /// First messages of a stream that could not be read.
    pub malformed_total: AtomicU64,
    /// Bytes of messages, without what QUIC adds.
    pub bytes_in_total: AtomicU64,
    pub bytes_out_total: AtomicU64,
}

impl MeshMetrics {
    pub(super) fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(super) fn one(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn less(counter: &AtomicU64) {
        counter.fetch_sub(1, Ordering::Relaxed);
    }
}

//! Every actor's path and counters, for the dashboard and `/metrics`.
use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// One actor's counters. They outlive its restarts.
#[derive(Debug, Default)]
pub struct Stats {
    pub(super) depth: AtomicU64,
    pub(super) handled: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) restarts: AtomicU64,
    pub(super) last_handled_ms: AtomicU64,
    /// Rung when a letter leaves the mailbox, for those who wait for room.
    pub(super) room: tokio::sync::Notify,
    last_error: Mutex<String>,
    last_decision: Mutex<String>,
}

impl Stats {
    /// What the actor decided last, and why: shown live in the dashboard.
    pub fn decided(&self, what: impl Into<String>) {
        *self.last_decision.lock().unwrap_or_else(PoisonError::into_inner) = what.into();
    }

    pub(super) fn failed(&self, error: &str) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error.to_string();
    }

    /// Messages waiting.
    pub fn depth(&self) -> u64 {
        self.depth.load(Relaxed)
    }

    /// How often the role was rebuilt after a panic.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Relaxed)
    }
}

/// An actor as the dashboard shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActorReport {
    pub path: String,
    pub depth: u64,
    pub handled: u64,
    /// Messages that were refused because the mailbox was full, or lost with a panic.
    pub dropped: u64,
    pub restarts: u64,
    /// Milliseconds since the epoch; 0 before the first message.
    pub last_handled_ms: u64,
    pub last_error: String,
    pub last_decision: String,
}

/// The list of all actors of this process. Clones share the list.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    actors: Arc<Mutex<Vec<(Arc<str>, Arc<Stats>)>>>,
}

impl Registry {
    pub(super) fn enter(&self, path: Arc<str>, stats: Arc<Stats>) {
        self.actors.lock().unwrap_or_else(PoisonError::into_inner).push((path, stats));
    }

    pub(super) fn leave(&self, stats: &Arc<Stats>) {
        self.actors.lock().unwrap_or_else(PoisonError::into_inner).retain(|(_, s)| !Arc::ptr_eq(s, stats));
    }

    /// Every actor with its counters, sorted by path.
    pub fn report(&self) -> Vec<ActorReport> {
        let actors = self.actors.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rows: Vec<ActorReport> = actors.iter().map(|(path, stats)| report_of(path, stats)).collect();
        rows.sort_by(|a, b| a.path.cmp(&b.path));
        rows
    }
}

fn report_of(path: &str, stats: &Stats) -> ActorReport {
    let text = |m: &Mutex<String>| m.lock().unwrap_or_else(PoisonError::into_inner).clone();
    ActorReport {
        path: path.to_string(),
        depth: stats.depth.load(Relaxed),
        handled: stats.handled.load(Relaxed),
        dropped: stats.dropped.load(Relaxed),
        restarts: stats.restarts.load(Relaxed),
        last_handled_ms: stats.last_handled_ms.load(Relaxed),
        last_error: text(&stats.last_error),
        last_decision: text(&stats.last_decision),
    }
}

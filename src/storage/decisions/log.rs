//! The handle to the causal log, and the thread that writes it.
use super::file::LogFile;
use super::{Decision, Subject};
use crate::storage::store::StoreError;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Decisions kept. At some hundred bytes each this is a file of some ten megabytes.
const MOST: u64 = 100_000;
/// Decisions that may wait to be written; what comes on top is counted and lost.
const WAITING: usize = 16_384;
/// How long decisions are gathered before they are written together.
const GATHER: Duration = Duration::from_millis(200);
/// Decisions of one transaction.
const BATCH: usize = 4_096;

/// Which decisions to read.
#[derive(Clone, Debug)]
pub struct Query {
    /// Those that an object had part in.
    pub involves: Option<Subject>,
    /// Those about an object in this namespace.
    pub namespace: Option<Arc<str>>,
    /// Up to this number.
    pub before: u64,
    /// The newest so many.
    pub limit: usize,
}

/// Where decisions go, and where they are read from. Cheap to clone; the default one keeps nothing.
#[derive(Clone, Default)]
pub struct DecisionLog {
    inner: Option<Arc<Inner>>,
}

struct Inner {
    /// `None` only while the last handle goes.
    to: Option<SyncSender<Decision>>,
    writing: Option<JoinHandle<()>>,
    file: Arc<LogFile>,
    newest: watch::Sender<u64>,
    lost: AtomicU64,
}

impl Drop for Inner {
    /// What was recorded is on disk, and the file is free, when the last handle is gone.
    fn drop(&mut self) {
        self.to = None;
        if self.writing.take().is_some_and(|writing| writing.join().is_err()) {
            tracing::error!("the thread of the causal log has panicked");
        }
    }
}

impl DecisionLog {
    /// Opens the log at `path`. It is written by a thread that ends with the last handle.
    pub fn open(path: &Path) -> Result<DecisionLog, StoreError> {
        DecisionLog::bounded(path, MOST)
    }

    pub(super) fn bounded(path: &Path, most: u64) -> Result<DecisionLog, StoreError> {
        let (file, newest) = LogFile::open(path, most)?;
        let (to, decisions) = sync_channel(WAITING);
        let file = Arc::new(file);
        let (newest, _) = watch::channel(newest);
        let (writing, told) = (file.clone(), newest.clone());
        let thread = std::thread::Builder::new().name("decisions".into());
        let writing = thread.spawn(move || write(&decisions, &writing, &told));
        let writing = writing.map_err(|e| StoreError::io("starting the thread of the causal log", e))?;
        let inner = Inner { to: Some(to), writing: Some(writing), file, newest, lost: AtomicU64::new(0) };
        Ok(DecisionLog { inner: Some(Arc::new(inner)) })
    }

    /// Leaves a decision to be written soon. Never waits: when too many wait already it is lost, and counted.
    pub fn record(&self, decision: Decision) {
        let Some(inner) = &self.inner else { return };
        if inner.to.as_ref().is_none_or(|to| to.try_send(decision).is_err()) {
            inner.lost.fetch_add(1, Relaxed);
        }
    }

    /// Decisions that were lost because too many came at once.
    pub fn lost(&self) -> u64 {
        self.inner.as_ref().map_or(0, |inner| inner.lost.load(Relaxed))
    }

    /// Whether anything is kept at all.
    pub fn is_kept(&self) -> bool {
        self.inner.is_some()
    }

    /// The number of the newest decision on disk; changes as they are written.
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.inner.as_ref().map_or_else(|| watch::channel(0).1, |inner| inner.newest.subscribe())
    }

    /// Decisions with their numbers, oldest first. Reads the disk.
    pub fn read(&self, query: &Query) -> Result<Vec<(u64, Decision)>, StoreError> {
        self.inner.as_ref().map_or_else(|| Ok(Vec::new()), |inner| inner.file.read(query))
    }

    /// One decision, unless it made room for newer ones.
    pub fn get(&self, number: u64) -> Result<Option<Decision>, StoreError> {
        self.inner.as_ref().map_or_else(|| Ok(None), |inner| inner.file.get(number))
    }
}

fn write(decisions: &Receiver<Decision>, file: &LogFile, newest: &watch::Sender<u64>) {
    // Waits without end when there is nothing to write, so that an idle server does not wake for it.
    while let Ok(first) = decisions.recv() {
        let (mut batch, until) = (vec![first], Instant::now() + GATHER);
        while batch.len() < BATCH {
            match decisions.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(decision) => batch.push(decision),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        let next = *newest.borrow() + 1;
        match file.append(next, &batch) {
            Ok(()) => drop(newest.send_replace(next - 1 + batch.len() as u64)),
            Err(error) => tracing::warn!(%error, decisions = batch.len(), "decisions were not written to the causal log"),
        }
    }
}

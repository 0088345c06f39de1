//! The one writer. A thread takes every commit that is waiting, judges them in order, writes one transaction and syncs once; then it
//! publishes every touched shelf, advances `committed`, answers, and fans the events out, in this order. Nothing is visible before it
//! is durable.
pub use super::change::{Change, Commit, CommitError, Draft, Expect, Guard, Op, Reply};
use super::failpoint::Failpoint;
use super::load::load;
use super::shelves::Shelves;
use super::store::{Backup, Store, StoreError};
use super::writer::Writer;
use crate::protocol::light::Light;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Commits that may wait; one more is given back to who submits it.
const QUEUE_CAPACITY: usize = 4096;
/// Commits per transaction.
const BATCH_COMMITS: usize = 512;
/// Bytes of bodies per transaction; one commit alone may be larger.
const BATCH_BYTES: usize = 8 << 20;

/// The way to the writer thread. Cheap to clone; the thread ends when `stop` is called or the last handle is dropped.
#[derive(Clone)]
pub struct Committer {
    handle: Arc<Handle>,
}

struct Handle {
    queue: Arc<Queue>,
    tokens: AtomicU64,
}

/// Counters since the start, and the queue's depth now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub waiting: usize,
    /// Durable transactions, one sync each.
    pub transactions: u64,
    pub writes: u64,
    /// Transactions that the store failed or refused.
    pub failures: u64,
}

/// Receives a prepared backup.
pub type BackupReply = Box<dyn FnOnce(Result<Backup, StoreError>) + Send>;

pub(super) enum Work {
    Commits(Vec<Commit>),
    Backup(PathBuf, BackupReply),
    /// Nothing arrived in the time given.
    Idle,
}

/// What waits for the thread.
pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    /// The most commits of one transaction.
    batch: usize,
    pub transactions: AtomicU64,
    pub writes: AtomicU64,
    pub failures: AtomicU64,
}

#[derive(Default)]
struct State {
    commits: VecDeque<Commit>,
    backup: Option<(PathBuf, BackupReply)>,
    closed: bool,
}

impl Committer {
    /// Loads the store and starts the thread. `indexer` makes the light index of an object from its shelf and its JSON; it is called for
    /// every object, so it should return at once for shelves that have no index.
    pub fn start(
        mut store: Box<dyn Store>,
        indexer: impl Fn(&str, &[u8]) -> Light + Send + 'static,
    ) -> Result<(Committer, Arc<Shelves>, JoinHandle<()>), StoreError> {
        let (revision, snapshots) = load(&mut *store, &indexer)?;
        let shelves = Arc::new(Shelves::new(revision, snapshots));
        let queue = Arc::new(Queue::default());
        let mut writer = Writer::new(store, shelves.clone(), queue.clone(), revision);
        let closing = CloseOnExit(queue.clone());
        let thread = thread::Builder::new()
            .name("committer".into())
            .spawn(move || {
                let closing = closing;
                writer.run();
                drop(closing);
            })
            .map_err(|e| StoreError::io("starting the committer thread", e))?;
        // Loaded states have their revisions as tokens.
        let handle = Arc::new(Handle { queue, tokens: AtomicU64::new(revision + 1) });
        Ok((Committer { handle }, shelves, thread))
    }

    /// A token that no other state has.
    pub fn next_token(&self) -> u64 {
        self.handle.tokens.fetch_add(1, Ordering::Relaxed)
    }

    /// Queues a commit; its reply follows. When too many wait, or the committer has stopped (see `is_closed`), the commit comes back
    /// and its reply is not called.
    pub fn submit(&self, commit: Commit) -> Result<(), Commit> {
        let mut state = self.handle.queue.lock();
        if state.closed || state.commits.len() >= QUEUE_CAPACITY {
            return Err(commit);
        }
        state.commits.push_back(commit);
        drop(state);
        self.handle.queue.arrived.notify_one();
        Ok(())
    }

    /// Prepares a backup of the state between two transactions. The job that `reply` gets does the copying: run it on a
    /// thread that may block. One at a time: false when another is being prepared, or the committer has stopped.
    pub fn backup(&self, to: PathBuf, reply: BackupReply) -> bool {
        let mut state = self.handle.queue.lock();
        if state.closed || state.backup.is_some() {
            return false;
        }
        state.backup = Some((to, reply));
        drop(state);
        self.handle.queue.arrived.notify_one();
        true
    }

    /// Takes no more commits; those queued are still carried out, then the thread ends and releases the store.
    pub fn stop(&self) {
        self.handle.queue.close();
    }

    /// The committer takes no more commits.
    pub fn is_closed(&self) -> bool {
        self.handle.queue.lock().closed
    }

    pub fn stats(&self) -> Stats {
        let queue = &self.handle.queue;
        Stats {
            waiting: queue.lock().commits.len(),
            transactions: queue.transactions.load(Ordering::Relaxed),
            writes: queue.writes.load(Ordering::Relaxed),
            failures: queue.failures.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Default for Queue {
    fn default() -> Self {
        let (state, batch) = (Mutex::default(), Failpoint::from_environment().batch(BATCH_COMMITS));
        let (transactions, writes, failures) = Default::default();
        Queue { state, arrived: Condvar::new(), batch, transactions, writes, failures }
    }
}

impl Queue {
    /// Waits for work and takes it; `None` once closed and empty.
    pub fn take(&self, patience: Option<Duration>) -> Option<Work> {
        let mut state = self.lock();
        loop {
            if let Some((to, reply)) = state.backup.take() {
                return Some(Work::Backup(to, reply));
            }
            if !state.commits.is_empty() {
                return Some(Work::Commits(state.take_batch(self.batch)));
            }
            if state.closed {
                return None;
            }
            state = match patience {
                None => self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(patience) => {
                    let (state, waited) = self.arrived.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner);
                    if waited.timed_out() && state.commits.is_empty() && state.backup.is_none() {
                        return Some(Work::Idle);
                    }
                    state
                }
            };
        }
    }

    fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_batch(&mut self, most: usize) -> Vec<Commit> {
        let mut bytes = 0;
        let fits = |commit: &&Commit| {
            let first = bytes == 0;
            bytes += weight(commit);
            first || bytes <= BATCH_BYTES
        };
        let count = self.commits.iter().take(most).take_while(fits).count();
        self.commits.drain(..count).collect()
    }
}

fn weight(commit: &Commit) -> usize {
    let body = |change: &Change| match &change.op {
        Op::Put(draft) | Op::Delete(draft) => draft.body.len(),
        Op::Check(_) | Op::Amend(_) => 0,
    };
    commit.changes.iter().map(body).sum()
}

/// However the thread ends, nobody waits for it any longer.
struct CloseOnExit(Arc<Queue>);

impl Drop for CloseOnExit {
    fn drop(&mut self) {
        self.0.close();
        let mut state = self.0.lock();
        let (left, backup) = (std::mem::take(&mut state.commits), state.backup.take());
        drop(state);
        drop(backup);
        for commit in left {
            (commit.reply)(Err(CommitError::Closed));
        }
    }
}

//! What the committer thread does, batch by batch.
use super::batch::{Batch, Landed, Outcome, Staged, land, store_writes};
use super::change::{Commit, CommitError};
use super::committer::{Queue, Work};
use super::failpoint::Failpoint;
use super::hub::EventKind;
use super::isolate::isolated;
use super::settle::{Fate, settle};
use super::shelves::Shelves;
use super::store::{Store, StoreError, StoreWrite};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long an unsettled commit waits for the next look at the store when nobody writes.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    store: Box<dyn Store>,
    shelves: Arc<Shelves>,
    queue: Arc<Queue>,
    /// The last durable revision that this process knows of.
    last: u64,
    health: Health,
    failpoint: Failpoint,
}

enum Health {
    Fit,
    /// A commit failed and the store can't be read: these writes may be in it.
    Unsettled(Vec<Staged>),
    /// Beyond repair within this process.
    Broken(String),
}

impl Writer {
    pub fn new(store: Box<dyn Store>, shelves: Arc<Shelves>, queue: Arc<Queue>, last: u64) -> Self {
        Writer { store, shelves, queue, last, health: Health::Fit, failpoint: Failpoint::from_environment() }
    }

    /// Works until the queue is closed and empty.
    pub fn run(&mut self) {
        loop {
            let patience = matches!(self.health, Health::Unsettled(_)).then_some(LOOK_AGAIN);
            match self.queue.take(patience) {
                None => return,
                Some(Work::Commits(commits)) => self.commit(commits),
                Some(Work::Backup(to, reply)) => {
                    let job = self.recover().map_err(StoreError::Engine).and_then(|()| self.store.backup(&to));
                    isolated("a backup's reply", || reply(job));
                }
                Some(Work::Idle) => {
                    if let Err(why) = self.recover() {
                        tracing::debug!("the store is still not readable: {why}");
                    }
                }
            }
        }
    }

    fn commit(&mut self, commits: Vec<Commit>) {
        // Recovering may publish, so it comes before anything is judged.
        if let Err(why) = self.recover() {
            for commit in commits {
                let reply = commit.reply;
                isolated("a reply", || reply(Err(CommitError::Refused(why.clone()))));
            }
            return;
        }
        let mut batch = Batch::default();
        for commit in commits {
            batch.add(commit);
        }
        let Batch { writes, answers, .. } = batch;
        let give = |outcome: Outcome<'_>| answers.into_iter().for_each(|answer| answer.give(&outcome));
        if writes.is_empty() {
            return give(Outcome::Landed(&land(Vec::new(), &[])));
        }
        match self.write(&store_writes(&writes)) {
            Ok(Fate::Landed(revisions)) => {
                let landed = self.publish(writes, &revisions);
                give(Outcome::Landed(&landed));
                self.fan_out(&landed);
            }
            Ok(Fate::Lost) => give(Outcome::Refused("the store did not take the write")),
            Ok(Fate::Foreign) => give(Outcome::Unknown(&self.give_up())),
            Err(Failure::Refused(why)) => give(Outcome::Refused(&why)),
            Err(Failure::Unreadable(why)) => {
                self.health = Health::Unsettled(writes);
                give(Outcome::Unknown(&why));
            }
        }
    }

    /// One durable transaction; after a failure, what became of it.
    fn write(&mut self, writes: &[StoreWrite]) -> Result<Fate, Failure> {
        self.failpoint.pass();
        let committed = isolated("the store", || self.store.commit(writes));
        let error = match committed.unwrap_or_else(|| Err(StoreError::Engine("it panicked; see the log".into()))) {
            Ok(revisions) if self.follows(&revisions, writes.len()) => return Ok(Fate::Landed(revisions)),
            Ok(_) => return Ok(Fate::Foreign),
            Err(error) => error,
        };
        self.queue.failures.fetch_add(1, Ordering::Relaxed);
        if error.nothing_written() {
            tracing::warn!("writes are refused: {error}");
            return Err(Failure::Refused(error.to_string()));
        }
        tracing::error!("a commit failed, reopening the store: {error}");
        match self.settle(writes) {
            Ok(Fate::Lost) => Err(Failure::Refused(error.to_string())),
            Ok(fate) => Ok(fate),
            Err(again) => {
                tracing::error!("the store can't be reopened: {again}");
                Err(Failure::Unreadable(format!("{error}; reopening the store: {again}")))
            }
        }
    }

    fn settle(&mut self, writes: &[StoreWrite]) -> Result<Fate, StoreError> {
        isolated("the store", || settle(&mut *self.store, writes, self.last))
            .unwrap_or_else(|| Err(StoreError::Engine("it panicked; see the log".into())))
    }

    /// Makes the store fit again if it isn't; the error is what writes are refused with meanwhile.
    fn recover(&mut self) -> Result<(), String> {
        let writes = match std::mem::replace(&mut self.health, Health::Fit) {
            Health::Fit => return Ok(()),
            Health::Broken(why) => {
                self.health = Health::Broken(why.clone());
                return Err(why);
            }
            Health::Unsettled(writes) => writes,
        };
        match self.settle(&store_writes(&writes)) {
            Ok(Fate::Landed(revisions)) => {
                tracing::info!("the store is back; the commit in doubt had happened");
                let landed = self.publish(writes, &revisions);
                self.fan_out(&landed);
                Ok(())
            }
            Ok(Fate::Lost) => {
                tracing::info!("the store is back; the commit in doubt had not happened");
                Ok(())
            }
            Ok(Fate::Foreign) => Err(self.give_up()),
            Err(error) => {
                self.health = Health::Unsettled(writes);
                Err(error.to_string())
            }
        }
    }

    fn give_up(&mut self) -> String {
        let why = "the store holds changes that this process did not make; restart it".to_string();
        tracing::error!("{why}");
        self.health = Health::Broken(why.clone());
        why
    }

    fn follows(&self, revisions: &[u64], count: usize) -> bool {
        revisions.len() == count && revisions.first().is_some_and(|first| *first > self.last) && revisions.is_sorted_by(|a, b| a < b)
    }

    /// Makes durable writes visible.
    fn publish(&mut self, writes: Vec<Staged>, revisions: &[u64]) -> Landed {
        self.queue.transactions.fetch_add(1, Ordering::Relaxed);
        self.queue.writes.fetch_add(revisions.len() as u64, Ordering::Relaxed);
        let landed = land(writes, revisions);
        for (shelf, events) in &landed.touched {
            let mut next = (*shelf.snapshot()).clone();
            for event in events {
                match event.kind {
                    EventKind::Deleted => next.remove(&event.entry.key, event.revision),
                    EventKind::Added | EventKind::Modified => next.put(event.entry.clone()),
                }
            }
            shelf.publish(next);
        }
        self.last = revisions.last().copied().unwrap_or(self.last);
        self.shelves.clock().committed.store(self.last, Ordering::Release);
        landed
    }

    fn fan_out(&self, landed: &Landed) {
        for (shelf, events) in &landed.touched {
            shelf.hub().fan_out(events);
        }
        self.shelves.clock().fanned_out.store(self.last, Ordering::Release);
    }
}

/// Why a transaction has no known good outcome.
enum Failure {
    /// Nothing was written.
    Refused(String),
    /// The store can't be asked.
    Unreadable(String),
}

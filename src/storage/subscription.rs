//! A watcher's end of a hub: a bounded queue of shared events.
use super::hub::{Event, EventKind, Membership};
use super::shelves::Clock;
use super::snapshot::Snapshot;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Deliveries per batch.
const BATCH: usize = 512;

/// An event as one watcher must see it.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// May differ from the event's own kind: an object entering a selector is added, one that leaves it is deleted.
    pub kind: EventKind,
    pub event: Arc<Event>,
}

impl Delivery {
    /// The line of the watch response.
    pub fn line(&self) -> Bytes {
        self.event.line_as(self.kind)
    }
}

/// What a subscription has to say.
#[derive(Debug)]
pub enum Next {
    /// At least one delivery, in order of revision.
    Batch(Vec<Delivery>),
    /// The watcher was too slow and has been cut off; there will be nothing more. HTTP says 410.
    Lagged,
}

/// A watch in progress. Dropping it ends it.
pub struct Subscription {
    /// The state to start from, for `Start::Now`: unfiltered.
    pub initial: Option<Arc<Snapshot>>,
    /// Everything up to this revision is known to the watcher already.
    pub from: u64,
    /// The last revision handed over; `from` at first.
    taken: u64,
    backlog: VecDeque<Delivery>,
    slot: Arc<Mailslot>,
    clock: Arc<Clock>,
    _membership: Membership,
}

/// The queue between hub and watcher.
pub(super) struct Mailslot {
    waiting: Mutex<Waiting>,
    notify: Notify,
    capacity: usize,
}

#[derive(Default)]
struct Waiting {
    deliveries: VecDeque<Delivery>,
    lagged: bool,
}

/// What became of a delivery.
pub(super) struct Pushed {
    /// False: the watcher is cut off, forget it.
    pub kept: bool,
    /// The watcher may be asleep.
    pub wake: bool,
}

impl Mailslot {
    pub fn new(capacity: usize) -> Self {
        Mailslot { waiting: Mutex::default(), notify: Notify::new(), capacity }
    }

    pub fn push(&self, delivery: Delivery) -> Pushed {
        let mut waiting = self.lock();
        if waiting.deliveries.len() >= self.capacity {
            drop(waiting);
            return self.cut_off();
        }
        // Whoever finds something waiting takes it without sleeping, so only the first one wakes.
        let wake = waiting.deliveries.is_empty();
        waiting.deliveries.push_back(delivery);
        Pushed { kept: true, wake }
    }

    /// Ends the subscription from the hub's side; what waits is forgotten.
    pub fn cut_off(&self) -> Pushed {
        *self.lock() = Waiting { deliveries: VecDeque::new(), lagged: true };
        Pushed { kept: false, wake: true }
    }

    pub fn wake(&self) {
        self.notify.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    pub(super) fn new(
        from: u64,
        initial: Option<Arc<Snapshot>>,
        backlog: VecDeque<Delivery>,
        slot: Arc<Mailslot>,
        clock: Arc<Clock>,
        membership: Membership,
    ) -> Self {
        Subscription { initial, from, taken: from, backlog, slot, clock, _membership: membership }
    }

    /// Waits for something to happen. Safe to cancel: nothing is lost.
    pub async fn next(&mut self) -> Next {
        loop {
            if let Some(next) = self.try_next() {
                return next;
            }
            self.slot.notify.notified().await;
        }
    }

    /// What is there now, if anything.
    pub fn try_next(&mut self) -> Option<Next> {
        let mut waiting = self.slot.lock();
        if waiting.lagged {
            self.backlog.clear();
            return Some(Next::Lagged);
        }
        let queue = if self.backlog.is_empty() { &mut waiting.deliveries } else { &mut self.backlog };
        if queue.is_empty() {
            return None;
        }
        let count = queue.len().min(BATCH);
        let batch: Vec<Delivery> = queue.drain(..count).collect();
        self.taken = batch.last().map_or(self.taken, |last| last.event.revision);
        Some(Next::Batch(batch))
    }

    /// If everything that happened so far has been taken: a revision that is safe to resume from, for a bookmark. Whatever was taken
    /// must have been sent before the bookmark is.
    pub fn bookmark(&self) -> Option<u64> {
        // The position first, the queue second: events up to that position were queued before, so an empty queue says they were taken.
        let position = self.clock.fanned_out.load(Ordering::Acquire);
        let waiting = self.slot.lock();
        let idle = self.backlog.is_empty() && waiting.deliveries.is_empty() && !waiting.lagged;
        // A batch can be taken while its fan-out still goes on; a bookmark never falls behind what was handed over.
        idle.then_some(position.max(self.taken))
    }
}

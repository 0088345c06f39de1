//! A watcher's end of a hub: a bounded queue of shared events.
use super::entry::Entry;
use super::hub::{Event, EventKind, Membership};
use super::shelves::Clock;
use super::snapshot::Snapshot;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Deliveries per batch.
const BATCH: usize = 512;
/// Bytes of objects that may wait for one watcher; a single one may be larger.
const MAX_WAITING: usize = 16 << 20;

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

    /// The object as this watcher must see it.
    pub fn state(&self) -> Arc<Entry> {
        self.event.state_as(self.kind)
    }

    /// The event in a form that the caller names and writes: once for all watchers who ask for that form.
    pub fn written(&self, form: &Arc<str>, write: impl FnOnce() -> Bytes) -> Bytes {
        self.event.written_as(form, self.kind, write)
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
    /// Bytes of the objects in them.
    bytes: usize,
    lagged: bool,
    /// The watcher does not want to be woken before there is much.
    gathering: bool,
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
        let (count, bytes) = (waiting.deliveries.len(), waiting.bytes + delivery.event.weight());
        if count >= self.capacity || (count > 0 && bytes > MAX_WAITING) {
            drop(waiting);
            return self.cut_off();
        }
        // Whoever finds something waiting takes it without sleeping, so only the first one wakes; whoever gathers is woken when
        // half of the room is taken.
        let much = (count + 1) * 2 >= self.capacity || bytes * 2 >= MAX_WAITING;
        let wake = if waiting.gathering { much } else { count == 0 };
        waiting.gathering &= !wake;
        waiting.bytes = bytes;
        waiting.deliveries.push_back(delivery);
        Pushed { kept: true, wake }
    }

    /// Ends the subscription from the hub's side; what waits is forgotten.
    pub fn cut_off(&self) -> Pushed {
        *self.lock() = Waiting { lagged: true, ..Waiting::default() };
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

    /// Lets events gather until that moment, or until half of the queue is taken; then [`Subscription::next`] gives many at once,
    /// which cost little more than one. Safe to cancel.
    pub async fn gather(&mut self, until: Instant) {
        if !self.backlog.is_empty() {
            return;
        }
        {
            let mut waiting = self.slot.lock();
            if waiting.lagged || waiting.deliveries.len() * 2 >= self.slot.capacity || waiting.bytes * 2 >= MAX_WAITING {
                return;
            }
            waiting.gathering = true;
        }
        let pressed = async {
            while self.slot.lock().gathering {
                self.slot.notify.notified().await;
            }
        };
        // Late is what it waits for.
        let _ = timeout_at(until, pressed).await;
        self.slot.lock().gathering = false;
    }

    /// What is there now, if anything.
    pub fn try_next(&mut self) -> Option<Next> {
        let mut waiting = self.slot.lock();
        // A gathering that was cancelled must not keep this end asleep.
        waiting.gathering = false;
        if waiting.lagged {
            self.backlog.clear();
            return Some(Next::Lagged);
        }
        let live = self.backlog.is_empty();
        let queue = if live { &mut waiting.deliveries } else { &mut self.backlog };
        if queue.is_empty() {
            return None;
        }
        let count = queue.len().min(BATCH);
        let batch: Vec<Delivery> = queue.drain(..count).collect();
        if live {
            let taken: usize = batch.iter().map(|delivery| delivery.event.weight()).sum();
            waiting.bytes = waiting.bytes.saturating_sub(taken);
        }
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

//! The generic controller actor: feeds a [`Controller`] with changes, runs its plans one per key at a time, and has them
//! carried out.
//!
//! Reading one's own writes: after a run the key rests until the index has taken in the revisions that its writes were
//! answered with, so a plan never counts without what it has just made.
use super::decision::{cause, decision, turning};
use super::executor::{Outcome, execute};
use super::feed::{Change, KindInfo, News, Source, Writer};
use super::index::{Index, Parts};
use super::plan::{Failure, Plan};
use super::pump::{Tidings, pump, ring};
use super::work_queue::WorkQueue;
use super::world::{View, World};
use crate::actors::base::{Mailbox, Role, Scope};
use crate::protocol::meta::ObjectKey;
use crate::storage::decisions::Cause;
use crate::storage::entry::Entry;
use jiff::Timestamp;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How many keys of one controller are carried out at once.
const CONCURRENT: usize = 16;
/// The mailbox needs room for the feeds, the runs under way and a tick; this is ample.
pub const CAPACITY: usize = 1024;

/// What a controller works on: one object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The shelf.
    pub kind: Arc<str>,
    pub object: ObjectKey,
}

impl Key {
    pub fn of(kind: &str, object: &ObjectKey) -> Key {
        Key { kind: kind.into(), object: object.clone() }
    }
}

/// A controller: which changes concern which keys, and what to do about a key.
pub trait Controller: Send + Unpin + 'static {
    fn name(&self) -> &'static str;

    /// The look-ups it needs.
    fn parts(&self) -> Parts;

    /// Whether it follows a shelf.
    fn watches(&self, kind: &str) -> bool;

    /// Which kinds are served, at the start and whenever that changes.
    fn kinds_changed(&mut self, _kinds: Vec<KindInfo>) {}

    /// The keys that a change concerns. `before` is the state filed in the index, if the index files such objects.
    fn keys(&self, change: &Change, before: Option<&Entry>, world: &dyn World, out: &mut Vec<Key>);

    /// Decides. Deterministic in its arguments and what earlier calls observed; `failure` tells how the last run ended.
    fn plan(&mut self, key: &Key, world: &dyn World, now: Timestamp, failure: Option<&Failure>) -> Plan;
}

impl From<Tidings> for Message {
    fn from(tidings: Tidings) -> Self {
        Message::Heard(tidings)
    }
}

/// What the runner is told.
pub enum Message {
    /// From a feed or the clock.
    Heard(Tidings),
    /// A plan was carried out.
    Done { life: u64, key: Key, requeue_after: Option<Duration>, outcome: Outcome },
    /// Kinds were added or removed (a custom resource definition).
    KindsChanged,
    /// Look at this key now (a heartbeat came back, an administrator asked).
    Look(Key),
}

/// See the module.
pub struct Runner<C: Controller> {
    controller: C,
    source: Arc<dyn Source>,
    writer: Arc<dyn Writer>,
    clock: fn() -> Timestamp,
    index: Index,
    queue: WorkQueue<Key>,
    failures: HashMap<Key, Failure>,
    /// What made the keys that wait worth a look: the first change of each.
    causes: HashMap<Key, Cause>,
    /// Keys whose writes the index has not taken in yet.
    settling: HashMap<Key, Outcome>,
    settled_requeue: HashMap<Key, Option<Duration>>,
    seen: HashMap<Arc<str>, u64>,
    feeds: HashSet<Arc<str>>,
    running: usize,
    /// Tells this role's tasks from those of one that panicked.
    life: u64,
    alarm: Option<watch::Sender<Option<Instant>>>,
}

static LIVES: AtomicU64 = AtomicU64::new(1);

impl<C: Controller> Runner<C> {
    pub fn new(controller: C, source: Arc<dyn Source>, writer: Arc<dyn Writer>) -> Self {
        let index = Index::new(controller.parts());
        Runner {
            controller,
            source,
            writer,
            clock: crate::protocol::time::now,
            index,
            queue: WorkQueue::default(),
            failures: HashMap::new(),
            causes: HashMap::new(),
            settling: HashMap::new(),
            settled_requeue: HashMap::new(),
            seen: HashMap::new(),
            feeds: HashSet::new(),
            running: 0,
            life: LIVES.fetch_add(1, Relaxed),
            alarm: None,
        }
    }

    /// Subscribes to shelves that are not followed yet, then reads what they hold.
    fn follow(&mut self, mailbox: &Mailbox<Message>) {
        let kinds = self.source.kinds();
        self.controller.kinds_changed(kinds.clone());
        let wanted: Vec<Arc<str>> = kinds.into_iter().map(|k| k.shelf).filter(|k| self.controller.watches(k)).collect();
        for kind in wanted {
            if self.feeds.contains(&kind) {
                continue;
            }
            let Some(feed) = self.source.subscribe(&kind) else { continue };
            self.feeds.insert(kind.clone());
            actix_rt::spawn(pump(feed, kind.clone(), self.life, mailbox.clone()));
            self.read(&kind);
        }
    }

    /// Takes in a whole shelf, as if every object had just been written.
    fn read(&mut self, kind: &Arc<str>) {
        let revision = self.source.revision();
        let changes = self.source.list(kind, None).into_iter();
        let changes = changes.map(|entry| Change { kind: kind.clone(), revision: entry.revision, entry, deleted: false }).collect();
        self.take_in(changes);
        // Whatever is decided now is decided because of a start, not of old changes.
        self.causes.clear();
        self.saw(kind, revision);
    }

    fn take_in(&mut self, changes: Vec<Change>) {
        let mut keys = Vec::new();
        for change in &changes {
            let before = self.index.apply(change);
            let world = View { objects: &*self.source, index: &self.index };
            self.controller.keys(change, before.as_deref(), &world, &mut keys);
            for key in keys.drain(..) {
                self.causes.entry(key.clone()).or_insert_with(|| cause(change));
                self.queue.add(key);
            }
        }
        if let Some(last) = changes.last() {
            self.saw(&last.kind, last.revision);
        }
    }

    fn saw(&mut self, kind: &Arc<str>, revision: u64) {
        let seen = self.seen.entry(kind.clone()).or_default();
        *seen = revision.max(*seen);
        let settled: Vec<Key> = self.settling.iter().filter(|(_, o)| self.has_seen(o)).map(|(k, _)| k.clone()).collect();
        for key in settled {
            if let Some(outcome) = self.settling.remove(&key) {
                let requeue = self.settled_requeue.remove(&key).flatten();
                self.finish(&key, requeue, outcome.failure);
            }
        }
    }

    fn has_seen(&self, outcome: &Outcome) -> bool {
        let behind =
            |(kind, revision): &(Arc<str>, u64)| self.feeds.contains(kind) && self.seen.get(kind).copied().unwrap_or_default() < *revision;
        !outcome.written.iter().any(behind)
    }

    /// After lost changes: a new index from scratch, and every key is looked at.
    fn read_anew(&mut self) {
        self.index = Index::new(self.controller.parts());
        let kinds: Vec<Arc<str>> = self.feeds.iter().cloned().collect();
        for kind in kinds {
            self.read(&kind);
        }
    }

    fn finish(&mut self, key: &Key, requeue_after: Option<Duration>, failure: Option<Failure>) {
        self.running = self.running.saturating_sub(1);
        match failure {
            Some(failure) => {
                self.failures.insert(key.clone(), failure);
                self.queue.failed(key, Instant::now());
            }
            None => {
                self.failures.remove(key);
                self.queue.done(key);
                if let Some(delay) = requeue_after {
                    self.queue.add_after(key.clone(), Instant::now() + delay);
                }
            }
        }
    }

    /// Plans what is ready, as far as there is room.
    fn work(&mut self, scope: &mut Scope<'_, Self>) {
        self.queue.tick(Instant::now());
        while self.running < CONCURRENT {
            let Some(key) = self.queue.take() else { break };
            self.running += 1;
            let cause = self.causes.remove(&key);
            let world = View { objects: &*self.source, index: &self.index };
            let now = (self.clock)();
            let plan = self.controller.plan(&key, &world, now, self.failures.get(&key));
            if plan.actions.is_empty() {
                self.finish(&key, plan.requeue_after, None);
                continue;
            }
            if !plan.why.is_empty() {
                tracing::debug!(controller = self.controller.name(), decision = %plan.why);
                scope.decided(plan.why.clone());
            }
            let turning = turning(&plan.actions, &world);
            let (writer, life) = (self.writer.clone(), self.life);
            let (by, at) = (self.controller.name(), now);
            scope.run(async move {
                let mut outcome = execute(&plan.actions, &*writer).await;
                if let Some(decision) = decision(by, at, &key, plan.why, cause, turning, &mut outcome) {
                    writer.decided(decision);
                }
                Message::Done { life, key, requeue_after: plan.requeue_after, outcome }
            });
        }
        if let Some(alarm) = &self.alarm {
            let next = self.queue.next_deadline();
            alarm.send_if_modified(|at| std::mem::replace(at, next) != next);
        }
    }
}

impl<C: Controller> Role for Runner<C> {
    type Message = Message;

    fn started(&mut self, scope: &mut Scope<'_, Self>) {
        let (alarm, deadlines) = watch::channel(None);
        self.alarm = Some(alarm);
        actix_rt::spawn(ring(deadlines, self.life, scope.mailbox().clone()));
        self.follow(scope.mailbox());
        self.work(scope);
    }

    fn handle(&mut self, message: Message, scope: &mut Scope<'_, Self>) {
        match message {
            Message::Heard(Tidings::Fed { life, news, taken, .. }) if life == self.life => {
                match news {
                    News::Changes(changes) => self.take_in(changes),
                    News::Lagged => self.read_anew(),
                }
                let _ = taken.send(());
            }
            Message::Heard(Tidings::Ended { life, kind }) if life == self.life => {
                self.feeds.remove(&kind);
                self.saw(&kind, u64::MAX);
                self.seen.remove(&kind);
                self.controller.kinds_changed(self.source.kinds());
            }
            Message::Done { life, key, requeue_after, outcome } if life == self.life => {
                if self.has_seen(&outcome) {
                    self.finish(&key, requeue_after, outcome.failure);
                } else {
                    self.settled_requeue.insert(key.clone(), requeue_after);
                    self.settling.insert(key, outcome);
                }
            }
            Message::KindsChanged => self.follow(scope.mailbox()),
            Message::Look(key) => self.queue.add(key),
            // A tick only wakes; the rest belongs to a life that is over.
            Message::Heard(_) | Message::Done { .. } => {}
        }
        self.work(scope);
    }
}

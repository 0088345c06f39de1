//! Watch: one hub per shelf takes the events of each commit to the watchers that may care.
//!
//! Exactness. Subscribing and fanning out exclude each other by the hub's lock. A subscription has a starting revision; whatever is at or
//! before it is skipped, whatever comes after arrives once: from the history if it was fanned out before the subscription, through the
//! queue if later. A commit that is published but not yet fanned out is the second case.
use super::entry::Entry;
use super::history::History;
use super::isolate::isolated;
use super::shelves::Clock;
use super::snapshot::{ENTRY_OVERHEAD, Snapshot};
use super::subscription::{Delivery, Mailslot, Subscription};
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use arc_swap::ArcSwap;
use bytes::{BufMut, Bytes, BytesMut};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    Added,
    Modified,
    Deleted,
}

/// One change of one object, shared by all who watch it.
#[derive(Debug)]
pub struct Event {
    pub kind: EventKind,
    pub revision: u64,
    /// The new state; for `Deleted` the final one, with the deletion's revision.
    pub entry: Arc<Entry>,
    /// The state before, unless `Added`.
    pub previous: Option<Arc<Entry>>,
    line: OnceLock<Bytes>,
    entering: OnceLock<Bytes>,
    leaving: OnceLock<Bytes>,
    written: Mutex<Vec<Written>>,
    audience: AtomicU32,
}

/// An event in another form than the stored JSON.
#[derive(Debug)]
struct Written {
    form: Arc<str>,
    kind: EventKind,
    bytes: Bytes,
}

/// Forms that an event keeps; watchers of further ones write their own.
const FORMS: usize = 4;

/// Which objects a watcher sees. It runs on the committer thread, once per event and watcher: cheap, without waiting.
pub type Filter = Arc<dyn Fn(&Entry) -> bool + Send + Sync>;

/// Where a subscription starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the first event after this revision.
    After(u64),
    /// Behind the present state, which comes with the subscription.
    Now,
}

/// The events after the revision asked for are no longer all known. HTTP says 410.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too old resource version: {asked} ({oldest})")]
pub struct Expired {
    pub asked: u64,
    /// The oldest revision that can be resumed from.
    pub oldest: u64,
}

/// What a subscription is limited to. Watchers are found by it, so that an event costs nothing to watchers elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scope {
    pub namespace: Option<Arc<str>>,
    pub name: Option<Arc<str>>,
    /// Pods of this node only: every node watches its own, and there may be thousands. A filter must say the same.
    pub node: Option<Arc<str>>,
}

struct Subscriber {
    after: u64,
    filter: Option<Filter>,
    slot: Arc<Mailslot>,
}

struct Watchers {
    history: History,
    /// By scope, then by subscription.
    by_scope: HashMap<Scope, BTreeMap<u64, Subscriber>>,
    next_id: u64,
}

/// A shelf's watchers and its recent events.
pub struct Hub {
    watchers: Arc<Mutex<Watchers>>,
    published: Arc<ArcSwap<Snapshot>>,
    clock: Arc<Clock>,
}

/// Ends a subscription when dropped.
pub(super) struct Membership {
    watchers: Arc<Mutex<Watchers>>,
    scope: Scope,
    id: u64,
}

impl Hub {
    pub(super) fn new(published: Arc<ArcSwap<Snapshot>>, clock: Arc<Clock>, floor: u64) -> Self {
        let watchers = Watchers { history: History::new(floor), by_scope: HashMap::new(), next_id: 0 };
        Hub { watchers: Arc::new(Mutex::new(watchers)), published, clock }
    }

    /// Watches the objects of a namespace (or all), of a name (or all), that pass a filter (or all). `capacity` bounds the events waiting
    /// to be taken (1,024 is right for clients); one more and the subscription is cut off. Events from the history don't count.
    pub fn subscribe(
        &self,
        start: Start,
        namespace: Option<Arc<str>>,
        name: Option<Arc<str>>,
        filter: Option<Filter>,
        capacity: usize,
    ) -> Result<Subscription, Expired> {
        self.subscribe_within(start, Scope { namespace, name, node: None }, filter, capacity)
    }

    /// [`Hub::subscribe`] for any scope.
    pub fn subscribe_within(
        &self,
        start: Start,
        mut scope: Scope,
        filter: Option<Filter>,
        capacity: usize,
    ) -> Result<Subscription, Expired> {
        // A name is the narrowest limit; the filter does the rest.
        scope.node = scope.node.filter(|_| scope.name.is_none());
        let slot = Arc::new(Mailslot::new(capacity));
        let mut watchers = lock(&self.watchers);
        let (from, initial, past) = match start {
            Start::After(revision) => {
                let oldest = watchers.history.floor();
                if revision < oldest {
                    return Err(Expired { asked: revision, oldest });
                }
                (revision, None, watchers.history.after(revision))
            }
            Start::Now => {
                let committed = self.clock.committed.load(Ordering::Acquire);
                let snapshot = self.published.load_full();
                (committed.max(snapshot.revision), Some(snapshot), Vec::new())
            }
        };
        let id = watchers.next_id;
        watchers.next_id += 1;
        let subscriber = Subscriber { after: from, filter: filter.clone(), slot: slot.clone() };
        watchers.by_scope.entry(scope.clone()).or_default().insert(id, subscriber);
        drop(watchers);

        let backlog = past
            .into_iter()
            .filter(|event| scope.covers(&event.entry.key))
            .filter_map(|event| Some(Delivery { kind: seen_as(&event, filter.as_ref())?, event }))
            .collect();
        let membership = Membership { watchers: self.watchers.clone(), scope, id };
        Ok(Subscription::new(from, initial, backlog, slot, self.clock.clone(), membership))
    }

    /// Ends every watch: the kind is no longer served.
    pub fn end_all(&self) {
        let ended = std::mem::take(&mut lock(&self.watchers).by_scope);
        for subscriber in ended.into_values().flat_map(BTreeMap::into_values) {
            subscriber.slot.cut_off();
            subscriber.slot.wake();
        }
    }

    /// Watchers at present.
    pub fn len(&self) -> usize {
        lock(&self.watchers).by_scope.values().map(BTreeMap::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Hands out the events of one commit, in order.
    pub(super) fn fan_out(&self, events: &[Arc<Event>]) {
        let mut watchers = lock(&self.watchers);
        let mut woken = Vec::new();
        for event in events {
            if !watchers.by_scope.is_empty() {
                watchers.deliver(event, &mut woken);
            }
            watchers.history.push(event.clone());
        }
        drop(watchers);
        for slot in woken {
            slot.wake();
        }
    }
}

impl Watchers {
    fn deliver(&mut self, event: &Arc<Event>, woken: &mut Vec<Arc<Mailslot>>) {
        let mut audience = 0;
        for scope in Scope::of(&event.entry.key).into_iter().chain(Scope::of_nodes(event)) {
            let Some(subscribers) = self.by_scope.get_mut(&scope) else { continue };
            subscribers.retain(|_, subscriber| {
                if event.revision <= subscriber.after {
                    return true;
                }
                let pushed = match isolated("a watch filter", || seen_as(event, subscriber.filter.as_ref())) {
                    Some(None) => return true,
                    Some(Some(kind)) => subscriber.slot.push(Delivery { kind, event: event.clone() }),
                    None => subscriber.slot.cut_off(),
                };
                if pushed.wake {
                    woken.push(subscriber.slot.clone());
                }
                audience += u32::from(pushed.kept);
                pushed.kept
            });
            if subscribers.is_empty() {
                self.by_scope.remove(&scope);
            }
        }
        // Before anybody is woken.
        event.audience.store(audience, Ordering::Relaxed);
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut watchers = lock(&self.watchers);
        let removed = watchers.by_scope.get_mut(&self.scope).and_then(|subscribers| subscribers.remove(&self.id));
        if watchers.by_scope.get(&self.scope).is_some_and(BTreeMap::is_empty) {
            watchers.by_scope.remove(&self.scope);
        }
        drop(watchers);
        // A filter is foreign code; it is dropped outside the lock.
        drop(removed);
    }
}

impl Scope {
    /// The four scopes that an object is in.
    fn of(key: &ObjectKey) -> [Scope; 4] {
        let (namespace, name) = (Some(key.namespace.clone()), Some(key.name.clone()));
        [
            Scope { namespace: None, name: None, node: None },
            Scope { namespace: namespace.clone(), name: None, node: None },
            Scope { namespace: None, name: name.clone(), node: None },
            Scope { namespace, name, node: None },
        ]
    }

    /// The scopes of the nodes that a pod is on, or has just left.
    fn of_nodes(event: &Event) -> impl Iterator<Item = Scope> {
        let now = node_of(&event.entry);
        let before = event.previous.as_deref().and_then(node_of).filter(|before| Some(*before) != now);
        let namespace = &event.entry.key.namespace;
        now.into_iter()
            .chain(before)
            .flat_map(|node| [None, Some(namespace.clone())].map(|namespace| Scope { namespace, name: None, node: Some(node.clone()) }))
    }

    fn covers(&self, key: &ObjectKey) -> bool {
        self.namespace.as_ref().is_none_or(|n| *n == key.namespace) && self.name.as_ref().is_none_or(|n| *n == key.name)
    }
}

/// The node that a pod is bound to.
fn node_of(entry: &Entry) -> Option<&Arc<str>> {
    match &entry.light {
        Light::Pod(pod) if !pod.node.is_empty() => Some(&pod.node),
        _ => None,
    }
}

/// How a watcher with this filter sees an event: an object that starts to match is added, one that stops is deleted.
fn seen_as(event: &Event, filter: Option<&Filter>) -> Option<EventKind> {
    let Some(filter) = filter else { return Some(event.kind) };
    let before = event.previous.as_ref().is_some_and(|entry| filter(entry));
    let after = event.kind != EventKind::Deleted && filter(&event.entry);
    match (before, after) {
        (false, false) => None,
        (false, true) => Some(EventKind::Added),
        (true, true) => Some(EventKind::Modified),
        (true, false) => Some(EventKind::Deleted),
    }
}

impl Event {
    pub(super) fn new(kind: EventKind, entry: Arc<Entry>, previous: Option<Arc<Entry>>) -> Self {
        let revision = entry.revision;
        Event {
            kind,
            revision,
            entry,
            previous,
            line: OnceLock::new(),
            entering: OnceLock::new(),
            leaving: OnceLock::new(),
            written: Mutex::default(),
            audience: AtomicU32::new(0),
        }
    }

    /// To how many watchers it went, when it was handed out.
    pub fn audience(&self) -> u32 {
        self.audience.load(Ordering::Relaxed)
    }

    /// What it takes of a queue's room, bytes.
    pub(super) fn weight(&self) -> usize {
        self.entry.body.len() + ENTRY_OVERHEAD
    }

    /// The event in another form, named by the caller: written by the first who asks, shared by all others.
    pub(super) fn written_as(&self, form: &Arc<str>, kind: EventKind, write: impl FnOnce() -> Bytes) -> Bytes {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = written.iter().find(|w| w.form == *form && w.kind == kind) {
            return known.bytes.clone();
        }
        let bytes = write();
        if written.len() < FORMS {
            written.push(Written { form: form.clone(), kind, bytes: bytes.clone() });
        }
        bytes
    }

    /// The object as a watcher that sees the event as `kind` gets it: one whose selector the object leaves gets the state before,
    /// with the new revision, as upstream sends it.
    pub(super) fn state_as(&self, kind: EventKind) -> Arc<Entry> {
        match (kind, &self.previous) {
            (EventKind::Deleted, Some(previous)) if self.kind != EventKind::Deleted => Arc::new(previous.at(self.revision)),
            _ => self.entry.clone(),
        }
    }

    /// The event as a watch response has it, newline included. Serialised once, whatever the number of watchers.
    pub fn line(&self) -> Bytes {
        self.line.get_or_init(|| write_line(self.kind, &self.entry, self.revision)).clone()
    }

    /// The line for a watcher that sees the event as `kind`. One whose selector the object leaves gets the previous state
    /// with the new revision, as upstream sends it.
    pub(super) fn line_as(&self, kind: EventKind) -> Bytes {
        match (kind, &self.previous) {
            (kind, _) if kind == self.kind => self.line(),
            (EventKind::Deleted, Some(previous)) => {
                self.leaving.get_or_init(|| write_line(EventKind::Deleted, previous, self.revision)).clone()
            }
            (kind, _) => self.entering.get_or_init(|| write_line(kind, &self.entry, self.revision)).clone(),
        }
    }
}

impl EventKind {
    /// `ADDED`, `MODIFIED`, `DELETED`.
    pub fn name(self) -> &'static str {
        match self {
            EventKind::Added => "ADDED",
            EventKind::Modified => "MODIFIED",
            EventKind::Deleted => "DELETED",
        }
    }
}

fn write_line(kind: EventKind, entry: &Entry, revision: u64) -> Bytes {
    let mut out = BytesMut::with_capacity(entry.served_len() + 40);
    out.put_slice(b"{\"type\":\"");
    out.put_slice(kind.name().as_bytes());
    out.put_slice(b"\",\"object\":");
    super::entry::write_spliced(&entry.body, entry.splice, revision, &mut out);
    out.put_slice(b"}\n");
    out.freeze()
}

fn lock(watchers: &Mutex<Watchers>) -> MutexGuard<'_, Watchers> {
    watchers.lock().unwrap_or_else(PoisonError::into_inner)
}

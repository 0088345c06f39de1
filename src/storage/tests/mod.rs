//! The storage room as a whole: stores, commits, watches.
mod commits;
mod figures;
mod reads;
mod stores;
mod watches;

use super::change::{Change, Commit, CommitError, Draft, Expect, Op};
use super::committer::Committer;
use super::entry::Entry;
use super::hub::{Filter, Start};
use super::memory_store::MemoryStore;
use super::shelf::Shelf;
use super::shelves::Shelves;
use super::store::{Backup, Record, Store, StoreError, StoreWrite};
use super::subscription::{Next, Subscription};
use crate::protocol::light::Light;
use crate::protocol::meta::{Meta, ObjectKey};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

type Outcome = Result<Vec<Arc<Entry>>, CommitError>;

/// A committer over a store, and a way to write through it.
struct Rig {
    committer: Committer,
    shelves: Arc<Shelves>,
    thread: Option<JoinHandle<()>>,
}

fn key(namespace: &str, name: &str) -> ObjectKey {
    ObjectKey::new(namespace, name)
}

/// A small object whose label `v` has the value given.
fn draft(key: &ObjectKey, value: &str) -> Draft {
    let head = "{\"data\":{},\"metadata\":{";
    let body =
        format!("{head}\"labels\":{{\"v\":\"{value}\"}},\"name\":\"{}\",\"namespace\":\"{}\",\"uid\":\"u\"}}}}", key.name, key.namespace);
    let meta = Meta { uid: "u".into(), labels: [("v".into(), value.into())].into(), ..Default::default() };
    Draft { body: body.into(), splice: head.len() as u32, meta, light: Light::None }
}

fn value(entry: &Entry) -> &str {
    entry.meta.label("v").unwrap_or("")
}

fn having(wanted: &'static str) -> Option<Filter> {
    Some(Arc::new(move |entry: &Entry| value(entry) == wanted))
}

impl Rig {
    fn new(store: impl Store + 'static) -> Rig {
        let (committer, shelves, thread) = Committer::start(Box::new(store), |_, _| Light::None).unwrap();
        Rig { committer, shelves, thread: Some(thread) }
    }

    fn memory() -> Rig {
        Rig::new(MemoryStore::new())
    }

    fn shelf(&self) -> Arc<Shelf> {
        self.shelves.shelf("pods")
    }

    fn change(&self, key: &ObjectKey, expect: Expect, op: Op) -> Change {
        Change { shelf: self.shelf(), key: key.clone(), expect, op, token: self.committer.next_token() }
    }

    fn put(&self, key: &ObjectKey, expect: Expect, value: &str) -> Change {
        self.change(key, expect, Op::Put(draft(key, value)))
    }

    fn delete(&self, key: &ObjectKey, expect: Expect) -> Change {
        self.change(key, expect, Op::Delete(draft(key, "gone")))
    }

    fn submit(&self, changes: Vec<Change>) -> Receiver<Outcome> {
        let (send, receive) = channel();
        self.committer.submit(Commit { changes, reply: Box::new(move |outcome| drop(send.send(outcome))) }).unwrap();
        receive
    }

    fn commit(&self, changes: Vec<Change>) -> Outcome {
        self.submit(changes).recv().unwrap()
    }

    fn write(&self, key: &ObjectKey, value: &str) -> Arc<Entry> {
        self.commit(vec![self.put(key, Expect::Any, value)]).unwrap().remove(0)
    }

    fn remove(&self, key: &ObjectKey) -> Arc<Entry> {
        self.commit(vec![self.delete(key, Expect::Any)]).unwrap().remove(0)
    }

    /// Waits until the events of everything committed are out.
    fn settled(&self) {
        while self.shelves.fanned_out() < self.shelves.committed() {
            std::thread::yield_now();
        }
    }

    fn watch(&self, start: Start, filter: Option<Filter>) -> Subscription {
        self.shelf().hub().subscribe(start, None, None, filter, 1024).unwrap()
    }

    fn published(&self, key: &ObjectKey) -> Option<String> {
        self.shelf().snapshot().get(key).map(|entry| value(entry).to_string())
    }

    fn stop(mut self) {
        self.committer.stop();
        self.thread.take().unwrap().join().unwrap();
    }
}

/// What a subscription has now: `ADDED a@1 …`.
fn taken(subscription: &mut Subscription) -> Vec<String> {
    let mut seen = Vec::new();
    while let Some(next) = subscription.try_next() {
        match next {
            Next::Batch(batch) => {
                seen.extend(batch.iter().map(|d| format!("{} {}@{}", d.kind.name(), d.event.entry.key.name, d.event.revision)))
            }
            Next::Lagged => {
                seen.push("LAGGED".into());
                break;
            }
        }
    }
    seen
}

/// How a commit of the faulty store goes wrong.
enum Fault {
    /// An error, and nothing was written.
    Lost,
    /// An error, and everything was written.
    Landed,
    /// As `Landed`, and another process wrote as well.
    Foreign,
    /// The disk is full.
    Full,
    Panic,
}

/// Where a test controls the faulty store from.
#[derive(Clone, Default)]
struct Faults {
    next: Arc<Mutex<VecDeque<Fault>>>,
    /// Reopening fails too.
    dead: Arc<AtomicBool>,
}

impl Faults {
    fn inject(&self, fault: Fault) {
        self.next.lock().unwrap().push_back(fault);
    }
}

/// A store that fails as told, and commits only when let through where it has a gate.
struct Faulty {
    inner: MemoryStore,
    faults: Faults,
    gate: Option<Receiver<()>>,
}

impl Faulty {
    fn new(faults: &Faults) -> Self {
        Faulty { inner: MemoryStore::new(), faults: faults.clone(), gate: None }
    }
}

fn io_error() -> StoreError {
    StoreError::io("the test's disk", std::io::Error::other("broken"))
}

impl Store for Faulty {
    fn load(&mut self, each: &mut dyn FnMut(&str, ObjectKey, Record)) -> Result<u64, StoreError> {
        self.inner.load(each)
    }

    fn commit(&mut self, writes: &[StoreWrite]) -> Result<Vec<u64>, StoreError> {
        if let Some(gate) = &self.gate {
            let _ = gate.recv();
        }
        let fault = self.faults.next.lock().unwrap().pop_front();
        match fault {
            None => self.inner.commit(writes),
            Some(Fault::Lost) => Err(io_error()),
            Some(Fault::Landed) => self.inner.commit(writes).and(Err(io_error())),
            Some(Fault::Foreign) => self.inner.commit(&[writes, writes].concat()).and(Err(io_error())),
            Some(Fault::Full) => Err(StoreError::Full { path: "/data".into(), free: 7 }),
            Some(Fault::Panic) => panic!("the engine's own bug"),
        }
    }

    fn rewrite(&mut self, records: &[(Arc<str>, ObjectKey, Record)]) -> Result<(), StoreError> {
        self.inner.rewrite(records)
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        if self.faults.dead.load(Ordering::SeqCst) { Err(io_error()) } else { Ok(()) }
    }

    fn read(&mut self, shelf: &str, key: &ObjectKey) -> Result<Option<Record>, StoreError> {
        self.inner.read(shelf, key)
    }

    fn last_revision(&mut self) -> Result<u64, StoreError> {
        self.inner.last_revision()
    }

    fn backup(&mut self, to: &Path) -> Result<Backup, StoreError> {
        self.inner.backup(to)
    }
}

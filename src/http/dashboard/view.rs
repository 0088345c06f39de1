//! What one browser was told so far, and what it must be told next. Pure but for reading snapshots: messages come out as
//! values, and somebody else sends them.
//!
//! Messages to the page, by `type`:
//! - `state`: everything, once: `server`, `tables` (name, columns, rows), and all of `vital`.
//! - `change`: rows of one table to `put` and keys to `drop`.
//! - `decisions`: new lines of the causal log, oldest first; the first message has the newest of them, too.
//! - `vital`: what changed of `summary` (counts, committed revision), `peers` (nodes connected to this server) and
//!   `actors` (`put`, `drop`, `total`).
use super::rows::{MOST_EVENTS, MOST_ROWS, columns, row, row_key};
use crate::actors::base::ActorReport;
use crate::actors::kinds::{Kind, Kinds};
use crate::protocol::light::{Light, Phase};
use crate::protocol::meta::ObjectKey;
use crate::storage::{Delivery, Entry, EventKind, Snapshot};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Actors that a browser is told about; those beyond are counted.
const MOST_ACTORS: usize = 2_000;

/// One browser's knowledge.
#[derive(Default)]
pub(super) struct View {
    /// Keys of the rows that it has, by table. Events are not kept track of: the page forgets the oldest by itself.
    shown: HashMap<String, HashSet<ObjectKey>>,
    actors: BTreeMap<String, Value>,
    actors_total: usize,
    summary: Value,
    peers: Value,
}

impl View {
    /// A table as the first message has it.
    pub fn table(&mut self, kind: &Kind, snapshot: &Snapshot, now: i64) -> Value {
        let name = kind.shelf();
        let rows: Vec<Value> = if is_feed(kind) {
            newest(snapshot).iter().map(|entry| row(kind, entry, now)).collect()
        } else {
            let shown = self.shown.entry(name.clone()).or_default();
            snapshot
                .iter()
                .take(MOST_ROWS)
                .map(|entry| {
                    shown.insert(entry.key.clone());
                    row(kind, entry, now)
                })
                .collect()
        };
        json!({ "name": name, "columns": columns(kind), "rows": rows })
    }

    /// A batch of events as one message: the last state of each object. `None` when nothing of it is shown.
    pub fn change(&mut self, kind: &Kind, deliveries: &[Delivery], now: i64) -> Option<Value> {
        let name = kind.shelf();
        let mut last: HashMap<&ObjectKey, &Delivery> = HashMap::new();
        for delivery in deliveries {
            last.insert(&delivery.event.entry.key, delivery);
        }
        let shown = self.shown.entry(name.clone()).or_default();
        let (mut put, mut drop) = (Vec::new(), Vec::new());
        for (key, delivery) in last {
            if delivery.kind == EventKind::Deleted {
                if shown.remove(key) || is_feed(kind) {
                    drop.push(row_key(key));
                }
            } else if is_feed(kind) || shown.contains(key) || shown.len() < MOST_ROWS {
                if !is_feed(kind) {
                    shown.insert(key.clone());
                }
                put.push(row(kind, &delivery.event.entry, now));
            }
        }
        (!put.is_empty() || !drop.is_empty()).then(|| json!({ "type": "change", "table": name, "put": put, "drop": drop }))
    }

    /// What is new in the counts, the connected nodes and the actors; `None` when nothing is.
    pub fn vital(&mut self, summary: Value, peers: Value, actors: Option<Vec<ActorReport>>) -> Option<Value> {
        let mut message = Map::new();
        if summary != self.summary {
            message.insert("summary".into(), summary.clone());
            self.summary = summary;
        }
        if peers != self.peers {
            message.insert("peers".into(), peers.clone());
            self.peers = peers;
        }
        if let Some(change) = actors.and_then(|reports| self.actors(reports)) {
            message.insert("actors".into(), change);
        }
        if message.is_empty() {
            return None;
        }
        message.insert("type".into(), "vital".into());
        Some(message.into())
    }

    fn actors(&mut self, reports: Vec<ActorReport>) -> Option<Value> {
        let total = reports.len();
        let rows = reports.into_iter().take(MOST_ACTORS).filter_map(|r| {
            let path = r.path.clone();
            serde_json::to_value(r).ok().map(|value| (path, value))
        });
        let now: BTreeMap<String, Value> = rows.collect();
        let put: Vec<&Value> = now.iter().filter(|(path, value)| self.actors.get(*path) != Some(value)).map(|(_, v)| v).collect();
        let drop: Vec<&String> = self.actors.keys().filter(|path| !now.contains_key(*path)).collect();
        if put.is_empty() && drop.is_empty() && total == self.actors_total {
            return None;
        }
        let change = json!({ "put": put, "drop": drop, "total": total });
        (self.actors, self.actors_total) = (now, total);
        Some(change)
    }
}

/// Events are a feed: the newest matter, and nobody counts them.
fn is_feed(kind: &Kind) -> bool {
    kind.resource.kind == "Event"
}

fn newest(snapshot: &Snapshot) -> Vec<Arc<Entry>> {
    let mut entries: Vec<Arc<Entry>> = snapshot.iter().cloned().collect();
    entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.revision));
    entries.truncate(MOST_EVENTS);
    entries
}

/// The numbers on top of the page, over all objects, shown or not.
pub(super) fn summary(kinds: &Kinds) -> Value {
    let snapshot = |group: &str, plural: &str| kinds.find(group, plural).map(|served| served.shelf.snapshot()).unwrap_or_default();
    let (nodes, pods) = (snapshot("", "nodes"), snapshot("", "pods"));
    let ready = nodes.iter().filter(|e| matches!(&e.light, Light::Node(node) if node.ready)).count();
    let mut phases = [0u64; 5];
    for entry in pods.iter() {
        let Light::Pod(pod) = &entry.light else { continue };
        let place = match pod.phase {
            Phase::Running => 0,
            Phase::Pending => 1,
            Phase::Succeeded => 2,
            Phase::Failed => 3,
            Phase::Unknown => 4,
        };
        phases[place] += 1;
    }
    let [running, pending, succeeded, failed, unknown] = phases;
    json!({
        "revision": kinds.shelves.committed(),
        "nodes": { "total": nodes.len(), "ready": ready },
        "pods": {
            "total": pods.len(),
            "phases": { "Running": running, "Pending": pending, "Succeeded": succeeded, "Failed": failed, "Unknown": unknown },
        },
        "namespaces": snapshot("", "namespaces").len(),
        "services": snapshot("", "services").len(),
        "workloads": snapshot("", "replicationcontrollers").len() + snapshot("apps", "replicasets").len(),
        "events": snapshot("", "events").len(),
    })
}

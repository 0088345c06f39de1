//! The controllers' hands and eyes: reads from the shelves, follows their hubs, writes through the kind actors.
use super::event_correlation::{Correlator, Line};
use super::feed::{Change, Feed, KindInfo, News, Objects, Source, Writer};
use super::plan::{Creation, Deletion, EventNote, Patch, Propagation};
use super::steady;
use crate::actors::kinds::{self, Kinds, Part, Served};
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use crate::protocol::time;
use crate::storage::decisions::{Decision, DecisionLog};
use crate::storage::{Entry, EventKind, Next, Start, Subscription};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

/// Changes that may wait for one controller; beyond that it reads everything anew.
const QUEUE: usize = 64 * 1024;

/// The kinds, as controllers use them.
pub struct Cluster {
    kinds: Arc<Kinds>,
    decisions: DecisionLog,
    events: Mutex<Correlator>,
}

impl Cluster {
    pub fn new(kinds: Arc<Kinds>) -> Self {
        Cluster { kinds, decisions: DecisionLog::default(), events: Mutex::default() }
    }

    /// With a causal log to write to.
    pub fn recording(self, decisions: DecisionLog) -> Self {
        Cluster { decisions, ..self }
    }

    fn served(&self, shelf: &str) -> Result<Arc<Served>, ApiError> {
        self.kinds.by_shelf(shelf).ok_or_else(|| ApiError::internal(format!("{shelf} is not served")))
    }
}

impl Objects for Cluster {
    fn get(&self, kind: &str, key: &ObjectKey) -> Option<Arc<Entry>> {
        self.kinds.by_shelf(kind)?.shelf.snapshot().get(key).cloned()
    }

    fn list(&self, kind: &str, namespace: Option<&str>) -> Vec<Arc<Entry>> {
        let Some(served) = self.kinds.by_shelf(kind) else { return Vec::new() };
        let snapshot = served.shelf.snapshot();
        match namespace {
            Some(namespace) => snapshot.iter_namespace(namespace).cloned().collect(),
            None => snapshot.iter().cloned().collect(),
        }
    }

    fn kinds(&self) -> Vec<KindInfo> {
        let info = |served: &Arc<Served>| {
            let resource = &served.kind.resource;
            KindInfo {
                shelf: served.kind.shelf().into(),
                group: resource.group.into(),
                version: resource.version.into(),
                kind: resource.kind.into(),
                resource: resource.plural.into(),
                namespaced: resource.namespaced,
            }
        };
        // A shelf is looked after once, however many versions show it.
        self.kinds.stored().iter().map(info).collect()
    }

    fn revision(&self) -> u64 {
        self.kinds.shelves.committed()
    }
}

impl Source for Cluster {
    fn subscribe(&self, kind: &str) -> Option<Box<dyn Feed>> {
        let served = self.kinds.by_shelf(kind)?;
        let subscription = served.shelf.hub().subscribe(Start::Now, None, None, None, QUEUE).ok()?;
        Some(Box::new(ShelfFeed { kind: kind.into(), kinds: self.kinds.clone(), served, subscription }))
    }
}

struct ShelfFeed {
    kind: Arc<str>,
    kinds: Arc<Kinds>,
    served: Arc<Served>,
    subscription: Subscription,
}

#[async_trait]
impl Feed for ShelfFeed {
    async fn next(&mut self) -> Option<News> {
        match self.subscription.next().await {
            Next::Batch(deliveries) => {
                let change = |d: crate::storage::Delivery| Change {
                    kind: self.kind.clone(),
                    entry: d.event.entry.clone(),
                    deleted: d.kind == EventKind::Deleted,
                    revision: d.event.revision,
                };
                Some(News::Changes(deliveries.into_iter().map(change).collect()))
            }
            // Watches end when their kind does.
            Next::Lagged if self.kinds.by_shelf(&self.kind).is_none() => None,
            Next::Lagged => {
                self.subscription = self.served.shelf.hub().subscribe(Start::Now, None, None, None, QUEUE).ok()?;
                Some(News::Lagged)
            }
        }
    }
}

#[async_trait]
impl Writer for Cluster {
    async fn create(&self, creation: &Creation) -> Result<Arc<Entry>, ApiError> {
        let served = self.served(&creation.kind)?;
        let checked = served.decode_value(&creation.object)?;
        Ok(self.kinds.create(&served, &creation.namespace, typed(&served, checked.value), false).await?.entry)
    }

    async fn patch(&self, patch: &Patch) -> Result<Arc<Entry>, ApiError> {
        let served = self.served(&patch.kind)?;
        let part = match patch.subresource {
            None => Part::Main,
            Some("status") => Part::Status,
            Some("finalize") => Part::Finalize,
            Some("approval") => Part::Approval,
            Some("scale") => Part::Scale,
            Some(other) => return Err(ApiError::internal(format!("controllers do not write {other}"))),
        };
        let mut body = patch.patch.clone();
        if let Some(uid) = &patch.uid {
            body["metadata"]["uid"] = uid.to_string().into();
        }
        if let Some(revision) = patch.expect_revision {
            body["metadata"]["resourceVersion"] = revision.to_string().into();
        }
        Ok(self.kinds.patch(&served, patch.key.clone(), part, kinds::Patch::Merge(body), false, false).await?.entry)
    }

    async fn delete(&self, deletion: &Deletion) -> Result<Arc<Entry>, ApiError> {
        let served = self.served(&deletion.kind)?;
        let options = kinds::DeleteOptions {
            uid: (!deletion.uid.is_empty()).then(|| deletion.uid.to_string()),
            resource_version: None,
            grace_seconds: deletion.grace,
            propagation: Some(match deletion.propagation {
                Propagation::Background => kinds::Propagation::Background,
                Propagation::Foreground => kinds::Propagation::Foreground,
                Propagation::Orphan => kinds::Propagation::Orphan,
            }),
        };
        Ok(self.kinds.delete(&served, deletion.key.clone(), options, false).await?.entry)
    }

    async fn event(&self, note: &EventNote) -> Result<(), ApiError> {
        let served = self.served("events")?;
        let now = time::now();
        let line = self.events.lock().unwrap_or_else(PoisonError::into_inner).correlate(note, steady::now(), now);
        let Some(line) = line else { return Ok(()) };
        let now = time::rfc3339(now);
        // Twice: its first occurrence may be on its way to the store, or be gone from there.
        for _ in 0..2 {
            if line.count > 1 {
                let patch = json!({ "count": line.count, "lastTimestamp": now, "message": line.message });
                match self.kinds.patch(&served, line.key.clone(), Part::Main, kinds::Patch::Merge(patch), false, false).await {
                    Err(error) if error.code == 404 => {}
                    done => return done.map(drop),
                }
            }
            match self.kinds.create(&served, &line.key.namespace, event_object(note, &line, &now), false).await {
                Err(error) if error.reason == "AlreadyExists" && line.count > 1 => {}
                done => return done.map(drop),
            }
        }
        Ok(())
    }

    async fn bind(&self, pod: &ObjectKey, uid: &str, node: &str) -> Result<Arc<Entry>, ApiError> {
        let served = self.served("pods")?;
        let body = json!({ "metadata": { "uid": uid }, "target": { "kind": "Node", "name": node } });
        Ok(self.kinds.update(&served, pod.clone(), Part::Binding, body, false).await?.entry)
    }

    fn decided(&self, decision: Decision) {
        self.decisions.record(decision);
    }
}

fn typed(served: &Served, mut value: Value) -> Value {
    value["kind"] = served.kind.resource.kind.into();
    value["apiVersion"] = served.kind.resource.api_version().into();
    value
}

fn event_object(note: &EventNote, line: &Line, now: &str) -> Value {
    let about = &note.regarding;
    json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": { "name": &*line.key.name, "namespace": &*line.key.namespace },
        "involvedObject": {
            "apiVersion": &*about.api_version, "kind": &*about.kind, "namespace": &*about.namespace, "name": &*about.name, "uid": &*about.uid,
        },
        "reason": note.reason, "message": line.message, "type": note.kind, "count": line.count,
        "firstTimestamp": now, "lastTimestamp": now,
        "source": { "component": note.component }, "reportingComponent": note.component, "reportingInstance": "",
    })
}

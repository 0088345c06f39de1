//! The scheduler actor: takes in pods and nodes, decides, binds.
//!
//! A binding counts in the scheduler's own index from the moment of the decision, so the next decision sees it; it is
//! forgotten when the bind is refused.
use super::cluster::Cluster;
use super::decide::{Decision, Search, decide};
use super::pod::{Demand, PodInfo};
use super::queue::{Queue, Wake};
use crate::actors::base::{Role, Scope};
use crate::actors::controllers::feed::{Change, News, Source, Writer};
use crate::actors::controllers::plan::{EventNote, ObjectRef, Patch};
use crate::actors::controllers::pump::{Tidings, pump, ring};
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use crate::protocol::time::rfc3339;
use crate::storage::decisions::{self, Deed, Subject, Verb};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;
use tokio::sync::watch;

/// Binds under way at once.
const BINDING: usize = 256;
/// Decisions in a row before other messages get their turn.
const BATCH: usize = 64;
/// Room for both feeds, all binds under way and the refusals of a batch.
pub const CAPACITY: usize = 4096;

/// What the scheduler is told.
pub enum Message {
    /// News of pods or nodes, or the end of a pause.
    Heard(Tidings),
    /// A bind ended.
    Bound { life: u64, pod: Box<PodInfo>, result: Result<(), ApiError> },
    /// A refusal was recorded (or not).
    Told { life: u64 },
    /// More to decide.
    GoOn { life: u64 },
}

impl From<Tidings> for Message {
    fn from(tidings: Tidings) -> Self {
        Message::Heard(tidings)
    }
}

/// See the module.
pub struct Scheduler {
    name: Arc<str>,
    source: Arc<dyn Source>,
    writer: Arc<dyn Writer>,
    cluster: Cluster,
    queue: Queue,
    search: Search,
    busy: usize,
    /// Binds under way: uid, node, and what they take.
    binding: HashMap<ObjectKey, (Arc<str>, Arc<str>, Demand)>,
    going_on: bool,
    life: u64,
    alarm: Option<watch::Sender<Option<Instant>>>,
}

static LIVES: AtomicU64 = AtomicU64::new(1);

impl Scheduler {
    /// `name`: the `schedulerName` of the pods it looks after, usually `default-scheduler`.
    pub fn new(name: &str, source: Arc<dyn Source>, writer: Arc<dyn Writer>) -> Self {
        Scheduler {
            name: name.into(),
            source,
            writer,
            cluster: Cluster::default(),
            queue: Queue::default(),
            search: Search::default(),
            busy: 0,
            binding: HashMap::new(),
            going_on: false,
            life: LIVES.fetch_add(1, Relaxed),
            alarm: None,
        }
    }

    /// Everything anew, from the snapshots. Binds under way keep their room.
    fn read(&mut self) {
        self.cluster = Cluster::default();
        self.queue = Queue::default();
        for node in self.source.list("nodes", None) {
            self.cluster.node_set(&node);
        }
        for (key, (uid, node, demand)) in &self.binding {
            self.cluster.place(key, uid, node, demand.clone());
        }
        for entry in self.source.list("pods", None) {
            self.pod_changed(&Change { kind: "pods".into(), revision: entry.revision, entry, deleted: false });
        }
    }

    fn take_in(&mut self, changes: &[Change]) {
        let (mut nodes, mut room) = (false, false);
        for change in changes {
            match &*change.kind {
                "pods" => room |= self.pod_changed(change),
                "nodes" if change.deleted => self.cluster.node_gone(&change.entry.key.name),
                "nodes" => nodes |= self.cluster.node_set(&change.entry),
                _ => {}
            }
        }
        // Once per batch: waking looks at every pod that waits.
        if nodes || room {
            self.queue.wake(if nodes { Wake::Node } else { Wake::Room }, Instant::now());
        }
    }

    /// True when room became free on a node.
    fn pod_changed(&mut self, change: &Change) -> bool {
        let entry = &change.entry;
        let Light::Pod(light) = &entry.light else { return false };
        if change.deleted || light.phase.finished() {
            self.queue.remove(&entry.key);
            return self.cluster.forget(&entry.key, Some(&entry.meta.uid));
        } else if !light.node.is_empty() {
            self.queue.remove(&entry.key);
            if let Some(demand) = Demand::of(entry, self.cluster.extended()) {
                self.cluster.place(&entry.key, &entry.meta.uid, &light.node, demand);
            }
        } else if *light.scheduler == *self.name && entry.meta.deleting.is_none() {
            // What is being bound says so itself soon; its older states don't matter.
            if !self.cluster.holds(&entry.key, &entry.meta.uid)
                && let Some(pod) = PodInfo::parse(entry)
            {
                self.queue.put(pod);
            }
        } else {
            self.queue.remove(&entry.key);
        }
        false
    }

    fn work(&mut self, scope: &mut Scope<'_, Self>) {
        self.queue.tick(Instant::now());
        let mut decided = 0;
        while self.busy < BINDING && decided < BATCH {
            let Some(pod) = self.queue.take() else { break };
            decided += 1;
            match decide(&pod, &self.cluster, &mut self.search) {
                Decision::Node { slot, score, feasible } => {
                    let Some(node) = self.cluster.nodes().get(slot).map(|n| n.name.clone()) else { continue };
                    let why = format!("{node}: score {score}, best of {feasible}");
                    scope.decided(format!("{} → {why}", pod.key));
                    self.bind(pod, node, why, scope);
                }
                Decision::Unschedulable { message, waits_for_room } => {
                    scope.decided(format!("{}: {message}", pod.key));
                    self.refuse(pod, message, waits_for_room, scope);
                }
            }
        }
        if self.queue.has_work() && self.busy < BINDING && !self.going_on {
            self.going_on = true;
            let life = self.life;
            scope.run(async move { Message::GoOn { life } });
        }
        if let Some(alarm) = &self.alarm {
            let next = self.queue.next_deadline();
            alarm.send_if_modified(|at| std::mem::replace(at, next) != next);
        }
    }

    fn bind(&mut self, pod: PodInfo, node: Arc<str>, why: String, scope: &Scope<'_, Self>) {
        self.cluster.place(&pod.key, &pod.uid, &node, pod.demand.clone());
        self.binding.insert(pod.key.clone(), (pod.uid.clone(), node.clone(), pod.demand.clone()));
        self.busy += 1;
        let (writer, life, by) = (self.writer.clone(), self.life, self.name.clone());
        scope.run(async move {
            let result = writer.bind(&pod.key, &pod.uid, &node).await.map(drop);
            if result.is_ok() {
                writer.decided(placed(by, &pod, &node, why));
                let message = format!("Successfully assigned {} to {node}", pod.key);
                record(&*writer, &pod, "Normal", "Scheduled", message).await;
            }
            Message::Bound { life, pod: Box::new(pod), result }
        });
    }

    fn refuse(&mut self, pod: PodInfo, message: String, waits_for_room: bool, scope: &Scope<'_, Self>) {
        let news = pod.told != message;
        self.queue.refuse(&pod.key, &pod.uid, waits_for_room, &message, Instant::now());
        if !news {
            return;
        }
        self.busy += 1;
        let (writer, life, source) = (self.writer.clone(), self.life, self.source.clone());
        writer.decided(refused(self.name.clone(), &pod, message.clone()));
        scope.run(async move {
            record(&*writer, &pod, "Warning", "FailedScheduling", message.clone()).await;
            let current = source.get("pods", &pod.key).filter(|e| e.meta.uid == pod.uid);
            if let Some(patch) = current.map(|entry| condition(&pod, &entry.parse(), entry.revision, &message))
                && let Err(error) = writer.patch(&patch).await
            {
                tracing::debug!(pod = %pod.key, %error, "the PodScheduled condition was not written");
            }
            Message::Told { life }
        });
    }

    fn bound(&mut self, pod: &PodInfo, result: Result<(), ApiError>) {
        match result {
            Ok(()) => self.queue.remove(&pod.key),
            Err(error) => {
                tracing::info!(pod = %pod.key, %error, "a bind was refused");
                let committed = self.source.get("pods", &pod.key).filter(|e| e.meta.uid == pod.uid);
                let bound = committed.as_ref().is_some_and(|e| matches!(&e.light, Light::Pod(light) if !light.node.is_empty()));
                // Someone else may have bound it; then its event has placed it, or will.
                if !bound && self.cluster.forget(&pod.key, Some(&pod.uid)) {
                    self.queue.wake(Wake::Room, Instant::now());
                }
                if committed.is_some() && !bound {
                    self.queue.retry(&pod.key, &pod.uid, Instant::now());
                } else {
                    self.queue.remove(&pod.key);
                }
            }
        }
    }
}

impl Role for Scheduler {
    type Message = Message;

    fn started(&mut self, scope: &mut Scope<'_, Self>) {
        let (alarm, deadlines) = watch::channel(None);
        self.alarm = Some(alarm);
        actix_rt::spawn(ring(deadlines, self.life, scope.mailbox().clone()));
        for kind in ["nodes", "pods"] {
            if let Some(feed) = self.source.subscribe(kind) {
                actix_rt::spawn(pump(feed, kind.into(), self.life, scope.mailbox().clone()));
            }
        }
        self.read();
        self.work(scope);
    }

    fn handle(&mut self, message: Message, scope: &mut Scope<'_, Self>) {
        match message {
            Message::Heard(Tidings::Fed { life, news, taken, .. }) if life == self.life => {
                match news {
                    News::Changes(changes) => self.take_in(&changes),
                    News::Lagged => self.read(),
                }
                let _ = taken.send(());
            }
            Message::Bound { life, pod, result } if life == self.life => {
                self.busy = self.busy.saturating_sub(1);
                self.binding.remove(&pod.key);
                self.bound(&pod, result);
            }
            Message::Told { life } if life == self.life => self.busy = self.busy.saturating_sub(1),
            Message::GoOn { life } if life == self.life => self.going_on = false,
            // A tick only wakes; the rest belongs to a life that is over.
            Message::Heard(_) | Message::Bound { .. } | Message::Told { .. } | Message::GoOn { .. } => {}
        }
        self.work(scope);
    }
}

/// A line of the causal log: where a pod went. The pod itself was the cause.
fn placed(by: Arc<str>, pod: &PodInfo, node: &str, why: String) -> decisions::Decision {
    let about = Subject::new("pods", &pod.key);
    let node = Subject { shelf: "nodes".into(), namespace: "".into(), name: node.into() };
    let deeds = vec![Deed { verb: Verb::Bind, object: about.clone() }, Deed { verb: Verb::Bind, object: node }];
    decisions::Decision { at: crate::protocol::time::now().as_millisecond(), by, about, why, cause: None, deeds, failure: None }
}

/// Another: why it has to wait.
fn refused(by: Arc<str>, pod: &PodInfo, message: String) -> decisions::Decision {
    let (at, about) = (crate::protocol::time::now().as_millisecond(), Subject::new("pods", &pod.key));
    decisions::Decision { at, by, about, why: message, cause: None, deeds: Vec::new(), failure: Some("Unschedulable".into()) }
}

async fn record(writer: &dyn Writer, pod: &PodInfo, kind: &'static str, reason: &'static str, message: String) {
    let ObjectKey { namespace, name } = pod.key.clone();
    let regarding = ObjectRef { api_version: "v1".into(), kind: "Pod".into(), namespace, name, uid: pod.uid.clone() };
    let note = EventNote { regarding, kind, reason, message, component: "default-scheduler" };
    if let Err(error) = writer.event(&note).await {
        tracing::debug!(reason, %error, "an event was not recorded");
    }
}

/// The patch that sets `PodScheduled=False`, `Unschedulable`.
fn condition(pod: &PodInfo, object: &Value, revision: u64, message: &str) -> Patch {
    let mut conditions: Vec<Value> = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let old = conditions.iter().find(|c| c["type"] == "PodScheduled" && c["status"] == "False");
    let since = old.map_or_else(|| rfc3339(crate::protocol::time::now()).into(), |c| c["lastTransitionTime"].clone());
    conditions.retain(|c| c["type"] != "PodScheduled");
    conditions.push(json!({
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message, "lastTransitionTime": since,
    }));
    Patch {
        kind: "pods".into(),
        key: pod.key.clone(),
        uid: Some(pod.uid.clone()),
        subresource: Some("status"),
        patch: json!({"status": {"conditions": conditions}}),
        expect_revision: Some(revision),
    }
}

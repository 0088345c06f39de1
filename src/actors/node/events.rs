//! Events: what happened to a pod, told to whoever reads `kubectl describe`. Repetitions are counted up, floods are cut.
use super::control_plane::{ControlPlane, JSON, MERGE_PATCH, request};
use super::object::PodObject;
use crate::protocol::time::rfc3339;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};

/// Events that may wait to be posted; more are dropped: they are advice, not state.
const WAITING: usize = 512;
/// Remembered for counting repetitions.
const REMEMBERED: usize = 2048;
/// Upstream's spam filter: so many at once for one object, then one every five minutes.
const BURST: f64 = 25.0;
const REFILL: Duration = Duration::from_secs(300);

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// `involvedObject`.
    pub about: Value,
    pub namespace: String,
    pub name: String,
    /// `Normal` or `Warning`.
    pub kind: &'static str,
    pub reason: String,
    pub message: String,
}

/// Where events go. Cheap to clone; never waits.
#[derive(Clone, Debug)]
pub struct Events {
    sender: mpsc::Sender<Note>,
}

impl Events {
    /// The sink, and the task that posts; whoever starts it chooses where it runs.
    pub fn new(control: Arc<dyn ControlPlane>, host: &str) -> (Events, impl Future<Output = ()> + Send + 'static) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let poster = Poster { control, host: host.into(), known: HashMap::new(), budgets: HashMap::new() };
        (Events { sender }, poster.run(receiver))
    }

    /// An event about a pod, or about one of its containers.
    pub fn pod(&self, object: &PodObject, container: Option<&str>, kind: &'static str, reason: &str, message: impl Into<String>) {
        let mut about = json!({ "kind": "Pod", "apiVersion": "v1", "namespace": object.namespace, "name": object.name, "uid": object.uid });
        if let Some(version) = &object.meta.resource_version {
            about["resourceVersion"] = version.as_str().into();
        }
        if let Some(container) = container {
            let init = object.spec.init_containers.iter().flatten().any(|c| c.name == container);
            let list = if init { "initContainers" } else { "containers" };
            about["fieldPath"] = format!("spec.{list}{{{container}}}").into();
        }
        let (namespace, name) = (object.namespace.clone(), object.name.clone());
        let note = Note { about, namespace, name, kind, reason: reason.into(), message: message.into() };
        if self.sender.try_send(note).is_err() {
            tracing::debug!(pod = object.name, reason, "an event was dropped: too many are waiting");
        }
    }
}

struct Poster {
    control: Arc<dyn ControlPlane>,
    host: String,
    /// By what makes two events the same: the event's name and its count.
    known: HashMap<String, (String, u64)>,
    /// By the object's uid: tokens left, and since when.
    budgets: HashMap<String, (f64, Instant)>,
}

impl Poster {
    async fn run(mut self, mut notes: mpsc::Receiver<Note>) {
        while let Some(note) = notes.recv().await {
            if !self.within_budget(note.about["uid"].as_str().unwrap_or_default()) {
                continue;
            }
            self.post(note).await;
        }
    }

    fn within_budget(&mut self, uid: &str) -> bool {
        if self.budgets.len() > REMEMBERED {
            self.budgets.clear();
        }
        let now = Instant::now();
        let (tokens, since) = self.budgets.entry(uid.into()).or_insert((BURST, now));
        *tokens = (*tokens + now.duration_since(*since).as_secs_f64() / REFILL.as_secs_f64()).min(BURST);
        *since = now;
        let allowed = *tokens >= 1.0;
        if allowed {
            *tokens -= 1.0;
        }
        allowed
    }

    /// Posts a new event, or counts up the one that says the same. A failure loses the event, and is logged.
    async fn post(&mut self, note: Note) {
        let same = format!("{}{}{}{}{}", note.about["uid"], note.about["fieldPath"], note.kind, note.reason, note.message);
        let path = format!("/api/v1/namespaces/{}/events", note.namespace);
        let now = rfc3339(Timestamp::now());
        if let Some((name, count)) = self.known.get_mut(&same) {
            *count += 1;
            let patch = json!({ "count": *count, "lastTimestamp": now });
            let patched = request(&*self.control, "PATCH", &format!("{path}/{name}"), MERGE_PATCH, Some(&patch)).await;
            match patched {
                Err(error) if error.is_not_found() => {}
                Err(error) => return tracing::debug!(%error, "an event was not counted up"),
                Ok(_) => return,
            }
        }
        if self.known.len() > REMEMBERED {
            self.known.clear();
        }
        let name = format!("{}.{:x}", note.name, Timestamp::now().as_nanosecond());
        let event = json!({
            "kind": "Event", "apiVersion": "v1",
            "metadata": { "name": name, "namespace": note.namespace },
            "involvedObject": note.about, "reason": note.reason, "message": note.message, "type": note.kind,
            "source": { "component": "kubelet", "host": self.host },
            "reportingComponent": "kubelet", "reportingInstance": self.host,
            "firstTimestamp": now, "lastTimestamp": now, "count": 1,
        });
        match request(&*self.control, "POST", &path, JSON, Some(&event)).await {
            Ok(_) => {
                self.known.insert(same, (name, 1));
            }
            Err(error) => tracing::debug!(%error, reason = note.reason, "an event was not posted"),
        }
    }
}

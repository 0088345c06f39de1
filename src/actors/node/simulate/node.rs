//! One simulated node: events of its connection and its timers in, reports out. A single task, and a few small ones for the writes.
use super::super::agent::AgentConfig;
use super::super::control_plane::{ControlError, ControlPlane, JSON, MERGE_PATCH, WatchOf};
use super::super::events::Events;
use super::super::machine::Machine;
use super::super::network::NodeFacts;
use super::super::object::PodObject;
use super::super::register::register;
use super::super::status::{Around, patch, pod_status};
use super::super::watch::{Seen, follow};
use super::pod::SimPod;
use super::profile::{Dice, Profile};
use super::usage::{self, Meter};
use crate::protocol::mesh::{ApiCall, WatchKind};
use crate::protocol::status::ApiError;
use crate::protocol::time::now;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// As real nodes have it.
const HEARTBEAT: Duration = Duration::from_secs(10);
const STATUS: Duration = Duration::from_secs(300);
const AGAIN: Duration = Duration::from_secs(1);
/// Writes of one node under way at the same time.
const WRITES: usize = 16;
/// Steps of the watches that may wait; beyond that the server is held back.
const INPUTS: usize = 64;

/// What all nodes of a fleet share, and what this one is.
pub(super) struct SimNode {
    pub config: AgentConfig,
    pub machine: Arc<Machine>,
    pub profile: Arc<Profile>,
    pub dice: Dice,
    /// The first of its 256 addresses for pods, until the cluster gives it a range.
    pub range: Ipv4Addr,
    /// Who wants to know what it uses.
    pub questions: mpsc::Receiver<oneshot::Sender<Bytes>>,
}

enum Input {
    Pod(Seen),
    Own(Seen),
}

enum Done {
    Beat,
    Registered(Result<(), ControlError>),
    Reported { uid: Arc<str>, outcome: Result<Bytes, ControlError> },
    Deleted { uid: Arc<str>, outcome: Result<(), ControlError> },
}

struct Life {
    node: SimNode,
    control: Arc<dyn ControlPlane>,
    events: Option<Events>,
    pods: BTreeMap<Arc<str>, SimPod>,
    timers: BTreeSet<(i64, Arc<str>)>,
    /// Pods with something to write, in order.
    queue: VecDeque<Arc<str>>,
    /// While the pods are listed: those named so far.
    listing: Option<BTreeSet<Arc<str>>>,
    tasks: JoinSet<Done>,
    writes: usize,
    addresses: Addresses,
    registering: bool,
    meter: Meter,
    beat: Instant,
    status: Instant,
}

/// Lives as this node for as long as the task runs. `phase`, 0 to 1, spreads the heartbeats of many nodes.
pub(super) async fn live(node: SimNode, control: Arc<dyn ControlPlane>, phase: f64) {
    let (sender, mut inputs) = mpsc::channel(INPUTS);
    let mut watches = JoinSet::new();
    let name = node.config.name.clone();
    let mut connected = control.connected();
    // A connection that is there already is news, too.
    connected.mark_changed();
    let events = node.profile.events.then(|| {
        let (events, posting) = Events::new(control.clone(), &name);
        watches.spawn(posting);
        events
    });
    let pods = WatchOf { resource: "pods".into(), field_selector: format!("spec.nodeName={name}"), ..WatchOf::default() };
    let own = WatchOf { resource: "nodes".into(), field_selector: format!("metadata.name={name}"), ..WatchOf::default() };
    let to = sender.clone();
    watches.spawn(follow(control.clone(), own, move |seen| {
        let to = to.clone();
        async move { to.send(Input::Own(seen)).await.is_ok() }
    }));
    watches.spawn(follow(control.clone(), pods, move |seen| {
        let to = sender.clone();
        async move { to.send(Input::Pod(seen)).await.is_ok() }
    }));
    let addresses = Addresses { first: node.range, ..Addresses::default() };
    let start = Instant::now();
    let mut life = Life {
        node,
        control,
        events,
        pods: BTreeMap::new(),
        timers: BTreeSet::new(),
        queue: VecDeque::new(),
        listing: None,
        tasks: JoinSet::new(),
        writes: 0,
        addresses,
        registering: false,
        meter: Meter::default(),
        beat: start + HEARTBEAT.mul_f64(phase),
        status: start + STATUS,
    };
    loop {
        let wake = life.wake();
        tokio::select! {
            input = inputs.recv() => match input {
                Some(Input::Pod(seen)) => life.pod_seen(seen),
                Some(Input::Own(seen)) => life.own_seen(&seen),
                None => return,
            },
            Some(asked) = life.node.questions.recv() => life.tell_usage(asked),
            Some(done) = life.tasks.join_next(), if !life.tasks.is_empty() => {
                if let Ok(done) = done {
                    life.done(done);
                }
            }
            changed = connected.changed() => {
                if changed.is_err() {
                    return;
                }
                if *connected.borrow_and_update() {
                    life.write_status();
                }
            }
            () = sleep_until(wake) => life.clock(*connected.borrow()),
        }
        life.advance();
    }
}

impl Life {
    fn wake(&self) -> Instant {
        let next = self.timers.first().map(|(due, _)| {
            let wait = u64::try_from(due.saturating_sub(now().as_millisecond())).unwrap_or_default();
            Instant::now() + Duration::from_millis(wait)
        });
        next.into_iter().chain([self.beat, self.status]).min().unwrap_or(self.beat)
    }

    /// Heartbeats and the full status, when it is time.
    fn clock(&mut self, connected: bool) {
        let at = Instant::now();
        if at >= self.beat {
            self.beat = at + HEARTBEAT;
            if connected {
                let (control, name) = (self.control.clone(), self.node.config.name.clone());
                self.tasks.spawn(async move {
                    if let Err(error) = control.heartbeat(&name).await {
                        tracing::debug!(node = name, %error, "the server did not take the heartbeat");
                    }
                    Done::Beat
                });
            }
        }
        if at >= self.status {
            self.write_status();
        }
    }

    fn tell_usage(&mut self, asked: oneshot::Sender<Bytes>) {
        let SimNode { config, profile, dice, .. } = &self.node;
        let summary = usage::summary(&config.name, (profile, *dice), self.pods.iter(), &mut self.meter, now());
        // Who asked may have gone.
        let _ = asked.send(summary);
    }

    fn write_status(&mut self) {
        self.status = Instant::now() + STATUS;
        if std::mem::replace(&mut self.registering, true) {
            return;
        }
        let (control, config, machine) = (self.control.clone(), self.node.config.clone(), self.node.machine.clone());
        self.tasks.spawn(async move { Done::Registered(register(&*control, &config, &machine, &[]).await) });
    }

    fn own_seen(&mut self, seen: &Seen) {
        let Seen::Object { kind, object } = seen else { return };
        let Some((_, facts)) = NodeFacts::parse(object) else { return };
        if let Some(first) = facts.pod_cidr.split_once('/').and_then(|(first, _)| first.parse().ok()) {
            self.addresses.first = first;
        }
        if *kind == WatchKind::Deleted || !facts.ready {
            self.write_status();
        }
    }

    fn pod_seen(&mut self, seen: Seen) {
        match seen {
            Seen::Anew => self.listing = Some(BTreeSet::new()),
            Seen::Listed => {
                let Some(named) = self.listing.take() else { return };
                let gone: Vec<Arc<str>> = self.pods.keys().filter(|uid| !named.contains(*uid)).cloned().collect();
                gone.iter().for_each(|uid| self.forget(uid));
            }
            Seen::Object { kind, object } => match serde_json::from_slice::<Glance>(&object) {
                Ok(glance) if kind == WatchKind::Deleted => self.forget(&glance.metadata.uid),
                Ok(glance) => self.observe(&glance.metadata, object),
                Err(error) => tracing::error!(node = self.node.config.name, %error, "the server sent a pod that makes no sense"),
            },
        }
    }

    fn forget(&mut self, uid: &str) {
        let Some(pod) = self.pods.remove(uid) else { return };
        self.addresses.free(pod.address);
        if let Some(due) = pod.due {
            self.timers.remove(&(due, uid.into()));
        }
    }

    fn observe(&mut self, meta: &GlanceMeta, object: Bytes) {
        let uid = meta.uid.clone();
        if let Some(listing) = &mut self.listing {
            listing.insert(uid.clone());
        }
        let at = now().as_millisecond();
        if let Some(pod) = self.pods.get_mut(&uid) {
            pod.renew(object);
        } else {
            let Ok(parsed) = PodObject::parse(&object) else { return };
            let dice = self.dice(&meta.namespace, &meta.name);
            let mut pod = SimPod::new(object, &parsed, self.addresses.take(), &self.node.profile, dice, at);
            pod.parsed = pod.dirty.then(|| Arc::new(parsed));
            self.pods.insert(uid.clone(), pod);
            self.settle(&uid, None);
        }
        let dice = self.dice(&meta.namespace, &meta.name);
        let Some(pod) = self.pods.get_mut(&uid).filter(|_| meta.deletion_timestamp.is_some()) else { return };
        let before = pod.due;
        if pod.end(meta.deletion_grace_period_seconds.unwrap_or(30), &self.node.profile, dice, at) {
            self.settle(&uid, before);
        }
    }

    fn dice(&self, namespace: &str, name: &str) -> Dice {
        self.node.dice.of(namespace).of(name)
    }

    /// After a pod has changed: its timer, and its place in the queue.
    fn settle(&mut self, uid: &Arc<str>, before: Option<i64>) {
        let Some(pod) = self.pods.get(uid) else { return };
        if before != pod.due {
            if let Some(old) = before {
                self.timers.remove(&(old, uid.clone()));
            }
            if let Some(due) = pod.due {
                self.timers.insert((due, uid.clone()));
            }
        }
        if (pod.dirty && !pod.busy) || pod.may_go() {
            self.queue.push_back(uid.clone());
        }
    }

    /// Takes the steps that are due, then writes as much as may be under way.
    fn advance(&mut self) {
        let at = now().as_millisecond();
        while let Some((due, uid)) = self.timers.first().cloned().filter(|(due, _)| *due <= at) {
            self.timers.remove(&(due, uid.clone()));
            self.step(&uid, at);
        }
        while self.writes < WRITES {
            let Some(uid) = self.queue.pop_front() else { return };
            self.write(&uid);
        }
    }

    fn step(&mut self, uid: &Arc<str>, at: i64) {
        let Some(pod) = self.pods.get_mut(uid) else { return };
        let Ok(parsed) = PodObject::parse(&pod.object) else { return };
        let dice = self.node.dice.of(&pod.namespace).of(&pod.name);
        let started = pod.step(&parsed, &self.node.profile, dice, at);
        if let Some(events) = self.events.as_ref().filter(|_| started) {
            for container in &parsed.spec.containers {
                let (own, image) = (Some(container.name.as_str()), container.image.as_deref().unwrap_or_default());
                events.pod(&parsed, own, "Normal", "Pulled", format!("Container image \"{image}\" already present on machine"));
                events.pod(&parsed, own, "Normal", "Created", format!("Created container: {}", container.name));
                events.pod(&parsed, own, "Normal", "Started", format!("Started container {}", container.name));
            }
        }
        self.settle(uid, None);
    }

    /// Sends the status, or deletes the object when that is all there is left to do.
    fn write(&mut self, uid: &Arc<str>) {
        let Some(pod) = self.pods.get_mut(uid).filter(|pod| !pod.busy) else { return };
        let gone = pod.may_go();
        if !gone && !pod.dirty {
            return;
        }
        let Some(object) = pod.parsed.take().or_else(|| PodObject::parse(&pod.object).ok().map(Arc::new)) else { return };
        let before = object.raw["status"].clone();
        let (control, failures, uid, path) = (self.control.clone(), pod.failures, uid.clone(), object.path());
        pod.busy = true;
        pod.dirty = false;
        self.writes += 1;
        if gone {
            let options = json!({
                "kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0, "preconditions": { "uid": object.uid },
            });
            self.tasks.spawn(async move {
                let outcome = send(&*control, "DELETE", path, JSON, &options, failures).await.map(|_| ());
                Done::Deleted { uid, outcome }
            });
            return;
        }
        let host_ip = self.node.config.address.to_string();
        let status = pod_status(&pod.state(object), &Around { host_ip: &host_ip, last: &before, now: now() });
        let body = patch(&uid, &before, &status);
        self.tasks.spawn(async move {
            let outcome = send(&*control, "PATCH", format!("{path}/status"), MERGE_PATCH, &body, failures).await;
            Done::Reported { uid, outcome }
        });
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Beat => {}
            Done::Registered(outcome) => {
                self.registering = false;
                if let Err(error) = outcome {
                    tracing::debug!(node = self.node.config.name, %error, "the node could not write its status");
                    self.status = Instant::now() + AGAIN;
                }
            }
            Done::Reported { uid, outcome } => self.written(&uid, outcome.map(Some)),
            Done::Deleted { uid, outcome: Err(error) } if error.is_passing() => self.written(&uid, Err(error)),
            // Gone, or a finalizer holds it, or somebody else has the name: nothing of it is here any more.
            Done::Deleted { uid, .. } => {
                self.writes -= 1;
                self.forget(&uid);
            }
        }
    }

    fn written(&mut self, uid: &Arc<str>, outcome: Result<Option<Bytes>, ControlError>) {
        self.writes -= 1;
        let Some(pod) = self.pods.get_mut(uid) else { return };
        pod.busy = false;
        match outcome {
            Ok(object) => {
                pod.failures = 0;
                // What the server answered is at least as new as what it told before; what it tells next is newer.
                if let Some(object) = object {
                    pod.renew(object);
                }
            }
            Err(error) if error.is_passing() => {
                pod.failures = pod.failures.saturating_add(1);
                pod.dirty = true;
            }
            // The object is gone, or another has its name: the watch tells of it.
            Err(error) => tracing::debug!(pod = &*pod.name, %error, "a pod's report was refused"),
        }
        self.settle_queue(uid);
    }

    fn settle_queue(&mut self, uid: &Arc<str>) {
        let due = self.pods.get(uid).and_then(|pod| pod.due);
        self.settle(uid, due);
    }
}

/// Makes one call; waits a little first when calls like this have failed before.
async fn send(
    control: &dyn ControlPlane,
    method: &str,
    path: String,
    content_type: &str,
    body: &Value,
    failures: u32,
) -> Result<Bytes, ControlError> {
    if failures > 0 {
        tokio::time::sleep(Duration::from_millis(100 << failures.min(6))).await;
        super::super::control_plane::until_connected(control).await;
    }
    let call = ApiCall { method: method.into(), path, content_type: content_type.into(), body: body.to_string().into() };
    let (code, body) = control.api(call).await?;
    if code < 300 {
        return Ok(body);
    }
    let refusal: Value = serde_json::from_slice(&body).map_err(|e| ControlError::Malformed(e.to_string()))?;
    let text = |field: &str| refusal[field].as_str().unwrap_or("Unknown").to_string();
    Err(ControlError::Refused(ApiError::new(code, &text("reason"), text("message"))))
}

/// What every event of a pod is looked at for.
#[derive(Deserialize)]
struct Glance {
    metadata: GlanceMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GlanceMeta {
    uid: Arc<str>,
    namespace: String,
    name: String,
    deletion_timestamp: Option<serde::de::IgnoredAny>,
    deletion_grace_period_seconds: Option<u64>,
}

/// The pods' addresses: 254 of them, each given to one pod at a time.
struct Addresses {
    first: Ipv4Addr,
    used: [u64; 4],
    next: u8,
}

impl Default for Addresses {
    fn default() -> Self {
        Addresses { first: Ipv4Addr::UNSPECIFIED, used: [1, 0, 0, 1 << 63], next: 1 }
    }
}

impl Addresses {
    /// A free one; when there is none, pods share: nothing is ever sent there.
    fn take(&mut self) -> Ipv4Addr {
        for _ in 0..=u8::MAX {
            let offer = self.next;
            self.next = self.next.wrapping_add(1);
            let (word, bit) = (usize::from(offer / 64), 1u64 << (offer % 64));
            if let Some(word) = self.used.get_mut(word).filter(|word| **word & bit == 0) {
                *word |= bit;
                return Ipv4Addr::from(u32::from(self.first).wrapping_add(offer.into()));
            }
        }
        self.first
    }

    fn free(&mut self, address: Ipv4Addr) {
        let [.., last] = address.octets();
        if let Some(word) = self.used.get_mut(usize::from(last / 64)).filter(|_| last != 0 && last != u8::MAX) {
            *word &= !(1u64 << (last % 64));
        }
    }
}

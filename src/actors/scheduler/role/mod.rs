//! The scheduler actor: takes in what happens, decides, binds.
//!
//! A binding counts in the scheduler's own model from the moment of the decision, so the next decision sees it; it is
//! forgotten when the bind is refused. Nothing waits for a write.
mod effects;
mod failing;
mod intake;
mod kin;
mod told;
mod work;

use super::cluster::Cluster;
use super::decide::Search;
use super::framework::Written;
use super::framework::happening::Happening;
use super::framework::profile::{Profile, ProfileError};
use super::pod::PodInfo;
use super::queue::{Pauses, Queue};
use crate::actors::base::{Role, Scope};
use crate::actors::controllers::feed::{News, Source, Writer};
use crate::actors::controllers::plan::EventNote;
use crate::actors::controllers::pump::{Tidings, pump, ring};
use crate::config::scheduler::Scheduler as Settings;
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use kin::Kin;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// Letters that may wait: all feeds, binds under way and refusals have their place.
pub const CAPACITY: usize = 4096;

/// What the scheduler is told.
pub enum Message {
    /// News of a shelf, or the end of a pause.
    Heard(Tidings),
    /// Binds ended.
    Bound { life: u64, results: Vec<(Assumed, Result<(), ApiError>)> },
    /// What a pod's volumes and devices need was written, or why not.
    Prepared { life: u64, pod: Box<Assumed>, result: Result<Vec<Written>, String> },
    /// A refusal was recorded (or not), and who should make room was asked to. False: not all of them were.
    Told { life: u64, pod: ObjectKey, done: bool },
    /// More to decide.
    GoOn { life: u64 },
}

impl From<Tidings> for Message {
    fn from(tidings: Tidings) -> Self {
        Message::Heard(tidings)
    }
}

/// A pod that has its node as far as we are concerned.
#[derive(Clone)]
pub struct Assumed {
    pub pod: Arc<PodInfo>,
    pub node: Arc<str>,
    pub profile: usize,
    /// When the pod came.
    pub since: Instant,
    /// When it was decided about.
    pub began: Instant,
    /// Why this node, in a line.
    pub why: String,
}

/// A pod that has a node and waits for its volumes and devices.
struct Unready {
    assumed: Assumed,
    /// When that is given up.
    until: Instant,
    /// What was written for it; `None` while that is under way.
    written: Option<Vec<Written>>,
}

/// How pods are decided about; shared by the lives of a scheduler.
pub struct Rules {
    pub profiles: Vec<Profile>,
    pub pauses: Pauses,
}

impl Rules {
    /// From the cluster file.
    pub fn new(settings: &Settings) -> Result<Rules, ProfileError> {
        let profiles = Profile::all(settings)?;
        let seconds = |said: i64| Duration::from_secs(u64::try_from(said).unwrap_or_default());
        let pauses = Pauses { first: seconds(settings.pod_initial_backoff_seconds), longest: seconds(settings.pod_max_backoff_seconds) };
        Ok(Rules { profiles, pauses })
    }
}

/// See the module.
pub struct Scheduler {
    rules: Arc<Rules>,
    source: Arc<dyn Source>,
    writer: Arc<dyn Writer>,
    cluster: Cluster,
    queue: Queue,
    search: Search,
    kin: Kin,
    /// Refusals that still hold, by the shape of the pod and the state of the cluster.
    memory: work::Memory,
    busy: usize,
    /// Binds under way.
    binding: HashMap<ObjectKey, Assumed>,
    unready: HashMap<ObjectKey, Unready>,
    /// Something happened since that they may wait for.
    stirred: bool,
    /// What happened since stuck pods were last looked at.
    happened: Vec<Happening>,
    events: Option<mpsc::Sender<EventNote>>,
    going_on: bool,
    life: u64,
    alarm: Option<watch::Sender<Option<Instant>>>,
}

static LIVES: AtomicU64 = AtomicU64::new(1);

impl Scheduler {
    pub fn new(rules: Arc<Rules>, source: Arc<dyn Source>, writer: Arc<dyn Writer>) -> Self {
        Scheduler {
            queue: Queue::new(rules.pauses),
            rules,
            source,
            writer,
            cluster: Cluster::default(),
            search: Search::default(),
            kin: Kin::default(),
            memory: work::Memory::default(),
            busy: 0,
            binding: HashMap::new(),
            unready: HashMap::new(),
            stirred: false,
            happened: Vec::new(),
            events: None,
            going_on: false,
            life: LIVES.fetch_add(1, Relaxed),
            alarm: None,
        }
    }
}

impl Role for Scheduler {
    type Message = Message;

    fn started(&mut self, scope: &mut Scope<'_, Self>) {
        let (alarm, deadlines) = watch::channel(None);
        self.alarm = Some(alarm);
        actix_rt::spawn(ring(deadlines, self.life, scope.mailbox().clone()));
        self.events = Some(effects::recorder(self.writer.clone()));
        for kind in intake::SHELVES {
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
            Message::Bound { life, results } if life == self.life => {
                self.busy = self.busy.saturating_sub(results.len());
                for (assumed, result) in results {
                    self.bound(&assumed, result, scope);
                }
            }
            Message::Prepared { life, pod, result } if life == self.life => {
                self.busy = self.busy.saturating_sub(1);
                self.prepared(&pod, result, scope);
            }
            Message::Told { life, pod, done } if life == self.life => {
                self.busy = self.busy.saturating_sub(1);
                if !done {
                    self.queue.nudge(&pod, &self.rules.profiles);
                }
            }
            Message::GoOn { life } if life == self.life => self.going_on = false,
            // A tick only wakes; the rest belongs to a life that is over.
            _ => {}
        }
        self.work(scope);
    }
}

//! What a pod's actor knows of its pod: plain data that [`super::plan`] and [`super::status`] read.
use super::object::{PodObject, Role};
use crate::runtime::api::{Exit, Sandbox};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// Everything about one pod on this node.
#[derive(Debug)]
pub struct PodState {
    pub object: Arc<PodObject>,
    pub set_up: SetUp,
    /// In the order of [`PodObject::containers`].
    pub records: Vec<Record>,
    /// The pod is to end; the first reason stays, but deletion outweighs a deadline.
    pub ending: Option<Ending>,
    pub tear_down: TearDown,
    /// When this node first saw the pod, milliseconds since the epoch: `status.startTime`.
    pub seen_ms: i64,
    /// Shown in the pod's events and conditions while the sandbox cannot be made.
    pub set_up_failures: u32,
}

/// The sandbox and the volumes.
#[derive(Clone, Debug, PartialEq)]
pub enum SetUp {
    Missing,
    Busy,
    /// Failed; a timer leads back to `Missing`.
    Held,
    Done {
        sandbox: Sandbox,
        volumes: BTreeMap<String, PathBuf>,
    },
}

/// Why a pod ends before its containers do by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// `activeDeadlineSeconds` have passed.
    Deadline,
    /// `deletionTimestamp` is set.
    Deleted,
    /// The object no longer exists: no grace, nobody to report to.
    Vanished,
}

/// The removal of the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TearDown {
    NotYet,
    Busy,
    Done,
}

/// Where one container stands.
#[derive(Debug)]
pub struct Record {
    pub name: String,
    pub role: Role,
    pub current: Current,
    /// The attempt before the current one.
    pub previous: Option<Finished>,
    /// The number of the current attempt, or of the first while there is none: `restartCount`.
    pub attempt: u32,
    /// Why no container runs: `waiting.reason` and `waiting.message`.
    pub waiting: Option<(String, String)>,
    pub step: Step,
    /// Restarts that count for the back-off.
    pub crashes: u32,
    /// Failed attempts to get as far as a start (image, references).
    pub failures: u32,
    pub stopping: Option<Stopping>,
    /// The startup probe, or the lack of one, says that the container has started.
    pub started: bool,
    pub ready: bool,
    /// `postStart` is still running.
    pub hook_pending: bool,
    /// The image name that the current attempt was started with, and its id.
    pub image: String,
    pub image_id: String,
    /// True when the current attempt has ended: for those who follow its log. A new attempt gets a new one.
    pub ended: watch::Sender<bool>,
}

/// A container's current attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Current {
    Absent,
    Running { id: String, started_ms: i64 },
    Exited(Finished),
}

/// An attempt that has ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finished {
    pub id: String,
    pub exit: Exit,
    /// The command could not even be started.
    pub start_failed: bool,
}

/// What the actor does for a container at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Idle,
    /// A task pulls, resolves and starts.
    Starting,
    /// A back-off timer is running.
    Held,
    /// The back-off is over: start now.
    Due,
}

/// A container that was told to end.
#[derive(Clone, Debug, PartialEq)]
pub struct Stopping {
    /// Raised when the grace is shortened: timers of older rounds mean nothing.
    pub round: u32,
    pub grace: u64,
    /// SIGTERM was sent (after `preStop`).
    pub signalled: bool,
}

impl PodState {
    /// A pod of which nothing exists yet.
    pub fn new(object: Arc<PodObject>, seen_ms: i64) -> PodState {
        let records = object.containers().map(|(role, c)| Record::new(&c.name, role)).collect();
        PodState { object, set_up: SetUp::Missing, records, ending: None, tear_down: TearDown::NotYet, seen_ms, set_up_failures: 0 }
    }

    /// The sandbox, once there is one.
    pub fn sandbox(&self) -> Option<&Sandbox> {
        match &self.set_up {
            SetUp::Done { sandbox, .. } => Some(sandbox),
            _ => None,
        }
    }

    /// No container runs and none is being started.
    pub fn quiet(&self) -> bool {
        self.records.iter().all(|r| !r.is_running() && r.step != Step::Starting)
    }

    /// The record of the container with this id, if it is a current one.
    pub fn by_id(&self, id: &str) -> Option<usize> {
        self.records.iter().position(|r| r.id() == Some(id))
    }
}

impl Record {
    pub fn new(name: &str, role: Role) -> Record {
        Record {
            name: name.into(),
            role,
            current: Current::Absent,
            previous: None,
            attempt: 0,
            waiting: None,
            step: Step::Idle,
            crashes: 0,
            failures: 0,
            stopping: None,
            started: false,
            ready: false,
            hook_pending: false,
            image: String::new(),
            image_id: String::new(),
            ended: watch::channel(true).0,
        }
    }

    pub fn is_running(&self) -> bool {
        matches!(self.current, Current::Running { .. })
    }

    /// The id of the current attempt.
    pub fn id(&self) -> Option<&str> {
        match &self.current {
            Current::Absent => None,
            Current::Running { id, .. } => Some(id),
            Current::Exited(finished) => Some(&finished.id),
        }
    }

    pub fn finished(&self) -> Option<&Finished> {
        match &self.current {
            Current::Exited(finished) => Some(finished),
            _ => None,
        }
    }

    /// The number that the next attempt gets.
    pub fn next_attempt(&self) -> u32 {
        if self.current == Current::Absent { self.attempt } else { self.attempt.saturating_add(1) }
    }

    /// A new attempt runs.
    pub fn begin(&mut self, id: String, started_ms: i64) {
        self.attempt = self.next_attempt();
        if let Current::Exited(finished) = std::mem::replace(&mut self.current, Current::Running { id, started_ms }) {
            self.previous = Some(finished);
        }
        (self.step, self.waiting, self.stopping) = (Step::Idle, None, None);
        (self.failures, self.started, self.ready) = (0, false, false);
        self.ended = watch::channel(false).0;
    }

    /// The current attempt has ended.
    pub fn end(&mut self, finished: Finished) {
        self.current = Current::Exited(finished);
        self.ended.send_replace(true);
        (self.stopping, self.started, self.ready, self.hook_pending) = (None, false, false, false);
    }
}

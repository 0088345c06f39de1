//! The actor of one pod: messages in, a fresh plan after each, tasks out.
//!
//! Nothing here decides: [`super::plan`] says what comes next, [`super::status`] what the API shall see. A role that is
//! rebuilt after a panic, and the first one after the agent was restarted, looks at what the runtime still has
//! ([`PodMessage::Adopted`]) before it does anything.
use super::agent::AgentMessage;
use super::control_plane::ControlError;
use super::object::PodObject;
use super::plan::{Action, forgiven, plan, stage};
use super::probe::{ProbeKind, Sample};
use super::start::{Hitch, Launched, Surroundings};
use super::state::{Current, Ending, Finished, PodState, SetUp, Step};
use crate::actors::base::{Mailbox, Role, Scope};
use crate::protocol::time::now;
use crate::runtime::api::{Container, ContainerExited, Exit, Result as RuntimeResult, RuntimeError, Sandbox};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// How often files that follow ConfigMaps, Secrets and fields are brought up to date.
pub(super) const REFRESH: Duration = Duration::from_secs(60);

/// What a pod's actor is told.
pub enum PodMessage {
    /// The object has changed; the newest is in the [`Seed`].
    Changed,
    /// The object no longer exists.
    Vanished,
    /// What the runtime had of the pod when the role began.
    Adopted(RuntimeResult<Vec<Container>>),
    SetUpDone(RuntimeResult<(Sandbox, BTreeMap<String, PathBuf>)>),
    RetrySetUp,
    Started {
        index: usize,
        attempt: u32,
        outcome: Result<Launched, Hitch>,
    },
    /// The back-off before this attempt is over.
    Retry {
        index: usize,
        attempt: u32,
    },
    /// The error of a failed pull has been shown long enough.
    ShowBackOff {
        index: usize,
        failures: u32,
    },
    PostStartDone {
        id: String,
        outcome: Result<(), String>,
    },
    PreStopDone {
        id: String,
        outcome: Result<(), String>,
    },
    GraceOver {
        id: String,
        round: u32,
    },
    Exited(ContainerExited),
    /// The same, with the last lines of its log as its message.
    Ended(ContainerExited),
    Probed {
        id: String,
        probe: ProbeKind,
        sample: Sample,
    },
    DeadlineOver {
        seconds: i64,
    },
    StatusSent {
        status: Value,
        outcome: Result<(), ControlError>,
    },
    TornDown(RuntimeResult<()>),
    RetryTearDown,
    ObjectDeleted(Result<(), ControlError>),
    RefreshVolumes,
    Refreshed(RuntimeResult<()>),
    /// What logs and sessions need to know.
    Describe(oneshot::Sender<PodView>),
}

/// A pod as the streams see it.
#[derive(Clone, Debug)]
pub struct PodView {
    pub object: Arc<PodObject>,
    pub containers: Vec<ContainerView>,
}

/// One container of a [`PodView`].
#[derive(Clone, Debug)]
pub struct ContainerView {
    pub name: String,
    /// Of the current attempt.
    pub id: Option<String>,
    pub running: bool,
    pub attempt: u32,
    pub has_previous: bool,
    /// Why there is no attempt yet.
    pub waiting: String,
    /// Becomes true when the current attempt has ended, or is it already.
    pub ended: watch::Receiver<bool>,
}

/// What outlives a panic of the role: the newest object, and whether the runtime must be asked what is there.
pub struct Seed {
    object: Mutex<Arc<PodObject>>,
    found: Mutex<Option<Vec<Container>>>,
}

impl Seed {
    /// `found`: the pod's containers, known already at the agent's start.
    pub fn new(object: Arc<PodObject>, found: Vec<Container>) -> Seed {
        Seed { object: Mutex::new(object), found: Mutex::new(Some(found)) }
    }

    pub fn object(&self) -> Arc<PodObject> {
        self.object.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn update(&self, object: Arc<PodObject>) {
        *self.object.lock().unwrap_or_else(PoisonError::into_inner) = object;
    }

    fn take_found(&self) -> Option<Vec<Container>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The role of a pod's actor.
pub struct Pod {
    pub(super) around: Arc<Surroundings>,
    pub(super) agent: Mailbox<AgentMessage>,
    pub(super) seed: Arc<Seed>,
    pub(super) state: PodState,
    /// What the runtime has is known; before that nothing is done.
    pub(super) adopted: bool,
    /// The pod was over before this agent saw it: its status stays as it is.
    pub(super) frozen: bool,
    /// The newest status computed, and the newest that the API has taken.
    pub(super) shown: Value,
    pub(super) taken: Value,
    pub(super) sending: bool,
    pub(super) status_failures: u32,
    pub(super) deleting: bool,
    pub(super) tear_down_failures: u32,
    pub(super) deadline: Option<i64>,
    pub(super) probes: BTreeMap<(usize, ProbeKind), Running>,
    /// Ends that came before the news of their start.
    pub(super) early: BTreeMap<String, Exit>,
}

/// A task that ends with its handle.
pub(super) struct Running(tokio::task::JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Running {
    pub(super) fn spawn(work: impl Future<Output = ()> + 'static) -> Running {
        Running(actix_rt::spawn(work))
    }
}

impl Pod {
    pub fn new(around: Arc<Surroundings>, agent: Mailbox<AgentMessage>, seed: Arc<Seed>) -> Pod {
        let object = seed.object();
        let before = object.raw["status"].clone();
        let since = before["startTime"].as_str().and_then(crate::protocol::time::parse_seconds);
        let seen_ms = since.map_or_else(|| now().as_millisecond(), |s| s * 1000);
        let frozen = object.is_terminal();
        Pod {
            around,
            agent,
            seed,
            state: PodState::new(object, seen_ms),
            adopted: false,
            frozen,
            shown: before,
            taken: Value::Null,
            sending: false,
            status_failures: 0,
            deleting: false,
            tear_down_failures: 0,
            deadline: None,
            probes: BTreeMap::new(),
            early: BTreeMap::new(),
        }
    }

    /// After every message: do what is due, tell what has changed.
    fn sync(&mut self, scope: &mut Scope<'_, Self>) {
        if !self.adopted {
            return;
        }
        for action in plan(&self.state) {
            self.act(action, scope);
        }
        self.tend_probes(scope);
        self.report(scope);
        self.conclude(scope);
        scope.decided(format!("{:?}", stage(&self.state)));
    }

    fn act(&mut self, action: Action, scope: &mut Scope<'_, Self>) {
        match action {
            Action::SetUp => self.set_up(scope),
            Action::Start(index) => self.start(index, scope),
            Action::Hold(index, pause) => self.hold(index, pause, scope),
            Action::Stop(index, grace) => {
                let why = self.state.records.get(index).map(|r| format!("Stopping container {}", r.name)).unwrap_or_default();
                self.stop(index, grace, &why, scope);
            }
            Action::TearDown => self.tear_down(scope),
        }
    }

    fn changed(&mut self, scope: &mut Scope<'_, Self>) {
        let object = self.seed.object();
        if object.uid != self.state.object.uid {
            return;
        }
        self.state.object = object;
        self.notice_object(scope);
    }

    /// Deletion and the deadline, as the object has them.
    pub(super) fn notice_object(&mut self, scope: &mut Scope<'_, Self>) {
        if self.state.object.deletion_grace().is_some() && self.state.ending != Some(Ending::Vanished) {
            self.state.ending = Some(Ending::Deleted);
        }
        let seconds = self.state.object.spec.active_deadline_seconds;
        if let Some(seconds) = seconds.filter(|s| Some(*s) != self.deadline) {
            let passed = now().as_millisecond() - self.state.seen_ms;
            let left = u64::try_from(seconds.saturating_mul(1000).saturating_sub(passed)).unwrap_or(0);
            self.later(Duration::from_millis(left), PodMessage::DeadlineOver { seconds }, scope);
        }
        self.deadline = seconds;
    }

    /// A container has ended. Where its log is to explain a failure, that is read first.
    fn exited(&mut self, mut exited: ContainerExited, scope: &Scope<'_, Self>) {
        let index = self.state.by_id(&exited.id).filter(|_| exited.exit.code != 0 && exited.exit.message.is_empty());
        let container = index.and_then(|i| self.state.object.container(i));
        let falls_back = container.is_some_and(|c| c.termination_message_policy.as_deref() == Some("FallbackToLogsOnError"));
        let Some(record) = index.filter(|_| falls_back).and_then(|i| self.state.records.get(i)) else { return self.ended(exited) };
        let log = self.around.places.log(&self.state.object, &record.name, record.attempt);
        scope.run(async move {
            exited.exit.message = super::log_stream::last_words(&log).await;
            PodMessage::Ended(exited)
        });
    }

    fn ended(&mut self, exited: ContainerExited) {
        let running = self.state.by_id(&exited.id).and_then(|i| self.state.records.get_mut(i)).filter(|r| r.is_running());
        let Some(record) = running else {
            if self.state.records.iter().any(|r| r.step == Step::Starting) {
                self.early.insert(exited.id, exited.exit);
            }
            return;
        };
        let finished = Finished { id: exited.id, exit: exited.exit, start_failed: false };
        if forgiven(&finished) {
            record.crashes = 0;
        }
        record.end(finished);
    }

    /// Leaves a message for later. A full mailbox is waited for; a pod that is gone by then needs it no more.
    pub(super) fn later(&self, delay: Duration, message: PodMessage, scope: &Scope<'_, Self>) {
        let mailbox = scope.mailbox().clone();
        actix_rt::spawn(async move {
            tokio::time::sleep(delay).await;
            mailbox.deliver(message).await;
        });
    }

    fn describe(&self) -> PodView {
        let waiting = |r: &super::state::Record| r.waiting.as_ref().map_or_else(|| "ContainerCreating".to_string(), |w| w.0.clone());
        let view = |r: &super::state::Record| ContainerView {
            name: r.name.clone(),
            id: r.id().map(String::from),
            running: r.is_running(),
            attempt: r.attempt,
            has_previous: r.previous.is_some(),
            waiting: waiting(r),
            ended: r.ended.subscribe(),
        };
        PodView { object: self.state.object.clone(), containers: self.state.records.iter().map(view).collect() }
    }

    fn set_up_done(&mut self, outcome: RuntimeResult<(Sandbox, BTreeMap<String, PathBuf>)>, scope: &mut Scope<'_, Self>) {
        match outcome {
            Ok((sandbox, volumes)) => {
                self.state.set_up = SetUp::Done { sandbox: Box::new(sandbox), volumes };
                if super::volumes::refreshable(&self.state.object) {
                    self.later(REFRESH, PodMessage::RefreshVolumes, scope);
                }
            }
            Err(error) => {
                self.state.set_up_failures = self.state.set_up_failures.saturating_add(1);
                self.state.set_up = SetUp::Held;
                tracing::warn!(pod = self.state.object.name, %error, "pod cannot be set up yet");
                self.later(super::plan::retry_pause(self.state.set_up_failures), PodMessage::RetrySetUp, scope);
            }
        }
    }
}

impl Role for Pod {
    type Message = PodMessage;

    fn started(&mut self, scope: &mut Scope<'_, Self>) {
        match self.seed.take_found() {
            Some(found) => {
                self.adopt(found);
                self.notice_object(scope);
                self.sync(scope);
            }
            None => self.look_around(scope),
        }
    }

    fn handle(&mut self, message: PodMessage, scope: &mut Scope<'_, Self>) {
        match message {
            PodMessage::Changed => self.changed(scope),
            PodMessage::Vanished => self.state.ending = Some(Ending::Vanished),
            PodMessage::Adopted(Ok(found)) => {
                self.adopt(found);
                self.notice_object(scope);
            }
            PodMessage::Adopted(Err(error)) => {
                tracing::error!(pod = self.state.object.name, %error, "cannot ask the runtime what it has of the pod");
                return self.look_around_again(scope);
            }
            PodMessage::SetUpDone(outcome) => self.set_up_done(outcome, scope),
            PodMessage::RetrySetUp if self.state.set_up == SetUp::Held => self.state.set_up = SetUp::Missing,
            PodMessage::RetrySetUp => {}
            PodMessage::Started { index, attempt, outcome } => self.started_container(index, attempt, outcome, scope),
            PodMessage::Retry { index, attempt } => self.retry(index, attempt),
            PodMessage::ShowBackOff { index, failures } => self.show_back_off(index, failures),
            PodMessage::PostStartDone { id, outcome } => self.post_start_done(&id, outcome, scope),
            PodMessage::PreStopDone { id, outcome } => self.pre_stop_done(&id, outcome, scope),
            PodMessage::GraceOver { id, round } => self.grace_over(&id, round, scope),
            PodMessage::Exited(exited) => self.exited(exited, scope),
            PodMessage::Ended(exited) => self.ended(exited),
            PodMessage::Probed { id, probe, sample } => self.probed(&id, probe, sample, scope),
            PodMessage::DeadlineOver { seconds } => self.deadline_over(seconds),
            PodMessage::StatusSent { status, outcome } => self.status_sent(status, outcome),
            PodMessage::TornDown(outcome) => self.torn_down(outcome, scope),
            PodMessage::RetryTearDown => self.state.tear_down = super::state::TearDown::NotYet,
            PodMessage::ObjectDeleted(outcome) => self.object_deleted(outcome, scope),
            PodMessage::RefreshVolumes => return self.refresh(scope),
            PodMessage::Refreshed(outcome) => return self.refreshed(outcome, scope),
            PodMessage::Describe(reply) => {
                // Whoever asked may have gone.
                let _ = reply.send(self.describe());
                return;
            }
        }
        self.sync(scope);
    }
}

impl Pod {
    fn deadline_over(&mut self, seconds: i64) {
        let same = self.state.object.spec.active_deadline_seconds == Some(seconds);
        if !same || self.state.ending.is_some() || super::plan::completed(&self.state) || self.frozen {
            return;
        }
        let message = "Pod was active on the node longer than the specified deadline";
        self.around.events.pod(&self.state.object, None, "Normal", "DeadlineExceeded", message);
        self.state.ending = Some(Ending::Deadline);
    }

    /// Takes over what the runtime has.
    fn adopt(&mut self, mut found: Vec<Container>) {
        self.adopted = true;
        found.sort_by_key(|c| c.spec.attempt);
        super::adopt::adopt(&mut self.state, &found, &mut self.early);
        if self.frozen {
            // Whatever is left of it is removed; what its status says stays.
            self.state.ending.get_or_insert(Ending::Deadline);
        }
    }

    fn look_around(&mut self, scope: &mut Scope<'_, Self>) {
        let (runtime, uid) = (self.around.runtime.clone(), self.state.object.uid.clone());
        scope.run(async move {
            let found = runtime.containers().await;
            PodMessage::Adopted(found.map(|all| all.into_iter().filter(|c| c.spec.pod_uid == uid).collect()))
        });
    }

    fn look_around_again(&mut self, scope: &mut Scope<'_, Self>) {
        let (runtime, uid) = (self.around.runtime.clone(), self.state.object.uid.clone());
        scope.run(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let found = runtime.containers().await;
            PodMessage::Adopted(found.map(|all| all.into_iter().filter(|c| c.spec.pod_uid == uid).collect()))
        });
    }

    /// An attempt that never ran, as an exit: upstream's `StartError` with code 128.
    pub(super) fn failed_launch(&mut self, index: usize, attempt: u32, error: &RuntimeError) {
        let uid = self.state.object.uid.clone();
        let Some(record) = self.state.records.get_mut(index) else { return };
        let at = now().as_millisecond();
        let id = super::spec::container_id(&uid, &record.name, attempt);
        let exit = Exit { code: 128, started_ms: 0, finished_ms: at, message: error.message.clone(), ..Default::default() };
        record.begin(id.clone(), at);
        record.end(Finished { id, exit, start_failed: true });
        debug_assert!(matches!(record.current, Current::Exited(_)));
    }
}

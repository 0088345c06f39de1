//! A simulated pod: what it becomes and when. Pure; time is an argument, in milliseconds since the epoch.
//!
//! ```text
//! Creating ─► Running ─► Ready ─► Over
//!                 └───────┴─► Waiting (back-off) ─► Running
//! ```
use super::super::object::{PodObject, Role};
use super::super::plan::crash_pause;
use super::super::state::{Current, Ending, Finished, PodState, SetUp, TearDown};
use super::profile::{Dice, Profile};
use crate::runtime::api::{Exit, Sandbox, SandboxSpec};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Seconds that the containers run before they end by themselves, a decimal number. Without it they run for ever.
const RUN_SECONDS: &str = "simulate.impresario.dev/run-seconds";
/// The exit code with which they then end; 0 when nothing is said.
const EXIT_CODE: &str = "simulate.impresario.dev/exit-code";
/// Of a process that SIGTERM ends.
const TERMINATED: i32 = 143;

/// Where the containers stand. They all do the same at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Creating,
    Running,
    Ready,
    /// Ended, and to be started again.
    Waiting,
    Over,
}

/// What is remembered of a pod beside its object.
#[derive(Clone, Debug)]
pub struct SimPod {
    pub object: Bytes,
    /// The object, parsed, from when the pod came until its first report.
    pub parsed: Option<Arc<PodObject>>,
    pub namespace: Box<str>,
    pub name: Box<str>,
    pub stage: Stage,
    pub address: Ipv4Addr,
    /// The moment of the next change.
    pub due: Option<i64>,
    /// The API does not know yet what the pod has become.
    pub dirty: bool,
    /// A write of its status or its deletion is under way.
    pub busy: bool,
    pub failures: u32,
    seen_ms: i64,
    started_ms: i64,
    attempt: u32,
    last: Option<Ended>,
    /// When the present attempt ends by itself, and how.
    end: Option<(i64, i32)>,
    restarts: Restarts,
    deleting: bool,
}

#[derive(Clone, Copy, Debug)]
struct Ended {
    code: i32,
    started_ms: i64,
    finished_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restarts {
    Always,
    OnFailure,
    Never,
}

impl SimPod {
    /// A pod that has come to this node. One that was running already (before this process) runs on.
    pub fn new(object: Bytes, pod: &PodObject, address: Ipv4Addr, profile: &Profile, dice: Dice, now: i64) -> SimPod {
        let restarts = match pod.restart_policy() {
            "Never" => Restarts::Never,
            "OnFailure" => Restarts::OnFailure,
            _ => Restarts::Always,
        };
        let mut new = SimPod {
            object,
            parsed: None,
            namespace: pod.namespace.as_str().into(),
            name: pod.name.as_str().into(),
            stage: Stage::Creating,
            address,
            due: None,
            dirty: false,
            busy: false,
            failures: 0,
            seen_ms: now,
            started_ms: now,
            attempt: 0,
            last: None,
            end: None,
            restarts,
            deleting: false,
        };
        if pod.is_terminal() {
            new.stage = Stage::Over;
            return new;
        }
        let shown = &pod.raw["status"]["containerStatuses"][0];
        match shown["state"]["running"]["startedAt"].as_str().and_then(crate::protocol::time::parse_seconds) {
            Some(started) => {
                new.attempt = shown["restartCount"].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or_default();
                new.run(pod, started.saturating_mul(1000), profile, dice);
            }
            None => {
                let wait = profile.start.sample(dice.of("start")).as_millis();
                new.due = Some(now.saturating_add(i64::try_from(wait).unwrap_or_default()));
                new.dirty = wait > 0;
            }
        }
        new
    }

    /// A newer state of the object.
    pub fn renew(&mut self, object: Bytes) {
        self.object = object;
        self.parsed = None;
    }

    /// The API told that deletion was asked for. Answers whether that was news.
    pub fn end(&mut self, grace_seconds: u64, profile: &Profile, dice: Dice, now: i64) -> bool {
        if std::mem::replace(&mut self.deleting, true) {
            return false;
        }
        let runs = matches!(self.stage, Stage::Running | Stage::Ready);
        let wait = profile.stop.sample(dice.of("stop")).as_millis().min(u128::from(grace_seconds) * 1000);
        let wait = if runs { i64::try_from(wait).unwrap_or_default() } else { 0 };
        self.end = Some((now.saturating_add(wait), TERMINATED));
        self.due = self.end.map(|(at, _)| at);
        true
    }

    /// Takes the step that is due. Answers whether containers have just started.
    pub fn step(&mut self, pod: &PodObject, profile: &Profile, dice: Dice, now: i64) -> bool {
        if self.due.is_none_or(|due| due > now) {
            return false;
        }
        self.due = None;
        let ends = self.end.filter(|(at, _)| *at <= now);
        match self.stage {
            Stage::Creating | Stage::Waiting if self.deleting => self.over(),
            Stage::Creating | Stage::Waiting => {
                if self.stage == Stage::Waiting {
                    self.attempt = self.attempt.saturating_add(1);
                }
                self.run(pod, now, profile, dice);
                // What takes no time is over at once: one report tells it all.
                self.step(pod, profile, dice, now);
                return true;
            }
            Stage::Running | Stage::Ready => match ends {
                Some((at, code)) => self.exit(at.min(now), code),
                None if self.stage == Stage::Running => {
                    self.stage = Stage::Ready;
                    self.due = self.end.map(|(at, _)| at);
                    self.dirty = true;
                }
                None => {}
            },
            Stage::Over => {}
        }
        false
    }

    /// Milliseconds for which the containers have run; `None` when they don't.
    pub fn running_for(&self, now: i64) -> Option<i64> {
        matches!(self.stage, Stage::Running | Stage::Ready).then(|| now.saturating_sub(self.started_ms).max(0))
    }

    /// Deletion was asked for, nothing runs any more and the API knows it: the object can go.
    pub fn may_go(&self) -> bool {
        self.deleting && self.stage == Stage::Over && !self.dirty && !self.busy
    }

    fn run(&mut self, pod: &PodObject, started: i64, profile: &Profile, dice: Dice) {
        let annotation = |name: &str| pod.meta.annotations.as_ref().and_then(|a| a.get(name)).map(String::as_str);
        let mut throw = dice.of(&format!("attempt {}", self.attempt));
        let run = annotation(RUN_SECONDS).and_then(|t| t.parse::<f64>().ok()).filter(|s| (0.0..1e9).contains(s));
        let code = annotation(EXIT_CODE).and_then(|t| t.parse().ok()).unwrap_or(0);
        self.end = match run {
            _ if throw.share() < profile.failure_rate => Some((started, 1)),
            Some(seconds) => Some((started.saturating_add((seconds * 1000.0) as i64), code)),
            None => None,
        };
        self.stage = Stage::Running;
        self.started_ms = started;
        self.dirty = true;
        let wait = i64::try_from(profile.ready.sample(dice.of("ready")).as_millis()).unwrap_or_default();
        let ready = started.saturating_add(wait);
        self.due = Some(self.end.map_or(ready, |(at, _)| at.min(ready)));
    }

    fn exit(&mut self, at: i64, code: i32) {
        self.last = Some(Ended { code, started_ms: self.started_ms, finished_ms: at });
        self.dirty = true;
        let again = match self.restarts {
            Restarts::Always => true,
            Restarts::OnFailure => code != 0,
            Restarts::Never => false,
        };
        if self.deleting || !again {
            return self.over();
        }
        self.stage = Stage::Waiting;
        let pause = i64::try_from(crash_pause(self.attempt).as_millis()).unwrap_or_default();
        self.due = Some(at.saturating_add(pause));
    }

    fn over(&mut self) {
        self.stage = Stage::Over;
        self.due = None;
        self.end = None;
    }

    /// The pod as the code sees it that computes a status.
    pub fn state(&self, pod: Arc<PodObject>) -> PodState {
        let uid = pod.uid.clone();
        let mut state = PodState::new(pod, self.seen_ms);
        if !matches!(self.stage, Stage::Creating | Stage::Over) {
            let spec = SandboxSpec { uid: uid.clone(), ..SandboxSpec::default() };
            let sandbox = Sandbox { spec, ips: vec![IpAddr::V4(self.address)], created_ms: self.seen_ms };
            state.set_up = SetUp::Done { sandbox: Box::new(sandbox), volumes: BTreeMap::new() };
        }
        if self.stage == Stage::Over {
            state.tear_down = TearDown::Done;
        }
        state.ending = self.deleting.then_some(Ending::Deleted);
        let images: Vec<String> = state.object.containers().map(|(_, c)| c.image.clone().unwrap_or_default()).collect();
        for (record, image) in state.records.iter_mut().zip(images) {
            if self.stage == Stage::Creating || (self.stage == Stage::Over && self.last.is_none()) {
                continue;
            }
            record.attempt = self.attempt;
            record.crashes = self.attempt;
            record.image_id = format!("{image}@simulated");
            record.image = image;
            let id = |attempt: u32| format!("{uid}-{}-{attempt}", record.name);
            let finished = |ended: Ended, attempt: u32| {
                let exit = Exit { code: ended.code, started_ms: ended.started_ms, finished_ms: ended.finished_ms, ..Exit::default() };
                Finished { id: id(attempt), exit, start_failed: false }
            };
            let began = Ended { code: 0, started_ms: self.started_ms, finished_ms: self.started_ms };
            let (current, previous) = match (record.role, self.stage, self.last) {
                (Role::Init, ..) => (Current::Exited(finished(began, self.attempt)), None),
                (_, Stage::Running | Stage::Ready, last) => {
                    let previous = last.map(|ended| finished(ended, self.attempt.saturating_sub(1)));
                    (Current::Running { id: id(self.attempt), started_ms: self.started_ms }, previous)
                }
                (_, _, Some(last)) => (Current::Exited(finished(last, self.attempt)), None),
                (_, _, None) => (Current::Absent, None),
            };
            record.started = matches!(current, Current::Running { .. });
            record.ready = self.stage == Stage::Ready;
            (record.current, record.previous) = (current, previous);
            if self.stage == Stage::Waiting {
                record.step = super::super::state::Step::Held;
            }
        }
        state
    }
}

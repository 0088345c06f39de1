//! What a pod needs next: a pure decision over [`PodState`], taken anew after every message.
//!
//! ```text
//! Pending ─► Sandbox ─► InitContainers ─► Running ─► (Terminating) ─► Finished
//! ```
//! A stage is not stored: it follows from what exists. Without a sandbox there is one to be made; with it the first init
//! container that has not succeeded decides; once all have (or an app container exists already) the apps run. A pod that is
//! ending only has containers to stop, then a sandbox to remove.
use super::object::Role;
use super::state::{Current, Ending, Finished, PodState, Record, SetUp, Step, TearDown};
use std::time::Duration;

/// Upstream's `CrashLoopBackOff`: first pause, longest pause, and the run that forgives all crashes.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
const FORGIVEN_AFTER_MS: i64 = 600_000;

/// Something for the actor to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Make the sandbox and the volumes.
    SetUp,
    /// Start the container at this position.
    Start(usize),
    /// Start it once the back-off has passed.
    Hold(usize, Duration),
    /// End it, with this many seconds of grace.
    Stop(usize, u64),
    /// Remove the sandbox: nothing runs any more.
    TearDown,
}

/// The documented stage, for the dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Pending,
    Sandbox,
    InitContainers,
    Running,
    Terminating,
    Finished,
}

/// The stage that the pod is in.
pub fn stage(state: &PodState) -> Stage {
    match (&state.set_up, state.tear_down) {
        (_, TearDown::Done) => Stage::Finished,
        (_, TearDown::Busy) => Stage::Terminating,
        _ if state.ending.is_some() || completed(state) => Stage::Terminating,
        (SetUp::Missing, _) => Stage::Pending,
        (SetUp::Busy | SetUp::Held, _) => Stage::Sandbox,
        (SetUp::Done { .. }, _) if initialized(state) => Stage::Running,
        (SetUp::Done { .. }, _) => Stage::InitContainers,
    }
}

/// What is to be done now. Actions already under way are not named again.
pub fn plan(state: &PodState) -> Vec<Action> {
    if state.tear_down != TearDown::NotYet {
        return Vec::new();
    }
    if state.ending.is_some() || completed(state) {
        return wind_down(state);
    }
    match state.set_up {
        SetUp::Missing => return vec![Action::SetUp],
        SetUp::Busy | SetUp::Held => return Vec::new(),
        SetUp::Done { .. } => {}
    }
    let mut actions = changed_images(state);
    let started = initialized(state);
    for (index, record) in state.records.iter().enumerate() {
        match record.role {
            Role::App if !started => break,
            // Init containers are over once apps may run.
            Role::Init if started => continue,
            _ => {}
        }
        if let Some(action) = wanted(state, index, record) {
            actions.push(action);
        }
        if !started && !passes(record) {
            break;
        }
    }
    actions
}

/// A container of an initializing pod no longer holds up those behind it.
fn passes(record: &Record) -> bool {
    match record.role {
        Role::Init => succeeded(record),
        Role::Sidecar => record.is_running() && record.started,
        Role::App => true,
    }
}

/// All init containers are done, or were once: an app container exists.
pub fn initialized(state: &PodState) -> bool {
    let app_exists = state.records.iter().any(|r| r.role == Role::App && (r.current != Current::Absent || r.step != Step::Idle));
    app_exists || state.records.iter().filter(|r| r.role != Role::App).all(passes)
}

/// No app container will run again (or an init container has failed for good), so the pod is at its end.
pub fn completed(state: &PodState) -> bool {
    let over = |(_, r): (usize, &Record)| r.finished().is_some_and(|f| r.step != Step::Starting && !restarts(state, r, f));
    if init_failed(state) {
        return true;
    }
    let mut apps = state.records.iter().enumerate().filter(|(_, r)| r.role == Role::App).peekable();
    apps.peek().is_some() && apps.all(over)
}

/// An init container has failed and is not tried again.
pub fn init_failed(state: &PodState) -> bool {
    state.records.iter().any(|r| {
        r.role == Role::Init && r.step != Step::Starting && r.finished().is_some_and(|f| f.exit.code != 0 && !restarts(state, r, f))
    })
}

fn succeeded(record: &Record) -> bool {
    record.finished().is_some_and(|f| f.exit.code == 0)
}

/// Whether the restart policy asks for another attempt after this end.
pub fn restarts(state: &PodState, record: &Record, finished: &Finished) -> bool {
    let failed = finished.exit.code != 0;
    let own = match record.role {
        Role::App => {
            let index = state.records.iter().position(|r| r.name == record.name);
            index.and_then(|i| state.object.container(i)).and_then(|c| c.restart_policy.as_deref())
        }
        _ => None,
    };
    match (record.role, own.unwrap_or(state.object.restart_policy())) {
        (Role::Sidecar, _) => true,
        (Role::Init, "Never") => false,
        (Role::Init, _) => failed,
        (Role::App, "Never") => false,
        (Role::App, "OnFailure") => failed,
        (Role::App, _) => true,
    }
}

fn wanted(state: &PodState, index: usize, record: &Record) -> Option<Action> {
    match (record.step, &record.current) {
        (Step::Starting | Step::Held, _) | (_, Current::Running { .. }) => None,
        (Step::Due, _) | (Step::Idle, Current::Absent) => Some(Action::Start(index)),
        (Step::Idle, Current::Exited(finished)) if restarts(state, record, finished) => {
            let pause = crash_pause(record.crashes);
            Some(if pause.is_zero() { Action::Start(index) } else { Action::Hold(index, pause) })
        }
        (Step::Idle, Current::Exited(_)) => None,
    }
}

/// Containers whose image was changed in the spec end, and come back with the new one.
fn changed_images(state: &PodState) -> Vec<Action> {
    let running = state.records.iter().enumerate().filter(|(_, r)| r.is_running() && r.stopping.is_none() && !r.image.is_empty());
    let differs = |(index, r): &(usize, &Record)| {
        state.object.container(*index).and_then(|c| c.image.as_deref()).is_some_and(|image| image != r.image)
    };
    running.filter(differs).map(|(index, _)| Action::Stop(index, state.object.grace())).collect()
}

/// Apps first, together; then sidecars one by one from the last; then the sandbox.
fn wind_down(state: &PodState) -> Vec<Action> {
    if state.quiet() {
        return vec![Action::TearDown];
    }
    let grace = match state.ending {
        Some(Ending::Vanished) => 0,
        Some(Ending::Deleted) => state.object.deletion_grace().unwrap_or(0),
        _ => state.object.grace(),
    };
    let stop = |(index, record): (usize, &Record)| {
        let longer = record.stopping.as_ref().is_none_or(|s| s.grace > grace);
        (record.is_running() && longer).then_some(Action::Stop(index, grace))
    };
    let alive = |r: &Record| r.is_running() || r.step == Step::Starting;
    let indexed = || state.records.iter().enumerate();
    if grace == 0 || indexed().any(|(_, r)| r.role != Role::Sidecar && alive(r)) {
        return indexed().filter(|(_, r)| grace == 0 || r.role != Role::Sidecar).filter_map(stop).collect();
    }
    indexed().rev().find(|(_, r)| alive(r)).and_then(stop).into_iter().collect()
}

/// The pause before the restart number `crashes`: none, then 10 s doubling up to 300 s.
pub fn crash_pause(crashes: u32) -> Duration {
    match crashes.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => (FIRST_PAUSE * 2u32.pow(doublings.min(10))).min(LONGEST_PAUSE),
    }
}

/// The pause after the failed pull number `failures` (from 1).
pub fn pull_pause(failures: u32) -> Duration {
    crash_pause(failures.max(1))
}

/// The pause after a failed set-up or an unresolved reference: 1 s doubling up to 10 s.
pub fn retry_pause(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.saturating_sub(1).min(3)).min(Duration::from_secs(10))
}

/// A run this long wipes the slate clean.
pub fn forgiven(finished: &Finished) -> bool {
    finished.exit.finished_ms - finished.exit.started_ms >= FORGIVEN_AFTER_MS
}

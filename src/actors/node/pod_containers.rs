//! What a pod's actor does to containers: start, hold back, probe, stop.
use super::object::Role as ContainerRole;
use super::pod::{Pod, PodMessage, Running};
use super::probe::{self, ProbeKind, Sample, Target, Verdict};
use super::start::{self, Hitch, HitchKind, Launched};
use super::state::{Current, Finished, SetUp, Step, Stopping};
use super::status::{crash_loop_message, full_name};
use crate::actors::base::Scope;
use std::sync::Arc;
use std::time::Duration;

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;
/// What a container whose `preStop` ate up the grace still gets after SIGTERM, as upstream grants it.
const LAST_GRACE: Duration = Duration::from_secs(2);
/// How long a failed pull shows its error before it shows the back-off.
const SHOW_ERROR: Duration = Duration::from_secs(3);

impl Pod {
    pub(super) fn set_up(&mut self, scope: &mut Scope<'_, Self>) {
        self.state.set_up = SetUp::Busy;
        let (around, object) = (self.around.clone(), self.state.object.clone());
        scope.run(async move { PodMessage::SetUpDone(start::set_up(&around, &object).await) });
    }

    pub(super) fn start(&mut self, index: usize, scope: &mut Scope<'_, Self>) {
        let SetUp::Done { sandbox, volumes } = self.state.set_up.clone() else { return };
        let Some(record) = self.state.records.get_mut(index) else { return };
        let attempt = record.next_attempt();
        if record.current != Current::Absent && record.failures == 0 {
            record.crashes = record.crashes.saturating_add(1);
        }
        record.step = Step::Starting;
        let (around, object) = (self.around.clone(), self.state.object.clone());
        scope.run(async move {
            let outcome = start::start_container(&around, &object, index, attempt, &sandbox, &volumes).await;
            PodMessage::Started { index, attempt, outcome }
        });
    }

    /// The crash-loop back-off before the next attempt.
    pub(super) fn hold(&mut self, index: usize, pause: Duration, scope: &mut Scope<'_, Self>) {
        let Some(record) = self.state.records.get_mut(index) else { return };
        record.step = Step::Held;
        record.waiting = None;
        let (name, attempt) = (record.name.clone(), record.next_attempt());
        if let Some(record) = self.state.records.get(index) {
            tracing::info!(pod = self.state.object.name, "{}", crash_loop_message(&self.state, record));
        }
        let text = format!("Back-off restarting failed container {name} in pod {}", full_name(&self.state));
        self.tell(Some(&name), "Warning", "BackOff", text);
        self.later(pause, PodMessage::Retry { index, attempt }, scope);
    }

    pub(super) fn retry(&mut self, index: usize, attempt: u32) {
        if let Some(record) = self.state.records.get_mut(index).filter(|r| r.step == Step::Held && r.next_attempt() == attempt) {
            record.step = Step::Due;
        }
    }

    pub(super) fn show_back_off(&mut self, index: usize, failures: u32) {
        let image = self.state.object.container(index).and_then(|c| c.image.clone()).unwrap_or_default();
        let held = |r: &&mut super::state::Record| r.step == Step::Held && r.failures == failures;
        let Some(record) = self.state.records.get_mut(index).filter(held) else { return };
        let name = record.name.clone();
        let text = format!("Back-off pulling image \"{image}\"");
        let why = record.waiting.take().map(|(_, message)| message).unwrap_or_default();
        record.waiting = Some(("ImagePullBackOff".into(), format!("{text}: {why}")));
        self.tell(Some(&name), "Normal", "BackOff", text);
        self.tell(Some(&name), "Warning", "Failed", "Error: ImagePullBackOff".into());
    }

    pub(super) fn started_container(&mut self, index: usize, attempt: u32, outcome: Result<Launched, Hitch>, scope: &mut Scope<'_, Self>) {
        let fits = self.state.records.get(index).is_some_and(|r| r.step == Step::Starting && r.next_attempt() == attempt);
        if !fits {
            return;
        }
        match outcome {
            Ok(launched) => self.launched(index, launched, scope),
            Err(hitch) if hitch.kind == HitchKind::Launch => self.failed_launch(index, attempt, &hitch.error),
            Err(hitch) => self.hitch(index, attempt, &hitch, scope),
        }
    }

    fn launched(&mut self, index: usize, launched: Launched, scope: &mut Scope<'_, Self>) {
        let spec = self.state.object.container(index).cloned().unwrap_or_default();
        let early = self.early.remove(&launched.id);
        let Some(record) = self.state.records.get_mut(index) else { return };
        let outdated = record.previous.take();
        let id = launched.id;
        record.begin(id.clone(), launched.started_ms);
        (record.image, record.image_id) = (launched.image, launched.image_id);
        record.started = spec.startup_probe.is_none();
        record.ready = record.started && spec.readiness_probe.is_none();
        if let Some(exit) = early {
            record.end(Finished { id, exit, start_failed: false });
        } else if let Some(handler) = spec.lifecycle.as_ref().and_then(|l| l.post_start.clone()) {
            record.hook_pending = true;
            if let Some(target) = self.target(index, &id) {
                scope.run(async move { PodMessage::PostStartDone { outcome: probe::hook(&target, &handler).await, id } });
            }
        }
        if let Some(outdated) = outdated {
            self.forget(index, outdated);
        }
    }

    /// The attempt before the last one is of no use any more: its state and its log go.
    fn forget(&self, index: usize, outdated: Finished) {
        let runtime = self.around.runtime.clone();
        let Some(record) = self.state.records.get(index) else { return };
        let log = record.attempt.checked_sub(2).map(|attempt| self.around.places.log(&self.state.object, &record.name, attempt));
        actix_rt::spawn(async move {
            if let Err(error) = runtime.remove_container(&outdated.id).await {
                tracing::debug!(container = outdated.id, %error, "an old attempt was not removed");
            }
            if let Some(log) = log {
                // It may never have been written.
                let _ = tokio::fs::remove_file(log).await;
            }
        });
    }

    fn hitch(&mut self, index: usize, attempt: u32, hitch: &Hitch, scope: &mut Scope<'_, Self>) {
        let Some(record) = self.state.records.get_mut(index) else { return };
        record.failures = record.failures.saturating_add(1);
        record.step = Step::Held;
        record.waiting = Some((hitch.error.reason.into(), hitch.error.message.clone()));
        let (failures, pause) = (record.failures, hitch.pause(record.failures));
        self.later(pause, PodMessage::Retry { index, attempt }, scope);
        if hitch.kind == HitchKind::Image && !matches!(hitch.error.reason, "ErrImageNeverPull" | "InvalidImageName") {
            self.later(SHOW_ERROR, PodMessage::ShowBackOff { index, failures }, scope);
        }
    }

    pub(super) fn target(&self, index: usize, id: &str) -> Option<Target> {
        let container = Arc::new(self.state.object.container(index)?.clone());
        let on_host = self.state.object.spec.host_network == Some(true);
        let ip = self.state.sandbox().and_then(|s| s.ips.first()).filter(|_| !on_host).map(ToString::to_string);
        let ip = ip.unwrap_or_else(|| self.around.host_ip.clone());
        Some(Target { runtime: self.around.runtime.clone(), container_id: id.into(), container, ip })
    }

    pub(super) fn post_start_done(&mut self, id: &str, outcome: Result<(), String>, scope: &mut Scope<'_, Self>) {
        let Some(index) = self.state.by_id(id) else { return };
        let Some(record) = self.state.records.get_mut(index).filter(|r| r.is_running()) else { return };
        let name = record.name.clone();
        match outcome {
            Ok(()) => record.hook_pending = false,
            Err(why) => {
                self.tell(Some(&name), "Warning", "FailedPostStartHook", format!("PostStartHook failed: {why}"));
                self.stop(index, self.state.object.grace(), "FailedPostStartHook", scope);
            }
        }
    }

    /// Begins or hastens the end of a container: `preStop`, SIGTERM, and SIGKILL when the grace is over.
    pub(super) fn stop(&mut self, index: usize, grace: u64, why: &str, scope: &mut Scope<'_, Self>) {
        let Some(record) = self.state.records.get_mut(index) else { return };
        let Current::Running { id, .. } = record.current.clone() else { return };
        let (name, before) = (record.name.clone(), record.stopping.take());
        let round = before.as_ref().map_or(0, |s| s.round.saturating_add(1));
        let pre_stop = self.state.object.container(index).and_then(|c| c.lifecycle.as_ref()).and_then(|l| l.pre_stop.clone());
        let hook = pre_stop.filter(|_| before.is_none() && grace > 0);
        let signalled = before.as_ref().is_some_and(|s| s.signalled) || (before.is_none() && hook.is_none());
        record.stopping = Some(Stopping { round, grace, signalled });
        if before.is_none() {
            self.tell(Some(&name), "Normal", "Killing", format!("{why} {name}").replace("FailedPostStartHook ", "FailedPostStartHook: "));
        }
        if grace == 0 {
            return self.signal(&id, SIGKILL);
        }
        if let Some(handler) = hook {
            if let Some(target) = self.target(index, &id) {
                let id = id.clone();
                scope.run(async move { PodMessage::PreStopDone { outcome: probe::hook(&target, &handler).await, id } });
            }
        } else if before.is_none() {
            self.signal(&id, SIGTERM);
        }
        self.later(Duration::from_secs(grace), PodMessage::GraceOver { id, round }, scope);
    }

    pub(super) fn pre_stop_done(&mut self, id: &str, outcome: Result<(), String>, _scope: &mut Scope<'_, Self>) {
        let Some(record) = self.state.by_id(id).and_then(|i| self.state.records.get_mut(i)) else { return };
        let name = record.name.clone();
        let Some(stopping) = record.stopping.as_mut().filter(|s| !s.signalled) else { return };
        stopping.signalled = true;
        if let Err(why) = outcome {
            self.tell(Some(&name), "Warning", "FailedPreStopHook", format!("PreStopHook failed: {why}"));
        }
        self.signal(id, SIGTERM);
    }

    pub(super) fn grace_over(&mut self, id: &str, round: u32, scope: &mut Scope<'_, Self>) {
        let Some(record) = self.state.by_id(id).and_then(|i| self.state.records.get_mut(i)).filter(|r| r.is_running()) else { return };
        let Some(stopping) = record.stopping.as_mut().filter(|s| s.round == round) else { return };
        if std::mem::replace(&mut stopping.signalled, true) {
            return self.signal(id, SIGKILL);
        }
        self.signal(id, SIGTERM);
        self.later(LAST_GRACE, PodMessage::GraceOver { id: id.into(), round }, scope);
    }

    fn signal(&self, id: &str, signal: i32) {
        let (runtime, id) = (self.around.runtime.clone(), id.to_string());
        actix_rt::spawn(async move {
            if let Err(error) = runtime.signal_container(&id, signal).await {
                tracing::warn!(container = id, signal, %error, "a container could not be signalled");
            }
        });
    }

    /// Starts the probes that are due, ends those that are not.
    pub(super) fn tend_probes(&mut self, scope: &Scope<'_, Self>) {
        let mut wanted = Vec::new();
        for (index, record) in self.state.records.iter().enumerate() {
            let Current::Running { id, .. } = &record.current else { continue };
            let Some(container) = self.state.object.container(index) else { continue };
            if record.stopping.is_some() || record.hook_pending || record.role == ContainerRole::Init {
                continue;
            }
            let due = if record.started { &[ProbeKind::Liveness, ProbeKind::Readiness][..] } else { &[ProbeKind::Startup][..] };
            let set = due.iter().filter_map(|kind| kind.of(container).map(|probe| (*kind, probe.clone())));
            wanted.extend(set.map(|(kind, probe)| ((index, kind), id.clone(), probe)));
        }
        self.probes.retain(|key, _| wanted.iter().any(|(k, _, _)| k == key));
        for (key, id, spec) in wanted {
            let Some(target) = self.target(key.0, &id) else { continue };
            let mailbox = scope.mailbox().clone();
            self.probes.entry(key).or_insert_with(|| {
                // A verdict that finds the mailbox full is made up for by the next one.
                let report = move |sample| drop(mailbox.tell(PodMessage::Probed { id: id.clone(), probe: key.1, sample }));
                Running::spawn(probe::run(target, spec, report))
            });
        }
    }

    pub(super) fn probed(&mut self, id: &str, kind: ProbeKind, sample: Sample, scope: &mut Scope<'_, Self>) {
        let Some(index) = self.state.by_id(id) else { return };
        let spec = self.state.object.container(index).cloned().unwrap_or_default();
        let Some(record) = self.state.records.get_mut(index).filter(|r| r.is_running() && r.stopping.is_none()) else { return };
        let name = record.name.clone();
        match (kind, sample.settled) {
            (ProbeKind::Startup, Some(true)) => {
                record.started = true;
                record.ready = spec.readiness_probe.is_none();
            }
            (ProbeKind::Readiness, Some(ready)) => record.ready = ready,
            _ => {}
        }
        match sample.verdict {
            Verdict::Success => {}
            Verdict::Failure(why) => self.tell(Some(&name), "Warning", "Unhealthy", format!("{} probe failed: {why}", kind.word())),
            Verdict::Unknown(why) => self.tell(Some(&name), "Warning", "Unhealthy", format!("{} probe errored: {why}", kind.word())),
        }
        if sample.settled == Some(false) && kind != ProbeKind::Readiness {
            let own = kind.of(&spec).and_then(|p| p.termination_grace_period_seconds).and_then(|s| u64::try_from(s).ok());
            let text = format!("Container {name} failed {} probe, will be restarted", kind.word().to_lowercase());
            self.tell(Some(&name), "Normal", "Killing", text);
            self.stop(index, own.unwrap_or(self.state.object.grace()), "Stopping container", scope);
        }
    }

    pub(super) fn tell(&self, container: Option<&str>, kind: &'static str, reason: &str, message: String) {
        self.around.events.pod(&self.state.object, container, kind, reason, message);
    }
}

//! Deciding: one pod after the other, binds in batches.
use super::effects::{self, Telling, UNSCHEDULABLE};
use super::{Assumed, Message, Scheduler, Unready, told};
use crate::actors::base::Scope;
use crate::actors::controllers::plan::EventNote;
use crate::actors::scheduler::decide::{Decision, Outcome, Preemption, decide};
use crate::actors::scheduler::framework::happening::Happening;
use crate::actors::scheduler::framework::{Permit, Points, Progress, Write};
use crate::actors::scheduler::metrics::{Ended, METRICS};
use crate::actors::scheduler::pod::PodInfo;
use crate::actors::scheduler::queue::Taken;
use crate::protocol::status::ApiError;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Binds and refusals under way at once.
const BUSY: usize = 1024;
/// How long decisions are made in a row before other messages get their turn.
const STRETCH: Duration = Duration::from_millis(10);
/// Refusals that are remembered.
const REMEMBERED: usize = 1024;

/// Refusals by shape of the pod, with the generation of the cluster at which they hold.
pub type Memory = HashMap<u64, (u64, String, u32)>;

impl Scheduler {
    /// Decides about as many pods as it may, and sees to it that it goes on.
    pub(super) fn work(&mut self, scope: &mut Scope<'_, Self>) {
        let started = Instant::now();
        self.give_up_waiting(started, scope);
        self.bind_ready(scope);
        self.wake(started);
        self.queue.tick(&self.rules.profiles, started);
        let mut binds = Vec::new();
        while self.busy < BUSY && started.elapsed() < STRETCH {
            let Some(taken) = self.queue.take() else { break };
            self.attempt(taken, &mut binds, scope);
        }
        self.bind(binds, scope);
        self.wake(Instant::now());
        if self.queue.has_work() && self.busy < BUSY && !self.going_on {
            self.going_on = true;
            let life = self.life;
            scope.run(async move { Message::GoOn { life } });
        }
        METRICS.waiting(self.queue.depths());
        if let Some(alarm) = &self.alarm {
            let patience = self.unready.values().map(|waiting| waiting.until).min();
            let next = [self.queue.next_deadline(), patience].into_iter().flatten().min();
            alarm.send_if_modified(|at| std::mem::replace(at, next) != next);
        }
    }

    fn wake(&mut self, now: Instant) {
        let happened = std::mem::take(&mut self.happened);
        self.queue.wake(&happened, &self.cluster, &self.rules.profiles, now);
    }

    fn attempt(&mut self, taken: Taken, binds: &mut Vec<Assumed>, scope: &Scope<'_, Self>) {
        let rules = self.rules.clone();
        let Some(profile) = rules.profiles.get(taken.profile) else { return };
        let started = Instant::now();
        let decision = match self.remembered(&taken) {
            Some(decision) => decision,
            None => decide(&taken.pod, &mut self.cluster, profile, &mut self.search),
        };
        let pod = &taken.pod;
        match decision.outcome {
            Outcome::Node { slot } => {
                let score = decision.top.first().map_or(0, |(_, score)| *score);
                let why = format!("score {score}, best of {}", decision.feasible);
                let ended = match self.assume(&taken, slot, why) {
                    Ok((assumed, writes)) => {
                        scope.decided(format!("{} → {}", pod.key, assumed.why));
                        self.carry_out(assumed, writes, binds, scope);
                        Ended::Scheduled
                    }
                    Err(why) => {
                        self.queue.retry(&pod.key, &pod.uid, Instant::now());
                        self.fail(pod, taken.profile, &why, scope);
                        Ended::Error
                    }
                };
                METRICS.attempt(ended, &profile.name, started.elapsed());
            }
            Outcome::Unschedulable { ref message, rejected_by, .. } => {
                scope.decided(format!("{}: {message}", pod.key));
                METRICS.attempt(Ended::Unschedulable, &profile.name, started.elapsed());
                self.remember(&taken, &decision);
                self.refuse(&taken, decision, rejected_by, scope);
            }
        }
    }

    /// The refusal of an equal pod, when nothing has changed since.
    fn remembered(&self, taken: &Taken) -> Option<Decision> {
        let (generation, message, rejected_by) = self.memory.get(&taken.pod.shape)?;
        if *generation != self.cluster.generation() || taken.pod.nominated.is_some() {
            return None;
        }
        let outcome = Outcome::Unschedulable { message: message.clone(), rejected_by: *rejected_by, preemption: Preemption::Waits };
        Some(Decision { outcome, looked_at: 0, feasible: 0, top: Vec::new(), counts: Vec::new() })
    }

    fn remember(&mut self, taken: &Taken, decision: &Decision) {
        let Outcome::Unschedulable { message, rejected_by, preemption } = &decision.outcome else { return };
        if matches!(preemption, Preemption::Victims(_)) || taken.pod.nominated.is_some() {
            return;
        }
        if self.memory.len() >= REMEMBERED {
            self.memory.clear();
        }
        self.memory.insert(taken.pod.shape, (self.cluster.generation(), message.clone(), *rejected_by));
    }

    /// Takes the node for the pod; what has to be written before the bind.
    fn assume(&mut self, taken: &Taken, slot: usize, why: String) -> Result<(Assumed, Vec<Write>), String> {
        let rules = self.rules.clone();
        let (Some(profile), Some(node)) = (rules.profiles.get(taken.profile), self.cluster.node(slot).cloned()) else {
            return Err("node not found".into());
        };
        let mut writes = Vec::new();
        for (_, plugin) in profile.at(Points::RESERVE) {
            match plugin.plugin.reserve(&taken.pod, slot, &node, &mut self.cluster) {
                Ok(more) => writes.extend(more),
                Err(reason) => {
                    profile.at(Points::RESERVE).for_each(|(_, p)| p.plugin.unreserve(&taken.pod, &mut self.cluster));
                    return Err(format!("running Reserve plugin \"{}\": {}", plugin.plugin.name(), reason.text));
                }
            }
        }
        for (_, plugin) in profile.at(Points::PERMIT) {
            if let Permit::Reject(reason) = plugin.plugin.permit(&taken.pod, &node) {
                profile.at(Points::RESERVE).for_each(|(_, p)| p.plugin.unreserve(&taken.pod, &mut self.cluster));
                return Err(format!("running Permit plugin \"{}\": {}", plugin.plugin.name(), reason.text));
            }
        }
        self.cluster.place(taken.pod.resident.clone(), &node.name);
        self.cluster.denominate(&taken.pod.key);
        if self.queue.depths().unschedulable > 0 {
            self.happened.push(Happening::PodCame { slot, pod: Box::new(taken.pod.resident.clone()) });
        }
        let why = format!("{}: {why}", node.name);
        Ok((
            Assumed { pod: taken.pod.clone(), node: node.name, profile: taken.profile, since: taken.since, began: Instant::now(), why },
            writes,
        ))
    }

    /// Binds the pod, after its volumes and devices when it needs some.
    fn carry_out(&mut self, assumed: Assumed, writes: Vec<Write>, binds: &mut Vec<Assumed>, scope: &Scope<'_, Self>) {
        if writes.is_empty() && self.progress(&assumed, None) == Progress::Ready {
            self.busy += 1;
            self.binding.insert(assumed.pod.key.clone(), assumed.clone());
            return binds.push(assumed);
        }
        let patience = self.rules.profiles.get(assumed.profile).map_or(Duration::ZERO, |p| p.patience);
        let waiting = Unready { assumed: assumed.clone(), until: Instant::now() + patience, written: None };
        self.unready.insert(assumed.pod.key.clone(), waiting);
        self.busy += 1;
        let (writer, source, life) = (self.writer.clone(), self.source.clone(), self.life);
        scope.run(async move {
            let result = effects::prepare(&*writer, &*source, &assumed, &writes).await;
            Message::Prepared { life, pod: Box::new(assumed), result }
        });
    }

    /// One task for all binds of a stretch: they go out together, and are committed together.
    pub(super) fn bind(&mut self, binds: Vec<Assumed>, scope: &Scope<'_, Self>) {
        if binds.is_empty() {
            return;
        }
        let (writer, life) = (self.writer.clone(), self.life);
        scope.run(async move { Message::Bound { life, results: effects::bind(&*writer, binds).await } });
    }

    pub(super) fn bound(&mut self, assumed: &Assumed, result: Result<(), ApiError>, scope: &Scope<'_, Self>) {
        let pod = &assumed.pod;
        self.binding.remove(&pod.key);
        match result {
            Ok(()) => {
                METRICS.bound(assumed.since.elapsed());
                self.queue.remove(&pod.key);
                self.writer.decided(told::placed(self.component(assumed.profile), assumed));
                let message = format!("Successfully assigned {} to {}", pod.key, assumed.node);
                self.record(effects::note(pod, "Normal", "Scheduled", message, self.component(assumed.profile)));
            }
            Err(error) => {
                tracing::debug!(pod = %pod.key, %error, "the bind was refused");
                self.give_back(assumed, &format!("running Bind plugin \"DefaultBinder\": {error}"), scope);
            }
        }
    }

    fn refuse(&mut self, taken: &Taken, decision: Decision, rejected_by: u32, scope: &Scope<'_, Self>) {
        let Outcome::Unschedulable { message, preemption, .. } = decision.outcome else { return };
        let mut pod = (*taken.pod).clone();
        let news = pod.told != message;
        pod.told.clone_from(&message);
        let mut nomination = None;
        let mut victims = None;
        match preemption {
            Preemption::Victims(found) => {
                METRICS.preempted(found.pods.len());
                nomination = Some(Some(found.node.clone()));
                pod.nominated = Some(found.node.clone());
                victims = Some(found);
            }
            Preemption::Nowhere if pod.nominated.is_some() => {
                nomination = Some(None);
                pod.nominated = None;
            }
            Preemption::Nowhere | Preemption::Waits => {}
        }
        let pod = Arc::new(pod);
        let outranked = self.outranked(&pod, victims.as_ref().map(|v| v.slot));
        if nomination.is_some() {
            self.cluster.nominate(&pod, pod.nominated.as_deref());
        }
        self.queue.refuse(pod.clone(), rejected_by, &self.rules.profiles, Instant::now());
        let component = self.component(taken.profile);
        self.record(effects::note(&pod, "Warning", "FailedScheduling", message.clone(), component));
        if !news && nomination.is_none() {
            return;
        }
        self.writer.decided(told::refused(component, &pod, UNSCHEDULABLE, &message, victims.as_ref()));
        self.tell(Telling { pod, reason: UNSCHEDULABLE, message, nomination, victims, outranked, component }, scope);
    }

    pub(super) fn tell(&mut self, telling: Telling, scope: &Scope<'_, Self>) {
        self.busy += 1;
        let (writer, life, source, events) = (self.writer.clone(), self.life, self.source.clone(), self.events.clone());
        scope.run(async move {
            let done = effects::tell(&*writer, &*source, events.as_ref(), &telling).await;
            Message::Told { life, pod: telling.pod.key.clone(), done }
        });
    }

    /// Pods of lower priority that room was made for on the node: they have to look for another.
    fn outranked(&mut self, pod: &PodInfo, slot: Option<usize>) -> Vec<Arc<PodInfo>> {
        let Some(slot) = slot else { return Vec::new() };
        let lower: Vec<_> = self.cluster.nominated(slot).iter().filter(|n| n.priority < pod.priority).cloned().collect();
        for other in &lower {
            self.cluster.denominate(&other.key);
            self.queue.nudge(&other.key, &self.rules.profiles);
        }
        lower
    }

    pub(super) fn component(&self, profile: usize) -> &'static str {
        self.rules.profiles.get(profile).map_or("default-scheduler", |p| p.component)
    }

    pub(super) fn record(&self, note: EventNote) {
        if let Some(events) = &self.events {
            effects::record(events, note);
        }
    }
}

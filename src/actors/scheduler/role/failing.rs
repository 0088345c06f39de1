//! Pods that have a node and are not bound yet: those that wait for volumes and devices, and what becomes of them when that, or
//! the bind, fails.
use super::effects::{self, ERROR, Telling};
use super::{Assumed, Scheduler, told};
use crate::actors::base::Scope;
use crate::actors::scheduler::framework::happening::Happening;
use crate::actors::scheduler::framework::{Points, Progress, Written};
use crate::actors::scheduler::metrics::{Ended, METRICS};
use crate::actors::scheduler::pod::PodInfo;
use crate::protocol::light::Light;
use crate::storage::entry::Entry;
use std::sync::Arc;
use std::time::Instant;

impl Scheduler {
    /// How far that is which the pod waits for before it is bound. A failure is told as upstream tells it.
    pub(super) fn progress(&self, assumed: &Assumed, written: Option<&[Written]>) -> Progress {
        let Some(profile) = self.rules.profiles.get(assumed.profile) else { return Progress::Waits };
        let node = self.cluster.slot(&assumed.node).and_then(|slot| self.cluster.node(slot)).filter(|n| n.exists);
        let Some(node) = node else {
            return Progress::Failed(format!("failed to get node \"{0}\": node \"{0}\" not found", assumed.node));
        };
        let each = profile.at(Points::PRE_BIND).map(|(_, slot)| match slot.plugin.progress(&assumed.pod, node, written, &self.cluster) {
            Progress::Failed(why) => Progress::Failed(format!("running PreBind plugin \"{}\": {why}", slot.plugin.name())),
            other => other,
        });
        each.reduce(Progress::and).unwrap_or(Progress::Ready)
    }

    /// Pods whose volumes and devices have come, or will not come.
    pub(super) fn bind_ready(&mut self, scope: &Scope<'_, Self>) {
        if !std::mem::take(&mut self.stirred) || self.unready.is_empty() {
            return;
        }
        let (mut ready, mut failed) = (Vec::new(), Vec::new());
        for waiting in self.unready.values().filter(|w| w.written.is_some()) {
            match self.progress(&waiting.assumed, waiting.written.as_deref()) {
                Progress::Ready => ready.push(waiting.assumed.clone()),
                Progress::Failed(why) => failed.push((waiting.assumed.clone(), why)),
                Progress::Waits => {}
            }
        }
        for assumed in &ready {
            self.unready.remove(&assumed.pod.key);
            self.binding.insert(assumed.pod.key.clone(), assumed.clone());
        }
        self.busy += ready.len();
        self.bind(ready, scope);
        for (assumed, why) in failed {
            self.unready.remove(&assumed.pod.key);
            self.give_back(&assumed, &why, scope);
        }
    }

    pub(super) fn give_up_waiting(&mut self, now: Instant, scope: &Scope<'_, Self>) {
        let late: Vec<Assumed> = self.unready.values().filter(|w| w.until <= now).map(|w| w.assumed.clone()).collect();
        for assumed in late {
            self.unready.remove(&assumed.pod.key);
            self.give_back(&assumed, "running PreBind plugin \"VolumeBinding\": binding volumes: context deadline exceeded", scope);
        }
    }

    pub(super) fn prepared(&mut self, assumed: &Assumed, result: Result<Vec<Written>, String>, scope: &Scope<'_, Self>) {
        let key = &assumed.pod.key;
        let Some(waiting) = self.unready.get_mut(key).filter(|w| w.assumed.began == assumed.began) else { return };
        match result {
            Ok(written) => {
                waiting.written = Some(written);
                self.stirred = true;
            }
            Err(why) => {
                tracing::debug!(pod = %key, why, "what the pod's volumes need was not written");
                self.unready.remove(key);
                self.give_back(assumed, &why, scope);
            }
        }
    }

    /// A pod that waits for its volumes is gone, or somebody else bound it.
    pub(super) fn dismiss(&mut self, entry: &Entry) {
        if self.unready.get(&entry.key).is_some_and(|w| w.assumed.pod.uid == entry.meta.uid)
            && let Some(waiting) = self.unready.remove(&entry.key)
        {
            self.unreserve(&waiting.assumed);
        }
    }

    fn unreserve(&mut self, assumed: &Assumed) {
        let rules = self.rules.clone();
        if let Some(profile) = rules.profiles.get(assumed.profile) {
            profile.at(Points::RESERVE).for_each(|(_, p)| p.plugin.unreserve(&assumed.pod, &mut self.cluster));
        }
    }

    /// The pod did not get its node after all: its room is free again, that is told, and it is tried again unless it is gone
    /// or somebody else bound it.
    pub(super) fn give_back(&mut self, assumed: &Assumed, why: &str, scope: &Scope<'_, Self>) {
        let pod = &assumed.pod;
        let committed = self.source.get("pods", &pod.key).filter(|e| e.meta.uid == pod.uid);
        let elsewhere = committed.as_ref().is_some_and(|e| matches!(&e.light, Light::Pod(light) if !light.node.is_empty()));
        self.unreserve(assumed);
        // When somebody else bound it, the event of that has placed it, or will.
        if !elsewhere && let Some((slot, left)) = self.cluster.forget(&pod.key, Some(&pod.uid)) {
            self.happened.push(Happening::PodLeft { slot, pod: Box::new(left) });
        }
        let Some(entry) = committed.filter(|_| !elsewhere) else { return self.queue.remove(&pod.key) };
        self.queue.retry(&pod.key, &pod.uid, Instant::now());
        // What it came to be while it was being bound was not looked at.
        self.pod_changed(&entry, false);
        if let Some(profile) = self.rules.profiles.get(assumed.profile) {
            METRICS.attempt(Ended::Error, &profile.name, assumed.began.elapsed());
        }
        if let Some(newest) = self.queue.get(&pod.key).cloned() {
            self.fail(&newest, assumed.profile, why, scope);
        }
    }

    /// Something went wrong on the pod's way to a node. It is in the queue again; where it was thought to go does not hold.
    pub(super) fn fail(&mut self, pod: &Arc<PodInfo>, profile: usize, why: &str, scope: &Scope<'_, Self>) {
        scope.decided(format!("{}: {why}", pod.key));
        let component = self.component(profile);
        self.record(effects::note(pod, "Warning", "FailedScheduling", why.into(), component));
        if pod.told == why && pod.nominated.is_none() {
            return;
        }
        let nomination = pod.nominated.is_some().then_some(None);
        let pod = Arc::new(PodInfo { told: why.into(), nominated: None, ..(**pod).clone() });
        self.cluster.denominate(&pod.key);
        self.queue.put(pod.clone(), profile, &self.rules.profiles, Instant::now());
        self.writer.decided(told::refused(component, &pod, ERROR, why, None));
        let telling = Telling { pod, reason: ERROR, message: why.into(), nomination, victims: None, outranked: Vec::new(), component };
        self.tell(telling, scope);
    }
}

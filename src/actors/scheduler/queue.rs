//! Pods that wait: the active by priority, those that rest after a failure, those that nothing can be done for until
//! something changes. Pure; time is an argument.
use super::pod::PodInfo;
use crate::protocol::meta::ObjectKey;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Where a pod waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Active(Rank),
    Backoff(Instant, u64),
    Unschedulable {
        waits_for_room: bool,
        until: Instant,
    },
    /// Being bound, or behind a scheduling gate.
    Away,
}

/// Higher priority first, then who came first.
type Rank = (Reverse<i32>, u64);

struct Waiting {
    pod: PodInfo,
    place: Place,
    attempts: u32,
    number: u64,
}

/// What happened that may help unschedulable pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A node appeared or changed.
    Node,
    /// A pod left its node.
    Room,
}

/// See the module.
#[derive(Default)]
pub struct Queue {
    pods: HashMap<ObjectKey, Waiting>,
    active: BTreeMap<Rank, ObjectKey>,
    backoff: BTreeSet<(Instant, u64)>,
    resting: HashMap<u64, ObjectKey>,
    arrivals: u64,
}

impl Queue {
    /// A pod appeared or changed. A change of its status only leaves it where it waits; a new spec or a lifted gate gives
    /// it a new chance at once.
    pub fn put(&mut self, pod: PodInfo) {
        if let Some(waiting) = self.pods.get_mut(&pod.key) {
            let same = waiting.pod.uid == pod.uid && waiting.pod.generation == pod.generation && waiting.pod.gated == pod.gated;
            if same {
                waiting.pod = pod;
                return;
            }
            let key = pod.key.clone();
            self.remove(&key);
        }
        self.arrivals += 1;
        let (number, key, gated) = (self.arrivals, pod.key.clone(), pod.gated);
        self.pods.insert(key.clone(), Waiting { pod, place: Place::Away, attempts: 0, number });
        if !gated {
            self.activate(&key);
        }
    }

    /// The pod is bound, gone, or not ours any more.
    pub fn remove(&mut self, key: &ObjectKey) {
        if let Some(waiting) = self.pods.remove(key) {
            self.leave(waiting.place);
        }
    }

    /// The next pod to decide about. It stays known, and away, until [`refuse`](Self::refuse) or [`remove`](Self::remove).
    pub fn take(&mut self) -> Option<PodInfo> {
        let (_, key) = self.active.pop_first()?;
        let waiting = self.pods.get_mut(&key)?;
        waiting.place = Place::Away;
        waiting.attempts += 1;
        Some(waiting.pod.clone())
    }

    /// No node would do: the pod waits for an event.
    pub fn refuse(&mut self, key: &ObjectKey, uid: &str, waits_for_room: bool, message: &str, now: Instant) {
        let Some(waiting) = self.pods.get_mut(key).filter(|w| *w.pod.uid == *uid && w.place == Place::Away) else { return };
        waiting.pod.told = message.to_string();
        waiting.place = Place::Unschedulable { waits_for_room, until: now + pause(waiting.attempts) };
    }

    /// The bind failed: another try after a pause.
    pub fn retry(&mut self, key: &ObjectKey, uid: &str, now: Instant) {
        let Some(waiting) = self.pods.get(key).filter(|w| *w.pod.uid == *uid && w.place == Place::Away) else { return };
        let until = now + pause(waiting.attempts);
        self.rest(key, until);
    }

    /// Something changed: pods that it may help are tried again, after what is left of their pause.
    pub fn wake(&mut self, wake: Wake, now: Instant) {
        let helped: Vec<(ObjectKey, Instant)> = self
            .pods
            .iter()
            .filter_map(|(key, w)| match w.place {
                Place::Unschedulable { waits_for_room, until } if wake == Wake::Node || waits_for_room => Some((key.clone(), until)),
                _ => None,
            })
            .collect();
        for (key, until) in helped {
            if until <= now { self.activate(&key) } else { self.rest(&key, until) }
        }
    }

    /// Ends the pauses that are over.
    pub fn tick(&mut self, now: Instant) {
        while let Some((at, number)) = self.backoff.first().copied().filter(|(at, _)| *at <= now) {
            self.backoff.remove(&(at, number));
            if let Some(key) = self.resting.remove(&number) {
                self.activate(&key);
            }
        }
    }

    /// When [`tick`](Self::tick) has something to do next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.backoff.first().map(|(at, _)| *at)
    }

    /// Pods known: active, resting, unschedulable and away.
    pub fn len(&self) -> usize {
        self.pods.len()
    }

    pub fn is_empty(&self) -> bool {
        self.pods.is_empty()
    }

    /// Whether a pod is ready to be decided about.
    pub fn has_work(&self) -> bool {
        !self.active.is_empty()
    }

    fn activate(&mut self, key: &ObjectKey) {
        let Some(waiting) = self.pods.get_mut(key) else { return };
        let rank = (Reverse(waiting.pod.priority), waiting.number);
        let before = std::mem::replace(&mut waiting.place, Place::Active(rank));
        self.leave(before);
        self.active.insert(rank, key.clone());
    }

    fn rest(&mut self, key: &ObjectKey, until: Instant) {
        let Some(waiting) = self.pods.get_mut(key) else { return };
        let number = waiting.number;
        let before = std::mem::replace(&mut waiting.place, Place::Backoff(until, number));
        self.leave(before);
        self.backoff.insert((until, number));
        self.resting.insert(number, key.clone());
    }

    fn leave(&mut self, place: Place) {
        match place {
            Place::Active(rank) => {
                self.active.remove(&rank);
            }
            Place::Backoff(until, number) => {
                self.backoff.remove(&(until, number));
                self.resting.remove(&number);
            }
            Place::Unschedulable { .. } | Place::Away => {}
        }
    }
}

/// 1, 2, 4, 8, 10, 10 … seconds.
fn pause(attempts: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(10)).min(LONGEST_PAUSE)
}

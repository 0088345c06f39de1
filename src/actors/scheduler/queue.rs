//! Pods that wait: the active by rank, those that rest after a failure (taken early when no other is there), those that nothing can be done for until something
//! happens that could help them, and those behind gates. Pure; time is an argument.
use super::cluster::Cluster;
use super::framework::Rank;
use super::framework::happening::Happening;
use super::framework::profile::Profile;
use super::pod::PodInfo;
use crate::protocol::meta::ObjectKey;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A pod that nothing helped for so long is tried again all the same.
const LONGEST_STUCK: Duration = Duration::from_secs(300);
/// Stuck pods times happenings that are looked at one by one; beyond that all that care are tried again.
const CLOSE_LOOKS: usize = 2_000_000;

/// How long a pod rests after failures.
#[derive(Clone, Copy, Debug)]
pub struct Pauses {
    pub first: Duration,
    pub longest: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Pauses { first: Duration::from_secs(1), longest: Duration::from_secs(10) }
    }
}

impl Pauses {
    /// 1, 2, 4, 8, 10, 10 … seconds by default.
    fn after(&self, attempts: u32) -> Duration {
        self.first.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(self.longest)
    }
}

/// Where a pod waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Active(Rank),
    Backoff {
        until: Instant,
        /// Its place among those that may be taken before that; `None` after an error.
        early: Option<(u64, Rank)>,
    },
    Stuck {
        /// The places of the plugins that refused, as bits.
        rejected_by: u32,
        interests: u32,
        /// Its rest ends then.
        until: Instant,
        gives_up: Instant,
    },
    Gated,
    /// Being decided about or bound.
    Away,
}

struct Waiting {
    pod: Arc<PodInfo>,
    profile: usize,
    place: Place,
    attempts: u32,
    number: u64,
    since: Instant,
}

/// A pod that was taken to be decided about.
#[derive(Clone)]
pub struct Taken {
    pub pod: Arc<PodInfo>,
    /// The number of its profile.
    pub profile: usize,
    pub attempts: u32,
    /// When it came.
    pub since: Instant,
}

/// How many pods wait, and where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depths {
    pub active: usize,
    pub backoff: usize,
    pub unschedulable: usize,
    pub gated: usize,
}

/// See the module.
#[derive(Default)]
pub struct Queue {
    pods: HashMap<ObjectKey, Waiting>,
    by_number: HashMap<u64, ObjectKey>,
    active: BTreeMap<Rank, ObjectKey>,
    backoff: BTreeSet<(Instant, u64)>,
    /// Those of `backoff` that may be taken before their rest is over when nobody else is there: by the second in which it is
    /// over, then by rank.
    early: BTreeMap<(u64, Rank), ObjectKey>,
    /// What those seconds are counted from.
    began: Option<Instant>,
    stuck: BTreeSet<(Instant, u64)>,
    gated: usize,
    arrivals: u64,
    pauses: Pauses,
}

impl Queue {
    pub fn new(pauses: Pauses) -> Self {
        Queue { pauses, ..Queue::default() }
    }

    /// A pod appeared or changed. A change of its status only leaves it where it waits; a new spec, new labels or a lifted
    /// gate give it a new chance at once.
    pub fn put(&mut self, pod: Arc<PodInfo>, profile: usize, profiles: &[Profile], now: Instant) {
        if let Some(waiting) = self.pods.get_mut(&pod.key) {
            if waiting.pod.uid == pod.uid && waiting.pod.shape == pod.shape && waiting.pod.gated == pod.gated {
                waiting.pod = pod;
                return;
            }
            let key = pod.key.clone();
            self.remove(&key);
        }
        let Some(rules) = profiles.get(profile) else { return };
        self.arrivals += 1;
        let (number, key) = (self.arrivals, pod.key.clone());
        let admitted = rules.admits(&pod);
        self.by_number.insert(number, key.clone());
        let place = if admitted { Place::Away } else { Place::Gated };
        self.gated += usize::from(!admitted);
        self.pods.insert(key.clone(), Waiting { pod, profile, place, attempts: 0, number, since: now });
        if admitted {
            self.activate(&key, profiles);
        }
    }

    /// The pod is bound, gone, or not ours any more.
    pub fn remove(&mut self, key: &ObjectKey) {
        if let Some(waiting) = self.pods.remove(key) {
            self.by_number.remove(&waiting.number);
            self.leave(waiting.place, waiting.number);
        }
    }

    /// The next pod to decide about. It stays known, and away, until [`refuse`](Self::refuse), [`retry`](Self::retry) or
    /// [`remove`](Self::remove). When none is active, one whose rest is not over yet, unless it rests because of an error.
    pub fn take(&mut self) -> Option<Taken> {
        let (key, early) = match self.active.pop_first() {
            Some((_, key)) => (key, false),
            None => (self.early.first_key_value()?.1.clone(), true),
        };
        let waiting = self.pods.get_mut(&key)?;
        let (before, number) = (std::mem::replace(&mut waiting.place, Place::Away), waiting.number);
        waiting.attempts += 1;
        let taken = Taken { pod: waiting.pod.clone(), profile: waiting.profile, attempts: waiting.attempts, since: waiting.since };
        if early {
            self.leave(before, number);
        }
        Some(taken)
    }

    /// No node would do: the pod waits for something that could change that.
    pub fn refuse(&mut self, pod: Arc<PodInfo>, rejected_by: u32, profiles: &[Profile], now: Instant) {
        let Some(waiting) = self.pods.get_mut(&pod.key).filter(|w| w.pod.uid == pod.uid && w.place == Place::Away) else { return };
        let interests = profiles.get(waiting.profile).map_or(0, |p| p.interests(rejected_by));
        let gives_up = now + LONGEST_STUCK;
        waiting.place = Place::Stuck { rejected_by, interests, until: now + self.pauses.after(waiting.attempts), gives_up };
        waiting.pod = pod;
        self.stuck.insert((gives_up, waiting.number));
    }

    /// Something went wrong, the bind for instance: another try after a pause.
    pub fn retry(&mut self, key: &ObjectKey, uid: &str, now: Instant) {
        let Some(waiting) = self.pods.get(key).filter(|w| *w.pod.uid == *uid && w.place == Place::Away) else { return };
        let until = now + self.pauses.after(waiting.attempts);
        self.rest(key, until, None);
    }

    /// Things happened: stuck pods that they may help are tried again, after what is left of their pause.
    pub fn wake(&mut self, happenings: &[Happening], cluster: &Cluster, profiles: &[Profile], now: Instant) {
        let all = happenings.iter().fold(0, |all, h| all | h.mask());
        if self.stuck.is_empty() || all == 0 {
            return;
        }
        let closely = self.stuck.len().saturating_mul(happenings.len()) <= CLOSE_LOOKS;
        let helped = |waiting: &Waiting| match waiting.place {
            Place::Stuck { rejected_by, interests, until, .. } if interests & all != 0 => {
                let rules = profiles.get(waiting.profile);
                let helps = |h: &Happening| rules.is_some_and(|p| p.helps(rejected_by, &waiting.pod, h, cluster));
                (!closely || happenings.iter().any(helps)).then_some(until)
            }
            _ => None,
        };
        let stuck = self.stuck.iter().filter_map(|(_, number)| self.by_number.get(number));
        let awake: Vec<(ObjectKey, Instant)> = stuck.filter_map(|key| Some((key.clone(), helped(self.pods.get(key)?)?))).collect();
        for (key, until) in awake {
            if until <= now {
                self.activate(&key, profiles);
            } else {
                let second = until.saturating_duration_since(*self.began.get_or_insert(now)).as_secs();
                let rank = self.pods.get(&key).map(|waiting| rank_of(waiting, profiles));
                self.rest(&key, until, rank.map(|rank| (second, rank)));
            }
        }
    }

    /// A stuck pod is tried again at once: what it waited for did not come about.
    pub fn nudge(&mut self, key: &ObjectKey, profiles: &[Profile]) {
        if self.pods.get(key).is_some_and(|w| matches!(w.place, Place::Stuck { .. })) {
            self.activate(key, profiles);
        }
    }

    /// Ends the pauses that are over, and the waiting of those that nothing helped for long.
    pub fn tick(&mut self, profiles: &[Profile], now: Instant) {
        while let Some(due) = self.backoff.first().copied().filter(|(at, _)| *at <= now) {
            self.backoff.remove(&due);
            if let Some(key) = self.by_number.get(&due.1).cloned() {
                self.activate(&key, profiles);
            }
        }
        while let Some(due) = self.stuck.first().copied().filter(|(at, _)| *at <= now) {
            self.stuck.remove(&due);
            if let Some(key) = self.by_number.get(&due.1).cloned() {
                self.activate(&key, profiles);
            }
        }
    }

    /// When [`tick`](Self::tick) has something to do next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let first = |set: &BTreeSet<(Instant, u64)>| set.first().map(|(at, _)| *at);
        [first(&self.backoff), first(&self.stuck)].into_iter().flatten().min()
    }

    /// A pod that waits.
    pub fn get(&self, key: &ObjectKey) -> Option<&Arc<PodInfo>> {
        self.pods.get(key).map(|w| &w.pod)
    }

    /// Whether a pod is ready to be decided about.
    pub fn has_work(&self) -> bool {
        !self.active.is_empty() || !self.early.is_empty()
    }

    pub fn depths(&self) -> Depths {
        Depths { active: self.active.len(), backoff: self.backoff.len(), unschedulable: self.stuck.len(), gated: self.gated }
    }

    fn activate(&mut self, key: &ObjectKey, profiles: &[Profile]) {
        let Some(waiting) = self.pods.get_mut(key) else { return };
        let rank = rank_of(waiting, profiles);
        let (before, number) = (std::mem::replace(&mut waiting.place, Place::Active(rank)), waiting.number);
        self.leave(before, number);
        self.active.insert(rank, key.clone());
    }

    fn rest(&mut self, key: &ObjectKey, until: Instant, early: Option<(u64, Rank)>) {
        let Some(waiting) = self.pods.get_mut(key) else { return };
        let (before, number) = (std::mem::replace(&mut waiting.place, Place::Backoff { until, early }), waiting.number);
        self.leave(before, number);
        self.backoff.insert((until, number));
        self.early.extend(early.map(|at| (at, key.clone())));
    }

    fn leave(&mut self, place: Place, number: u64) {
        match place {
            Place::Active(rank) => drop(self.active.remove(&rank)),
            Place::Backoff { until, early } => {
                self.backoff.remove(&(until, number));
                early.and_then(|at| self.early.remove(&at));
            }
            Place::Stuck { gives_up, .. } => drop(self.stuck.remove(&(gives_up, number))),
            Place::Gated => self.gated = self.gated.saturating_sub(1),
            Place::Away => {}
        }
    }
}

/// When the pod is decided about.
fn rank_of(waiting: &Waiting, profiles: &[Profile]) -> Rank {
    profiles.get(waiting.profile).map_or((0, waiting.number), |p| p.rank(&waiting.pod, waiting.number))
}

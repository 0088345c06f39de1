//! Which key is next: each once, one run per key at a time, with back-off. Pure; time is an argument.
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1000);

/// See the module. `K` is cheap to clone.
#[derive(Debug)]
pub struct WorkQueue<K> {
    ready: VecDeque<K>,
    states: HashMap<K, State>,
    timers: BTreeSet<(Instant, u64)>,
    timed: HashMap<u64, K>,
    next_timer: u64,
}

#[derive(Debug, Default)]
struct State {
    queued: bool,
    running: bool,
    /// Asked for again while it ran.
    again: bool,
    failures: u32,
    timer: Option<(Instant, u64)>,
}

impl<K> Default for WorkQueue<K> {
    fn default() -> Self {
        WorkQueue { ready: VecDeque::new(), states: HashMap::new(), timers: BTreeSet::new(), timed: HashMap::new(), next_timer: 0 }
    }
}

impl<K: Clone + Eq + Hash> WorkQueue<K> {
    /// Asks for a run of the key, as soon as possible.
    pub fn add(&mut self, key: K) {
        let state = self.states.entry(key.clone()).or_default();
        if state.running {
            state.again = true;
        } else if !state.queued {
            state.queued = true;
            self.ready.push_back(key);
        }
    }

    /// Asks for a run after a while, unless an earlier one is asked for already.
    pub fn add_after(&mut self, key: K, at: Instant) {
        let state = self.states.entry(key.clone()).or_default();
        if let Some(old) = state.timer {
            if old.0 <= at {
                return;
            }
            self.timers.remove(&old);
            self.timed.remove(&old.1);
        }
        self.next_timer += 1;
        let timer = (at, self.next_timer);
        state.timer = Some(timer);
        self.timers.insert(timer);
        self.timed.insert(timer.1, key);
    }

    /// Moves what is due to the queue.
    pub fn tick(&mut self, now: Instant) {
        while let Some(timer) = self.timers.first().copied().filter(|t| t.0 <= now) {
            self.timers.remove(&timer);
            if let Some(key) = self.timed.remove(&timer.1) {
                if let Some(state) = self.states.get_mut(&key) {
                    state.timer = None;
                }
                self.add(key);
            }
        }
    }

    /// When [`tick`](Self::tick) has something to do next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.first().map(|t| t.0)
    }

    /// The next key; it counts as running until [`done`](Self::done) or [`failed`](Self::failed).
    pub fn take(&mut self) -> Option<K> {
        let key = self.ready.pop_front()?;
        let state = self.states.entry(key.clone()).or_default();
        state.queued = false;
        state.running = true;
        Some(key)
    }

    /// A run ended well: the back-off starts anew.
    pub fn done(&mut self, key: &K) {
        self.finish(key, true);
    }

    /// A run failed: the key comes back after 5 ms, doubled with every failure in a row, at most 1000 s. Events before
    /// that do not shorten the pause of a key that keeps failing; they wait with it.
    pub fn failed(&mut self, key: &K, now: Instant) {
        let state = self.states.entry(key.clone()).or_default();
        let pause = FIRST_PAUSE.saturating_mul(1u32.checked_shl(state.failures.min(20)).unwrap_or(u32::MAX)).min(LONGEST_PAUSE);
        state.failures = state.failures.saturating_add(1);
        self.add_after(key.clone(), now + pause);
        self.finish(key, false);
    }

    fn finish(&mut self, key: &K, well: bool) {
        let Some(state) = self.states.get_mut(key) else { return };
        state.running = false;
        if well {
            state.failures = 0;
        }
        if std::mem::take(&mut state.again) {
            self.add(key.clone());
        } else if well && state.timer.is_none() && !state.queued {
            self.states.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_run_at_a_time_and_none_lost() {
        let mut queue = WorkQueue::default();
        let t0 = Instant::now();
        queue.add("a");
        queue.add("a");
        assert_eq!((queue.take(), queue.take()), (Some("a"), None));
        queue.add("a");
        assert_eq!(queue.take(), None);
        queue.done(&"a");
        assert_eq!(queue.take(), Some("a"));
        queue.failed(&"a", t0);
        queue.tick(t0 + Duration::from_millis(4));
        assert_eq!(queue.take(), None);
        queue.tick(t0 + Duration::from_millis(5));
        assert_eq!(queue.take(), Some("a"));
        queue.failed(&"a", t0);
        assert_eq!(queue.next_deadline(), Some(t0 + Duration::from_millis(10)));
        queue.tick(t0 + Duration::from_secs(1));
        queue.take();
        queue.done(&"a");
        assert!(queue.states.is_empty() && queue.timers.is_empty() && queue.timed.is_empty());
    }
}

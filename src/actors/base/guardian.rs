//! What happens when an actor panics. actix's own supervisor does not restart after a panic: the mailbox just closes.
//! A guardian therefore keeps each role's factory: the panicking message is lost (its asker is told), the letters behind
//! it stay, and a fresh role, which reads its state from the store, goes on after a back-off. A child that panics too
//! often is escalated.
use super::mailbox::Mailbox;
use super::registry::{Registry, Stats};
use super::role::{Cell, Role};
use actix::{Addr, Context};
use actix_rt::ArbiterHandle;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often a child may panic before it is escalated, and how long it rests in between.
#[derive(Clone, Copy, Debug)]
pub struct RestartPolicy {
    /// More panics than this within `window` escalate.
    pub intensity: usize,
    pub window: Duration,
    pub first_pause: Duration,
    pub longest_pause: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        RestartPolicy {
            intensity: 10,
            window: Duration::from_secs(60),
            first_pause: Duration::from_millis(10),
            longest_pause: Duration::from_secs(5),
        }
    }
}

/// Starts actors and answers for them. Clones are the same guardian.
#[derive(Clone)]
pub struct Guardian {
    registry: Registry,
    policy: RestartPolicy,
    escalate: Arc<dyn Fn(&str, &str) + Send + Sync>,
}

impl Guardian {
    /// A guardian whose last resort is `escalate(path, panic message)`; in the server that ends the process, so that
    /// whoever started it starts it anew.
    pub fn new(registry: Registry, policy: RestartPolicy, escalate: impl Fn(&str, &str) + Send + Sync + 'static) -> Self {
        Guardian { registry, policy, escalate: Arc::new(escalate) }
    }

    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Starts a role behind `mailbox` on an arbiter. `build` makes the first role and every one after a panic; it runs
    /// on the arbiter's thread. At most `capacity` letters wait.
    pub fn start<R: Role>(
        &self,
        arbiter: &ArbiterHandle,
        mailbox: &Mailbox<R::Message>,
        capacity: usize,
        build: impl Fn() -> R + Send + 'static,
    ) {
        self.registry.enter(mailbox.path().clone(), mailbox.stats().clone());
        let watch = Watch {
            path: mailbox.path().clone(),
            stats: mailbox.stats().clone(),
            registry: self.registry.clone(),
            policy: self.policy,
            escalate: self.escalate.clone(),
            panics: VecDeque::new(),
        };
        let cell_mailbox = mailbox.clone();
        let build: Box<dyn Fn() -> R + Send> = Box::new(build);
        // The channel is made here, not by actix, so that the capacity holds from the first letter on.
        let (sender, receiver) = actix::dev::channel::channel(capacity);
        mailbox.bind(Addr::new(sender).recipient());
        arbiter.spawn_fn(move || {
            let cell = Cell { role: None, build, mailbox: cell_mailbox, guard: watch };
            Context::with_receiver(receiver).run(cell);
        });
    }
}

/// The guardian's eye on one child.
pub(super) struct Watch {
    path: Arc<str>,
    stats: Arc<Stats>,
    registry: Registry,
    policy: RestartPolicy,
    escalate: Arc<dyn Fn(&str, &str) + Send + Sync>,
    panics: VecDeque<Instant>,
}

impl Watch {
    pub(super) fn handled(&self) {
        self.stats.handled.fetch_add(1, Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        self.stats.last_handled_ms.store(now, Relaxed);
    }

    /// Notes a panic and says how long the role rests before it starts anew.
    pub(super) fn panicked(&mut self, payload: &(dyn Any + Send)) -> Duration {
        let text = payload
            .downcast_ref::<&str>()
            .map(|s| s.to_string())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "panic without a message".to_string());
        self.stats.failed(&text);
        self.stats.restarts.fetch_add(1, Relaxed);
        let now = Instant::now();
        self.panics.push_back(now);
        while self.panics.front().is_some_and(|t| now.duration_since(*t) > self.policy.window) {
            self.panics.pop_front();
        }
        if self.panics.len() > self.policy.intensity {
            (self.escalate)(&self.path, &text);
        }
        let doublings = (self.panics.len() as u32).saturating_sub(1).min(16);
        (self.policy.first_pause * 2u32.pow(doublings)).min(self.policy.longest_pause)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.registry.leave(&self.stats);
    }
}

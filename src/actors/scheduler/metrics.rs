//! What the scheduler counts, by upstream's names, as text for `/metrics`.
use super::queue::Depths;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

/// The counters of this process.
pub static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::default);

/// How an attempt ended, as upstream names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    Scheduled,
    Unschedulable,
    Error,
}

impl Ended {
    fn text(self) -> &'static str {
        match self {
            Ended::Scheduled => "scheduled",
            Ended::Unschedulable => "unschedulable",
            Ended::Error => "error",
        }
    }
}

/// Counts in buckets whose bounds double.
#[derive(Debug)]
struct Histogram {
    first: f64,
    buckets: Vec<AtomicU64>,
    count: AtomicU64,
    micros: AtomicU64,
}

impl Histogram {
    fn new(first: f64, buckets: usize) -> Self {
        Histogram { first, buckets: (0..buckets).map(|_| AtomicU64::new(0)).collect(), count: AtomicU64::new(0), micros: AtomicU64::new(0) }
    }

    fn observe(&self, took: Duration) {
        let mut bound = self.first;
        for bucket in &self.buckets {
            if took.as_secs_f64() <= bound {
                bucket.fetch_add(1, Relaxed);
                break;
            }
            bound *= 2.0;
        }
        self.count.fetch_add(1, Relaxed);
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    fn write(&self, name: &str, labels: &str, out: &mut String) {
        let (mut bound, mut sum) = (self.first, 0);
        let comma = if labels.is_empty() { "" } else { "," };
        for bucket in &self.buckets {
            sum += bucket.load(Relaxed);
            let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {sum}");
            bound *= 2.0;
        }
        let count = self.count.load(Relaxed);
        let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}");
        let _ = writeln!(out, "{name}_sum{{{labels}}} {}", self.micros.load(Relaxed) as f64 / 1e6);
        let _ = writeln!(out, "{name}_count{{{labels}}} {count}");
    }
}

struct Attempts {
    count: AtomicU64,
    took: Histogram,
}

/// See the module.
pub struct Metrics {
    attempts: Mutex<BTreeMap<(Ended, Arc<str>), Arc<Attempts>>>,
    /// Active, backoff, unschedulable, gated.
    pending: [AtomicUsize; 4],
    sli: Histogram,
    preemptions: AtomicU64,
    victims: AtomicU64,
    events_dropped: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics {
            attempts: Mutex::default(),
            pending: Default::default(),
            sli: Histogram::new(0.01, 20),
            preemptions: AtomicU64::new(0),
            victims: AtomicU64::new(0),
            events_dropped: AtomicU64::new(0),
        }
    }
}

impl Metrics {
    /// One decision.
    pub fn attempt(&self, ended: Ended, profile: &Arc<str>, took: Duration) {
        let mut all = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let of = all
            .entry((ended, profile.clone()))
            .or_insert_with(|| Arc::new(Attempts { count: AtomicU64::new(0), took: Histogram::new(0.001, 15) }))
            .clone();
        drop(all);
        of.count.fetch_add(1, Relaxed);
        of.took.observe(took);
    }

    /// A pod was bound, this long after it came.
    pub fn bound(&self, since_it_came: Duration) {
        self.sli.observe(since_it_came);
    }

    pub fn preempted(&self, victims: usize) {
        self.preemptions.fetch_add(1, Relaxed);
        self.victims.fetch_add(victims as u64, Relaxed);
    }

    /// Too many events were waiting to be recorded.
    pub fn event_dropped(&self) {
        self.events_dropped.fetch_add(1, Relaxed);
    }

    pub fn waiting(&self, depths: Depths) {
        let values = [depths.active, depths.backoff, depths.unschedulable, depths.gated];
        for (gauge, value) in self.pending.iter().zip(values) {
            gauge.store(value, Relaxed);
        }
    }

    /// As `/metrics` has it.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let head = |out: &mut String, name: &str, kind: &str, help: &str| {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        };
        let attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        head(&mut out, "scheduler_schedule_attempts_total", "counter", "Number of attempts to schedule pods, by the result.");
        for ((ended, profile), of) in &attempts {
            let labels = format!("profile=\"{profile}\",result=\"{}\"", ended.text());
            let _ = writeln!(out, "scheduler_schedule_attempts_total{{{labels}}} {}", of.count.load(Relaxed));
        }
        head(&mut out, "scheduler_scheduling_attempt_duration_seconds", "histogram", "Scheduling attempt latency in seconds.");
        for ((ended, profile), of) in &attempts {
            let labels = format!("profile=\"{profile}\",result=\"{}\"", ended.text());
            of.took.write("scheduler_scheduling_attempt_duration_seconds", &labels, &mut out);
        }
        head(&mut out, "scheduler_pod_scheduling_sli_duration_seconds", "histogram", "Latency from a pod's coming to its binding.");
        self.sli.write("scheduler_pod_scheduling_sli_duration_seconds", "", &mut out);
        head(&mut out, "scheduler_pending_pods", "gauge", "Number of pending pods, by the queue.");
        for (queue, gauge) in ["active", "backoff", "unschedulable", "gated"].into_iter().zip(&self.pending) {
            let _ = writeln!(out, "scheduler_pending_pods{{queue=\"{queue}\"}} {}", gauge.load(Relaxed));
        }
        let counters = [
            ("scheduler_preemption_attempts_total", "Total preemption attempts in the cluster.", &self.preemptions),
            ("scheduler_preemption_victims_total", "Number of preemption victims.", &self.victims),
            ("scheduler_events_dropped_total", "Events that were not recorded because too many waited.", &self.events_dropped),
        ];
        for (name, help, value) in counters {
            head(&mut out, name, "counter", help);
            let _ = writeln!(out, "{name} {}", value.load(Relaxed));
        }
        out
    }
}

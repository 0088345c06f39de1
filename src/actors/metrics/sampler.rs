//! The role that looks at nodes: every 15 s while somebody wants to know, never otherwise.
use super::figures::Figures;
use super::sample::{NodeUsage, Sample};
use crate::actors::base::{Role, Scope};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// From look to look, as metrics-server has it.
pub const INTERVAL: Duration = Duration::from_secs(15);
/// Between the first two looks, when somebody waits for them.
const SHORT: Duration = Duration::from_secs(1);
/// For so long after the last question nodes are looked at.
const INTEREST: Duration = Duration::from_secs(300);
/// What was not looked at for so long is forgotten: a window over it would say nothing about now.
const STALE: Duration = Duration::from_secs(60);
/// How long a node may take for its answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Nodes that are asked at the same time.
const WIDTH: usize = 64;
/// The mailbox: questions, a round that ended, a deadline.
pub const CAPACITY: usize = 1024;

/// Who can be asked.
#[async_trait]
pub trait Nodes: Send + Sync {
    /// The names of the nodes that are connected.
    fn connected(&self) -> Vec<String>;

    /// A node's summary, within `limit`.
    ///
    /// # Errors
    /// Why there is none.
    async fn summary(&self, node: &str, limit: Duration) -> Result<Bytes, String>;
}

/// What the sampler is told.
pub enum Message {
    /// Somebody wants figures.
    Wanted,
    /// It is time for a look.
    Due,
    /// The looks of a round, by node.
    Looked(Vec<(Arc<str>, Sample)>),
}

/// See the module.
pub struct Sampler {
    nodes: Arc<dyn Nodes>,
    published: watch::Sender<Arc<Figures>>,
    tracks: HashMap<Arc<str>, Track>,
    wanted_until: Instant,
    /// A round is under way, or a deadline is set: there is one of these at most.
    busy: bool,
    /// Rounds since sampling began.
    rounds: u64,
    last_round: Option<Instant>,
}

/// A node's looks.
struct Track {
    last: Sample,
    taken: Instant,
    usage: Option<Arc<NodeUsage>>,
}

impl Sampler {
    pub fn new(nodes: Arc<dyn Nodes>, published: watch::Sender<Arc<Figures>>) -> Self {
        let wanted_until = Instant::now();
        Sampler { nodes, published, tracks: HashMap::new(), wanted_until, busy: false, rounds: 0, last_round: None }
    }

    fn look(&mut self, scope: &Scope<'_, Self>) {
        self.busy = true;
        if self.last_round.is_none_or(|at| at.elapsed() > STALE) {
            self.tracks.clear();
            self.rounds = 0;
        }
        let nodes = self.nodes.clone();
        scope.run(async move {
            let names = nodes.connected();
            let looks = stream::iter(names).map(|name| look_at(&*nodes, name));
            Message::Looked(looks.buffer_unordered(WIDTH).filter_map(|look| async { look }).collect().await)
        });
    }

    /// Files the looks of a round and publishes what they say.
    fn take_in(&mut self, looks: Vec<(Arc<str>, Sample)>, now: Instant) {
        for (node, sample) in looks {
            let usage = self.tracks.get(&node).map(|track| Arc::new(sample.since(&track.last)));
            self.tracks.insert(node, Track { last: sample, taken: now, usage });
        }
        self.tracks.retain(|_, track| now.duration_since(track.taken) < STALE);
        self.rounds += 1;
        self.last_round = Some(now);
        // One look alone says nothing about CPU; without nodes there is nothing to wait for.
        if self.rounds > 1 || self.tracks.is_empty() {
            let known = self.tracks.iter().filter_map(|(node, track)| Some((node.clone(), track.usage.clone()?)));
            self.published.send_replace(Arc::new(Figures::new(known.collect(), now)));
        }
    }
}

impl Role for Sampler {
    type Message = Message;

    fn handle(&mut self, message: Message, scope: &mut Scope<'_, Self>) {
        match message {
            Message::Wanted => {
                self.wanted_until = Instant::now() + INTEREST;
                if !self.busy {
                    self.look(scope);
                }
            }
            // The task of a role that panicked: its successor has a rhythm of its own.
            Message::Due | Message::Looked(_) if !self.busy => {}
            Message::Due if Instant::now() < self.wanted_until => self.look(scope),
            Message::Due => {
                self.busy = false;
                self.tracks.clear();
            }
            Message::Looked(looks) => {
                self.take_in(looks, Instant::now());
                scope.after(if self.rounds == 1 { SHORT } else { INTERVAL }, Message::Due);
            }
        }
    }
}

/// One node's look. One that does not answer is left out.
async fn look_at(nodes: &dyn Nodes, name: String) -> Option<(Arc<str>, Sample)> {
    let answer = tokio::time::timeout(PATIENCE, nodes.summary(&name, PATIENCE)).await;
    let parsed = match answer {
        // A node with a hundred pods has much to tell, and the controllers share this thread.
        Ok(Ok(bytes)) => tokio::task::spawn_blocking(move || Sample::parse(&bytes).map_err(|e| e.to_string())).await,
        Ok(Err(why)) => Ok(Err(why)),
        Err(_) => Ok(Err("no answer in time".into())),
    };
    match parsed.unwrap_or_else(|e| Err(e.to_string())) {
        Ok(sample) => Some((name.into(), sample)),
        Err(why) => {
            tracing::debug!(node = name, why, "a node does not tell what it uses");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct NoNodes;

    #[async_trait]
    impl Nodes for NoNodes {
        fn connected(&self) -> Vec<String> {
            Vec::new()
        }

        async fn summary(&self, _node: &str, _limit: Duration) -> Result<Bytes, String> {
            Err("there are none".into())
        }
    }

    fn look(second: i64, cpu: u64, pod_cpu: Option<u64>) -> Vec<(Arc<str>, Sample)> {
        let stats = |cpu: u64| {
            json!({ "name": "c", "memory": { "workingSetBytes": 5 },
            "cpu": { "time": format!("1970-01-01T00:00:{second:02}Z"), "usageCoreNanoSeconds": cpu } })
        };
        let pods: Vec<_> = pod_cpu.map(|cpu| json!({ "podRef": { "uid": "u" }, "containers": [stats(cpu)] })).into_iter().collect();
        vec![("n".into(), Sample::parse(json!({ "node": stats(cpu), "pods": pods }).to_string().as_bytes()).unwrap())]
    }

    #[test]
    fn two_looks_make_a_rate() {
        let (published, seen) = watch::channel(Arc::new(Figures::default()));
        let mut sampler = Sampler::new(Arc::new(NoNodes), published);
        let start = Instant::now();
        sampler.take_in(look(10, 1_000_000_000, None), start);
        assert!(!seen.borrow().is_fresh(start), "one look is none");
        sampler.take_in(look(20, 6_000_000_000, Some(50)), start + SHORT);
        let own = seen.borrow().node("n").and_then(|n| n.own).unwrap();
        assert_eq!((own.nano_cores, own.memory, own.window, own.at.as_second()), (500_000_000, 5, Duration::from_secs(10), 20));
        assert!(seen.borrow().node("n").unwrap().pods.is_empty(), "the pod was looked at once");
        sampler.take_in(look(30, 6_000_000_000, Some(20)), start + INTERVAL);
        assert!(seen.borrow().node("n").unwrap().pods.is_empty(), "its counter began anew");
        sampler.take_in(look(40, 6_000_000_000, Some(40)), start + 2 * INTERVAL);
        assert_eq!(seen.borrow().node("n").unwrap().pods["u"].containers[0].1.nano_cores, 2);
        sampler.take_in(Vec::new(), start + 3 * INTERVAL);
        assert!(seen.borrow().node("n").is_some(), "once may be chance");
        sampler.take_in(Vec::new(), start + 2 * INTERVAL + STALE);
        assert!(seen.borrow().node("n").is_none());
    }
}

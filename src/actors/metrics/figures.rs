//! The newest figures of all nodes, published for whoever reads.
use super::sample::{NodeUsage, PodUsage};
use super::sampler::INTERVAL;
use crate::protocol::light::{Light, Phase};
use crate::storage::Entry;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    nodes: HashMap<Arc<str>, Arc<NodeUsage>>,
    taken: Option<Instant>,
}

impl Figures {
    pub(super) fn new(nodes: HashMap<Arc<str>, Arc<NodeUsage>>, taken: Instant) -> Self {
        Figures { nodes, taken: Some(taken) }
    }

    /// Whether nodes were looked at lately.
    pub fn is_fresh(&self, now: Instant) -> bool {
        self.taken.is_some_and(|at| now.saturating_duration_since(at) < 2 * INTERVAL)
    }

    /// What a node and its pods use.
    pub fn node(&self, name: &str) -> Option<&NodeUsage> {
        self.nodes.get(name).map(|node| &**node)
    }

    /// What a stored pod uses; `None` unless it runs and its node has told twice.
    pub fn pod(&self, pod: &Entry) -> Option<&PodUsage> {
        let Light::Pod(light) = &pod.light else { return None };
        if light.phase != Phase::Running {
            return None;
        }
        self.node(&light.node)?.pods.get(&*pod.meta.uid)
    }
}

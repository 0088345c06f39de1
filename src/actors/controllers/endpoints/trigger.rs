//! When what a service's endpoints show came about: the annotation by which one measures how long the network took to follow.
use super::service::Target;
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use crate::protocol::time::rfc3339;
use crate::storage::entry::Entry;
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;

pub(super) const LAST_CHANGE: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// What was taken into account of one service, seconds since the epoch.
#[derive(Default)]
struct Seen {
    service: i64,
    /// By name: since when each pod is ready, or not.
    pods: HashMap<Arc<str>, i64>,
}

/// What was taken into account of every service that there is.
#[derive(Default)]
pub(super) struct Triggers {
    seen: HashMap<ObjectKey, Seen>,
}

impl Triggers {
    /// The earliest of the changes that were not looked at before: a pod became ready or unready, the service was made. `None`
    /// when it was something that nobody measures.
    pub fn observe(&mut self, service: &Entry, targets: &[Target]) -> Option<String> {
        let seen = self.seen.entry(service.key.clone()).or_default();
        let time = |target: &Target| match &target.entry.light {
            Light::Pod(light) if light.ready_since > 0 => Some((target.entry.key.name.clone(), light.ready_since)),
            _ => None,
        };
        let pods: HashMap<Arc<str>, i64> = targets.iter().filter_map(time).collect();
        let news = pods.iter().filter(|(name, at)| seen.pods.get(*name).is_none_or(|before| before < *at)).map(|(_, at)| *at);
        let made = Some(service.meta.created).filter(|at| *at > seen.service);
        let earliest = news.chain(made).min();
        *seen = Seen { service: service.meta.created, pods };
        earliest.and_then(|at| Timestamp::from_second(at).ok()).map(rfc3339)
    }

    pub fn forget(&mut self, service: &ObjectKey) {
        self.seen.remove(service);
    }
}

//! What an autoscaler sees of pods: which of them count, and what they ask for.
use super::calculator::Values;
use crate::protocol::light::{Light, Phase, pod_request};
use crate::protocol::quantity::Quantity;
use crate::storage::Entry;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// For so long after its start a pod's CPU counts only while it is ready, milliseconds.
const INITIALIZATION: i64 = 5 * 60 * 1000;
/// A pod that became unready so soon after its start has never been ready.
const FIRST_READINESS: i64 = 30 * 1000;

/// A pod, as far as it counts here. Times in milliseconds since the epoch.
#[derive(Clone, Debug, Default)]
pub struct PodFacts {
    pub name: Box<str>,
    pub deleting: bool,
    pub phase: Phase,
    pub ready: Option<Readiness>,
    pub started: Option<i64>,
    /// The whole object: what it asks for is read when it is needed.
    pub object: Value,
}

/// The `Ready` condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    pub status: bool,
    /// It is said that it is not ready; a status that nobody knows is neither.
    pub denied: bool,
    pub since: i64,
}

impl PodFacts {
    pub fn of(pod: &Entry) -> PodFacts {
        let object = pod.parse();
        let status = &object["status"];
        let time = |value: &Value| value.as_str().and_then(|t| t.parse::<Timestamp>().ok()).map(|t| t.as_millisecond());
        let condition = status["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == "Ready");
        let ready = condition.map(|c| Readiness {
            status: c["status"] == "True",
            denied: c["status"] == "False",
            since: time(&c["lastTransitionTime"]).unwrap_or_default(),
        });
        let started = time(&status["startTime"]);
        let phase = if let Light::Pod(light) = &pod.light { light.phase } else { Phase::default() };
        PodFacts { name: (&*pod.key.name).into(), deleting: pod.meta.deleting.is_some(), phase, ready, started, object }
    }

    pub fn is_running_and_ready(&self) -> bool {
        self.phase == Phase::Running && self.ready.is_some_and(|r| r.status)
    }

    /// Whether what is measured of its CPU says something about its work: not while it starts.
    fn is_settled(&self, measured_at: i64, window: i64, now: i64) -> bool {
        let (Some(ready), Some(started)) = (self.ready, self.started) else { return false };
        if started.saturating_add(INITIALIZATION) > now {
            // A whole window since it became ready.
            return !ready.denied && measured_at >= ready.since.saturating_add(window);
        }
        !(ready.denied && started.saturating_add(FIRST_READINESS) > ready.since)
    }
}

/// The names of pods by what they are good for.
#[derive(Debug, Default, PartialEq)]
pub struct Groups {
    pub ready: usize,
    /// They start: they will take a share of the work.
    pub unready: BTreeSet<Box<str>>,
    /// They run, and nobody knows how much they do.
    pub missing: BTreeSet<Box<str>>,
    /// They end or have ended.
    pub ignored: BTreeSet<Box<str>>,
}

/// Sorts pods. `starting`: a pod's start would spoil what is measured, as it does with CPU.
pub fn group(pods: &[PodFacts], values: &Values, starting: bool, now: i64) -> Groups {
    let mut groups = Groups::default();
    for pod in pods {
        let name = pod.name.clone();
        let measured = values.get(&name);
        match (pod.phase, measured) {
            _ if pod.deleting || pod.phase == Phase::Failed => drop(groups.ignored.insert(name)),
            (Phase::Pending, _) => drop(groups.unready.insert(name)),
            (_, None) => drop(groups.missing.insert(name)),
            (_, Some(m)) if starting && !pod.is_settled(m.at, m.window, now) => drop(groups.unready.insert(name)),
            _ => groups.ready += 1,
        }
    }
    groups
}

/// What each pod, or its container of this name, asks for of a resource, in thousandths.
///
/// # Errors
/// When one asks for nothing: a share of nothing is not defined.
pub fn requests(pods: &[PodFacts], container: &str, resource: &str) -> Result<BTreeMap<Box<str>, i64>, String> {
    pods.iter().map(|pod| Ok((pod.name.clone(), request(pod, container, resource)?))).collect()
}

fn request(pod: &PodFacts, container: &str, resource: &str) -> Result<i64, String> {
    let spec = &pod.object["spec"];
    let own = &spec["resources"]["requests"];
    if container.is_empty() && own.as_object().is_some_and(|r| !r.is_empty()) {
        if own[resource].is_null() {
            return Err(format!("missing pod-level request for {resource} in Pod {}", pod.name));
        }
        let whole = pod_request(&pod.object, resource);
        return Ok(if resource == "cpu" { whole } else { whole.saturating_mul(1000) });
    }
    let list = |field: &str| spec[field].as_array().into_iter().flatten();
    let together = list("containers").chain(list("initContainers").filter(|c| c["restartPolicy"] == "Always"));
    let mut sum = 0i64;
    for one in together {
        let name = one["name"].as_str().unwrap_or_default();
        if !container.is_empty() && name != container {
            continue;
        }
        let text = one["resources"]["requests"][resource].as_str();
        let asked = text.and_then(|t| t.parse::<Quantity>().ok());
        let asked = asked.ok_or_else(|| format!("missing request for {resource} in container {name} of Pod {}", pod.name))?;
        sum = sum.saturating_add(asked.milli_value());
        if name == container {
            return Ok(sum);
        }
    }
    match container {
        "" => Ok(sum),
        _ => Err(format!("container {container} not found in Pod {}", pod.name)),
    }
}

//! What one look at a node finds, and what two of them say about the time between.
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::HashMap;
use std::time::Duration;

/// One look at a node: counters and levels at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    own: Reading,
    /// By the pod's uid.
    pods: HashMap<Box<str>, Vec<(Box<str>, Reading)>>,
}

/// CPU time since the start, nanoseconds, and memory now, bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Reading {
    at: Timestamp,
    cpu_nanos: u64,
    memory: u64,
}

/// The use of CPU, averaged over a window, and of memory at its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// The end of the window.
    pub at: Timestamp,
    pub window: Duration,
    /// Billionths of a core.
    pub nano_cores: u64,
    /// Bytes.
    pub memory: u64,
}

/// The use of a pod's containers. Their windows may differ by moments; those of the first one are the pod's.
#[derive(Clone, Debug, PartialEq)]
pub struct PodUsage {
    pub containers: Vec<(Box<str>, Usage)>,
}

/// What is known of a node and its pods.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeUsage {
    pub own: Option<Usage>,
    /// By the pod's uid.
    pub pods: HashMap<Box<str>, PodUsage>,
}

impl Sample {
    /// Reads the answer of a node, in the shape of the kubelet's `/stats/summary`. What lacks a counter is left out.
    ///
    /// # Errors
    /// When it is no summary.
    pub fn parse(summary: &[u8]) -> Result<Sample, serde_json::Error> {
        let summary: Summary = serde_json::from_slice(summary)?;
        let own = summary.node.reading().ok_or_else(|| serde::de::Error::custom("the node does not tell its own use"))?;
        let pod = |pod: PodStats| {
            let containers = pod.containers.into_iter().map(|c| Some((c.name.as_str().into(), c.reading()?)));
            // A pod with a part that nobody knows is not known.
            Some((pod.pod_ref.uid.into(), containers.collect::<Option<Vec<_>>>().filter(|c| !c.is_empty())?))
        };
        Ok(Sample { own, pods: summary.pods.into_iter().filter_map(pod).collect() })
    }

    /// What was used since an earlier look. A counter that went back began anew: what had it is left out until the next look.
    pub fn since(&self, earlier: &Sample) -> NodeUsage {
        let pods = self.pods.iter().filter_map(|(uid, containers)| {
            let before = earlier.pods.get(uid)?;
            let container = |(name, now): &(Box<str>, Reading)| {
                let then = before.iter().find(|(n, _)| n == name).map(|(_, reading)| reading)?;
                Some((name.clone(), now.since(then)?))
            };
            Some((uid.clone(), PodUsage { containers: containers.iter().map(container).collect::<Option<Vec<_>>>()? }))
        });
        NodeUsage { own: self.own.since(&earlier.own), pods: pods.collect() }
    }
}

impl Reading {
    fn since(&self, then: &Reading) -> Option<Usage> {
        let window = self.at.duration_since(then.at).unsigned_abs();
        let used = self.cpu_nanos.checked_sub(then.cpu_nanos)?;
        if self.at <= then.at {
            return None;
        }
        let nano_cores = u128::from(used).saturating_mul(1_000_000_000).checked_div(window.as_nanos())?;
        Some(Usage { at: self.at, window, nano_cores: u64::try_from(nano_cores).unwrap_or(u64::MAX), memory: self.memory })
    }
}

#[derive(Deserialize)]
struct Summary {
    node: Stats,
    #[serde(default)]
    pods: Vec<PodStats>,
}

#[derive(Deserialize)]
struct PodStats {
    #[serde(rename = "podRef")]
    pod_ref: PodRef,
    #[serde(default)]
    containers: Vec<Stats>,
}

#[derive(Deserialize)]
struct PodRef {
    uid: String,
}

#[derive(Deserialize)]
struct Stats {
    #[serde(default)]
    name: String,
    cpu: Option<Cpu>,
    memory: Option<Memory>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cpu {
    time: Timestamp,
    usage_core_nano_seconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Memory {
    working_set_bytes: Option<u64>,
}

impl Stats {
    fn reading(&self) -> Option<Reading> {
        let (cpu, memory) = (self.cpu.as_ref()?, self.memory.as_ref()?);
        Some(Reading { at: cpu.time, cpu_nanos: cpu.usage_core_nano_seconds?, memory: memory.working_set_bytes? })
    }
}

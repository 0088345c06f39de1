//! What a simulated node and its pods use: a share of what they ask for, the same at all times, so that a pod's counter is a function
//! of the time and only the node's has to be kept.
use super::pod::SimPod;
use super::profile::{Dice, Profile};
use crate::protocol::light::quantity_in;
use crate::protocol::time::rfc3339_micro;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The share of its requests that a pod uses, a decimal number; the profile's and chance's when there is none.
const USAGE: &str = "simulate.impresario.dev/usage";
/// What a container without requests is taken to ask for: milli-CPUs and bytes.
const MODEST: (i64, i64) = (100, 64 << 20);
/// What the machine uses beside its pods: a share of its CPUs, and bytes.
const IDLE: (f64, u64) = (0.02, 512 << 20);

/// The CPU time of a node: it must not jump when pods come and go.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meter {
    nanos: f64,
    /// Milliseconds since the epoch; 0 before the first look.
    at: i64,
}

impl Meter {
    /// Goes on to a moment, at so many billionths of a core.
    fn run(&mut self, nano_cores: f64, now: i64) -> u64 {
        let millis = if self.at == 0 { 1000 } else { now.saturating_sub(self.at).max(0) };
        self.nanos += nano_cores * millis as f64 / 1000.0;
        self.at = now;
        self.nanos as u64
    }
}

/// The kubelet's `/stats/summary` of a node.
pub(super) fn summary<'a>(
    node: &str,
    (profile, dice): (&Profile, Dice),
    pods: impl Iterator<Item = (&'a Arc<str>, &'a SimPod)>,
    meter: &mut Meter,
    now: Timestamp,
) -> Bytes {
    let at = now.as_millisecond();
    // The counters go by milliseconds, and so must the time that is told with them.
    let time = rfc3339_micro(Timestamp::from_millisecond(at).unwrap_or(now));
    let measured = |cpu: u64, memory: u64| {
        json!({
            "cpu": { "time": time, "usageCoreNanoSeconds": cpu },
            "memory": { "time": time, "workingSetBytes": memory, "usageBytes": memory },
        })
    };
    let (mut milli_cores, mut memory_in_use) = (profile.cpus as f64 * IDLE.0 * 1000.0, IDLE.1);
    let mut shown: Vec<Value> = Vec::new();
    for (uid, pod) in pods {
        let Some(millis) = pod.running_for(at) else { continue };
        let Ok(asks) = serde_json::from_slice::<Asks>(&pod.object) else { continue };
        let share = asks.share().unwrap_or_else(|| profile.usage * (0.5 + dice.of(&pod.namespace).of(&pod.name).of("usage").share()));
        let containers = asks.spec.containers.iter().map(|container| {
            let (cpu, memory) = container.requests();
            let memory = (memory as f64 * share.min(1.0)) as u64;
            milli_cores += cpu as f64 * share;
            memory_in_use = memory_in_use.saturating_add(memory);
            let mut stats = measured((cpu as f64 * share * millis as f64 * 1000.0) as u64, memory);
            stats["name"] = container.name.as_str().into();
            stats
        });
        let containers: Vec<Value> = containers.collect();
        let reference = json!({ "name": &*pod.name, "namespace": &*pod.namespace, "uid": &**uid });
        shown.push(json!({ "podRef": reference, "containers": containers }));
    }
    let mut own = measured(meter.run(milli_cores * 1e6, at), memory_in_use);
    own["nodeName"] = node.into();
    json!({ "node": own, "pods": shown }).to_string().into()
}

/// The little of a pod that counts here.
#[derive(Deserialize)]
struct Asks {
    metadata: Annotated,
    spec: Spec,
}

#[derive(Deserialize)]
struct Annotated {
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Spec {
    containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    name: String,
    #[serde(default)]
    resources: Resources,
}

#[derive(Default, Deserialize)]
struct Resources {
    #[serde(default)]
    requests: BTreeMap<String, Value>,
}

impl Asks {
    fn share(&self) -> Option<f64> {
        self.metadata.annotations.get(USAGE)?.parse().ok().filter(|share| (0.0..=100.0).contains(share))
    }
}

impl Container {
    /// Milli-CPUs and bytes.
    fn requests(&self) -> (i64, i64) {
        let of = |resource: &str, modest: i64| self.resources.requests.get(resource).map_or(modest, |q| quantity_in(q, resource));
        (of("cpu", MODEST.0), of("memory", MODEST.1))
    }
}

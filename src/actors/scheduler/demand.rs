//! What a pod takes of a node, whether it waits or runs there.
use super::terms::{PodTerms, items};
use super::volumes::PodVolumes;
use crate::protocol::light::{Light, PodLight, pod_demand};
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// For scoring, a container that asks for no cpu counts as a tenth of one …
const SCORED_CPU: i64 = 100;
/// … and one that asks for no memory as 200 MiB, so that such pods spread too.
const SCORED_MEMORY: i64 = 200 * 1024 * 1024;

/// What a pod takes of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demand {
    pub cpu_milli: i64,
    pub memory: i64,
    /// What counts for scoring, where containers that ask for nothing count with a usual size.
    pub scored_cpu: i64,
    pub scored_memory: i64,
    /// Extended resources and `ephemeral-storage`; shared by pods that want none.
    pub others: Vec<(Arc<str>, i64)>,
    pub ports: Vec<HostPort>,
}

/// A port of the node itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    pub port: u16,
    pub protocol: Arc<str>,
    /// Empty or `0.0.0.0` for every address.
    pub address: Arc<str>,
}

impl HostPort {
    /// Whether both cannot be had on one node.
    pub fn clashes(&self, other: &HostPort) -> bool {
        let any = |a: &str| a.is_empty() || a == "0.0.0.0";
        let address = any(&self.address) || any(&other.address) || self.address == other.address;
        self.port == other.port && self.protocol == other.protocol && address
    }
}

/// A pod as one that runs on a node counts: what it takes, what it says about its neighbours, what it mounts.
#[derive(Clone, Debug)]
pub struct Resident {
    pub key: ObjectKey,
    pub uid: Arc<str>,
    /// The object, for labels, priority and whether it is going away. Shared with the snapshot it came from.
    pub entry: Arc<Entry>,
    pub demand: Demand,
    pub terms: Option<Arc<PodTerms>>,
    pub volumes: Option<Arc<PodVolumes>>,
}

impl Resident {
    /// Looks only as deep into the object as it has to: what nobody mentions isn't parsed for.
    pub fn read(entry: &Arc<Entry>, extended: &BTreeSet<Arc<str>>) -> Option<Resident> {
        let Light::Pod(light) = &entry.light else { return None };
        let body = std::str::from_utf8(&entry.body).unwrap_or_default();
        const DEEP: [&str; 13] = [
            "\"hostPort\"",
            "\"hugepages-",
            "\"ephemeral-storage\"",
            "\"podAffinity\"",
            "\"podAntiAffinity\"",
            "\"persistentVolumeClaim\"",
            "\"ephemeral\":",
            "\"csi\":",
            "\"initContainers\"",
            "\"gcePersistentDisk\"",
            "\"awsElasticBlockStore\"",
            "\"rbd\":",
            "\"iscsi\":",
        ];
        let deep = DEEP.iter().any(|word| body.contains(word)) || extended.iter().any(|name| body.contains(&**name));
        let shallow = if deep { None } else { Demand::shallow(light, body) };
        if let Some(demand) = shallow {
            return Some(Resident::with(entry, demand, None, None));
        }
        Resident::parse(entry, &entry.parse())
    }

    /// The same from the parsed object.
    pub fn parse(entry: &Arc<Entry>, pod: &Value) -> Option<Resident> {
        let Light::Pod(light) = &entry.light else { return None };
        let terms = PodTerms::parse(&pod["spec"]["affinity"], &entry.key.namespace);
        Some(Resident::with(entry, Demand::parse(light, pod), terms, PodVolumes::parse(&pod["spec"], &entry.key)))
    }

    fn with(entry: &Arc<Entry>, demand: Demand, terms: Option<Arc<PodTerms>>, volumes: Option<Arc<PodVolumes>>) -> Resident {
        Resident { key: entry.key.clone(), uid: entry.meta.uid.clone(), entry: entry.clone(), demand, terms, volumes }
    }

    pub fn priority(&self) -> i32 {
        if let Light::Pod(light) = &self.entry.light { light.priority } else { 0 }
    }

    /// Whether it is being deleted.
    pub fn leaving(&self) -> bool {
        self.entry.meta.deleting.is_some()
    }

    /// When the node began with it, seconds since the epoch; `now` for one that only just got there.
    pub fn started(&self, now: i64) -> i64 {
        let body = std::str::from_utf8(&self.entry.body).unwrap_or_default();
        let (_, after) = body.rsplit_once("\"startTime\":\"").unwrap_or_default();
        after.split('"').next().and_then(crate::protocol::time::parse_seconds).unwrap_or(now)
    }
}

impl Demand {
    /// From the light index alone, where that says everything. None: the object has to be parsed.
    fn shallow(light: &PodLight, body: &str) -> Option<Demand> {
        // The field is defaulted, so every container has it.
        let containers = i64::try_from(body.matches("\"imagePullPolicy\":").count()).ok()?;
        let asking = i64::try_from(body.matches("\"requests\":{").count()).ok()?;
        let (cpu, memory) = (light.cpu_milli, light.memory);
        let scored = match (cpu > 0, memory > 0) {
            (true, true) if containers == 1 && asking == 1 => (cpu, memory),
            (false, false) if asking == 0 => (SCORED_CPU * containers.max(1), SCORED_MEMORY * containers.max(1)),
            _ => return None,
        };
        Some(Demand { cpu_milli: cpu, memory, scored_cpu: scored.0, scored_memory: scored.1, others: Vec::new(), ports: Vec::new() })
    }

    fn parse(light: &PodLight, pod: &Value) -> Demand {
        let spec = &pod["spec"];
        let containers = || items(&spec["containers"]).chain(items(&spec["initContainers"]));
        let requests = containers().chain([spec]).flat_map(|c| c["resources"]["requests"].as_object().into_iter().flatten());
        let overhead = spec["overhead"].as_object().into_iter().flatten();
        let names: BTreeSet<&str> = requests.chain(overhead).map(|(n, _)| &**n).filter(|n| !matches!(*n, "cpu" | "memory")).collect();
        let others = names.into_iter().map(|name| (name.into(), pod_demand(pod, name, 0))).filter(|(_, n)| *n > 0).collect();
        let sidecars = items(&spec["initContainers"]).filter(|c| c["restartPolicy"] == "Always");
        let ports = items(&spec["containers"]).chain(sidecars).flat_map(|c| items(&c["ports"]));
        Demand {
            cpu_milli: light.cpu_milli,
            memory: light.memory,
            scored_cpu: pod_demand(pod, "cpu", SCORED_CPU),
            scored_memory: pod_demand(pod, "memory", SCORED_MEMORY),
            others,
            ports: ports.filter_map(host_port).collect(),
        }
    }
}

fn host_port(port: &Value) -> Option<HostPort> {
    let number = u16::try_from(port["hostPort"].as_u64()?).ok().filter(|p| *p > 0)?;
    let protocol = port["protocol"].as_str().unwrap_or("TCP").into();
    Some(HostPort { port: number, protocol, address: port["hostIP"].as_str().unwrap_or_default().into() })
}

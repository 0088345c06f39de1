//! A pod that waits for a node, parsed once, when it enters the queue.
use super::demand::Resident;
use super::plugins::dynamic_resources::DeviceClaim;
use super::terms::{NodeTerm, PodSet, Toleration, equals, items, node_terms};
use crate::actors::controllers::labels::Requirement;
use crate::protocol::light::Light;
use crate::protocol::meta::Meta;
use crate::storage::entry::Entry;
use serde_json::Value;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// One of `spec.topologySpreadConstraints`, or one that the profile adds.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    pub max_skew: i64,
    pub topology_key: Arc<str>,
    /// `DoNotSchedule`, and not `ScheduleAnyway`.
    pub hard: bool,
    pub set: PodSet,
    pub min_domains: i64,
    /// Whether only nodes count that the pod's node affinity and selector allow …
    pub honours_affinity: bool,
    /// … and only those whose taints it tolerates.
    pub honours_taints: bool,
    /// Whether the pod counts itself.
    pub selects_itself: bool,
}

impl Spread {
    /// `selector`: what to select instead, for constraints that name nothing.
    pub fn parse(value: &Value, selector: &Value, namespace: &Arc<str>, meta: &Meta) -> Spread {
        let set = PodSet::new(vec![namespace.clone()], &Value::Null, selector);
        Spread {
            max_skew: value["maxSkew"].as_i64().unwrap_or(1),
            topology_key: value["topologyKey"].as_str().unwrap_or_default().into(),
            hard: value["whenUnsatisfiable"] != "ScheduleAnyway",
            min_domains: value["minDomains"].as_i64().unwrap_or(1),
            honours_affinity: value["nodeAffinityPolicy"] != "Ignore",
            honours_taints: value["nodeTaintsPolicy"] == "Honor",
            selects_itself: set.selector.matches(&meta.labels),
            set,
        }
    }
}

/// The constraints of pods that have none of their own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpreadDefaults {
    /// As in a pod, without selectors.
    pub constraints: Vec<Value>,
    /// Upstream's own, and not the profile's.
    pub system: bool,
}

/// A pod that waits for a node.
#[derive(Clone, Debug)]
pub struct PodInfo {
    /// What it will take where it goes.
    pub resident: Resident,
    pub scheduler: Arc<str>,
    pub priority: i32,
    pub created: i64,
    /// `spec.nodeSelector`.
    pub selector: Vec<Requirement>,
    /// Required node affinity: one of the terms; `None` when not asked for.
    pub required: Option<Vec<NodeTerm>>,
    /// Preferred node affinity, with weights.
    pub preferred: Vec<(i64, NodeTerm)>,
    pub tolerations: Vec<Toleration>,
    pub spreads: Vec<Spread>,
    /// Whether they are upstream's own defaults, which make do with nodes that lack a label.
    pub spreads_by_default: bool,
    pub images: Vec<Arc<str>>,
    /// What it asks for by resource claims.
    pub devices: Vec<DeviceClaim>,
    /// The gates keep it out of the queue.
    pub gated: bool,
    /// `spec.preemptionPolicy: Never`.
    pub meek: bool,
    /// `status.nominatedNodeName`.
    pub nominated: Option<Arc<str>>,
    /// The message of its `PodScheduled=False` condition, if it has one.
    pub told: String,
    /// Equal for pods that any node treats alike: everything that a decision looks at, names left out.
    pub shape: u64,
}

impl Deref for PodInfo {
    type Target = Resident;

    fn deref(&self) -> &Resident {
        &self.resident
    }
}

impl PodInfo {
    /// Parses a pod; `None` when the entry is no pod. `kin`: the selector of the workloads and services that the pod is part
    /// of, which the profile's default constraints are about.
    pub fn parse(entry: &Arc<Entry>, kin: &Value, defaults: &SpreadDefaults) -> Option<PodInfo> {
        let Light::Pod(light) = &entry.light else { return None };
        let pod = entry.parse();
        let spec = &pod["spec"];
        let affinity = &spec["affinity"]["nodeAffinity"];
        let preferred = items(&affinity["preferredDuringSchedulingIgnoredDuringExecution"]);
        let pairs = spec["nodeSelector"].as_object().into_iter().flatten();
        let condition = items(&pod["status"]["conditions"]).find(|c| c["type"] == "PodScheduled" && c["status"] == "False");
        let spread = |s: &Value| Spread::parse(s, &s["labelSelector"], &entry.key.namespace, &entry.meta);
        let by_default = |s: &Value| Spread::parse(s, kin, &entry.key.namespace, &entry.meta);
        let mut spreads: Vec<Spread> = items(&spec["topologySpreadConstraints"]).map(spread).collect();
        let spreads_by_default = spreads.is_empty() && defaults.system;
        if spreads.is_empty() && kin.is_object() {
            spreads.extend(defaults.constraints.iter().map(by_default));
        }
        Some(PodInfo {
            resident: Resident::parse(entry, &pod)?,
            scheduler: light.scheduler.clone(),
            priority: light.priority,
            created: entry.meta.created,
            selector: pairs.map(|(key, value)| equals(key, value.as_str().unwrap_or_default())).collect(),
            required: node_terms(&affinity["requiredDuringSchedulingIgnoredDuringExecution"]),
            preferred: preferred.map(|p| (p["weight"].as_i64().unwrap_or_default(), NodeTerm::parse(&p["preference"]))).collect(),
            tolerations: items(&spec["tolerations"]).map(Toleration::parse).collect(),
            spreads,
            spreads_by_default,
            images: images(spec),
            devices: DeviceClaim::of_pod(&entry.key, &pod),
            gated: items(&spec["schedulingGates"]).next().is_some(),
            meek: spec["preemptionPolicy"] == "Never",
            nominated: pod["status"]["nominatedNodeName"].as_str().filter(|n| !n.is_empty()).map(Arc::from),
            told: condition.and_then(|c| c["message"].as_str()).unwrap_or_default().to_string(),
            shape: shape(entry, &pod, kin),
        })
    }

    /// Whether selector and required affinity of the pod allow the node.
    pub fn wants(&self, name: &str, meta: &Meta) -> bool {
        self.selector.iter().all(|r| r.holds(meta.label(&r.key)))
            && self.required.as_ref().is_none_or(|terms| terms.iter().any(|t| t.matches(name, meta)))
    }
}

/// The images of all containers, in the form that nodes report them.
fn images(spec: &Value) -> Vec<Arc<str>> {
    let containers = items(&spec["initContainers"]).chain(items(&spec["containers"]));
    containers.filter_map(|c| c["image"].as_str()).map(normalized_image).collect()
}

/// With its tag: upstream takes the last `:` behind the last `/` for the beginning of one.
pub fn normalized_image(name: &str) -> Arc<str> {
    let tagged = name.rfind(':').is_some_and(|colon| name.rfind('/').is_none_or(|slash| colon > slash));
    if tagged { name.into() } else { format!("{name}:latest").into() }
}

fn shape(entry: &Entry, pod: &Value, kin: &Value) -> u64 {
    let (spec, mut hasher) = (&pod["spec"], DefaultHasher::new());
    (&entry.key.namespace, &entry.meta.labels, kin.to_string()).hash(&mut hasher);
    // Claims of the pod's own make it like no other.
    if !spec["resourceClaims"].is_null() || items(&spec["volumes"]).any(|v| !v["ephemeral"].is_null()) {
        (&entry.key.name, pod["status"]["resourceClaimStatuses"].to_string()).hash(&mut hasher);
    }
    // Volumes hold a token's mount of a random name; those that matter name claims, which no two pods need share.
    for (field, value) in spec.as_object().into_iter().flatten() {
        match field.as_str() {
            "containers" | "initContainers" => {
                for container in items(value) {
                    (container["image"].as_str(), container["resources"].to_string(), container["ports"].to_string()).hash(&mut hasher);
                }
            }
            "volumes" => {
                let plain =
                    |v: &&Value| v["projected"].is_null() && v["emptyDir"].is_null() && v["configMap"].is_null() && v["secret"].is_null();
                items(value).filter(plain).for_each(|v| v.to_string().hash(&mut hasher));
            }
            "hostname" | "subdomain" => {}
            _ => (field, value.to_string()).hash(&mut hasher),
        }
    }
    hasher.finish()
}

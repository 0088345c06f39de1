//! The light index of an object: the few fields that controllers, the scheduler and the node look at on every event,
//! so that nobody keeps parsed objects in memory. Computed once per write.
use crate::quantity::Quantity;
use crate::time::parse_seconds;
use serde_json::Value;
use std::sync::Arc;

/// The light index of one object, by kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Light {
    /// Kinds that nothing inside looks into.
    #[default]
    None,
    Pod(Box<PodLight>),
    Node(Box<NodeLight>),
    /// Kinds with a selector and, most of them, replicas: ReplicationController, ReplicaSet, Job, Service.
    Workload(Box<WorkloadLight>),
}

/// What the scheduler and the controllers need of a pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodLight {
    /// `spec.nodeName`, empty until bound.
    pub node: Arc<str>,
    pub phase: Phase,
    /// The `Ready` condition.
    pub ready: bool,
    /// Seconds since the epoch at which `Ready` last became what it is.
    pub ready_since: i64,
    /// Sum over containers (init containers by upstream's maximum rule, resizes in place by [`pod_demand`]), milli-CPUs.
    pub cpu_milli: i64,
    /// Bytes.
    pub memory: i64,
    pub scheduler: Arc<str>,
    pub priority: i32,
    pub pod_ip: Arc<str>,
    /// `status.startTime` is set: the node has seen the pod.
    pub started: bool,
    /// Restarts over all containers.
    pub restarts: i32,
    pub grace_seconds: i64,
    /// The claims that it mounts, in the order of its volumes.
    pub claims: Box<[MountedClaim]>,
    /// It asks for devices by resource claims.
    pub claims_devices: bool,
}

/// A PersistentVolumeClaim that a pod mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountedClaim {
    /// In the pod's namespace.
    pub name: Arc<str>,
    /// A generic ephemeral volume: the claim, `<pod>-<volume>`, is to be made for this pod alone.
    pub ephemeral: bool,
}

/// `status.phase` of a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    #[default]
    Pending,
    Running,
    Succeeded,
    Failed,
    Unknown,
}

impl Phase {
    /// No container of the pod will run again.
    pub fn finished(self) -> bool {
        matches!(self, Phase::Succeeded | Phase::Failed)
    }
}

/// What the scheduler and node lifecycle need of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeLight {
    pub ready: bool,
    pub unschedulable: bool,
    /// Allocatable, milli-CPUs.
    pub cpu_milli: i64,
    /// Allocatable, bytes.
    pub memory: i64,
    /// Allocatable pods.
    pub pods: i64,
    pub taints: Box<[Taint]>,
    pub pod_cidr: Arc<str>,
    pub internal_ip: Arc<str>,
}

/// One of `spec.taints`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taint {
    pub key: Arc<str>,
    pub value: Arc<str>,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: Arc<str>,
}

/// What the controller of pods needs of its own object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkloadLight {
    pub replicas: i64,
    /// Canonical JSON of the label selector (`{"matchLabels":…}`).
    pub selector: Arc<str>,
    pub observed_generation: i64,
}

/// The light index of a pod.
pub fn pod_light(pod: &Value) -> PodLight {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let ready = list(&status["conditions"]).iter().find(|c| c["type"] == "Ready");
    let grace = pod["metadata"]["deletionGracePeriodSeconds"].as_i64().or_else(|| spec["terminationGracePeriodSeconds"].as_i64());
    PodLight {
        node: text(&spec["nodeName"]),
        phase: phase_of(status["phase"].as_str().unwrap_or_default()),
        ready: ready.is_some_and(|c| c["status"] == "True"),
        ready_since: ready.and_then(|c| c["lastTransitionTime"].as_str()).and_then(parse_seconds).unwrap_or_default(),
        cpu_milli: pod_demand(pod, "cpu", 0),
        memory: pod_demand(pod, "memory", 0),
        scheduler: text(&spec["schedulerName"]),
        priority: spec["priority"].as_i64().and_then(|p| i32::try_from(p).ok()).unwrap_or_default(),
        pod_ip: text(&status["podIP"]),
        started: status["startTime"].is_string(),
        restarts: restarts(status),
        grace_seconds: grace.unwrap_or(30),
        claims: list(&spec["volumes"]).iter().filter_map(|volume| mounted_claim(pod, volume)).collect(),
        claims_devices: !list(&spec["resourceClaims"]).is_empty(),
    }
}

fn mounted_claim(pod: &Value, volume: &Value) -> Option<MountedClaim> {
    if let Some(name) = volume["persistentVolumeClaim"]["claimName"].as_str() {
        return Some(MountedClaim { name: name.into(), ephemeral: false });
    }
    let own = |name: &Value| format!("{}-{}", name.as_str().unwrap_or_default(), volume["name"].as_str().unwrap_or_default());
    volume["ephemeral"].is_object().then(|| MountedClaim { name: own(&pod["metadata"]["name"]).into(), ephemeral: true })
}

/// What a pod asks of one resource: milli-CPUs for `cpu`, whole units (bytes, devices) for anything else.
///
/// Upstream's rule: containers and sidecars run together and are added; an ordinary init container runs alone beside the
/// sidecars started before it, so only the greediest moment counts; overhead comes on top. A request on the pod itself
/// takes the place of the containers'.
pub fn pod_request(pod: &Value, resource: &str) -> i64 {
    together(&pod["spec"], resource, &|container| quantity_in(&container["resources"]["requests"][resource], resource))
}

/// What a pod counts for on its node, in the units of [`pod_request`]: the greatest of what it asks for, what the node has
/// granted and what is in effect there, as a resize in place changes one after the other. One that the node cannot do
/// counts for nothing. `missing`: what a container counts for that says nothing of the resource.
pub fn pod_demand(pod: &Value, resource: &str, missing: i64) -> i64 {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let amount = |list: &Value| if list[resource].is_null() { missing } else { quantity_in(&list[resource], resource) };
    let asked = |container: &Value| amount(&container["resources"]["requests"]);
    let resized = |s: &Value| s["allocatedResources"].is_object() || s["resources"]["requests"].is_object();
    let statuses = || list(&status["containerStatuses"]).iter().chain(list(&status["initContainerStatuses"]));
    if !statuses().any(resized) {
        return together(spec, resource, &asked);
    }
    let pending = list(&status["conditions"]).iter().find(|c| c["type"] == "PodResizePending");
    let infeasible = pending.is_some_and(|c| c["reason"] == "Infeasible");
    let granted = |container: &Value| {
        let own = statuses().find(|s| s["name"] == container["name"]);
        match own.map(|s| &s["allocatedResources"]).filter(|list| list.is_object()) {
            Some(list) => amount(list),
            None if infeasible => missing,
            None => asked(container),
        }
    };
    let in_effect = |container: &Value| {
        let own = statuses().find(|s| s["name"] == container["name"]);
        own.map(|s| &s["resources"]["requests"]).filter(|list| list.is_object()).map_or_else(|| granted(container), amount)
    };
    let known = together(spec, resource, &granted).max(together(spec, resource, &in_effect));
    if infeasible { known } else { known.max(together(spec, resource, &asked)) }
}

/// What containers amount to, by upstream's rule.
fn together(spec: &Value, resource: &str, of: &dyn Fn(&Value) -> i64) -> i64 {
    let mut together: i64 = list(&spec["containers"]).iter().map(of).fold(0, i64::saturating_add);
    let (mut sidecars, mut greediest) = (0i64, 0i64);
    for init in list(&spec["initContainers"]) {
        if init["restartPolicy"] == "Always" {
            sidecars = sidecars.saturating_add(of(init));
            greediest = greediest.max(sidecars);
        } else {
            greediest = greediest.max(sidecars.saturating_add(of(init)));
        }
    }
    together = together.saturating_add(sidecars).max(greediest);
    let own = &spec["resources"]["requests"][resource];
    if matches!(resource, "cpu" | "memory") && !own.is_null() {
        together = quantity_in(own, resource);
    }
    together.saturating_add(quantity_in(&spec["overhead"][resource], resource))
}

/// The light index of a node.
pub fn node_light(node: &Value) -> NodeLight {
    let (spec, status) = (&node["spec"], &node["status"]);
    let allocatable = |resource: &str| {
        let own = &status["allocatable"][resource];
        quantity_in(if own.is_null() { &status["capacity"][resource] } else { own }, resource)
    };
    let taints = list(&spec["taints"]).iter();
    NodeLight {
        ready: list(&status["conditions"]).iter().any(|c| c["type"] == "Ready" && c["status"] == "True"),
        unschedulable: spec["unschedulable"].as_bool().unwrap_or_default(),
        cpu_milli: allocatable("cpu"),
        memory: allocatable("memory"),
        pods: allocatable("pods"),
        taints: taints.map(|t| Taint { key: text(&t["key"]), value: text(&t["value"]), effect: text(&t["effect"]) }).collect(),
        pod_cidr: text(&spec["podCIDR"]),
        internal_ip: list(&status["addresses"]).iter().find(|a| a["type"] == "InternalIP").map(|a| text(&a["address"])).unwrap_or_default(),
    }
}

/// The light index of whatever selects pods. The plain map selector of ReplicationControllers and Services becomes `matchLabels`.
pub fn workload_light(object: &Value) -> WorkloadLight {
    let spec = &object["spec"];
    let selector = match &spec["selector"] {
        Value::Null => String::new(),
        labels if object["kind"] == "ReplicationController" || object["kind"] == "Service" => {
            serde_json::json!({ "matchLabels": labels }).to_string()
        }
        selector => selector.to_string(),
    };
    WorkloadLight {
        replicas: spec["replicas"].as_i64().unwrap_or(1),
        selector: selector.into(),
        observed_generation: object["status"]["observedGeneration"].as_i64().unwrap_or_default(),
    }
}

/// A quantity in the unit that the light index uses for that resource; 0 when absent or malformed (validation is the
/// kind's part).
pub fn quantity_in(value: &Value, resource: &str) -> i64 {
    let parsed = match value {
        Value::String(text) => text.parse::<Quantity>().ok(),
        Value::Number(number) => number.to_string().parse::<Quantity>().ok(),
        _ => None,
    };
    parsed.map_or(0, |q| if resource == "cpu" { q.milli_value() } else { q.value() })
}

fn restarts(status: &Value) -> i32 {
    let statuses = list(&status["containerStatuses"]).iter().chain(list(&status["initContainerStatuses"]));
    let total: i64 = statuses.filter_map(|s| s["restartCount"].as_i64()).fold(0, i64::saturating_add);
    i32::try_from(total).unwrap_or(i32::MAX)
}

fn phase_of(text: &str) -> Phase {
    match text {
        "Running" => Phase::Running,
        "Succeeded" => Phase::Succeeded,
        "Failed" => Phase::Failed,
        "Unknown" => Phase::Unknown,
        _ => Phase::Pending,
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> Arc<str> {
    value.as_str().unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn requests_follow_the_greediest_moment() {
        let c = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu, "memory": "64Mi", "x.io/gpu": 1}}});
        let sidecar = |cpu: &str| json!({"restartPolicy": "Always", "resources": {"requests": {"cpu": cpu}}});
        let cases = [
            (json!({"containers": [c("100m"), c("0.2")]}), 300),
            (json!({"containers": [c("100m")], "initContainers": [c("1")]}), 1000),
            (json!({"containers": [c("100m")], "initContainers": [sidecar("50m"), c("300m"), sidecar("500m")]}), 650),
            (json!({"containers": [c("1")], "initContainers": [c("1"), sidecar("1")], "overhead": {"cpu": "10m"}}), 2010),
            (json!({"containers": [c("1")], "resources": {"requests": {"cpu": "3"}}}), 3000),
        ];
        for (spec, want) in cases {
            assert_eq!(pod_request(&json!({ "spec": spec }), "cpu"), want, "{spec}");
        }
        let pod = json!({"spec": {"containers": [c("1"), c("1")]}});
        assert_eq!((pod_request(&pod, "memory"), pod_request(&pod, "x.io/gpu")), (128 << 20, 2));
    }

    #[test]
    fn a_resize_counts_from_its_beginning_to_its_end() {
        let pod = |asked: &str, status: Value, conditions: Value| {
            let container = json!({"name": "c", "resources": {"requests": {"cpu": asked}}});
            let status = json!({"containerStatuses": [status], "conditions": conditions});
            json!({"spec": {"containers": [container, {"name": "other"}]}, "status": status})
        };
        let said = |granted: &str, used: &str| json!({"name": "c", "allocatedResources": {"cpu": granted}, "resources": {"requests": {"cpu": used}}});
        let infeasible = json!([{"type": "PodResizePending", "reason": "Infeasible"}]);
        let deferred = json!([{"type": "PodResizePending", "reason": "Deferred"}]);
        let cases = [
            (pod("2", json!({"name": "c"}), json!([])), 2000),
            // Greater: asked for, granted, in effect. Smaller: the other way round.
            (pod("2", said("1", "1"), json!([])), 2000),
            (pod("2", said("2", "1"), json!([])), 2000),
            (pod("1", said("2", "2"), json!([])), 2000),
            (pod("1", said("1", "2"), json!([])), 2000),
            (pod("1", said("1", "1"), json!([])), 1000),
            (pod("4", said("1", "1"), deferred), 4000),
            (pod("4", said("1", "1"), infeasible), 1000),
        ];
        for (pod, want) in cases {
            assert_eq!((pod_demand(&pod, "cpu", 0), pod_demand(&pod, "cpu", 100)), (want, want + 100), "{pod}");
            assert_eq!(pod_light(&pod).cpu_milli, want);
        }
    }

    #[test]
    fn lights_of_the_three_kinds() {
        let pod = pod_light(&json!({"spec": {"nodeName": "n", "priority": 7, "terminationGracePeriodSeconds": 5},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "1970-01-01T00:01:00Z"}],
            "containerStatuses": [{"restartCount": 2}, {"restartCount": 1}]}}));
        assert_eq!((&*pod.node, pod.phase, pod.ready, pod.ready_since), ("n", Phase::Running, true, 60));
        assert_eq!((pod.priority, pod.restarts, pod.grace_seconds), (7, 3, 5));
        let node = node_light(&json!({"spec": {"taints": [{"key": "k", "effect": "NoExecute"}]},
            "status": {"allocatable": {"cpu": "1500m", "memory": "1Gi", "pods": "110"}}}));
        assert_eq!((node.cpu_milli, node.memory, node.pods, node.taints.len(), node.ready), (1500, 1 << 30, 110, 1, false));
        let rc = workload_light(&json!({"kind": "ReplicationController", "spec": {"selector": {"a": "b"}}}));
        assert_eq!((&*rc.selector, rc.replicas), (r#"{"matchLabels":{"a":"b"}}"#, 1));
    }
}

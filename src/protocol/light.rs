//! The light index of an object: the few fields that controllers, the scheduler and the node look at on every event,
//! so that nobody keeps parsed objects in memory. Computed once per write.
use std::sync::Arc;

/// The light index of one object, by kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Light {
    /// Kinds that nothing inside looks into.
    #[default]
    None,
    Pod(Box<PodLight>),
    Node(Box<NodeLight>),
    /// Kinds with replicas and a selector: ReplicationController, ReplicaSet.
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
    /// Sum over containers (init containers by upstream's maximum rule), milli-CPUs.
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

/// What a replica controller needs of its own object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkloadLight {
    pub replicas: i64,
    /// Canonical JSON of the label selector (`{"matchLabels":…}`).
    pub selector: Arc<str>,
    pub observed_generation: i64,
}

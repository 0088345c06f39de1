//! What happened in the cluster, as far as it can help a pod that no node would take.
use crate::actors::scheduler::cluster::node::NodeDelta;
use crate::actors::scheduler::demand::Resident;
use crate::protocol::meta::ObjectKey;

/// One thing that happened.
#[derive(Debug)]
pub enum Happening {
    /// A node appeared, or changed in something that bears on scheduling.
    Node { slot: usize, delta: NodeDelta },
    /// A pod left its node, or began to.
    PodLeft { slot: usize, pod: Box<Resident> },
    /// A pod got a node, or one that has one changed its labels.
    PodCame { slot: usize, pod: Box<Resident> },
    /// A claim, volume, class, or what is known of a driver; it is in the model as it is now.
    Storage { shelf: &'static str, key: ObjectKey },
    /// A claim on devices, a class or slice of them. `freed`: somebody gave devices back.
    Devices { shelf: &'static str, key: ObjectKey, freed: bool },
    /// A namespace's labels.
    Namespace,
}

pub const NODE_ADDED: u32 = 1;
pub const NODE_ALLOCATABLE: u32 = 1 << 1;
pub const NODE_LABELS: u32 = 1 << 2;
pub const NODE_TAINTS: u32 = 1 << 3;
pub const POD_LEFT: u32 = 1 << 4;
pub const POD_CAME: u32 = 1 << 5;
pub const STORAGE: u32 = 1 << 6;
pub const NAMESPACE: u32 = 1 << 7;
pub const DEVICES: u32 = 1 << 8;
/// Anything about nodes: what upstream adds for every plugin that looks at nodes, as a node that another plugin refused
/// before may come into question now.
pub const NODE: u32 = NODE_ADDED | NODE_ALLOCATABLE | NODE_LABELS | NODE_TAINTS;

impl Happening {
    /// Its bit, or bits.
    pub fn mask(&self) -> u32 {
        match self {
            Happening::Node { delta, .. } => {
                let bit = |on: bool, bit: u32| if on { bit } else { 0 };
                bit(delta.added, NODE_ADDED)
                    | bit(delta.allocatable, NODE_ALLOCATABLE)
                    | bit(delta.labels, NODE_LABELS)
                    | bit(delta.taints, NODE_TAINTS)
            }
            Happening::PodLeft { .. } => POD_LEFT,
            Happening::PodCame { .. } => POD_CAME,
            Happening::Storage { .. } => STORAGE,
            Happening::Devices { .. } => DEVICES,
            Happening::Namespace => NAMESPACE,
        }
    }
}

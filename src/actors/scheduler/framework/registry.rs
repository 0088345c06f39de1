//! The plugins there are, in upstream's order, with their usual weights.
use super::{Points, Shared};
use crate::actors::scheduler::plugins::balanced_allocation::BalancedAllocation;
use crate::actors::scheduler::plugins::default_binder::DefaultBinder;
use crate::actors::scheduler::plugins::default_preemption::DefaultPreemption;
use crate::actors::scheduler::plugins::dynamic_resources::DynamicResources;
use crate::actors::scheduler::plugins::image_locality::ImageLocality;
use crate::actors::scheduler::plugins::inter_pod_affinity::InterPodAffinity;
use crate::actors::scheduler::plugins::node_affinity::NodeAffinity;
use crate::actors::scheduler::plugins::node_name::NodeName;
use crate::actors::scheduler::plugins::node_ports::NodePorts;
use crate::actors::scheduler::plugins::node_resources_fit::NodeResourcesFit;
use crate::actors::scheduler::plugins::node_unschedulable::NodeUnschedulable;
use crate::actors::scheduler::plugins::node_volume_limits::NodeVolumeLimits;
use crate::actors::scheduler::plugins::pod_topology_spread::PodTopologySpread;
use crate::actors::scheduler::plugins::priority_sort::PrioritySort;
use crate::actors::scheduler::plugins::scheduling_gates::SchedulingGates;
use crate::actors::scheduler::plugins::taint_toleration::TaintToleration;
use crate::actors::scheduler::plugins::volume_binding::VolumeBinding;
use crate::actors::scheduler::plugins::volume_restrictions::VolumeRestrictions;
use crate::actors::scheduler::plugins::volume_zone::VolumeZone;
use serde_json::Value;
use std::sync::Arc;

/// Name and usual weight of every plugin, in the order in which they are asked.
pub const PLUGINS: [(&str, i64); 19] = [
    ("SchedulingGates", 0),
    ("PrioritySort", 0),
    ("NodeUnschedulable", 0),
    ("NodeName", 0),
    ("TaintToleration", 3),
    ("NodeAffinity", 2),
    ("NodePorts", 0),
    ("NodeResourcesFit", 1),
    ("VolumeRestrictions", 0),
    ("NodeVolumeLimits", 0),
    ("VolumeBinding", 0),
    ("VolumeZone", 0),
    ("PodTopologySpread", 2),
    ("InterPodAffinity", 2),
    ("DynamicResources", 0),
    ("DefaultPreemption", 0),
    ("NodeResourcesBalancedAllocation", 1),
    ("ImageLocality", 1),
    ("DefaultBinder", 0),
];

/// A plugin as a profile gets it.
pub struct Made {
    pub plugin: Shared,
    pub points: Points,
}

/// Makes a plugin with its arguments. `Err`: what is wrong with them, or that there is no such plugin.
pub fn make(name: &str, args: &Value) -> Result<Made, String> {
    let plugin: Shared = match name {
        "SchedulingGates" => Arc::new(SchedulingGates),
        "PrioritySort" => Arc::new(PrioritySort),
        "NodeUnschedulable" => Arc::new(NodeUnschedulable),
        "NodeName" => Arc::new(NodeName),
        "TaintToleration" => Arc::new(TaintToleration),
        "NodeAffinity" => Arc::new(NodeAffinity::new(args)),
        "NodePorts" => Arc::new(NodePorts),
        "NodeResourcesFit" => Arc::new(NodeResourcesFit::new(args)?),
        "VolumeRestrictions" => Arc::new(VolumeRestrictions),
        "NodeVolumeLimits" => Arc::new(NodeVolumeLimits),
        "VolumeBinding" => Arc::new(VolumeBinding),
        "VolumeZone" => Arc::new(VolumeZone),
        "PodTopologySpread" => Arc::new(PodTopologySpread::new(args)?),
        "InterPodAffinity" => Arc::new(InterPodAffinity::new(args)),
        "DynamicResources" => Arc::new(DynamicResources),
        "DefaultPreemption" => Arc::new(DefaultPreemption::new(args)),
        "NodeResourcesBalancedAllocation" => Arc::new(BalancedAllocation::new(args)),
        "ImageLocality" => Arc::new(ImageLocality),
        "DefaultBinder" => Arc::new(DefaultBinder),
        other => return Err(format!("there is no plugin {other}")),
    };
    let points = plugin.points();
    Ok(Made { plugin, points })
}

//! The plugins there are, in upstream's order, with their usual weights.
use super::args::{DynamicResourcesArgs, Given, VolumeBindingArgs};
use super::profile::ProfileError;
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

/// Makes a plugin with its arguments; or what is wrong with them, or that there is no such plugin.
pub fn make(given: Given<'_>) -> Result<Made, ProfileError> {
    let plugin: Shared = match given.plugin {
        "NodeAffinity" => Arc::new(NodeAffinity::new(&given.read()?)),
        "NodeResourcesFit" => Arc::new(NodeResourcesFit::new(given.read()?)),
        "PodTopologySpread" => Arc::new(PodTopologySpread::new(&given.read()?, given.args)),
        "InterPodAffinity" => Arc::new(InterPodAffinity::new(&given.read()?)),
        "DefaultPreemption" => Arc::new(DefaultPreemption::new(&given.read()?)),
        "NodeResourcesBalancedAllocation" => Arc::new(BalancedAllocation::new(&given.read()?)),
        "VolumeBinding" => {
            given.read::<VolumeBindingArgs>()?;
            Arc::new(VolumeBinding)
        }
        "DynamicResources" => {
            given.read::<DynamicResourcesArgs>()?;
            Arc::new(DynamicResources)
        }
        other => {
            let plugin = plain(other)
                .ok_or_else(|| ProfileError::Unreadable { path: given.path.into(), why: format!("there is no plugin {other}") })?;
            given.none()?;
            plugin
        }
    };
    let points = plugin.points();
    Ok(Made { plugin, points })
}

/// A plugin that has no arguments.
fn plain(name: &str) -> Option<Shared> {
    Some(match name {
        "SchedulingGates" => Arc::new(SchedulingGates),
        "PrioritySort" => Arc::new(PrioritySort),
        "NodeUnschedulable" => Arc::new(NodeUnschedulable),
        "NodeName" => Arc::new(NodeName),
        "TaintToleration" => Arc::new(TaintToleration),
        "NodePorts" => Arc::new(NodePorts),
        "VolumeRestrictions" => Arc::new(VolumeRestrictions),
        "NodeVolumeLimits" => Arc::new(NodeVolumeLimits),
        "VolumeZone" => Arc::new(VolumeZone),
        "ImageLocality" => Arc::new(ImageLocality),
        "DefaultBinder" => Arc::new(DefaultBinder),
        _ => return None,
    })
}

//! NodeName: `spec.nodeName`. A pod that has one is bound already and never decided about, so there is nothing to refuse
//! here; the plugin is there because profiles name it.
use super::{Cluster, Plugin, PodInfo, Points, PreFilter, State};

/// See the module.
pub struct NodeName;

impl Plugin for NodeName {
    fn name(&self) -> &'static str {
        "NodeName"
    }

    fn points(&self) -> Points {
        Points::PRE_FILTER.and(Points::FILTER)
    }

    fn pre_filter(&self, _pod: &PodInfo, _cluster: &Cluster, _state: &mut State) -> PreFilter {
        PreFilter::Skip
    }
}

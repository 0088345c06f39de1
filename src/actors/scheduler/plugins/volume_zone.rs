//! VolumeZone: volumes that say in their labels which zone or region they are in need a node there.
use super::{Cluster, Happening, NodeInfo, Plugin, PodInfo, Points, PreFilter, Reason, State, claims_of, happening, mounts};
use crate::actors::scheduler::cluster::storage::{CLAIMS, VOLUMES, place_of, placed};
use std::sync::Arc;

/// See the module.
pub struct VolumeZone;

impl Plugin for VolumeZone {
    fn name(&self) -> &'static str {
        "VolumeZone"
    }

    fn points(&self) -> Points {
        Points::PRE_FILTER.and(Points::FILTER)
    }

    fn pre_filter(&self, pod: &PodInfo, cluster: &Cluster, state: &mut State) -> PreFilter {
        let claims = pod.volumes.iter().flat_map(|v| &v.claims).filter_map(|c| cluster.storage.claims.get(&c.key));
        let volumes = claims.filter_map(|c| cluster.storage.volumes.get(&c.volume));
        // Several zones in one label stand between double underscores.
        let split = |values: &str| values.split("__").map(Arc::from).collect::<Vec<Arc<str>>>();
        state.volumes.places = volumes.flat_map(|v| v.zones()).map(|(key, values)| (key.into(), split(values))).collect();
        if state.volumes.places.is_empty() { PreFilter::Skip } else { PreFilter::Go }
    }

    fn filter(&self, _pod: &PodInfo, _slot: usize, node: &NodeInfo, _cluster: &Cluster, state: &State) -> Result<(), Reason> {
        let labels = &node.meta.labels;
        if !placed(labels) {
            return Ok(());
        }
        let there = |(key, values): &(Arc<str>, Vec<Arc<str>>)| place_of(labels, key).is_some_and(|at| values.iter().any(|v| **v == *at));
        if state.volumes.places.iter().all(there) { Ok(()) } else { Err(Reason::unresolvable("node(s) had no available volume zone")) }
    }

    fn interests(&self) -> u32 {
        happening::NODE_ADDED | happening::NODE_LABELS | happening::STORAGE
    }

    fn helps(&self, pod: &PodInfo, happening: &Happening, cluster: &Cluster) -> bool {
        match happening {
            Happening::Storage { shelf: CLAIMS, key } => mounts(pod, key),
            Happening::Storage { shelf: VOLUMES, key } => claims_of(pod, cluster).any(|claim| claim.volume == key.name),
            Happening::Storage { .. } => false,
            _ => true,
        }
    }
}

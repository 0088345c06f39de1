//! NodeVolumeLimits: how many volumes of a CSI driver a node can have, as its CSINode says.
use super::{Cluster, Happening, NodeInfo, Plugin, PodInfo, Points, PreFilter, Reason, State, claims_of, happening, mounts};
use crate::actors::scheduler::cluster::storage::{CLAIMS, CSI_NODES, VOLUMES};
use crate::actors::scheduler::volumes::PodVolumes;
use crate::protocol::meta::ObjectKey;
use std::collections::HashSet;
use std::sync::Arc;

/// See the module.
pub struct NodeVolumeLimits;

type Attached = HashSet<(Arc<str>, Arc<str>)>;

/// Driver and handle of every volume of a pod that counts.
fn attached(pod: &ObjectKey, volumes: &PodVolumes, cluster: &Cluster, all: &mut Attached) {
    all.extend(volumes.claims.iter().filter_map(|claim| cluster.storage.attached(&claim.key)));
    let inline = volumes.inline_drivers.iter().enumerate();
    all.extend(inline.map(|(at, driver)| (driver.clone(), format!("{pod}#{at}").into())));
}

impl Plugin for NodeVolumeLimits {
    fn name(&self) -> &'static str {
        "NodeVolumeLimits"
    }

    fn points(&self) -> Points {
        Points::PRE_FILTER.and(Points::FILTER)
    }

    fn pre_filter(&self, pod: &PodInfo, cluster: &Cluster, _state: &mut State) -> PreFilter {
        let any = pod.volumes.as_ref().is_some_and(|v| !v.claims.is_empty() || !v.inline_drivers.is_empty());
        if any && !cluster.storage.limits.is_empty() { PreFilter::Go } else { PreFilter::Skip }
    }

    fn filter(&self, pod: &PodInfo, _slot: usize, node: &NodeInfo, cluster: &Cluster, _state: &State) -> Result<(), Reason> {
        let (Some(limits), Some(volumes)) = (cluster.storage.limits.get(&node.name), &pod.volumes) else { return Ok(()) };
        let (mut have, mut wanted) = (Attached::new(), Attached::new());
        for (_, resident) in cluster.residents(node) {
            if let Some(volumes) = &resident.volumes {
                attached(&resident.key, volumes, cluster, &mut have);
            }
        }
        attached(&pod.key, volumes, cluster, &mut wanted);
        for (driver, limit) in limits {
            let of_driver = |all: &Attached| all.iter().filter(|(d, _)| d == driver).count();
            let new = wanted.iter().filter(|v| v.0 == *driver && !have.contains(v)).count();
            if new > 0 && (of_driver(&have) + new) as i64 > *limit {
                return Err(Reason::unschedulable("node(s) exceed max volume count"));
            }
        }
        Ok(())
    }

    fn interests(&self) -> u32 {
        happening::NODE_ADDED | happening::POD_LEFT | happening::STORAGE
    }

    fn helps(&self, pod: &PodInfo, happening: &Happening, cluster: &Cluster) -> bool {
        match happening {
            Happening::Storage { shelf: CLAIMS, key } => mounts(pod, key),
            Happening::Storage { shelf: VOLUMES, key } => claims_of(pod, cluster).any(|claim| claim.volume == key.name),
            Happening::Storage { shelf, .. } => *shelf == CSI_NODES,
            Happening::PodLeft { pod: left, .. } => left.volumes.is_some(),
            _ => true,
        }
    }
}

//! VolumeRestrictions: disks that only one pod can mount, and claims with the access mode ReadWriteOncePod.
use super::{Cluster, Happening, NodeInfo, Plugin, PodInfo, Points, PreFilter, Reason, State, happening, mounts};
use crate::actors::scheduler::cluster::storage::CLAIMS;
use crate::actors::scheduler::volumes::{Disk, PodVolumes};
use crate::protocol::meta::ObjectKey;

const ONE_POD: &str = "ReadWriteOncePod";

/// See the module.
pub struct VolumeRestrictions;

/// The pod's claims that are for one pod alone.
fn alone<'a>(volumes: &'a PodVolumes, cluster: &Cluster) -> Vec<&'a ObjectKey> {
    let single = |key| cluster.storage.claims.get(key).is_some_and(|c| c.modes.iter().any(|m| m == ONE_POD));
    volumes.claims.iter().map(|c| &c.key).filter(|key| single(*key)).collect()
}

/// Whether somebody on the node has one of them.
fn taken(alone: &[&ObjectKey], node: &NodeInfo, cluster: &Cluster) -> bool {
    let others = cluster.residents(node).filter_map(|(_, r)| r.volumes.as_ref());
    others.flat_map(|v| &v.claims).any(|c| alone.contains(&&c.key))
}

impl Plugin for VolumeRestrictions {
    fn name(&self) -> &'static str {
        "VolumeRestrictions"
    }

    fn points(&self) -> Points {
        Points::PRE_FILTER.and(Points::FILTER)
    }

    fn pre_filter(&self, pod: &PodInfo, cluster: &Cluster, _state: &mut State) -> PreFilter {
        let restricted = pod.volumes.as_ref().is_some_and(|v| !v.disks.is_empty() || !alone(v, cluster).is_empty());
        if restricted { PreFilter::Go } else { PreFilter::Skip }
    }

    fn filter(&self, pod: &PodInfo, _slot: usize, node: &NodeInfo, cluster: &Cluster, _state: &State) -> Result<(), Reason> {
        let Some(volumes) = &pod.volumes else { return Ok(()) };
        if node.with_volumes > 0 {
            let mounted = cluster.residents(node).filter_map(|(_, r)| r.volumes.as_ref()).flat_map(|v| &v.disks);
            let mounted: Vec<_> = mounted.collect();
            if volumes.disks.iter().any(|disk| mounted.iter().any(|other| disk.clashes(other))) {
                return Err(Reason::unschedulable("node(s) had no available disk"));
            }
        }
        let alone = alone(volumes, cluster);
        // A claim for one pod alone is so on every node.
        let elsewhere = cluster.nodes().iter().filter(|n| *n.name != *node.name);
        if !alone.is_empty() && std::iter::once(node).chain(elsewhere).any(|n| n.with_volumes > 0 && taken(&alone, n, cluster)) {
            let why = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";
            return Err(Reason::unschedulable(why));
        }
        Ok(())
    }

    fn interests(&self) -> u32 {
        happening::NODE_ADDED | happening::POD_LEFT | happening::STORAGE
    }

    fn helps(&self, pod: &PodInfo, happening: &Happening, _cluster: &Cluster) -> bool {
        match happening {
            Happening::Storage { shelf: CLAIMS, key } => mounts(pod, key),
            Happening::Storage { .. } => false,
            Happening::PodLeft { pod: left, .. } => left.volumes.as_ref().is_some_and(|left| {
                let clash = |disk: &Disk| left.disks.iter().any(|other| disk.clashes(other));
                left.claims.iter().any(|used| mounts(pod, &used.key)) || pod.volumes.iter().flat_map(|v| &v.disks).any(clash)
            }),
            _ => true,
        }
    }
}

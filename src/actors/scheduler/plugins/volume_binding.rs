//! VolumeBinding: bound claims need a node that can reach their volumes; claims that wait for their first consumer need a
//! volume, or a class that can make one, for the node. The choice is written before the pod is bound.
use super::{Cluster, Happening, NodeInfo, Plugin, PodInfo, Points, PreFilter, Reason, State, claims_of, happening, mounts};
use crate::actors::scheduler::cluster::storage::{CAPACITIES, CLAIMS, CLASSES, CSI_DRIVERS, Claim, Provisioning, VOLUMES, Volume};
use crate::actors::scheduler::framework::{Progress, Write, Written};
use crate::protocol::meta::ObjectKey;
use serde_json::json;
use std::sync::Arc;

const NO_VOLUME: &str = "node(s) didn't find available persistent volumes to bind";

/// See the module.
pub struct VolumeBinding;

/// What a claim without a volume gets on a node.
enum Answer {
    Volume(Arc<str>),
    Provision,
}

/// What each of the pod's unbound claims would get on a node, smallest first.
fn answers<'a>(pod: &'a PodInfo, unbound: &[usize], node: &NodeInfo, cluster: &'a Cluster) -> Result<Vec<(&'a ObjectKey, Answer)>, Reason> {
    let (storage, mut taken, mut found) = (&cluster.storage, Vec::new(), Vec::new());
    let volumes = pod.volumes.iter().flat_map(|v| &v.claims);
    let all: Vec<&ObjectKey> = volumes.map(|c| &c.key).collect();
    let mut claims: Vec<(&ObjectKey, &Claim)> =
        unbound.iter().filter_map(|at| all.get(*at)).filter_map(|key| Some((*key, storage.claims.get(*key)?))).collect();
    claims.sort_by_key(|(_, claim)| claim.request);
    for (key, claim) in claims {
        if claim.selected_node.as_ref().is_some_and(|n| *n != node.name) {
            return Err(Reason::unresolvable(NO_VOLUME));
        }
        let volume = if claim.selected_node.is_some() { None } else { storage.find(key, claim, &node.name, &node.meta, &taken) };
        match volume {
            Some(volume) => {
                taken.push(volume.clone());
                found.push((key, Answer::Volume(volume)));
            }
            None => match storage.provisioning(claim, &node.name, &node.meta) {
                Provisioning::Possible => found.push((key, Answer::Provision)),
                Provisioning::Impossible => return Err(Reason::unresolvable(NO_VOLUME)),
                Provisioning::NoRoom => return Err(Reason::unresolvable("node(s) did not have enough free storage")),
            },
        }
    }
    Ok(found)
}

/// Sorts the pod's claims into bound ones and those to be bound; or why the pod can go nowhere.
fn sort(pod: &PodInfo, cluster: &Cluster) -> Result<(Vec<usize>, Vec<usize>), Reason> {
    let (mut bound, mut unbound) = (Vec::new(), Vec::new());
    for (at, used) in pod.volumes.iter().flat_map(|v| &v.claims).enumerate() {
        let name = &used.key.name;
        let Some(claim) = cluster.storage.claims.get(&used.key) else {
            return Err(Reason::unresolvable(if used.ephemeral {
                format!("waiting for ephemeral volume controller to create the persistentvolumeclaim \"{name}\"")
            } else {
                format!("persistentvolumeclaim \"{name}\" not found")
            }));
        };
        if claim.lost {
            let why = format!("persistentvolumeclaim \"{name}\" bound to non-existent persistentvolume \"{}\"", claim.volume);
            return Err(Reason::unresolvable(why));
        }
        if claim.deleting {
            return Err(Reason::unresolvable(format!("persistentvolumeclaim \"{name}\" is being deleted")));
        }
        if used.ephemeral && claim.owner != pod.uid {
            let (namespace, pod) = (&pod.key.namespace, &pod.key.name);
            let why = format!("PVC {namespace}/{name} was not created for pod {namespace}/{pod} (pod is not owner)");
            return Err(Reason::unresolvable(why));
        }
        if claim.bound {
            bound.push(at);
        } else if cluster.storage.waits(claim) {
            unbound.push(at);
        } else {
            return Err(Reason::unresolvable("pod has unbound immediate PersistentVolumeClaims"));
        }
    }
    Ok((bound, unbound))
}

impl Plugin for VolumeBinding {
    fn name(&self) -> &'static str {
        "VolumeBinding"
    }

    fn points(&self) -> Points {
        Points::PRE_FILTER.and(Points::FILTER).and(Points::RESERVE).and(Points::PRE_BIND)
    }

    fn pre_filter(&self, pod: &PodInfo, cluster: &Cluster, state: &mut State) -> PreFilter {
        if pod.volumes.as_ref().is_none_or(|v| v.claims.is_empty()) {
            return PreFilter::Skip;
        }
        match sort(pod, cluster) {
            Err(reason) => PreFilter::Refuse(reason),
            Ok((mut bound, unbound)) => {
                // Volumes that every node can reach refuse none.
                let claims = pod.volumes.as_ref().map_or(&[][..], |v| &v.claims);
                let volume = |at: &usize| cluster.storage.volumes.get(&cluster.storage.claims.get(&claims.get(*at)?.key)?.volume);
                bound.retain(|at| volume(at).is_none_or(|v| v.nodes.is_some()));
                let any = !bound.is_empty() || !unbound.is_empty();
                (state.volumes.bound, state.volumes.unbound) = (bound, unbound);
                if any { PreFilter::Go } else { PreFilter::Skip }
            }
        }
    }

    fn filter(&self, pod: &PodInfo, _slot: usize, node: &NodeInfo, cluster: &Cluster, state: &State) -> Result<(), Reason> {
        let Some(volumes) = &pod.volumes else { return Ok(()) };
        for used in state.volumes.bound.iter().filter_map(|at| volumes.claims.get(*at)) {
            let Some(claim) = cluster.storage.claims.get(&used.key) else { continue };
            match cluster.storage.volumes.get(&claim.volume) {
                None => return Err(Reason::unresolvable("node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)")),
                Some(volume) if !volume.reachable(&node.name, &node.meta) => {
                    return Err(Reason::unresolvable("node(s) didn't match PersistentVolume's node affinity"));
                }
                Some(_) => {}
            }
        }
        if state.volumes.unbound.is_empty() { Ok(()) } else { answers(pod, &state.volumes.unbound, node, cluster).map(drop) }
    }

    fn reserve(&self, pod: &PodInfo, _slot: usize, node: &NodeInfo, cluster: &mut Cluster) -> Result<Vec<Write>, Reason> {
        if pod.volumes.as_ref().is_none_or(|v| v.claims.is_empty()) {
            return Ok(Vec::new());
        }
        let (_, unbound) = sort(pod, cluster)?;
        let (mut writes, mut promises) = (Vec::new(), Vec::new());
        for (key, answer) in answers(pod, &unbound, node, cluster)? {
            let Some(claim) = cluster.storage.claims.get(key) else { continue };
            match answer {
                Answer::Volume(name) => {
                    let revision = cluster.storage.volumes.get(&name).map(|v| v.revision).unwrap_or_default();
                    let reference = json!({
                        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": &*key.namespace, "name": &*key.name,
                        "uid": &*claim.uid, "resourceVersion": claim.revision.to_string(),
                    });
                    let patch = json!({
                        "metadata": {"annotations": {"pv.kubernetes.io/bound-by-controller": "yes"}}, "spec": {"claimRef": reference},
                    });
                    promises.push((name.clone(), key.clone()));
                    writes.push(Write { shelf: VOLUMES, key: ObjectKey::new("", name), patch, revision, subresource: None });
                }
                Answer::Provision => {
                    let patch = json!({"metadata": {"annotations": {"volume.kubernetes.io/selected-node": &*node.name}}});
                    writes.push(Write { shelf: CLAIMS, key: key.clone(), patch, revision: claim.revision, subresource: None });
                }
            }
        }
        cluster.storage.promised.extend(promises);
        Ok(writes)
    }

    fn unreserve(&self, pod: &PodInfo, cluster: &mut Cluster) {
        let claims = pod.volumes.iter().flat_map(|v| &v.claims);
        let keys: Vec<&ObjectKey> = claims.map(|c| &c.key).collect();
        cluster.storage.promised.retain(|_, to| !keys.contains(&&*to));
    }

    fn progress(&self, pod: &PodInfo, node: &NodeInfo, written: Option<&[Written]>, cluster: &Cluster) -> Progress {
        let claims = || pod.volumes.iter().flat_map(|v| &v.claims);
        let Some(written) = written else {
            let all = claims().all(|c| cluster.storage.claims.get(&c.key).is_some_and(|claim| claim.bound));
            return if all { Progress::Ready } else { Progress::Waits };
        };
        let volumes = written.iter().filter(|w| w.shelf == VOLUMES).map(|w| volume_progress(&w.key.name, node, written, cluster));
        let all = volumes.chain(claims().map(|c| claim_progress(&c.key, node, written, cluster)));
        all.reduce(Progress::and).unwrap_or(Progress::Ready)
    }

    fn interests(&self) -> u32 {
        happening::NODE_ADDED | happening::NODE_LABELS | happening::STORAGE
    }

    /// Whose claims it is about; and while one of the pod's claims keeps it from every node, nothing else helps.
    fn helps(&self, pod: &PodInfo, happening: &Happening, cluster: &Cluster) -> bool {
        let unbound = || claims_of(pod, cluster).filter(|claim| !claim.bound);
        let of_class = |class: &str| unbound().any(|claim| *claim.class == *class);
        let bears = match happening {
            Happening::Storage { shelf: CLAIMS, key } => mounts(pod, key),
            Happening::Storage { shelf: VOLUMES, key } => match cluster.storage.volumes.get(&key.name) {
                Some(Volume { claim: Some((claim, _)), .. }) => mounts(pod, claim),
                Some(volume) => of_class(&volume.class) || claims_of(pod, cluster).any(|claim| claim.volume == key.name),
                None => false,
            },
            Happening::Storage { shelf: CLASSES, key } => of_class(&key.name),
            Happening::Storage { shelf: CAPACITIES, key } => cluster.storage.class_of_capacity(key).is_some_and(|class| of_class(class)),
            Happening::Storage { shelf: CSI_DRIVERS, key } => {
                unbound().any(|claim| cluster.storage.classes.get(&claim.class).is_some_and(|class| class.provisioner == key.name))
            }
            Happening::Storage { .. } => false,
            _ => true,
        };
        bears && sort(pod, cluster).is_ok()
    }
}

/// Whether what was written is in the model already.
fn seen(shelf: &str, key: &ObjectKey, revision: u64, written: &[Written]) -> bool {
    written.iter().filter(|w| w.shelf == shelf && w.key == *key).all(|w| w.revision <= revision)
}

/// How far a claim is that a volume was found for, or is to be made for.
fn claim_progress(key: &ObjectKey, node: &NodeInfo, written: &[Written], cluster: &Cluster) -> Progress {
    let failed = |why: String| Progress::Failed(format!("binding volumes: {why}"));
    let Some(claim) = cluster.storage.claims.get(key) else {
        return failed(format!("failed to check provisioning pvc: could not find v1.PersistentVolumeClaim \"{key}\""));
    };
    if !seen(CLAIMS, key, claim.revision, written) {
        return Progress::Waits;
    }
    let name = &key.name;
    if claim.lost {
        return failed(format!("persistentvolumeclaim \"{name}\" bound to non-existent persistentvolume \"{}\"", claim.volume));
    }
    if claim.deleting && !claim.bound {
        return failed(format!("persistentvolumeclaim \"{name}\" is being deleted"));
    }
    let provisioned = written.iter().any(|w| w.shelf == CLAIMS && w.key == *key);
    if provisioned && claim.selected_node.as_ref() != Some(&node.name) {
        return failed(format!("provisioning failed for PVC \"{name}\""));
    }
    match cluster.storage.volumes.get(&claim.volume) {
        Some(volume) if provisioned && !volume.reachable(&node.name, &node.meta) => {
            let (volume, node) = (&claim.volume, &node.name);
            failed(format!("pv \"{volume}\" node affinity doesn't match node \"{node}\": no matching NodeSelectorTerms"))
        }
        _ if claim.bound => Progress::Ready,
        _ => Progress::Waits,
    }
}

/// How far a volume is that was given to a claim.
fn volume_progress(name: &Arc<str>, node: &NodeInfo, written: &[Written], cluster: &Cluster) -> Progress {
    let failed = |why: String| Progress::Failed(format!("binding volumes: {why}"));
    let key = ObjectKey::new("", name.clone());
    match cluster.storage.volumes.get(name) {
        None => failed(format!("failed to check binding: could not find v1.PersistentVolume \"{name}\"")),
        Some(volume) if !seen(VOLUMES, &key, volume.revision, written) => Progress::Waits,
        Some(volume) if !volume.reachable(&node.name, &node.meta) => {
            let node = &node.name;
            failed(format!("pv \"{name}\" node affinity doesn't match node \"{node}\": no matching NodeSelectorTerms"))
        }
        Some(volume) if volume.claim.as_ref().is_none_or(|(_, uid)| uid.is_empty()) => {
            failed(format!("ClaimRef got reset for pv \"{name}\""))
        }
        Some(_) => Progress::Ready,
    }
}

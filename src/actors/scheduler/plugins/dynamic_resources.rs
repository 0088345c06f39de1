//! DynamicResources: claims on devices. What is allocated must be within the node's reach, what is not is allocated for the node that is
//! chosen, and the pod is bound when it stands in every claim that it may use it.
use super::{Cluster, Happening, NodeInfo, Plugin, PodInfo, Points, PreFilter, Reason, State, happening};
use crate::actors::controllers::resource_claim::{FINALIZER, Meant, meant};
use crate::actors::scheduler::cluster::devices::allocate::{Want, allocation, choose};
use crate::actors::scheduler::cluster::devices::{CLAIMS, CLASSES, Claim};
use crate::actors::scheduler::framework::{PreFiltered, Progress, Write, Written};
use crate::actors::scheduler::terms::items;
use crate::protocol::meta::ObjectKey;
use serde_json::{Value, json};

/// How many may use a claim.
const USERS_MAX: usize = 256;

/// A claim that a pod asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum DeviceClaim {
    /// By its name; `own`: made for the pod, whose it must be.
    Known { key: ObjectKey, own: bool },
    /// One that has not been made yet.
    Missing,
}

impl DeviceClaim {
    /// Those of a pod, without what turned out not to be needed.
    pub fn of_pod(key: &ObjectKey, pod: &Value) -> Vec<DeviceClaim> {
        let known = |name: &str, own| Some(DeviceClaim::Known { key: ObjectKey::new(key.namespace.clone(), name), own });
        let claim = |entry: &Value| match meant(pod, entry) {
            Meant::Named(name) => known(name, false),
            Meant::Own(name) => known(name, true),
            Meant::Nothing => None,
            Meant::Missing => Some(DeviceClaim::Missing),
        };
        items(&pod["spec"]["resourceClaims"]).filter_map(claim).collect()
    }
}

/// See the module.
pub struct DynamicResources;

/// The pod's claims, as far as they are known; or why it can go nowhere.
fn claims<'a>(pod: &PodInfo, cluster: &'a Cluster) -> Result<Vec<(ObjectKey, &'a Claim)>, String> {
    let mut found = Vec::new();
    for claim in &pod.devices {
        let DeviceClaim::Known { key, own } = claim else {
            return Err(format!("pod \"{}\": ResourceClaim not created yet", pod.key));
        };
        let name = &key.name;
        let Some(claim) = cluster.devices.claims.get(key) else {
            return Err(format!("resourceclaim.resource.k8s.io {name:?} not found"));
        };
        if claim.deleting {
            return Err(format!("resourceclaim {name:?} is being deleted"));
        }
        if *own && claim.owner != pod.uid {
            return Err(format!("ResourceClaim {key} was not created for pod {} (pod is not owner)", pod.key));
        }
        found.push((key.clone(), claim));
    }
    Ok(found)
}

/// What has to be allocated for the pod.
fn wants(pod: &PodInfo, cluster: &Cluster) -> Result<Vec<Want>, String> {
    let mut wants = Vec::new();
    for (key, claim) in claims(pod, cluster)? {
        if claim.given.is_some() {
            if claim.users.len() >= USERS_MAX && !claim.is_reserved_for(&pod.uid) {
                return Err("resourceclaim in use".into());
            }
            continue;
        }
        if cluster.devices.promised.contains_key(&key) {
            return Err(format!("resource claim {key} is in the process of being allocated"));
        }
        wants.push(cluster.devices.want(&key, claim)?);
    }
    Ok(wants)
}

fn user(pod: &PodInfo) -> Value {
    json!({"resource": "pods", "name": &*pod.key.name, "uid": &*pod.uid})
}

/// A change of a claim's status, of this very claim.
fn status(key: &ObjectKey, claim: &Claim, status: Value, revision: u64) -> Write {
    let patch = json!({"metadata": {"uid": &*claim.uid}, "status": status});
    Write { shelf: CLAIMS, key: key.clone(), patch, revision, subresource: Some("status") }
}

impl Plugin for DynamicResources {
    fn name(&self) -> &'static str {
        "DynamicResources"
    }

    fn points(&self) -> Points {
        Points::PRE_FILTER.and(Points::FILTER).and(Points::POST_FILTER).and(Points::RESERVE).and(Points::PRE_BIND)
    }

    fn pre_filter(&self, pod: &PodInfo, cluster: &Cluster, state: &mut State) -> PreFilter {
        if pod.devices.is_empty() {
            return PreFilter::Skip;
        }
        match wants(pod, cluster) {
            Err(why) => PreFilter::Refuse(Reason::unresolvable(why)),
            Ok(wants) => {
                state.devices = wants;
                PreFilter::Go
            }
        }
    }

    fn filter(&self, pod: &PodInfo, _slot: usize, node: &NodeInfo, cluster: &Cluster, state: &State) -> Result<(), Reason> {
        let Ok(claims) = claims(pod, cluster) else { return Ok(()) };
        let nodes = claims.iter().filter_map(|(_, claim)| claim.given.as_ref()?.nodes.as_ref());
        if nodes.into_iter().any(|terms| !terms.iter().any(|term| term.matches(&node.name, &node.meta))) {
            return Err(Reason::unresolvable("resourceclaim not available on the node"));
        }
        match choose(&state.devices, &node.name, &node.meta) {
            Some(_) => Ok(()),
            None => Err(Reason::unresolvable("cannot allocate all claims")),
        }
    }

    /// Upstream looks for what its pre-filter left behind, and fails where there is nothing; what can be given back is given back by
    /// the controller of claims as soon as nobody uses it.
    fn post_filter(&self, pod: &PodInfo, before: PreFiltered) -> Result<&'static str, &'static str> {
        match before {
            PreFiltered::Unasked => Err("not found"),
            PreFiltered::Passed if !pod.devices.is_empty() => Ok("still not schedulable"),
            PreFiltered::Passed | PreFiltered::Refused => Ok("no new claims to deallocate"),
        }
    }

    fn reserve(&self, pod: &PodInfo, _slot: usize, node: &NodeInfo, cluster: &mut Cluster) -> Result<Vec<Write>, Reason> {
        if pod.devices.is_empty() {
            return Ok(Vec::new());
        }
        let wants = wants(pod, cluster).map_err(Reason::unresolvable)?;
        let choices = choose(&wants, &node.name, &node.meta).ok_or_else(|| Reason::unresolvable("cannot allocate all claims"))?;
        let mut writes = Vec::new();
        for (key, claim) in claims(pod, cluster).map_err(Reason::unresolvable)? {
            if claim.given.is_some() && !claim.is_reserved_for(&pod.uid) {
                let mut users = claim.users.clone();
                users.push(user(pod));
                writes.push(status(&key, claim, json!({ "reservedFor": users }), claim.revision));
            }
        }
        for (want, choice) in wants.iter().zip(&choices) {
            let Some(claim) = cluster.devices.claims.get(&want.key) else { continue };
            let made = json!({"allocation": allocation(choice, claim, &cluster.devices), "reservedFor": [user(pod)]});
            let protected = claim.finalizers.iter().any(|f| **f == *FINALIZER);
            let revision = if protected { claim.revision } else { 0 };
            if !protected {
                let finalizers: Vec<&str> = claim.finalizers.iter().map(|f| &**f).chain([FINALIZER]).collect();
                let patch = json!({"metadata": {"uid": &*claim.uid, "finalizers": finalizers}});
                writes.push(Write { shelf: CLAIMS, key: want.key.clone(), patch, revision: claim.revision, subresource: None });
            }
            writes.push(status(&want.key, claim, made, revision));
        }
        for (want, choice) in wants.into_iter().zip(choices) {
            let ids = choice.into_iter().map(|(_, device)| device.id.clone()).collect();
            cluster.devices.promised.insert(want.key, ids);
        }
        Ok(writes)
    }

    fn unreserve(&self, pod: &PodInfo, cluster: &mut Cluster) {
        for claim in &pod.devices {
            if let DeviceClaim::Known { key, .. } = claim {
                cluster.devices.promised.remove(key);
            }
        }
    }

    fn progress(&self, pod: &PodInfo, _node: &NodeInfo, written: Option<&[Written]>, cluster: &Cluster) -> Progress {
        let of = |claim: &DeviceClaim| {
            let DeviceClaim::Known { key, .. } = claim else { return Progress::Failed("ResourceClaim not created yet".into()) };
            let Some(claim) = cluster.devices.claims.get(key) else {
                return Progress::Failed(format!("resourceclaim.resource.k8s.io {:?} not found", key.name));
            };
            if claim.given.is_some() && claim.is_reserved_for(&pod.uid) {
                return Progress::Ready;
            }
            let seen =
                written.is_some_and(|all| all.iter().filter(|w| w.shelf == CLAIMS && w.key == *key).all(|w| w.revision <= claim.revision));
            if seen { Progress::Failed(format!("claim {key} is not reserved for the pod any more")) } else { Progress::Waits }
        };
        pod.devices.iter().map(of).reduce(Progress::and).unwrap_or(Progress::Ready)
    }

    fn interests(&self) -> u32 {
        happening::NODE_ADDED | happening::NODE_LABELS | happening::DEVICES
    }

    fn helps(&self, pod: &PodInfo, happening: &Happening, cluster: &Cluster) -> bool {
        let mine = || pod.devices.iter().filter_map(|c| if let DeviceClaim::Known { key, .. } = c { Some(key) } else { None });
        let wanted = || mine().filter_map(|key| cluster.devices.claims.get(key)).filter(|claim| claim.given.is_none());
        match happening {
            Happening::Devices { shelf: CLAIMS, key, freed } => mine().any(|k| k == key) || (*freed && wanted().next().is_some()),
            Happening::Devices { shelf: CLASSES, key, .. } => wanted().any(|claim| claim.requests.iter().any(|r| r.class == key.name)),
            Happening::Devices { .. } => wanted().next().is_some(),
            _ => true,
        }
    }
}

//! From the endpoints that there should be to the fewest writes of EndpointSlices.
use crate::actors::controllers::difference::merge_patch;
use crate::actors::controllers::plan::{Action, Creation, Deletion, Patch, Plan, Propagation};
use crate::storage::entry::Entry;
use serde_json::{Map, Value, json};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

pub const SLICES: &str = "endpointslices.discovery.k8s.io";
pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";
pub(super) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";

/// Endpoints that share one kind of address and one set of ports.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    /// `IPv4` or `IPv6`.
    pub family: &'static str,
    pub ports: Value,
    pub endpoints: Vec<Value>,
}

/// Whose slices these are.
pub(super) struct Owner<'a> {
    pub entry: &'a Entry,
    /// `Service` or `Endpoints`.
    pub kind: &'static str,
    pub labels: Value,
    /// Written together with other changes, never alone; null takes one away.
    pub annotations: Value,
    /// The most endpoints of one slice.
    pub room: usize,
}

/// Makes the slices at hand say what the groups say. An endpoint stays in its slice; new ones fill the gaps before a slice is
/// made for them; a slice that is not needed goes.
pub(super) fn reconcile(owner: &Owner<'_>, existing: &[Arc<Entry>], groups: Vec<Group>, plan: &mut Plan) {
    let mut left: Vec<(&Arc<Entry>, Value)> = existing.iter().filter(|e| e.meta.deleting.is_none()).map(|e| (e, e.parse())).collect();
    for group in groups {
        let fits = |(_, slice): &(&Arc<Entry>, Value)| {
            slice["addressType"] == group.family && ports_key(&slice["ports"]) == ports_key(&group.ports)
        };
        let (mine, others): (Vec<_>, Vec<_>) = left.into_iter().partition(fits);
        left = others;
        fill(owner, mine, group, plan);
    }
    for (entry, _) in left {
        plan.actions.push(Action::Delete(Deletion {
            kind: SLICES.into(),
            key: entry.key.clone(),
            uid: entry.meta.uid.clone(),
            propagation: Propagation::Background,
            grace: None,
            report: None,
        }));
    }
}

fn fill(owner: &Owner<'_>, slices: Vec<(&Arc<Entry>, Value)>, group: Group, plan: &mut Plan) {
    let mut waiting: HashMap<String, Value> = HashMap::new();
    let mut order: VecDeque<String> = VecDeque::new();
    for endpoint in group.endpoints {
        let identity = identity(&endpoint);
        if waiting.insert(identity.clone(), endpoint).is_none() {
            order.push_back(identity);
        }
    }
    let mut kept: Vec<(&Arc<Entry>, Value, Vec<Value>)> = Vec::new();
    for (entry, slice) in slices {
        let endpoints = slice["endpoints"].as_array().into_iter().flatten().filter_map(|e| waiting.remove(&identity(e))).collect();
        kept.push((entry, slice, endpoints));
    }
    let mut fresh: VecDeque<Value> = order.into_iter().filter_map(|identity| waiting.remove(&identity)).collect();
    for (_, _, endpoints) in &mut kept {
        let room = owner.room.saturating_sub(endpoints.len()).min(fresh.len());
        endpoints.extend(fresh.drain(..room));
    }
    // One slice stays even when it is empty, so that the ports are known.
    let last_one = fresh.is_empty() && kept.iter().all(|(_, _, endpoints)| endpoints.is_empty());
    let mut first = true;
    for (entry, slice, endpoints) in kept.iter_mut() {
        let spare = endpoints.is_empty() && !(last_one && first);
        first = false;
        plan.actions.extend(if spare { Some(delete(entry)) } else { update(owner, entry, slice, std::mem::take(endpoints)) });
    }
    let mut make = |endpoints: Vec<Value>| plan.actions.push(create(owner, group.family, &group.ports, endpoints));
    if kept.is_empty() && fresh.is_empty() {
        make(Vec::new());
    }
    while !fresh.is_empty() {
        let count = owner.room.min(fresh.len()).max(1);
        make(fresh.drain(..count).collect());
    }
}

fn delete(entry: &Entry) -> Action {
    let (key, uid) = (entry.key.clone(), entry.meta.uid.clone());
    Action::Delete(Deletion { kind: SLICES.into(), key, uid, propagation: Propagation::Background, grace: None, report: None })
}

fn update(owner: &Owner<'_>, entry: &Entry, slice: &Value, endpoints: Vec<Value>) -> Option<Action> {
    let mut patch = json!({});
    let now = slice["endpoints"].as_array().map(Vec::as_slice).unwrap_or_default();
    if now != endpoints.as_slice() {
        patch["endpoints"] = endpoints.into();
    }
    if let Some(change) = merge_patch(&slice["metadata"]["labels"], &owner.labels) {
        patch["metadata"]["labels"] = change;
    }
    let empty = patch.as_object().is_none_or(|p| p.is_empty());
    (!empty).then(|| {
        for (name, value) in owner.annotations.as_object().into_iter().flatten() {
            if slice["metadata"]["annotations"][name] != *value {
                patch["metadata"]["annotations"][name] = value.clone();
            }
        }
        Action::Patch(Patch {
            kind: SLICES.into(),
            key: entry.key.clone(),
            uid: Some(entry.meta.uid.clone()),
            subresource: None,
            patch,
            expect_revision: Some(entry.revision),
        })
    })
}

fn create(owner: &Owner<'_>, family: &str, ports: &Value, endpoints: Vec<Value>) -> Action {
    let key = &owner.entry.key;
    let mut meta = json!({
        "generateName": format!("{}-", key.name),
        "labels": owner.labels,
        "ownerReferences": [{
            "apiVersion": "v1", "kind": owner.kind, "name": &*key.name, "uid": &*owner.entry.meta.uid,
            "controller": true, "blockOwnerDeletion": true,
        }],
    });
    let annotations = owner.annotations.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let annotations: Map<String, Value> = annotations.map(|(name, value)| (name.clone(), value.clone())).collect();
    if !annotations.is_empty() {
        meta["annotations"] = annotations.into();
    }
    Action::Create(Creation {
        kind: SLICES.into(),
        namespace: key.namespace.clone(),
        object: json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta, "addressType": family,
            "endpoints": endpoints, "ports": ports,
        }),
        report: None,
    })
}

/// What makes an endpoint the same one while its state changes.
fn identity(endpoint: &Value) -> String {
    format!("{} {}", endpoint["targetRef"]["uid"].as_str().unwrap_or_default(), endpoint["addresses"])
}

/// Ports compared as sets, with the defaults that storing them fills in.
pub(super) fn ports_key(ports: &Value) -> Vec<String> {
    let key = |port: &Value| {
        let text = |field: &str| port[field].as_str().unwrap_or_default().to_string();
        let protocol = if port["protocol"].is_null() { "TCP".to_string() } else { text("protocol") };
        format!("{}/{}/{}/{}", text("name"), protocol, port["port"], text("appProtocol"))
    };
    let mut keys: Vec<String> = ports.as_array().into_iter().flatten().map(key).collect();
    keys.sort();
    keys
}

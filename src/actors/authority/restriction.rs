//! What a node may write: upstream's NodeRestriction. The node authorizer says which kinds; here the object is known as well.
use super::graph::node_of;
use super::references;
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use crate::storage::Entry;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A write about to happen, with the object as it will be stored.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    /// `CREATE`, `UPDATE` or `DELETE`.
    pub operation: &'a str,
    pub group: &'a str,
    /// The plural.
    pub resource: &'a str,
    pub subresource: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
    /// `None` for a delete.
    pub object: Option<&'a Value>,
    /// `None` for a create.
    pub old: Option<&'a Value>,
}

impl Written<'_> {
    /// `pods "x" is forbidden: <why>`
    pub fn forbidden(&self, why: &str) -> ApiError {
        ApiError::forbidden(self.group, self.resource, self.name(), why)
    }

    /// The name in the path, or the new object's.
    fn name(&self) -> &str {
        let made = self.object.and_then(|o| o["metadata"]["name"].as_str()).unwrap_or_default();
        if self.name.is_empty() { made } else { self.name }
    }
}

/// What the restriction looks up.
pub trait Held {
    fn pod(&self, key: &ObjectKey) -> Option<Arc<Entry>>;
    /// The uid of a Node.
    fn node_uid(&self, name: &str) -> Option<Arc<str>>;
}

/// `Ok`, or why the node may not write this.
pub fn restrict(node: &str, written: &Written<'_>, held: &dyn Held) -> Result<(), ApiError> {
    let no = |why: String| Err(written.forbidden(&why));
    match (written.group, written.resource, written.subresource, written.operation) {
        ("", "pods", "", "CREATE") => mirror_pod(node, written, held),
        ("", "pods", "", "DELETE") => {
            own_pod(node, written, held, || format!("node \"{node}\" can only delete pods with spec.nodeName set to itself"))
        }
        ("", "pods", "", other) => no(format!("unexpected operation \"{other}\", node \"{node}\" can only create and delete mirror pods")),
        ("", "pods", "status", "UPDATE") => pod_status(node, written),
        ("", "pods", "status", other) => no(format!("unexpected operation \"{other}\"")),
        ("", "pods", "eviction", "CREATE") => {
            own_pod(node, written, held, || format!("node {node} can only evict pods with spec.nodeName set to itself"))
        }
        ("", "pods", other, _) => no(format!("unexpected pod subresource \"{other}\", only 'status' and 'eviction' are allowed")),
        ("", "nodes", _, _) => own_node(node, written),
        ("", "persistentvolumeclaims", "status", "UPDATE") => claim_status(node, written),
        ("", "persistentvolumeclaims", _, _) => no("may only update PVC status".into()),
        ("", "serviceaccounts", "token", "CREATE") => token(node, written, held),
        ("coordination.k8s.io", "leases", _, _) if written.namespace != "kube-node-lease" => {
            no("can only access leases in the \"kube-node-lease\" system namespace".into())
        }
        ("coordination.k8s.io", "leases", _, _) if written.name() != node => {
            no("can only access node lease with the same name as the requesting node".into())
        }
        ("storage.k8s.io", "csinodes", _, _) if written.name() != node => {
            no("can only access CSINode with the same name as the requesting node".into())
        }
        ("resource.k8s.io", "resourceslices", _, "CREATE") if written.object.is_some_and(|o| o["spec"]["nodeName"] != node) => {
            no("can only create ResourceSlice with the same NodeName as the requesting node".into())
        }
        _ => Ok(()),
    }
}

fn own_pod(node: &str, written: &Written<'_>, held: &dyn Held, why: impl Fn() -> String) -> Result<(), ApiError> {
    let pod = held.pod(&ObjectKey::new(written.namespace, written.name()));
    let pod = pod.ok_or_else(|| ApiError::not_found("", "pods", written.name()))?;
    if node_of(&pod).is_some_and(|n| **n == *node) { Ok(()) } else { Err(written.forbidden(&why())) }
}

/// A node makes pods for itself only, and such that refer to nothing: else it could read whatever it likes.
fn mirror_pod(node: &str, written: &Written<'_>, held: &dyn Held) -> Result<(), ApiError> {
    let Some(pod) = written.object else { return Ok(()) };
    let no = |why: String| Err(written.forbidden(&why));
    let mirror = "kubernetes.io/config.mirror";
    if pod["metadata"]["annotations"].get(mirror).is_none() {
        return no(format!("pod does not have \"{mirror}\" annotation, node \"{node}\" can only create mirror pods"));
    }
    if pod["spec"]["nodeName"] != node {
        return no(format!("node \"{node}\" can only create pods with spec.nodeName set to itself"));
    }
    let owners = pod["metadata"]["ownerReferences"].as_array().map(Vec::as_slice).unwrap_or_default();
    let owner = match owners {
        [owner] if owner["apiVersion"] == "v1" && owner["kind"] == "Node" && owner["name"] == node => owner,
        [_, _, ..] => return no(format!("node \"{node}\" can only create pods with a single owner reference set to itself")),
        _ => return no(format!("node \"{node}\" can only create pods with an owner reference set to itself")),
    };
    if owner["controller"] != true {
        return no(format!("node \"{node}\" can only create pods with a controller owner reference set to itself"));
    }
    if owner["blockOwnerDeletion"] == true {
        return no(format!("node \"{node}\" must not set blockOwnerDeletion on an owner reference"));
    }
    let uid = held.node_uid(node).ok_or_else(|| ApiError::not_found("", "nodes", node))?;
    if owner["uid"] != *uid {
        let given = owner["uid"].as_str().unwrap_or_default();
        return no(format!("node {node} UID mismatch: expected {given} got {uid}"));
    }
    let mut plain = pod.clone();
    plain["metadata"]["annotations"] = Value::Null;
    match references::of_pod(&plain).first().map(|thing| thing.sort) {
        None => Ok(()),
        Some(references::Sort::ServiceAccount) => no(format!("node \"{node}\" can not create pods that reference a service account")),
        Some(references::Sort::Secret) => no(format!("node \"{node}\" can not create pods that reference secrets")),
        Some(references::Sort::ConfigMap) => no(format!("node \"{node}\" can not create pods that reference configmaps")),
        Some(references::Sort::Claim) => no(format!("node \"{node}\" can not create pods that reference persistentvolumeclaims")),
        Some(references::Sort::ResourceClaim) => no(format!("node \"{node}\" can not create pods that reference resourceclaims")),
    }
}

fn pod_status(node: &str, written: &Written<'_>) -> Result<(), ApiError> {
    let (Some(old), Some(new)) = (written.old, written.object) else { return Ok(()) };
    let no = |why: &str| Err(written.forbidden(&format!("node \"{node}\" {why}")));
    if old["spec"]["nodeName"] != node {
        return no("can only update pod status for pods with spec.nodeName set to itself");
    }
    if map(&old["metadata"]["labels"]) != map(&new["metadata"]["labels"]) {
        return no("cannot update labels through pod status");
    }
    if old["status"]["resourceClaimStatuses"] != new["status"]["resourceClaimStatuses"] {
        return no("cannot update resource claim statues");
    }
    Ok(())
}

fn own_node(node: &str, written: &Written<'_>) -> Result<(), ApiError> {
    let no = |why: String| Err(written.forbidden(&why));
    if written.name() != node {
        return no(format!("node \"{node}\" is not allowed to modify node \"{}\"", written.name()));
    }
    let Some(new) = written.object else { return Ok(()) };
    let changed = |old: &Value| forbidden_labels(&new["metadata"]["labels"], old);
    match written.old {
        None => {
            let labels = changed(&Value::Null);
            if !labels.is_empty() {
                return no(format!("node \"{node}\" is not allowed to set the following labels: {}", labels.join(", ")));
            }
        }
        Some(old) => {
            let taints = |o: &Value| o["spec"]["taints"].as_array().cloned().unwrap_or_default();
            if taints(old) != taints(new) {
                return no(format!("node \"{node}\" is not allowed to modify taints"));
            }
            let labels = changed(&old["metadata"]["labels"]);
            if !labels.is_empty() {
                return no(format!("is not allowed to modify labels: {}", labels.join(", ")));
            }
        }
    }
    Ok(())
}

/// Labels by which pods are steered to nodes, so that a node may not change them on itself.
fn forbidden_labels(new: &Value, old: &Value) -> Vec<String> {
    let (new, old) = (map(new), map(old));
    let keys: BTreeSet<&String> = new.keys().chain(old.keys()).filter(|key| new.get(*key) != old.get(*key)).collect();
    keys.into_iter().filter(|key| !may_label_itself(key)).cloned().collect()
}

fn may_label_itself(key: &str) -> bool {
    const OWN: [&str; 11] = [
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
    ];
    let Some((domain, _)) = key.split_once('/') else { return true };
    let of = |parent: &str| domain == parent || domain.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'));
    if of("node-restriction.kubernetes.io") {
        return false;
    }
    let system = of("kubernetes.io") || of("k8s.io");
    !system || OWN.contains(&key) || of("kubelet.kubernetes.io") || of("node.kubernetes.io")
}

fn claim_status(node: &str, written: &Written<'_>) -> Result<(), ApiError> {
    let (Some(old), Some(new)) = (written.old, written.object) else { return Ok(()) };
    let rest = |object: &Value| {
        let mut rest = object.clone();
        for field in ["resourceVersion", "managedFields"] {
            rest["metadata"][field] = Value::Null;
        }
        for field in ["capacity", "conditions", "allocatedResources", "allocatedResourceStatuses"] {
            rest["status"][field] = Value::Null;
        }
        rest
    };
    if rest(old) == rest(new) {
        return Ok(());
    }
    Err(written.forbidden(&format!("node \"{node}\" is not allowed to update fields other than status.capacity and status.conditions")))
}

/// Tokens for a pod of its own only.
fn token(node: &str, written: &Written<'_>, held: &dyn Held) -> Result<(), ApiError> {
    let bound = written.object.map(|o| o["spec"]["boundObjectRef"].clone()).unwrap_or_default();
    let no = |why: &str| Err(written.forbidden(why));
    let name = bound["name"].as_str().unwrap_or_default();
    if bound["apiVersion"] != "v1" || bound["kind"] != "Pod" || name.is_empty() {
        return no("node requested token not bound to a pod");
    }
    let uid = bound["uid"].as_str().unwrap_or_default();
    if uid.is_empty() {
        return no("node requested token with a pod binding without a uid");
    }
    let pod = held.pod(&ObjectKey::new(written.namespace, name)).ok_or_else(|| ApiError::not_found("", "pods", name))?;
    if *pod.meta.uid != *uid {
        return no(&format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
        ));
    }
    if node_of(&pod).is_none_or(|n| **n != *node) {
        return no("node requested token bound to a pod scheduled on a different node");
    }
    Ok(())
}

fn map(value: &Value) -> serde_json::Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

//! What a node may ask for: its own object, its own pods, and what they refer to. Whatever is the same for all nodes stands in the
//! roles `system:node` and `system:node-proxier`: our agent is the node's proxy as well, which is why it may read all Nodes, the
//! addresses of which it routes to.
use super::bootstrap::role_rules;
use super::references::{Sort, Thing};
use crate::protocol::authority::{Attributes, PolicyRule};
use crate::protocol::meta::ObjectKey;
use crate::protocol::selector::FieldSelector;
use std::sync::LazyLock;

/// Where nodes renew their leases.
const LEASES: &str = "kube-node-lease";

/// What the decision has to know of the world.
pub trait Relations {
    /// Whether a pod of the node refers to it.
    fn needs(&self, node: &str, thing: &Thing) -> bool;
    fn needs_volume(&self, node: &str, volume: &str) -> bool;
    fn has_pod(&self, node: &str, pod: &ObjectKey) -> bool;
}

/// `Ok`, or why this authorizer does not allow it; empty when it has nothing to say.
pub fn decide(node: &str, wanted: &Attributes<'_>, relations: &dyn Relations) -> Result<(), String> {
    let read = |sort| read_thing(node, wanted, sort, relations);
    let related = |found: bool| if found { Ok(()) } else { unrelated(node) };
    match (wanted.path, wanted.group, wanted.resource) {
        (None, "", "secrets") => read(Sort::Secret),
        (None, "", "configmaps") => read(Sort::ConfigMap),
        (None, "", "persistentvolumeclaims") if wanted.subresource == "status" => match wanted.verb {
            "update" | "patch" => related(relations.needs(node, &thing(wanted, Sort::Claim))),
            _ => refused("can only get/update/patch this type"),
        },
        (None, "", "persistentvolumeclaims") => only_get(wanted, || related(relations.needs(node, &thing(wanted, Sort::Claim)))),
        (None, "", "persistentvolumes") => only_get(wanted, || related(relations.needs_volume(node, wanted.name))),
        (None, "resource.k8s.io", "resourceclaims") => {
            only_get(wanted, || related(relations.needs(node, &thing(wanted, Sort::ResourceClaim))))
        }
        // No volume is attached by anybody but the node itself.
        (None, "storage.k8s.io", "volumeattachments") => only_get(wanted, || unrelated(node)),
        (None, "", "serviceaccounts") => match (wanted.verb, wanted.subresource) {
            ("create", "token") if !wanted.name.is_empty() => related(relations.needs(node, &thing(wanted, Sort::ServiceAccount))),
            ("create", "token") => refused("can only create tokens for individual service accounts"),
            ("create", _) => refused("can only create token subresource of serviceaccount"),
            _ => refused("can only create tokens for individual service accounts"),
        },
        (None, "coordination.k8s.io", "leases") => lease(node, wanted),
        (None, "storage.k8s.io", "csinodes") => csi_node(node, wanted),
        (None, "", "pods") => pod(node, wanted, relations),
        _ if uniform(wanted) => Ok(()),
        _ => Err(String::new()),
    }
}

/// What all nodes may do alike.
fn uniform(wanted: &Attributes<'_>) -> bool {
    static RULES: LazyLock<Vec<PolicyRule>> = LazyLock::new(|| [role_rules("system:node"), role_rules("system:node-proxier")].concat());
    RULES.iter().any(|rule| rule.allows(wanted))
}

fn refused(why: &str) -> Result<(), String> {
    Err(why.to_string())
}

fn unrelated(node: &str) -> Result<(), String> {
    Err(format!("no relationship found between node '{node}' and this object"))
}

fn thing(wanted: &Attributes<'_>, sort: Sort) -> Thing {
    Thing { sort, key: ObjectKey::new(wanted.namespace, wanted.name) }
}

/// Single objects that a pod of the node refers to.
fn read_thing(node: &str, wanted: &Attributes<'_>, sort: Sort, relations: &dyn Relations) -> Result<(), String> {
    if !matches!(wanted.verb, "get" | "list" | "watch") {
        return refused("can only read resources of this type");
    }
    if !wanted.subresource.is_empty() {
        return refused("cannot read subresource");
    }
    if wanted.namespace.is_empty() {
        return refused("can only read namespaced object of this type");
    }
    if wanted.name.is_empty() {
        return refused("No Object name found");
    }
    if relations.needs(node, &thing(wanted, sort)) { Ok(()) } else { unrelated(node) }
}

fn only_get(wanted: &Attributes<'_>, related: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    if wanted.verb != "get" {
        return refused("can only get individual resources of this type");
    }
    if !wanted.subresource.is_empty() {
        return refused("cannot get subresource");
    }
    if wanted.name.is_empty() {
        return refused("No Object name found");
    }
    related()
}

fn lease(node: &str, wanted: &Attributes<'_>) -> Result<(), String> {
    match wanted.verb {
        "get" | "create" | "update" | "patch" | "delete" => {}
        _ => return refused("can only get, create, update, patch, or delete a node lease"),
    }
    if wanted.namespace != LEASES {
        return Err(format!("can only access leases in the \"{LEASES}\" system namespace"));
    }
    // The name of a new one is known only to the restriction of what it writes.
    if wanted.verb != "create" && wanted.name != node {
        return refused("can only access node lease with the same name as the requesting node");
    }
    Ok(())
}

fn csi_node(node: &str, wanted: &Attributes<'_>) -> Result<(), String> {
    match wanted.verb {
        "get" | "create" | "update" | "patch" | "delete" => {}
        _ => return refused("can only get, create, update, patch, or delete a CSINode"),
    }
    if !wanted.subresource.is_empty() {
        return refused("cannot authorize CSINode subresources");
    }
    if wanted.verb != "create" && wanted.name != node {
        return refused("can only access CSINode with the same name as the requesting node");
    }
    Ok(())
}

fn pod(node: &str, wanted: &Attributes<'_>, relations: &dyn Relations) -> Result<(), String> {
    let own = || if relations.has_pod(node, &ObjectKey::new(wanted.namespace, wanted.name)) { Ok(()) } else { unrelated(node) };
    match (wanted.subresource, wanted.verb) {
        ("", "get") => only_get(wanted, own),
        ("", "list" | "watch") => {
            let selector = FieldSelector::parse(wanted.field_selector).ok();
            if selector.is_some_and(|s| s.exact("spec.nodeName") == Some(node)) {
                return Ok(());
            }
            if wanted.name.is_empty() { refused("can only list/watch pods with spec.nodeName field selector") } else { own() }
        }
        // Which ones is judged where the object is known.
        ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create") => Ok(()),
        _ => Err(String::new()),
    }
}

//! The roles and bindings that every cluster has, made at the first start and put in order at every further one.
mod policy;
mod reconcile;
#[cfg(test)]
mod tests;

pub use reconcile::reconcile;

use crate::protocol::authority::PolicyRule;
use policy::{Policy, policy};
use serde_json::{Value, json};

/// Kept in order unless this annotation says `false`.
const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// The rules that a default ClusterRole has from the start; none when there is no such role.
pub fn role_rules(name: &str) -> Vec<PolicyRule> {
    let found = policy().roles.iter().find(|r| r.namespace.is_empty() && r.name == name);
    found.map(|r| r.rules.clone()).unwrap_or_default()
}

/// An index of nothing but the defaults, for tests.
#[cfg(test)]
pub(crate) fn index() -> super::RbacIndex {
    use crate::protocol::meta::ObjectKey;
    let mut index = super::RbacIndex::default();
    for wanted in objects(policy()) {
        let key = ObjectKey::new(wanted.namespace.as_str(), wanted.object["metadata"]["name"].as_str().unwrap_or_default());
        match wanted.plural {
            "roles" | "clusterroles" => index.set_role(&key, Some(&wanted.object)),
            _ => index.set_binding(&key, Some(&wanted.object)),
        }
    }
    index
}

/// A default object, and where it belongs.
struct Wanted {
    plural: &'static str,
    namespace: String,
    object: Value,
}

/// Every default object: roles, then bindings.
fn objects(policy: &Policy) -> Vec<Wanted> {
    let metadata = |name: &str, namespace: &str, labels: &[(String, String)]| {
        let mut metadata = json!({
            "name": name,
            "annotations": { AUTOUPDATE: "true" },
            "labels": { "kubernetes.io/bootstrapping": "rbac-defaults" },
        });
        if !namespace.is_empty() {
            metadata["namespace"] = namespace.into();
        }
        for (key, value) in labels {
            metadata["labels"][key] = value.as_str().into();
        }
        metadata
    };
    let api_version = "rbac.authorization.k8s.io/v1";
    let roles = policy.roles.iter().map(|role| {
        let (kind, plural) = if role.namespace.is_empty() { ("ClusterRole", "clusterroles") } else { ("Role", "roles") };
        let labels: Vec<(String, String)> = role.part_of.iter().map(|of| (aggregate_to(of), "true".into())).collect();
        let mut object = json!({ "apiVersion": api_version, "kind": kind, "metadata": metadata(&role.name, &role.namespace, &labels) });
        object["rules"] = json!(role.rules);
        if role.aggregated {
            object["aggregationRule"] = json!({ "clusterRoleSelectors": [{ "matchLabels": { (aggregate_to(&role.name)): "true" } }] });
        }
        Wanted { plural, namespace: role.namespace.clone(), object }
    });
    let bindings = policy.bindings.iter().map(|binding| {
        let cluster = binding.namespace.is_empty();
        let (kind, plural) = if cluster { ("ClusterRoleBinding", "clusterrolebindings") } else { ("RoleBinding", "rolebindings") };
        let role = json!({
            "apiGroup": "rbac.authorization.k8s.io", "kind": if cluster { "ClusterRole" } else { "Role" }, "name": binding.role,
        });
        let mut object = json!({
            "apiVersion": api_version, "kind": kind, "metadata": metadata(&binding.name, &binding.namespace, &[]), "roleRef": role,
        });
        if !binding.subjects.is_empty() {
            object["subjects"] = binding.subjects.clone().into();
        }
        Wanted { plural, namespace: binding.namespace.clone(), object }
    });
    roles.chain(bindings).collect()
}

fn aggregate_to(role: &str) -> String {
    format!("rbac.authorization.k8s.io/aggregate-to-{role}")
}

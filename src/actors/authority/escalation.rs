//! Nobody grants what they don't have: a role is written by who holds all of its rules, or may `escalate`; a binding by who
//! holds the rules of its role, or may `bind` it. With the restriction of nodes, this is what is checked of a write.
use super::authorizer::{Authorizer, Verdict};
use super::index::RoleRef;
use super::restriction::{Held, Written, restrict};
use crate::protocol::authority::{Attributes, PolicyRule, RBAC, covers};
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use crate::protocol::user::{MASTERS, User};
use crate::storage::Entry;
use serde_json::Value;
use std::sync::Arc;

impl Authorizer {
    /// Whether this user may write this very object. For validating admission, where the object is final.
    ///
    /// # Errors
    /// 403 in upstream's words.
    pub fn check_write(&self, user: &User, written: &Written<'_>) -> Result<(), ApiError> {
        if let Some(node) = user.node().filter(|_| !user.is_in(MASTERS)) {
            restrict(node, written, self)?;
        }
        let (RBAC, Some(new)) = (written.group, written.object) else { return Ok(()) };
        if user.is_in(MASTERS) || written.old.is_some_and(|old| only_collected(old, new)) {
            return Ok(());
        }
        match written.resource {
            "roles" | "clusterroles" => self.check_role(user, written, new),
            "rolebindings" | "clusterrolebindings" => self.check_binding(user, written, new),
            _ => Ok(()),
        }
    }

    fn check_role(&self, user: &User, written: &Written<'_>, role: &Value) -> Result<(), ApiError> {
        if self.may(user, "escalate", written.resource, written.namespace, name_of(role)) {
            return Ok(());
        }
        if role.get("aggregationRule").is_some_and(|rule| !rule.is_null()) {
            self.check_rules(user, written, &PolicyRule::everything())
                .map_err(|_| written.forbidden("must have cluster-admin privileges to use the aggregationRule"))?;
        }
        self.check_rules(user, written, &PolicyRule::of_role(role))
    }

    fn check_binding(&self, user: &User, written: &Written<'_>, binding: &Value) -> Result<(), ApiError> {
        let role = RoleRef::parse(&binding["roleRef"]);
        let resource = if role.cluster { "clusterroles" } else { "roles" };
        if self.may(user, "bind", resource, written.namespace, &role.name) {
            return Ok(());
        }
        let index = self.rbac.load_full();
        let rules = index.rules(&role, written.namespace).map_err(|trouble| ApiError::new(404, "NotFound", trouble))?;
        self.check_rules(user, written, rules)
    }

    fn check_rules(&self, user: &User, written: &Written<'_>, rules: &[PolicyRule]) -> Result<(), ApiError> {
        let (held, trouble) = self.rbac.load().rules_of(user, written.namespace);
        covers(&held, rules).map_err(|shortfall| {
            let mut why = shortfall.message(&user.name, &user.groups);
            if !trouble.is_empty() {
                why.push_str(&format!("; resolution errors: [{trouble}]"));
            }
            written.forbidden(&why)
        })
    }

    fn may(&self, user: &User, verb: &str, resource: &str, namespace: &str, name: &str) -> bool {
        let wanted = Attributes { verb, group: RBAC, version: "v1", resource, namespace, name, ..Default::default() };
        matches!(self.decide(user, &wanted), Verdict::Allowed(_))
    }
}

impl Held for Authorizer {
    fn pod(&self, key: &ObjectKey) -> Option<Arc<Entry>> {
        self.pods.snapshot().get(key).cloned()
    }

    fn node_uid(&self, name: &str) -> Option<Arc<str>> {
        self.shelves.shelf("nodes").snapshot().get(&ObjectKey::new("", name)).map(|entry| entry.meta.uid.clone())
    }
}

/// Whether nothing changes but what the garbage collector changes: it may do so without holding the rules.
fn only_collected(old: &Value, new: &Value) -> bool {
    let rest = |object: &Value| {
        let mut rest = object.clone();
        if let Some(metadata) = rest["metadata"].as_object_mut() {
            for field in ["ownerReferences", "finalizers", "resourceVersion", "managedFields", "generation"] {
                metadata.remove(field);
            }
        }
        rest
    };
    rest(old) == rest(new)
}

fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

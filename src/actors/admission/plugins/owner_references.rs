//! OwnerReferencesPermissionEnforcement: who sets owners must be allowed to delete the object; who blocks an owner's deletion,
//! to change the owner's finalizers.
use crate::actors::admission::refusal::{forbidden, list, text};
use crate::actors::kinds::Attributes;
use crate::protocol::authority::{Attributes as Access, Authorize};
use crate::protocol::status::ApiError;
use serde_json::Value;

/// Judges a change of `metadata.ownerReferences`.
pub fn validate(a: &Attributes<'_>, object: &Value, old: Option<&Value>, authorizer: &dyn Authorize) -> Result<(), ApiError> {
    let held = old.map(|o| list(&o["metadata"], "ownerReferences")).unwrap_or_default();
    let given = list(&object["metadata"], "ownerReferences");
    if held == given || (old.is_none() && given.is_empty()) {
        return Ok(());
    }
    let resource = &a.kind.resource;
    // Whoever creates an object may name its owners; changing them later is as good as deleting it.
    if old.is_some() {
        let delete = Access {
            verb: "delete",
            group: resource.group,
            version: "*",
            resource: resource.plural,
            namespace: &a.key.namespace,
            name: &a.key.name,
            ..Access::default()
        };
        if !authorizer.allowed(a.user, &delete) {
            let why = "cannot set an ownerRef on a resource you can't delete: , <nil>";
            return Err(forbidden(a, Some(object), why));
        }
    }
    for owner in given.iter().filter(|o| o["blockOwnerDeletion"] == true && !held.contains(o)) {
        let group = text(owner, "apiVersion").split_once('/').map_or("", |(group, _)| group);
        let plural = format!("{}s", text(owner, "kind").to_lowercase());
        let update = Access {
            verb: "update",
            group,
            version: "*",
            resource: &plural,
            subresource: "finalizers",
            namespace: &a.key.namespace,
            name: text(owner, "name"),
            ..Access::default()
        };
        if !authorizer.allowed(a.user, &update) {
            let why = "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: , <nil>";
            return Err(forbidden(a, Some(object), why));
        }
    }
    Ok(())
}

//! Resource claims: made from templates for the pods that ask for them, and given back when nobody uses them any more.
//!
//! A pod that names a template gets a claim of its own; `status.resourceClaimStatuses` of the pod says which, and an annotation of the
//! claim says for which of the pod's entries it was made, so that one that was made before a crash is found again. Who uses a claim
//! stands in its `status.reservedFor`: whoever is gone or has ended is taken out, and with the last one goes the allocation.
mod claim;
mod pod;
#[cfg(test)]
mod tests;

use super::feed::Change;
use super::index::Parts;
use super::plan::{Failure, Plan};
use super::runner::{Controller, Key};
use super::world::World;
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;

pub const CLAIMS: &str = "resourceclaims.resource.k8s.io";
pub const TEMPLATES: &str = "resourceclaimtemplates.resource.k8s.io";
/// Keeps a claim while devices are allocated to it.
pub const FINALIZER: &str = "resource.kubernetes.io/delete-protection";
/// On a claim made for a pod: for which of its entries.
pub const FOR_ENTRY: &str = "resource.kubernetes.io/pod-claim-name";

/// Which claim one of a pod's entries means.
#[derive(Debug, PartialEq, Eq)]
pub enum Meant<'a> {
    /// One that exists by itself.
    Named(&'a str),
    /// One that was made for the pod.
    Own(&'a str),
    /// It turned out that none is needed.
    Nothing,
    /// One that has to be made from a template.
    Missing,
}

/// Which claim an entry of `spec.resourceClaims` means.
pub fn meant<'a>(pod: &'a Value, entry: &'a Value) -> Meant<'a> {
    if let Some(name) = entry["resourceClaimName"].as_str() {
        return Meant::Named(name);
    }
    match list(&pod["status"]["resourceClaimStatuses"]).iter().find(|status| status["name"] == entry["name"]) {
        None => Meant::Missing,
        Some(status) => status["resourceClaimName"].as_str().map_or(Meant::Nothing, Meant::Own),
    }
}

/// No container of the pod runs, nor ever will.
fn is_done(pod: &Entry) -> bool {
    matches!(&pod.light, Light::Pod(light) if light.phase.finished() || (pod.meta.deleting.is_some() && light.node.is_empty()))
}

/// The claims that a pod uses.
fn used(pod: &Entry) -> Vec<ObjectKey> {
    let object = pod.parse();
    let name = |entry: &Value| match meant(&object, entry) {
        Meant::Named(name) | Meant::Own(name) => Some(ObjectKey::new(pod.key.namespace.clone(), name)),
        Meant::Nothing | Meant::Missing => None,
    };
    list(&object["spec"]["resourceClaims"]).iter().filter_map(name).collect()
}

fn claims_devices(pod: &Entry) -> bool {
    matches!(&pod.light, Light::Pod(light) if light.claims_devices)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The controller.
#[derive(Default)]
pub struct ResourceClaims {
    /// Claims that we took the devices from, by uid, while their finalizer is to go as well.
    freed: HashSet<Arc<str>>,
}

impl Controller for ResourceClaims {
    fn name(&self) -> &'static str {
        "resourceclaim"
    }

    fn parts(&self) -> Parts {
        Parts::default()
    }

    fn watches(&self, kind: &str) -> bool {
        matches!(kind, CLAIMS | TEMPLATES | "pods")
    }

    fn keys(&self, change: &Change, _before: Option<&Entry>, world: &dyn World, out: &mut Vec<Key>) {
        let entry = &change.entry;
        match &*change.kind {
            "pods" if !claims_devices(entry) => {}
            "pods" if change.deleted || is_done(entry) => {
                out.extend(used(entry).iter().map(|claim| Key::of(CLAIMS, claim)));
                // Claims of its own may not stand in its status yet.
                out.extend(pod::own_claims(entry, world).iter().map(|claim| Key::of(CLAIMS, &claim.key)));
            }
            "pods" => out.push(Key::of("pods", &entry.key)),
            TEMPLATES if !change.deleted => {
                let pods = world.list("pods", Some(&entry.key.namespace));
                let named = |pod: &Entry| {
                    list(&pod.parse()["spec"]["resourceClaims"]).iter().any(|c| c["resourceClaimTemplateName"] == *entry.key.name)
                };
                out.extend(pods.iter().filter(|pod| claims_devices(pod) && named(pod)).map(|pod| Key::of("pods", &pod.key)));
            }
            CLAIMS => {
                let owner = entry.meta.controller().filter(|owner| &*owner.kind == "Pod");
                out.extend(owner.map(|o| Key::of("pods", &ObjectKey::new(entry.key.namespace.clone(), o.name.clone()))));
                if !change.deleted {
                    out.push(Key::of(CLAIMS, &entry.key));
                }
            }
            _ => {}
        }
    }

    fn plan(&mut self, key: &Key, world: &dyn World, _now: Timestamp, _failure: Option<&Failure>) -> Plan {
        let Some(entry) = world.get(&key.kind, &key.object) else { return Plan::quiet() };
        if &*key.kind == "pods" { pod::plan(&entry, world) } else { claim::plan(&entry, world, &mut self.freed) }
    }
}

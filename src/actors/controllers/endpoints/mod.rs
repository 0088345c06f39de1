//! Where services lead: EndpointSlices and Endpoints from services and their pods, and slices that mirror Endpoints made by hand.
mod legacy;
mod service;
mod slices;
mod topology;
mod trigger;

#[cfg(test)]
mod tests;

use super::feed::Change;
use super::index::Parts;
use super::labels::LabelSelector;
use super::plan::{Action, Deletion, Failure, Plan, Propagation};
use super::runner::{Controller, Key};
use super::world::World;
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use jiff::Timestamp;
pub use legacy::ENDPOINTS;
use serde_json::json;
use service::Target;
pub use slices::SLICES;
use slices::{Owner, SERVICE_NAME};
use std::sync::Arc;
use trigger::{LAST_CHANGE, Triggers};

pub const SERVICES: &str = "services";
/// The most endpoints of a service's slice.
const ROOM: usize = 100;
/// The most of a mirroring one.
const MIRROR_ROOM: usize = 1000;

/// Decides about the slices and the Endpoints of one service.
fn plan_service(service: &Arc<Entry>, world: &dyn World, room: usize, triggers: &mut Triggers) -> Plan {
    let mut plan = Plan::quiet();
    let Light::Workload(light) = &service.light else { return plan };
    let object = service.parse();
    if service.meta.deleting.is_some() || object["spec"]["type"] == "ExternalName" {
        return plan;
    }
    // Without a selector somebody else looks after them.
    let Some(selector) = LabelSelector::parse(&light.selector) else { return plan };
    let namespace = &service.key.namespace;
    let pods = world.list("pods", Some(namespace));
    let targets: Vec<Target> = pods.iter().filter(|p| selector.matches(&p.meta)).filter_map(Target::of).collect();
    let trigger = triggers.observe(service, &targets);
    let owner = Owner {
        entry: service,
        kind: "Service",
        labels: service::labels(service, &object),
        annotations: json!({ LAST_CHANGE: trigger }),
        room,
    };
    let existing = own_slices(service, world);
    slices::reconcile(&owner, &existing, service::groups(service, &object, &targets, world), &mut plan);
    let current = world.get(ENDPOINTS, &service.key);
    plan.actions.extend(legacy::write(service, &object, &targets, trigger, current.as_ref()));
    if !plan.actions.is_empty() {
        plan.why = format!("Service {}: {} pods behind it", service.key, targets.len());
    }
    plan
}

/// Decides about the slices that mirror one Endpoints object, or about what is left without its service.
fn plan_endpoints(endpoints: &Arc<Entry>, world: &dyn World) -> Plan {
    let mut plan = Plan::quiet();
    let object = endpoints.parse();
    let service = world.get(SERVICES, &endpoints.key);
    let managed = !legacy::mirrored(endpoints, &object);
    if managed && service.is_none() && endpoints.meta.label("endpoints.kubernetes.io/managed-by") == Some("endpoint-controller") {
        plan.why = format!("Endpoints {}: the service is gone", endpoints.key);
        plan.actions.push(delete(ENDPOINTS, endpoints));
        return plan;
    }
    let existing = own_slices(endpoints, world);
    let selects =
        |service: &Arc<Entry>| matches!(&service.light, Light::Workload(light) if LabelSelector::parse(&light.selector).is_some());
    if managed || service.is_none_or(|service| selects(&service)) {
        plan.actions.extend(existing.iter().map(|slice| delete(SLICES, slice)));
    } else {
        let (labels, annotations) = legacy::mirror_meta(endpoints, &object);
        let owner = Owner { entry: endpoints, kind: "Endpoints", labels, annotations, room: MIRROR_ROOM };
        slices::reconcile(&owner, &existing, legacy::mirror(&object), &mut plan);
    }
    if !plan.actions.is_empty() {
        plan.why = format!("Endpoints {}: mirrored", endpoints.key);
    }
    plan
}

fn own_slices(owner: &Entry, world: &dyn World) -> Vec<Arc<Entry>> {
    let mut slices = world.owned_by(SLICES, &owner.meta.uid);
    slices.retain(|slice| slice.meta.controller().is_some_and(|c| c.uid == owner.meta.uid) && slice.meta.deleting.is_none());
    slices
}

fn delete(kind: &str, entry: &Entry) -> Action {
    let (key, uid) = (entry.key.clone(), entry.meta.uid.clone());
    Action::Delete(Deletion { kind: kind.into(), key, uid, propagation: Propagation::Background, grace: None, report: None })
}

/// The controller around both.
pub struct Endpoints {
    triggers: Triggers,
    /// The most endpoints of a service's slice.
    room: usize,
}

impl Default for Endpoints {
    fn default() -> Self {
        Endpoints::with_room(ROOM)
    }
}

impl Endpoints {
    /// Whose slices have at most so many endpoints.
    pub fn with_room(room: usize) -> Self {
        Endpoints { triggers: Triggers::default(), room }
    }
}

impl Controller for Endpoints {
    fn name(&self) -> &'static str {
        "endpoints"
    }

    fn parts(&self) -> Parts {
        // Every pod is filed, so that the labels that it had are known; and every node with its zone and its processors.
        Parts { owners: true, orphans: &["pods", "nodes"], ..Parts::default() }
    }

    fn watches(&self, kind: &str) -> bool {
        matches!(kind, "pods" | "nodes" | SERVICES | ENDPOINTS | SLICES)
    }

    fn keys(&self, change: &Change, before: Option<&Entry>, world: &dyn World, out: &mut Vec<Key>) {
        let entry = &change.entry;
        match &*change.kind {
            SERVICES | ENDPOINTS => {
                out.push(Key::of(SERVICES, &entry.key));
                out.push(Key::of(ENDPOINTS, &entry.key));
            }
            "nodes" => {
                let after = (!change.deleted).then(|| topology::weight(entry)).flatten();
                if before.and_then(topology::weight) != after {
                    let services = world.list(SERVICES, None);
                    out.extend(services.iter().filter(|s| topology::may_be_wanted(s)).map(|s| Key::of(SERVICES, &s.key)));
                }
            }
            SLICES => {
                let Some(name) = entry.meta.label(SERVICE_NAME) else { return };
                let object = ObjectKey::new(entry.key.namespace.clone(), name);
                out.push(Key::of(SERVICES, &object));
                out.push(Key::of(ENDPOINTS, &object));
            }
            _ => {
                for service in world.list(SERVICES, Some(&entry.key.namespace)) {
                    let Light::Workload(light) = &service.light else { continue };
                    let Some(selector) = LabelSelector::parse(&light.selector) else { continue };
                    if [before, Some(&**entry)].into_iter().flatten().any(|pod| selector.matches(&pod.meta)) {
                        out.push(Key::of(SERVICES, &service.key));
                    }
                }
            }
        }
    }

    fn plan(&mut self, key: &Key, world: &dyn World, _now: Timestamp, _failure: Option<&Failure>) -> Plan {
        let Some(entry) = world.get(&key.kind, &key.object) else {
            if &*key.kind == SERVICES {
                self.triggers.forget(&key.object);
            }
            return Plan::quiet();
        };
        if &*key.kind == SERVICES { plan_service(&entry, world, self.room, &mut self.triggers) } else { plan_endpoints(&entry, world) }
    }
}

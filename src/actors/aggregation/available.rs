//! The `Available` condition of APIServices: what can be told from the Service and its endpoints is decided here; what only the
//! server behind it can tell, it is asked.
use super::{Aggregation, Route, SHELF};
use crate::actors::controllers::feed::Change;
use crate::actors::controllers::index::Parts;
use crate::actors::controllers::plan::{Action, Failure, Patch, Plan};
use crate::actors::controllers::runner::{Controller, Key};
use crate::actors::controllers::world::World;
use crate::actors::kinds::apiextensions::conditions::set_condition;
use crate::protocol::meta::ObjectKey;
use crate::storage::Entry;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

const SERVICES: &str = "services";
const SLICES: &str = "endpointslices.discovery.k8s.io";
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Status, reason and message.
pub type Verdict = (&'static str, &'static str, String);

/// What is wrong with the way to a server, before it is asked anything.
pub fn decide(route: &Route, service: Option<&Value>, slices: &[Value]) -> Option<Verdict> {
    let (name, namespace, port) = (&route.service, &route.namespace, route.port);
    let no = |reason, message| Some(("False", reason, message));
    let Some(service) = service else {
        return no("ServiceNotFound", format!("service/{name} in \"{namespace}\" is not present"));
    };
    if service["spec"]["type"].as_str().is_some_and(|t| t != "ClusterIP") {
        return None;
    }
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let Some(found) = ports.into_iter().find(|p| p["port"].as_u64() == Some(u64::from(port))) else {
        return no("ServicePortError", format!("service/{name} in \"{namespace}\" is not listening on port {port}"));
    };
    if slices.is_empty() {
        return no("EndpointsNotFound", format!("cannot find endpointslices for service/{name} in \"{namespace}\""));
    }
    let port_name = found["name"].as_str().unwrap_or_default();
    if !slices.iter().any(|slice| leads_somewhere(slice, port_name)) {
        let why = format!("endpointslices for service/{name} in \"{namespace}\" have no addresses with port name \"{port_name}\"");
        return no("MissingEndpoints", why);
    }
    None
}

fn leads_somewhere(slice: &Value, port: &str) -> bool {
    let list = |field: &str| slice[field].as_array().cloned().unwrap_or_default();
    list("ports").iter().any(|p| p["name"].as_str().unwrap_or_default() == port)
        && list("endpoints").iter().any(|e| e["conditions"]["ready"] != false && e["addresses"].as_array().is_some_and(|a| !a.is_empty()))
}

/// The patch that makes the condition say so, when it doesn't.
fn report(entry: &Entry, object: &Value, verdict: &Verdict, now: Timestamp) -> Option<Action> {
    let (status, reason, message) = verdict;
    let held = object["status"]["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == "Available");
    if held.is_some_and(|c| c["status"] == *status && c["reason"] == *reason && c["message"] == message.as_str()) {
        return None;
    }
    let mut next = object["status"].clone();
    set_condition(&mut next, "Available", (status, reason, message), now);
    Some(Action::Patch(Patch {
        kind: SHELF.into(),
        key: entry.key.clone(),
        uid: Some(entry.meta.uid.clone()),
        subresource: Some("status"),
        patch: json!({ "status": next }),
        expect_revision: Some(entry.revision),
    }))
}

/// The controller around [`decide`].
pub struct Availability {
    pub aggregation: Arc<Aggregation>,
}

impl Controller for Availability {
    fn name(&self) -> &'static str {
        "apiserviceavailability"
    }

    fn parts(&self) -> Parts {
        Parts::default()
    }

    fn watches(&self, kind: &str) -> bool {
        matches!(kind, SHELF | SERVICES | SLICES)
    }

    fn keys(&self, change: &Change, _before: Option<&Entry>, world: &dyn World, out: &mut Vec<Key>) {
        let key = &change.entry.key;
        let service = match &*change.kind {
            SHELF => return out.push(Key::of(SHELF, key)),
            SERVICES => &*key.name,
            _ => change.entry.meta.label(SERVICE_NAME).unwrap_or_default(),
        };
        // There are a few dozen APIServices; those with a Service are told by their bytes.
        for entry in world.list(SHELF, None) {
            let behind = Route::parse(&entry.parse()).is_some_and(|r| r.service == service && *r.namespace == *key.namespace);
            if behind {
                out.push(Key::of(SHELF, &entry.key));
            }
        }
    }

    fn plan(&mut self, key: &Key, world: &dyn World, now: Timestamp, _failure: Option<&Failure>) -> Plan {
        let Some(entry) = world.get(SHELF, &key.object) else {
            self.aggregation.forget(&key.object.name);
            return Plan::quiet();
        };
        let object = entry.parse();
        let mut plan = Plan::quiet();
        let verdict = match Route::parse(&object) {
            None => {
                self.aggregation.forget(&key.object.name);
                ("True", "Local", "Local APIServices are always available".to_string())
            }
            Some(route) => match self.judge(route, &object, world, &mut plan) {
                Some(verdict) => verdict,
                None => return plan,
            },
        };
        if let Some(action) = report(&entry, &object, &verdict, now) {
            plan.why = format!("apiservice {}: {} ({})", key.object.name, verdict.0, verdict.1);
            plan.actions.push(action);
        }
        plan
    }
}

impl Availability {
    /// `None`: the server is being asked.
    fn judge(&self, route: Route, object: &Value, world: &dyn World, plan: &mut Plan) -> Option<Verdict> {
        let held = world.get(SERVICES, &ObjectKey::new(route.namespace.as_str(), route.service.as_str()));
        let slices = world.list(SLICES, Some(&route.namespace));
        let slices: Vec<Arc<Entry>> = slices.into_iter().filter(|e| e.meta.label(SERVICE_NAME) == Some(&route.service)).collect();
        let service = held.as_ref().map(|e| e.parse());
        let parsed: Vec<Value> = slices.iter().map(|e| e.parse()).collect();
        if let Some(wrong) = decide(&route, service.as_ref(), &parsed) {
            return Some(wrong);
        }
        let revisions: Vec<u64> = held.iter().chain(&slices).map(|e| e.revision).collect();
        let basis = format!("{revisions:?} {}", object["spec"]);
        let (outcome, again) = self.aggregation.judged(&Arc::new(route), &basis)?;
        plan.requeue(again);
        Some(match outcome {
            Ok(()) => ("True", "Passed", "all checks passed".into()),
            Err(why) => ("False", "FailedDiscoveryCheck", why),
        })
    }
}

//! What is to be done about a claim: who does not use it any more, and when it is given back.
use super::{CLAIMS, FINALIZER, is_done, list};
use crate::actors::controllers::plan::{Action, Deletion, Patch, Plan, Propagation};
use crate::actors::controllers::world::World;
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;

/// Decides about one claim. `freed`: claims that we took the devices from and whose finalizer is still to go. Others may have the
/// finalizer without an allocation: the scheduler is about to write one.
pub fn plan(claim: &Entry, world: &dyn World, freed: &mut HashSet<Arc<str>>) -> Plan {
    let object = claim.parse();
    let status = &object["status"];
    let users = list(&status["reservedFor"]);
    let valid: Vec<&Value> = users.iter().filter(|user| still_uses(user, claim, world)).collect();
    let protected = claim.meta.finalizers.iter().any(|f| **f == *FINALIZER);
    let idle = valid.is_empty();
    let mut change = serde_json::Map::new();
    if valid.len() < users.len() {
        change.insert("reservedFor".into(), if idle { Value::Null } else { json!(valid) });
    }
    let ends = idle && protected && (valid.len() < users.len() || claim.meta.deleting.is_some());
    if ends && !status["allocation"].is_null() {
        change.insert("allocation".into(), Value::Null);
        change.insert("devices".into(), Value::Null);
    }
    if !change.is_empty() {
        if ends {
            freed.insert(claim.meta.uid.clone());
        }
        let why = format!("claim {}: {} of {} still use it", claim.key, valid.len(), users.len());
        return Plan { actions: vec![patch(claim, Some("status"), json!({ "status": change }))], why, ..Plan::quiet() };
    }
    let mut plan = Plan::quiet();
    let given_back = freed.remove(&claim.meta.uid) || claim.meta.deleting.is_some();
    if protected && idle && given_back && status["allocation"].is_null() {
        let rest: Vec<&str> = claim.meta.finalizers.iter().map(|f| &**f).filter(|f| *f != FINALIZER).collect();
        plan.actions.push(patch(claim, None, json!({ "metadata": { "finalizers": rest } })));
        plan.why = format!("claim {}: nobody uses it any more", claim.key);
    } else if idle && claim.meta.deleting.is_none() && owner_is_done(claim, world) {
        plan.actions.push(delete(claim));
        plan.why = format!("claim {}: its pod has ended", claim.key);
    }
    plan
}

/// Consumers that are no pods are nobody's business here.
fn still_uses(user: &Value, claim: &Entry, world: &dyn World) -> bool {
    let core = user["apiGroup"].as_str().unwrap_or_default().is_empty();
    if !core || user["resource"] != "pods" {
        return true;
    }
    let key = ObjectKey::new(claim.key.namespace.clone(), user["name"].as_str().unwrap_or_default());
    world.get("pods", &key).is_some_and(|pod| user["uid"] == *pod.meta.uid && !is_done(&pod))
}

/// The pod that the claim was made for has ended, or another one has its name. One that is gone is the garbage collector's.
fn owner_is_done(claim: &Entry, world: &dyn World) -> bool {
    let Some(owner) = claim.meta.controller().filter(|o| &*o.kind == "Pod" && &*o.api_version == "v1") else { return false };
    let pod = world.get("pods", &ObjectKey::new(claim.key.namespace.clone(), owner.name.clone()));
    pod.is_some_and(|pod| pod.meta.uid != owner.uid || is_done(&pod))
}

fn patch(claim: &Entry, subresource: Option<&'static str>, patch: Value) -> Action {
    Action::Patch(Patch {
        kind: CLAIMS.into(),
        key: claim.key.clone(),
        uid: Some(claim.meta.uid.clone()),
        subresource,
        patch,
        expect_revision: Some(claim.revision),
    })
}

fn delete(claim: &Entry) -> Action {
    Action::Delete(Deletion {
        kind: CLAIMS.into(),
        key: claim.key.clone(),
        uid: claim.meta.uid.clone(),
        propagation: Propagation::Background,
        grace: None,
        report: None,
    })
}

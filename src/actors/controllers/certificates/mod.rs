//! What becomes of a CertificateSigningRequest: approved when a node asks for its own client certificate, signed when it is
//! approved and one of the built-in signers is asked, removed when it is old.
pub mod approver;
pub mod cleaner;
pub mod signer;
#[cfg(test)]
mod tests;

pub use approver::MayRequest;

use super::feed::Change;
use super::index::Parts;
use super::plan::{Failure, Patch, Plan};
use super::runner::{Controller, Key};
use super::world::World;
use crate::storage::entry::Entry;
use crate::storage::pki::Pki;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// Where the requests are kept.
pub const SHELF: &str = "certificatesigningrequests.certificates.k8s.io";

/// The controller: approver, signer and cleaner, in this order, one step at a time.
pub struct Certificates {
    /// Holds the CA that signs.
    pub pki: Arc<Pki>,
    /// Whether somebody may have a request approved without a person looking at it.
    pub may_request: MayRequest,
}

impl Controller for Certificates {
    fn name(&self) -> &'static str {
        "certificates"
    }

    fn parts(&self) -> Parts {
        Parts::default()
    }

    fn watches(&self, kind: &str) -> bool {
        kind == SHELF
    }

    fn keys(&self, change: &Change, _before: Option<&Entry>, _world: &dyn World, out: &mut Vec<Key>) {
        if !change.deleted {
            out.push(Key::of(SHELF, &change.entry.key));
        }
    }

    /// The signature needs randomness, which the signing function brings; everything else follows from the arguments.
    fn plan(&mut self, key: &Key, world: &dyn World, now: Timestamp, _failure: Option<&Failure>) -> Plan {
        let Some(entry) = world.get(&key.kind, &key.object).filter(|e| e.meta.deleting.is_none()) else { return Plan::quiet() };
        let object = entry.parse();
        let approval = approver::plan(&entry, &object, now, &*self.may_request);
        if !approval.actions.is_empty() {
            return approval;
        }
        let pki = &self.pki;
        let signing = signer::plan(&entry, &object, now, &|request, usages, life| {
            pki.sign_request(request, usages, life, now).map_err(|e| e.to_string())
        });
        if !signing.actions.is_empty() {
            return signing;
        }
        let mut plan = cleaner::plan(&entry, &object, now);
        if let Some(delay) = approval.requeue_after {
            plan.requeue(delay);
        }
        plan
    }
}

/// Whether the request has a condition of this type, whatever its status: `Approved` and its like are never false.
fn has(object: &Value, type_: &str) -> bool {
    object["status"]["conditions"].as_array().into_iter().flatten().any(|c| c["type"] == type_)
}

fn is_issued(object: &Value) -> bool {
    object["status"]["certificate"].as_str().is_some_and(|c| !c.is_empty())
}

fn usages(object: &Value) -> Vec<&str> {
    object["spec"]["usages"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A patch of a subresource, good for this very state only.
fn patch(entry: &Entry, subresource: &'static str, status: Value) -> Patch {
    Patch {
        kind: SHELF.into(),
        key: entry.key.clone(),
        uid: Some(entry.meta.uid.clone()),
        subresource: Some(subresource),
        patch: json!({ "status": status }),
        expect_revision: Some(entry.revision),
    }
}

/// The conditions with one more.
fn conditions_and(object: &Value, condition: Value) -> Value {
    let mut conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.push(condition);
    json!({ "conditions": conditions })
}

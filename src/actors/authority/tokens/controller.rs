//! Secrets of type `kubernetes.io/service-account-token`: filled with a token of the account that they name, removed with it.
use super::{AccountTokens, Claims};
use crate::actors::base::{Guardian, Mailbox};
use crate::actors::controllers::cluster::Cluster;
use crate::actors::controllers::feed::Change;
use crate::actors::controllers::index::Parts;
use crate::actors::controllers::plan::{Action, Deletion, Failure, Patch, Plan, Propagation};
use crate::actors::controllers::runner::{self, Controller, Key};
use crate::actors::controllers::world::World;
use crate::actors::kinds::Kinds;
use crate::protocol::meta::ObjectKey;
use crate::storage::Entry;
use actix_rt::ArbiterHandle;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// The type of such secrets.
const TYPE: &str = "kubernetes.io/service-account-token";
const NAME: &str = "kubernetes.io/service-account.name";
const UID: &str = "kubernetes.io/service-account.uid";

/// Starts the controller. `ca` is the cluster's CA, PEM.
pub fn start(guardian: &Guardian, arbiter: &ArbiterHandle, kinds: &Arc<Kinds>, tokens: &Arc<AccountTokens>, ca: &str) {
    let mailbox: Mailbox<runner::Message> = Mailbox::new("server/controllers/serviceaccount-token");
    let cluster = Arc::new(Cluster::new(kinds.clone()));
    let (tokens, ca) = (tokens.clone(), ca.to_string());
    guardian.start(arbiter, &mailbox, runner::CAPACITY, move || {
        let controller = Secrets { tokens: tokens.clone(), ca: ca.clone() };
        runner::Runner::new(controller, cluster.clone(), cluster.clone())
    });
}

/// What one secret lacks. `sign` makes the token; nothing is signed for a secret that is whole.
pub fn plan(secret: &Entry, world: &dyn World, ca: &str, sign: impl Fn(&Claims) -> Option<String>) -> Plan {
    let object = secret.parse();
    let annotations = &object["metadata"]["annotations"];
    let (Some(name), true) = (annotations[NAME].as_str(), object["type"] == TYPE && secret.meta.deleting.is_none()) else {
        return Plan::quiet();
    };
    let account = world.get("serviceaccounts", &ObjectKey::new(secret.key.namespace.clone(), name));
    let given = annotations[UID].as_str().unwrap_or_default();
    let Some(account) = account.filter(|a| given.is_empty() || *a.meta.uid == *given) else {
        let deletion = Deletion {
            kind: "secrets".into(),
            key: secret.key.clone(),
            uid: secret.meta.uid.clone(),
            propagation: Propagation::Background,
            grace: None,
            report: None,
        };
        return Plan { actions: vec![Action::Delete(deletion)], requeue_after: None, why: format!("service account {name} is gone") };
    };
    let mut data = json!({});
    let held = |key: &str| object["data"][key].as_str().filter(|text| !text.is_empty());
    for (key, value) in [("ca.crt", ca), ("namespace", &*secret.key.namespace)] {
        let value = STANDARD.encode(value);
        if held(key) != Some(&value) {
            data[key] = value.into();
        }
    }
    if held("token").is_none()
        && let Some(token) = sign(&Claims::legacy(&account, &secret.key.name))
    {
        data["token"] = STANDARD.encode(token).into();
    }
    let mut patch = Value::Null;
    if data.as_object().is_some_and(|d| !d.is_empty()) {
        patch["data"] = data;
    }
    if given.is_empty() {
        patch["metadata"] = json!({ "annotations": { UID: &*account.meta.uid } });
    }
    if patch.is_null() {
        return Plan::quiet();
    }
    let patch = Patch {
        kind: "secrets".into(),
        key: secret.key.clone(),
        uid: Some(secret.meta.uid.clone()),
        subresource: None,
        patch,
        expect_revision: Some(secret.revision),
    };
    Plan { actions: vec![Action::Patch(patch)], requeue_after: None, why: format!("a token of {name} for secret {}", secret.key) }
}

/// The controller around [`plan`].
struct Secrets {
    tokens: Arc<AccountTokens>,
    ca: String,
}

impl Controller for Secrets {
    fn name(&self) -> &'static str {
        "serviceaccount-token"
    }

    fn parts(&self) -> Parts {
        Parts::default()
    }

    fn watches(&self, kind: &str) -> bool {
        matches!(kind, "secrets" | "serviceaccounts")
    }

    fn keys(&self, change: &Change, _before: Option<&Entry>, world: &dyn World, out: &mut Vec<Key>) {
        let of_type = |secret: &Entry| secret.body.windows(TYPE.len()).any(|window| window == TYPE.as_bytes());
        match &*change.kind {
            "secrets" if !change.deleted && of_type(&change.entry) => out.push(Key::of("secrets", &change.entry.key)),
            "serviceaccounts" => {
                let secrets = world.list("secrets", Some(&change.entry.key.namespace));
                out.extend(secrets.iter().filter(|s| of_type(s)).map(|s| Key::of("secrets", &s.key)));
            }
            _ => {}
        }
    }

    fn plan(&mut self, key: &Key, world: &dyn World, _now: Timestamp, _failure: Option<&Failure>) -> Plan {
        let Some(secret) = world.get(&key.kind, &key.object) else { return Plan::quiet() };
        plan(&secret, world, &self.ca, |claims| self.tokens.keys.sign(claims).ok())
    }
}

//! ClusterRoles that are made of others: the rules of every role that one of the selectors selects.
use crate::actors::controllers::feed::Change;
use crate::actors::controllers::index::Parts;
use crate::actors::controllers::plan::{Action, Failure, Patch, Plan};
use crate::actors::controllers::runner::{Controller, Key};
use crate::actors::controllers::world::World;
use crate::protocol::selector::LabelSelector;
use crate::storage::Entry;
use jiff::Timestamp;
use serde_json::{Value, json};

const ROLES: &str = "clusterroles.rbac.authorization.k8s.io";

/// Decides about one role.
pub fn plan(role: &Entry, world: &dyn World) -> Plan {
    let object = role.parse();
    let Some(selectors) = object["aggregationRule"]["clusterRoleSelectors"].as_array() else { return Plan::quiet() };
    let selectors: Vec<LabelSelector> = selectors.iter().filter_map(|s| LabelSelector::from_object(s).ok()).collect();
    let mut parts = world.list(ROLES, None);
    parts.sort_by(|a, b| a.key.name.cmp(&b.key.name));
    let mut rules: Vec<Value> = Vec::new();
    for part in parts {
        if part.key == role.key || !selectors.iter().any(|s| s.matches(&part.meta.labels)) {
            continue;
        }
        for rule in part.parse()["rules"].as_array().into_iter().flatten() {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
    }
    let held = object["rules"].as_array().map(Vec::as_slice).unwrap_or_default();
    if held == rules.as_slice() {
        return Plan::quiet();
    }
    let patch = Patch {
        kind: ROLES.into(),
        key: role.key.clone(),
        uid: Some(role.meta.uid.clone()),
        subresource: None,
        patch: json!({ "rules": rules }),
        expect_revision: Some(role.revision),
    };
    let why = format!("cluster role {}: {} rules from the roles that it is made of", role.key.name, rules.len());
    Plan { actions: vec![Action::Patch(patch)], requeue_after: None, why }
}

/// The controller around [`plan`].
pub struct Aggregation;

impl Controller for Aggregation {
    fn name(&self) -> &'static str {
        "clusterrole-aggregation"
    }

    fn parts(&self) -> Parts {
        Parts::default()
    }

    fn watches(&self, kind: &str) -> bool {
        kind == ROLES
    }

    /// Any role may be part of any other.
    fn keys(&self, change: &Change, _before: Option<&Entry>, world: &dyn World, out: &mut Vec<Key>) {
        let made_of_others = |role: &Entry| contains(&role.body, b"\"aggregationRule\"");
        if !change.deleted && made_of_others(&change.entry) {
            out.push(Key::of(ROLES, &change.entry.key));
        }
        out.extend(world.list(ROLES, None).iter().filter(|r| made_of_others(r)).map(|r| Key::of(ROLES, &r.key)));
    }

    fn plan(&mut self, key: &Key, world: &dyn World, _now: Timestamp, _failure: Option<&Failure>) -> Plan {
        world.get(&key.kind, &key.object).map_or_else(Plan::quiet, |role| plan(&role, world))
    }
}

/// A look at the bytes, to spare most roles the parsing.
fn contains(body: &[u8], wanted: &[u8]) -> bool {
    body.windows(wanted.len()).any(|window| window == wanted)
}

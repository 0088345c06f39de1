//! Says of every flow schema whether the priority level is there that it names.
use super::super::feed::Change;
use super::super::index::Parts;
use super::super::plan::{Action, Failure, Patch, Plan};
use super::super::runner::{Controller, Key};
use super::super::world::World;
use crate::protocol::meta::ObjectKey;
use crate::protocol::time::rfc3339;
use crate::storage::entry::Entry;
use jiff::Timestamp;
use serde_json::{Value, json};

const SCHEMAS: &str = "flowschemas.flowcontrol.apiserver.k8s.io";
const LEVELS: &str = "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io";

/// The controller around [`plan`].
pub struct FlowSchemas;

impl Controller for FlowSchemas {
    fn name(&self) -> &'static str {
        "flowschemas"
    }

    fn parts(&self) -> Parts {
        Parts::default()
    }

    fn watches(&self, kind: &str) -> bool {
        kind == SCHEMAS || kind == LEVELS
    }

    fn keys(&self, change: &Change, _before: Option<&Entry>, world: &dyn World, out: &mut Vec<Key>) {
        if &*change.kind == SCHEMAS {
            out.push(Key::of(SCHEMAS, &change.entry.key));
        } else {
            out.extend(world.list(SCHEMAS, None).iter().map(|schema| Key::of(SCHEMAS, &schema.key)));
        }
    }

    fn plan(&mut self, key: &Key, world: &dyn World, now: Timestamp, _failure: Option<&Failure>) -> Plan {
        world.get(&key.kind, &key.object).map_or_else(Plan::quiet, |schema| plan(&schema, world, now))
    }
}

/// Decides about one flow schema's condition `Dangling`.
pub fn plan(schema: &Entry, world: &dyn World, now: Timestamp) -> Plan {
    let mut plan = Plan::quiet();
    let object = schema.parse();
    let level = object["spec"]["priorityLevelConfiguration"]["name"].as_str().unwrap_or_default();
    let found = world.get(LEVELS, &ObjectKey::new("", level)).is_some();
    let about = format!("This FlowSchema references the PriorityLevelConfiguration object named \"{level}\"");
    let (status, reason, message) = if found {
        ("False", "Found", format!("{about} and it exists"))
    } else {
        ("True", "NotFound", format!("{about} but there is no such object"))
    };
    let mut conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let held = conditions.iter().position(|c| c["type"] == "Dangling").map(|at| conditions.remove(at)).unwrap_or(Value::Null);
    if held["status"] == status && held["reason"] == reason && held["message"] == message {
        return plan;
    }
    let same = held["status"] == status && held["lastTransitionTime"].is_string();
    let since = if same { held["lastTransitionTime"].clone() } else { rfc3339(now).into() };
    conditions.push(json!({
        "type": "Dangling", "status": status, "reason": reason, "message": message, "lastTransitionTime": since,
    }));
    plan.why = format!("flow schema {}: Dangling is {status}", schema.key.name);
    plan.actions.push(Action::Patch(Patch {
        kind: SCHEMAS.into(),
        key: schema.key.clone(),
        uid: Some(schema.meta.uid.clone()),
        subresource: Some("status"),
        patch: json!({ "status": { "conditions": conditions } }),
        expect_revision: Some(schema.revision),
    }));
    plan
}

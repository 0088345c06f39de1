//! Upstream's scenarios, told anew.
mod cost;
mod custom;
mod deployment;
mod fields;
mod managers;
mod property;
mod walks;

use super::managed::{ApplyError, Config, Reset, Rules, Writer, apply, track};
use super::schema::Schema;
use serde_json::{Value, json};

/// One object and its story.
struct Story {
    schema: Schema,
    kind: &'static str,
    api_version: &'static str,
    reset: Reset,
    subresource: &'static str,
    live: Option<Value>,
    clock: u32,
}

impl Story {
    fn of(schema: Schema, api_version: &'static str, kind: &'static str) -> Story {
        Story { schema, kind, api_version, reset: Reset::Nothing, subresource: "", live: None, clock: 0 }
    }

    fn deployment() -> Story {
        Story::of(super::builtin("apps", "v1", "Deployment"), "apps/v1", "Deployment")
    }

    fn time(&mut self) -> String {
        self.clock += 1;
        format!("2026-01-01T00:00:{:02}Z", self.clock)
    }

    fn whole(&self, body: Value) -> Value {
        let mut object = json!({"apiVersion": self.api_version, "kind": self.kind, "metadata": {"name": "a"}});
        if let (Value::Object(object), Value::Object(body)) = (&mut object, body) {
            for (name, value) in body {
                match (object.get_mut(&name), value) {
                    (Some(Value::Object(old)), Value::Object(new)) => old.extend(new),
                    (_, value) => _ = object.insert(name, value),
                }
            }
        }
        object
    }

    /// Applies a body; the type and name are added.
    fn apply(&mut self, manager: &str, body: Value) -> Result<(), ApplyError> {
        self.apply_with(manager, body, false)
    }

    fn force(&mut self, manager: &str, body: Value) {
        self.apply_with(manager, body, true).unwrap();
    }

    fn apply_with(&mut self, manager: &str, body: Value, force: bool) -> Result<(), ApplyError> {
        let time = self.time();
        let object = self.whole(body);
        let rules = Rules { schema: &self.schema, reset: &self.reset, convert: None };
        let writer = Writer { manager, api_version: self.api_version, subresource: self.subresource, time: &time };
        let config = Config { object: &object, kind: self.kind, force };
        let applied = apply(&rules, self.live.as_ref(), config, &writer)?;
        let mut object = applied.object;
        applied.record.finish(self.live.as_ref(), &mut object);
        self.live = Some(object);
        Ok(())
    }

    /// Creates the object with a body, or changes it.
    fn update(&mut self, manager: &str, change: impl FnOnce(&mut Value)) {
        let time = self.time();
        let mut new = self.live.clone().unwrap_or_else(|| self.whole(json!({})));
        change(&mut new);
        let rules = Rules { schema: &self.schema, reset: &self.reset, convert: None };
        let writer = Writer { manager, api_version: self.api_version, subresource: self.subresource, time: &time };
        track(&rules, self.live.as_ref(), &mut new, &writer);
        self.live = Some(new);
    }

    fn create(&mut self, manager: &str, body: Value) {
        let whole = self.whole(body);
        self.update(manager, |object| *object = whole);
    }

    fn live(&self) -> &Value {
        self.live.as_ref().unwrap()
    }

    fn entries(&self) -> Vec<Value> {
        self.live()["metadata"]["managedFields"].as_array().cloned().unwrap_or_default()
    }

    /// The `FieldsV1` of a manager.
    fn fields(&self, manager: &str) -> Value {
        let found = self.entries().into_iter().find(|e| e["manager"] == manager);
        found.map(|e| e["fieldsV1"].clone()).unwrap_or_default()
    }

    fn names(&self) -> Vec<String> {
        self.entries().iter().map(|e| format!("{}/{}", e["manager"].as_str().unwrap(), e["operation"].as_str().unwrap())).collect()
    }
}

/// The paths in conflict.
fn conflicts(outcome: Result<(), ApplyError>) -> Vec<String> {
    match outcome.unwrap_err() {
        ApplyError::Conflicts(conflicts) => conflicts.iter().map(|c| c.field()).collect(),
        other => panic!("{other}"),
    }
}

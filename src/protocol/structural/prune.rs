//! Pruning: fields that the schema doesn't know are dropped, and named.
use super::{Additional, Structural, child, keyed};
use serde_json::Value;

/// Fields of the server's own, at the root and in embedded resources.
const OWN: &[&str] = &["apiVersion", "kind", "metadata"];

/// Drops from a whole object what its schema doesn't know, and adds the paths to `unknown` (no more than `limit`).
/// `root`: the value is an object with `apiVersion`, `kind` and `metadata` of its own, which stay.
pub fn prune(value: &mut Value, schema: &Structural, root: bool, unknown: &mut Vec<String>, limit: usize) {
    let mut pruner = Pruner { unknown, limit };
    pruner.node(value, schema, root, "");
}

struct Pruner<'u> {
    unknown: &'u mut Vec<String>,
    limit: usize,
}

impl Pruner<'_> {
    fn node(&mut self, value: &mut Value, schema: &Structural, root: bool, path: &str) {
        let own = root || schema.embedded;
        match value {
            Value::Object(members) => {
                let mut dropped = Vec::new();
                for (name, member) in members.iter_mut() {
                    if own && OWN.contains(&name.as_str()) {
                        continue;
                    }
                    match (schema.properties.get(name), &schema.additional) {
                        (Some(property), _) => self.node(member, property, false, &child(path, name)),
                        (None, Additional::Schema(additional)) => self.node(member, additional, false, &child(path, name)),
                        (None, Additional::Allowed(true)) => {}
                        (None, _) if schema.preserve => {}
                        (None, _) => dropped.push(name.clone()),
                    }
                }
                for name in dropped {
                    members.remove(&name);
                    if self.unknown.len() < self.limit {
                        self.unknown.push(child(path, &name));
                    }
                }
            }
            Value::Array(items) => {
                // A list without a schema for its items is dropped from by nobody: either all is preserved, or it isn't structural.
                let Some(schema) = &schema.items else { return };
                for (at, item) in items.iter_mut().enumerate() {
                    self.node(item, schema, false, &keyed(path, at));
                }
            }
            _ => {}
        }
    }
}

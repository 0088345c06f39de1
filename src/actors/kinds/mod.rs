//! One actor for every kind of object, and one table of kinds. A kind is data: its names, its codec, its rules, its
//! columns. No handler is written per kind.
mod actor;
mod cluster;
mod columns;
mod config_map;
mod event;
mod lease;
mod merge_parts;
mod namespace;
mod node;
mod pod;
mod prepare;
mod remove;
mod replica_set;
mod replication_controller;
mod scale;
mod secret;
mod service;
mod service_account;
mod write;

#[cfg(test)]
mod tests;

pub use actor::{KindActor, KindMessage};
pub use cluster::{Kinds, Served, WriteLimits};
pub use columns::Column;
pub use prepare::{prepare_create, prepare_update};
pub use scale::{scale_of, set_replicas};
pub use write::{DeleteOptions, Outcome, Part, Patch, Propagation, WriteOp, WriteRequest, Written};

use crate::protocol::codec::Codec;
use crate::protocol::light::Light;
use crate::protocol::names::{NameRule, name_is_subdomain};
use crate::protocol::resource::Resource;
use crate::protocol::status::FieldError;
use crate::storage::Entry;
use serde_json::Value;

/// Everything the machinery needs to know about a kind.
pub struct Kind {
    pub resource: Resource,
    pub codec: &'static Codec,
    /// The short Go type name, for patch strategies: `Pod`.
    pub schema: &'static str,
    pub rules: Rules,
    pub columns: &'static [Column],
    /// The cells of a table row; `now` in seconds since the epoch.
    pub row: fn(object: &Value, now: i64) -> Vec<Value>,
}

/// The decisions in which kinds differ. All of them are pure functions over the object.
#[derive(Clone, Copy)]
pub struct Rules {
    /// What the name must look like.
    pub name: NameRule,
    /// Fills in defaults, on create and update alike.
    pub default: fn(&mut Value),
    /// What a creator may not set (status, mostly), and what the server sets.
    pub create: fn(&mut Value),
    /// Carries over what an updater may not change.
    pub update: fn(new: &mut Value, old: &Value),
    pub validate: fn(&Value) -> Vec<FieldError>,
    pub validate_update: fn(new: &Value, old: &Value) -> Vec<FieldError>,
    pub light: fn(&Value) -> Light,
    /// Field selectors beyond `metadata.name` and `metadata.namespace`.
    pub fields: &'static [&'static str],
    /// The value of one of `fields`.
    pub field: fn(&Entry, &str) -> Option<String>,
    /// `metadata.generation` counts changes of the specification.
    pub generation: bool,
    /// Seconds of grace before this object may be removed; 0 for most kinds.
    pub grace: fn(&Value) -> i64,
    /// Deletion without a word about dependents leaves them alone (only ReplicationController, for old clients' sake).
    pub orphans_by_default: bool,
}

/// Rules of a kind that has none of its own.
pub const PLAIN: Rules = Rules {
    name: name_is_subdomain,
    default: |_| {},
    create: |_| {},
    update: |_, _| {},
    validate: |_| Vec::new(),
    validate_update: |_, _| Vec::new(),
    light: |_| Light::None,
    fields: &[],
    field: field_by_path,
    generation: false,
    grace: |_| 0,
    orphans_by_default: false,
};

impl Kind {
    /// The shelf that holds this kind: `pods`, `replicasets.apps`.
    pub fn shelf(&self) -> String {
        self.resource.qualified()
    }

    /// Whether updates of the main resource leave `status` alone.
    pub fn has_status(&self) -> bool {
        self.resource.subresource("status").is_some()
    }
}

/// Every kind that is built in, in the order of discovery. A new kind is a file and a line here.
pub fn all() -> Vec<&'static Kind> {
    vec![
        &config_map::KIND,
        &event::KIND,
        &namespace::KIND,
        &node::KIND,
        &pod::KIND,
        &replication_controller::KIND,
        &secret::KIND,
        &service_account::KIND,
        &service::KIND,
        &replica_set::KIND,
        &lease::KIND,
    ]
}

/// The value at a dotted path of the parsed object, as text.
fn field_by_path(entry: &Entry, path: &str) -> Option<String> {
    let object = entry.parse();
    let found = path.split('.').try_fold(&object, |value, part| value.get(part))?;
    Some(match found {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

//! The managers of an object: the state in `metadata.managedFields`, and the operations on it.
mod apply;
mod cap;
mod conflict;
mod entry;
mod last_applied;
mod own;
mod prune;
mod record;
mod scale;
mod track;

pub use apply::{Applied, Config, apply, undeclared};
pub use conflict::{ApplyError, Conflict};
pub use entry::{DecodeError, Operation, check};
pub use record::{Record, keep_times};
pub use scale::{from_scale, to_scale};
pub use track::track;

use super::fieldset::{Element, Set};
use super::schema::Schema;
use serde_json::Value;

/// The longest name of a manager, in bytes.
pub const MAX_NAME: usize = 128;

/// Who writes, through what, and when.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// `fieldManager` of the request, or what `name` makes of it. Empty is `unknown`.
    pub manager: &'a str,
    /// `apps/v1`, of the request.
    pub api_version: &'a str,
    /// `status`, `scale`, or empty for the object itself.
    pub subresource: &'a str,
    /// RFC 3339 in whole seconds.
    pub time: &'a str,
}

/// How the fields of one kind, written through one subresource, are tracked.
pub struct Rules<'a> {
    pub schema: &'a Schema,
    /// The fields that this way of writing doesn't set; nobody comes to own them by it.
    pub reset: &'a Reset,
    /// The object in the form of another `apiVersion`. `None`: all versions of the kind look the same.
    pub convert: Option<&'a dyn Fn(&Value, &str) -> Converted>,
}

/// An object in another version of its kind.
pub enum Converted {
    /// It looks the same.
    Same,
    Other(Value, Schema),
    /// There is no such version; who managed fields in it manages nothing.
    Missing,
}

/// Fields that a write doesn't reach (upstream's `GetResetFields`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reset {
    #[default]
    Nothing,
    /// These and all below.
    Fields(Set),
    /// All but these top-level fields: what a status subresource of a custom kind does.
    AllBut(&'static [&'static str]),
}

impl Reset {
    /// Writes to the object itself don't reach its status.
    pub fn status() -> Reset {
        Reset::Fields(Set::field(&["status"]))
    }

    /// These fields, as paths of names: `&[&["spec"], &["metadata", "labels"]]`.
    pub fn fields(paths: &[&[&str]]) -> Reset {
        Reset::Fields(paths.iter().fold(Set::default(), |set, path| set.union(&Set::field(path))))
    }

    pub(super) fn filter(&self, set: Set) -> Set {
        match self {
            Reset::Nothing => set,
            _ if set.is_empty() => set,
            Reset::Fields(fields) => set.recursive_difference(fields),
            Reset::AllBut(kept) => {
                let is_kept = |element: &Element| matches!(element, Element::Field(name) if kept.contains(&&**name));
                Set { nodes: set.nodes.into_iter().filter(|n| is_kept(&n.element)).collect() }
            }
        }
    }
}

/// The name of a manager: what the request says, or the program part of its user agent.
pub fn name<'a>(field_manager: &'a str, user_agent: &'a str) -> &'a str {
    if !field_manager.is_empty() {
        return field_manager;
    }
    let program = user_agent.split('/').next().unwrap_or_default();
    let printable = program.find(|c: char| c.is_control()).and_then(|at| program.get(..at)).unwrap_or(program);
    let mut end = printable.len().min(MAX_NAME);
    while !printable.is_char_boundary(end) {
        end -= 1;
    }
    printable.get(..end).unwrap_or_default()
}

//! One actor for every kind of object, and one table of kinds. A kind is data: its names, its codec, its rules, its
//! columns. No handler is written per kind. Each API group is a folder, each kind a file.
mod actor;
mod admission;
mod apps;
mod cluster;
mod columns;
mod coordination;
mod core;
mod kind;
mod legacy;
mod merge_parts;
mod prepare;
mod remove;
mod scale;
mod stages;
mod write;

#[cfg(test)]
mod tests;

pub use actor::{KindActor, KindMessage};
pub use admission::{Admission, Asked, Attributes, Operation, Unrestricted, Writer};
pub use cluster::{Kinds, Served, WriteLimits};
pub use columns::Column;
pub use kind::{Body, CustomBody, Kind, PLAIN, Rules, ScalePaths, View};
pub use prepare::{begin_create, prepare_create, prepare_update};
pub use scale::{scale_of, set_replicas};
pub use stages::proposed;
pub use write::{DeleteOptions, Edit, EditBody, FieldValidation, Outcome, Part, Patch, Propagation, WriteOp, WriteRequest, Written};

/// Every kind that is built in, in the order of discovery. A new kind is a file and a line in its group's folder.
pub fn all() -> Vec<&'static Kind> {
    let today = [core::KINDS, apps::KINDS, coordination::KINDS].concat();
    // Last, so that a name means today's kind wherever the first one counts.
    let legacy = legacy::kinds(&today);
    [today, legacy].concat()
}

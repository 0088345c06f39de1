//! One actor for every kind of object, and one table of kinds. A kind is data: its names, its codec, its rules, its
//! columns. No handler is written per kind. Each API group is a folder, each kind a file.
mod actor;
mod admission;
pub mod apiextensions;
mod apps;
mod cluster;
mod columns;
mod coordination;
mod core;
pub mod custom;
mod kind;
mod merge_parts;
mod prepare;
mod remove;
mod scale;
mod stages;
mod table;
mod write;

#[cfg(test)]
mod tests;

pub use actor::{KindActor, KindMessage};
pub use admission::{Admission, Asked, Attributes, Operation, Unrestricted, Writer};
pub use cluster::WriteLimits;
pub use columns::Column;
pub use kind::{Body, CustomBody, Kind, PLAIN, Rules, ScalePaths, View};
pub use prepare::{begin_create, prepare_create, prepare_update};
pub use scale::{scale_of, set_replicas};
pub use stages::proposed;
pub use table::{Kinds, Launch, Served};
pub use write::{DeleteOptions, Edit, EditBody, FieldValidation, Outcome, Part, Patch, Propagation, WriteOp, WriteRequest, Written};

/// Every kind that is built in, in the order of discovery. A new kind is a file and a line in its group's folder.
pub fn all() -> Vec<&'static Kind> {
    [core::KINDS, apps::KINDS, apiextensions::KINDS, coordination::KINDS].concat()
}

//! One actor for every kind of object, and one table of kinds. A kind is data: its names, its codec, its rules, its
//! columns. No handler is written per kind. Each API group is a folder, each kind a file.
mod actor;
mod apps;
mod cluster;
mod columns;
mod coordination;
mod core;
mod discovery;
mod events;
mod fields;
mod kind;
mod merge_parts;
mod networking;
mod node;
mod prepare;
mod remove;
mod scale;
mod scheduling;
mod storage;
mod write;

#[cfg(test)]
mod scene;
#[cfg(test)]
mod tests;

pub use actor::{KindActor, KindMessage};
pub use cluster::{Kinds, Served, WriteLimits};
pub use columns::Column;
pub use core::component_status;
pub use core::service_addresses::{AllocationError, NODE_PORTS, ServiceAddresses};
pub use kind::{Body, CustomBody, Kind, PLAIN, Rules, ScalePaths, View};
pub use prepare::{prepare_create, prepare_update};
pub use scale::{scale_of, set_replicas};
pub use write::{DeleteOptions, Outcome, Part, Patch, Propagation, WriteOp, WriteRequest, Written};

/// Every kind that is built in, in the order of discovery. A new kind is a file and a line in its group's folder.
pub fn all() -> Vec<&'static Kind> {
    [
        core::KINDS,
        apps::KINDS,
        coordination::KINDS,
        discovery::KINDS,
        events::KINDS,
        networking::KINDS,
        node::KINDS,
        scheduling::KINDS,
        storage::KINDS,
    ]
    .concat()
}

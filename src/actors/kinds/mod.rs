//! One actor for every kind of object, and one table of kinds. A kind is data: its names, its codec, its rules, its
//! columns. No handler is written per kind. Each API group is a folder, each kind a file.
mod actor;
mod admission;
pub mod admissionregistration;
mod allocation;
pub mod apiextensions;
pub mod apiregistration;
mod apps;
mod autoscaling;
pub(crate) mod batch;
pub mod certificates;
mod cluster;
mod columns;
mod connect;
mod coordination;
mod core;
pub mod custom;
pub mod decision;
mod discovery;
mod dynamic_resources;
mod events;
mod fields;
mod findings;
pub mod flowcontrol;
mod forms;
mod kind;
mod legacy;
mod merge_parts;
pub mod metrics;
mod networking;
mod node;
mod outside;
mod owner_references;
mod policy;
mod prepare;
mod rbac;
mod remove;
mod scale;
mod scheduling;
mod stages;
mod storage;
mod table;
mod tracking;
mod write;

#[cfg(test)]
mod discovery_tests;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod tests;

pub use self::core::component_status;
pub use self::core::pod_update::{merge_ephemeral_containers, merge_resize, validate_ephemeral_containers, validate_resize};
pub use self::core::qos_class;
pub use self::core::service_addresses::{AllocationError, NODE_PORTS, ServiceAddresses};
pub use self::tracking::schema_of;
pub use actor::{KindActor, KindMessage};
pub use admission::{Admission, Asked, Attributes, Operation, Unrestricted, Writer};
pub use allocation::Allocator;
pub use cluster::WriteLimits;
pub use columns::Column;
pub use forms::{Forms, family};
pub use kind::{Body, CustomBody, Kind, PLAIN, Rules, ScalePaths, View};
pub use prepare::{begin_create, prepare_create, prepare_update};
pub use scale::{scale_of, set_replicas};
pub use stages::proposed;
pub use table::{Kinds, Launch, Served};
// What the fuzz targets reach besides.
#[cfg(test)]
pub(crate) use tracking::created as track_create;
pub use write::{DeleteOptions, Edit, EditBody, FieldValidation, Outcome, Part, Patch, Propagation, WriteOp, WriteRequest, Written};

/// Every kind that is built in, in the order of discovery. A new kind is a file and a line in its group's folder.
pub fn all() -> Vec<&'static Kind> {
    let today = [
        core::KINDS,
        admissionregistration::KINDS,
        apiextensions::KINDS,
        apiregistration::KINDS,
        apps::KINDS,
        autoscaling::KINDS,
        batch::KINDS,
        certificates::KINDS,
        coordination::KINDS,
        discovery::KINDS,
        dynamic_resources::KINDS,
        events::KINDS,
        flowcontrol::KINDS,
        networking::KINDS,
        node::KINDS,
        policy::KINDS,
        rbac::KINDS,
        scheduling::KINDS,
        storage::KINDS,
    ]
    .concat();
    // Last, so that a name means today's kind wherever the first one counts.
    let legacy = legacy::kinds(&today);
    [today, legacy].concat()
}

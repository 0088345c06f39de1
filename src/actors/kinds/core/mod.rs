//! The legacy group, `v1`.
pub mod component_status;
mod config_map;
pub(super) mod endpoints;
pub(super) mod event;
mod limit_range;
mod namespace;
mod node;
pub(super) mod persistent_volume;
pub(super) mod persistent_volume_claim;
mod pod;
mod pod_template;
pub(super) mod pod_update;
pub(super) mod replication_controller;
mod resource_quota;
mod secret;
pub(super) mod service;
mod service_account;
pub mod service_addresses;

#[cfg(test)]
mod tests;

pub use pod::qos_class;

use super::Kind;

pub(super) const KINDS: &[&Kind] = &[
    &config_map::KIND,
    &endpoints::KIND,
    &event::KIND,
    &limit_range::KIND,
    &namespace::KIND,
    &node::KIND,
    &persistent_volume_claim::KIND,
    &persistent_volume::KIND,
    &pod::KIND,
    &pod_template::KIND,
    &replication_controller::KIND,
    &resource_quota::KIND,
    &secret::KIND,
    &service_account::KIND,
    &service::KIND,
];

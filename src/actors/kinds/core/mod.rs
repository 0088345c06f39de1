//! The legacy group, `v1`.
mod config_map;
mod event;
mod namespace;
mod node;
mod pod;
pub(super) mod pod_update;
pub(super) mod replication_controller;
mod secret;
mod service;
mod service_account;

use super::Kind;

pub(super) const KINDS: &[&Kind] = &[
    &config_map::KIND,
    &event::KIND,
    &namespace::KIND,
    &node::KIND,
    &pod::KIND,
    &replication_controller::KIND,
    &secret::KIND,
    &service_account::KIND,
    &service::KIND,
];

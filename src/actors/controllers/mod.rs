//! Controllers: each a pure `plan(world, now) -> Plan`, all driven by one generic actor ([`runner::Runner`]).
//!
//! A controller sees the world through [`world::World`], says what shall be done as a [`plan::Plan`], and never acts
//! itself: the [`executor`] carries out the few shared actions through a [`feed::Writer`].
pub mod bootstrap;
pub mod certificates;
pub mod cluster;
pub mod cron_job;
pub mod custom_resources;
pub mod daemon_set;
mod decision;
pub mod deployment;
pub mod difference;
pub mod disruption;
pub mod endpoints;
pub mod ephemeral_volume;
pub mod event_correlation;
pub mod event_expiry;
pub mod executor;
pub mod feed;
pub mod garbage;
pub mod hash;
pub mod horizontal_pod_autoscaler;
pub mod index;
pub mod job;
pub mod labels;
pub mod namespace;
pub mod node_ipam;
pub mod node_lifecycle;
pub mod node_ttl;
pub mod node_zones;
pub mod owned;
pub mod plan;
pub mod pod_gc;
pub mod pump;
pub mod replication;
pub mod resource_claim;
pub mod resource_quota;
pub mod revisions;
pub mod runner;
pub mod service_account;
pub mod share;
mod start;
pub mod stateful_set;
pub mod steady;
pub mod storage_protection;
pub mod taint_eviction;
pub mod volume_binder;
pub mod volume_expand;
pub mod work_queue;
pub mod world;

#[cfg(test)]
mod convergence;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use node_lifecycle::Heartbeats;
pub use start::{ControllerSettings, start};

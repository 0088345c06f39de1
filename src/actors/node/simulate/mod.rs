//! Simulated nodes: they register, beat, watch their pods and report on them over the mesh as real nodes do, and start nothing.
//!
//! ```text
//! fleet.rs      many nodes in one process: their key and certificates, their sockets
//! node.rs       one node: its connection's events in, status reports out
//! pod.rs        one pod: what it becomes and when (pure)
//! profile.rs    how long things take and how often they fail; what the nodes look like (pure)
//! usage.rs      what a node and its pods use (pure)
//! answers.rs    what a server is told that wants to measure, to exec or to read logs
//! ```
//! A pod is a small record beside the bytes of its object, and its status is computed by the code that real nodes use. So thousands
//! of nodes fit into one process. Every node has its own connection and certificate and can act for no other.
mod answers;
mod fleet;
mod node;
mod pod;
mod profile;
mod usage;

#[cfg(test)]
mod tests;

pub use fleet::{Fleet, FleetConfig, FleetError, start};
pub use profile::{Delay, Profile, ProfileError};

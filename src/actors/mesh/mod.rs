//! The mesh: how nodes and servers talk. One QUIC connection (mutual TLS under the cluster's CA) that the node dials, one
//! stream per call, bincode envelopes on it (see [`crate::protocol::mesh`]). Either side may call the other.
//!
//! - [`server`] accepts connections, knows who is connected, signs certificates for machines with a join token.
//! - [`client`] keeps a node connected to one of the servers.
//! - [`join`] makes a machine a node, and renews its certificate.
//!
//! The key is the identity: a node's name belongs to the first key that took it, wherever it calls from. Plain tokio code
//! without actor types; what a peer asks is handed to a [`Service`].
// API errors are large and rare; boxing them would only move the allocation to where they are made.
#![allow(clippy::result_large_err)]

mod backoff;
pub mod client;
pub mod codec;
pub mod error;
pub mod join;
pub mod link;
pub mod metrics;
mod registry;
pub mod server;
mod service;
pub mod session;
pub mod stream;
#[cfg(test)]
mod tests;
mod transport;

pub use client::{MeshClient, MeshClientConfig, SharedSocket};
pub use error::MeshError;
pub use join::{JoinRequest, join, join_all};
pub use link::Link;
pub use metrics::MeshMetrics;
pub use registry::{Peer, PeerEvent};
pub use server::{MeshServer, MeshServerConfig};
pub use service::{Caller, Service};
pub use stream::{FrameReader, FrameWriter, Stream};

//! What runs on a node: plain async code around the kernel, no actors and no API objects.
pub mod api;
pub mod containers;
pub mod images;
pub mod network;
pub mod node_runtime;

pub mod sandbox;
pub mod shim;
pub mod volumes;

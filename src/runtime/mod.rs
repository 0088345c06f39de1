//! What runs on a node: plain async code around the kernel, no actors and no API objects.
pub mod api;
pub mod containers;
pub mod images;
pub mod network;

pub mod shim;
pub mod volumes;

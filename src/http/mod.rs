//! How one gets in: the listener, authentication, the Kubernetes API, streams, the dashboard.
pub mod api;
pub mod audit;
pub mod auth;
pub mod dashboard;
pub mod listener;
pub mod mesh_door;
mod node_keys;
pub mod overload;
pub mod pods;
pub mod proxy;
pub mod stream;

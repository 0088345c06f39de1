//! Who decides: every actor of the system, the base they stand on, and the tree that keeps them alive.
pub mod admission;
pub mod aggregation;
pub mod authority;
pub mod base;
pub mod controllers;
pub mod kinds;
pub mod mesh;
pub mod metrics;
pub mod node;
#[cfg(test)]
pub(crate) mod properties;
pub mod scheduler;
pub mod system;

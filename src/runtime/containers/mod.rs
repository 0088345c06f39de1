//! Containers as the agent sees them.
pub mod cgroup;
pub mod process;
pub mod state;

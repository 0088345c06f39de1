//! The scheduler: which node gets a pod.
//!
//! [`cluster`] is the model, kept up to date by events; [`framework`] says where [`plugins`] take part; [`decide`](mod@decide) is
//! the one pure decision; [`preemption`] makes room; [`queue`] holds who waits; [`role::Scheduler`] is the actor around them.
pub mod cluster;
pub mod decide;
pub mod demand;
pub mod framework;
pub mod metrics;
pub mod plugins;
pub mod pod;
pub mod preemption;
pub mod queue;
mod refusal;
pub mod role;
pub mod terms;
pub mod volumes;

#[cfg(test)]
mod tests;

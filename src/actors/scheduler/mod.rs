//! The scheduler: a queue of pods, an incremental index of nodes, filters, scores, and one pure decision.
//!
//! [`decide::decide`] is the decision; [`role::Scheduler`] the actor that feeds it and binds.
pub mod cluster;
pub mod decide;
pub mod filters;
pub mod pod;
pub mod queue;
pub mod role;
pub mod scores;

#[cfg(test)]
mod tests;

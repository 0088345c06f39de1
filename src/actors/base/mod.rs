//! The base that every actor stands on: a role (the logic), a mailbox (the only way to it), a guardian (what happens
//! when it panics) and the registry that the dashboard reads.
mod guardian;
mod mailbox;
mod registry;
mod role;

#[cfg(test)]
mod tests;

pub use guardian::{Guardian, RestartPolicy};
pub use mailbox::{AskError, Mailbox, SendError};
pub use registry::{ActorReport, Registry, Stats};
pub use role::{Role, Scope};

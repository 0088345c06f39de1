//! Who asks, and whether they may. Never switched off.
mod authenticate;
mod authorize;

#[cfg(test)]
mod tests;

pub use authenticate::{Authenticator, StaticUser};
pub use authorize::{Action, authorize};

pub use crate::protocol::user::{MASTERS, NODES, User};

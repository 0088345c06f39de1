//! Who asks, and whether they may. Never switched off.
mod access;
mod authenticate;
mod authorize;
mod bootstrap;
mod impersonate;
pub mod oidc;
pub mod webhook;

#[cfg(test)]
mod tests;

pub use access::Access;
pub use authenticate::{Authenticated, Authenticator, StaticUser};
pub use authorize::Action;
pub use impersonate::impersonated;

pub use crate::protocol::user::{MASTERS, NODES, User};

//! Who may do what. Rights are objects (roles and their bindings) and relations (what a node's pods refer to); both are kept
//! in indexes that follow the store, so that a decision reads memory and takes microseconds.
//!
//! - [`Authorizer`]: asks the authorizers in turn: masters, the node authorizer, RBAC.
//! - `index`: roles by binding by subject. `graph`: what the pods of a node refer to. Both are data and pure functions.
//! - `keeper`: the role that keeps them up to date.
//! - `node`, `restriction`: what a node may ask for, and what it may write.
//! - `escalation`: nobody grants what they don't have.
//! - [`bootstrap`]: the roles and bindings that every cluster has. `aggregation`: roles made of others.
//! - [`tokens`]: service account tokens: signed, checked, bound.
mod aggregation;
mod authorizer;
pub mod bootstrap;
mod escalation;
mod graph;
mod index;
mod keeper;
mod node;
mod references;
mod restriction;
pub mod tokens;
#[cfg(test)]
mod tests;

pub use authorizer::{Authorizer, Verdict};
pub use index::{RbacIndex, RoleRef, Why};
pub use keeper::start;
pub use restriction::Written;

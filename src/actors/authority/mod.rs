//! Who may do what. Rights are objects (roles and their bindings) and relations (what a node's pods refer to); both are kept
//! in indexes that follow the store, so that a decision reads memory and takes microseconds.
//!
//! - [`Authorizer`]: asks the authorizers in turn: masters, the node authorizer, RBAC.
//! - `index`: roles by binding by subject. `graph`: what the pods of a node refer to. Both are data and pure functions.
//! - `keeper`: the role that keeps them up to date.
//! - `node`, `restriction`: what a node may ask for, and what it may write.
//! - `escalation`: nobody grants what they don't have. `admission` holds this and the restriction against every write.
//! - [`bootstrap`]: the roles and bindings that every cluster has. `aggregation`: roles made of others.
//! - [`tokens`]: service account tokens: signed, checked, bound.
mod admission;
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
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod tokens;

pub use admission::Rights;
pub use authorizer::{Authorizer, Elsewhere, Verdict};
pub use index::{RbacIndex, RoleRef, Why};
pub use keeper::start;
pub use restriction::Written;

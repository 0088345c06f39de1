//! The group `apiextensions.k8s.io`.
mod columns;
pub mod conditions;
mod conversion;
mod crd;
mod names;
mod schema;
mod selectable;
#[cfg(test)]
mod tests;
mod update;
mod versions;

pub use crd::{CLEANUP_FINALIZER, SHELF, mark_deleted};

use super::Kind;

pub(super) const KINDS: &[&Kind] = &[&crd::KIND];

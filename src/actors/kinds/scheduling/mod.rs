//! `scheduling.k8s.io`: which pods matter more.
mod priority_class;

#[cfg(test)]
mod tests;

use super::Kind;

pub(super) const KINDS: &[&Kind] = &[&priority_class::KIND];

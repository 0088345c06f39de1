//! `coordination.k8s.io`: leases.
mod lease;

#[cfg(test)]
mod tests;

use super::Kind;

pub(super) const KINDS: &[&Kind] = &[&lease::KIND];

//! `node.k8s.io`: ways to run containers.
mod runtime_class;

#[cfg(test)]
mod tests;

use super::Kind;

pub(super) const KINDS: &[&Kind] = &[&runtime_class::KIND];

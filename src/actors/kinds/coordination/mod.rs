//! `coordination.k8s.io`: leases.
mod lease;

use super::Kind;

pub(super) const KINDS: &[&Kind] = &[&lease::KIND];

//! `discovery.k8s.io`: where the endpoints of services are.
mod endpoint_slice;

#[cfg(test)]
mod tests;

use super::Kind;

pub(super) const KINDS: &[&Kind] = &[&endpoint_slice::KIND];

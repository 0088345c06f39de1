//! `apiregistration.k8s.io`: API groups, and who serves them.
pub mod api_service;
#[cfg(test)]
mod tests;

use super::Kind;

pub(super) const KINDS: &[&Kind] = &[&api_service::KIND];

//! `certificates.k8s.io`: requests for certificates that the cluster signs.
pub mod signing_request;
#[cfg(test)]
mod tests;

use super::Kind;

pub(super) const KINDS: &[&Kind] = &[&signing_request::KIND];

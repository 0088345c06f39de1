//! `resource.k8s.io`: devices that pods claim.
mod claim_status;
mod claims;
mod device_class;
mod devices;
mod formats;
mod policies;
mod requests;
mod slices;
#[cfg(test)]
mod tests;

use super::Kind;

pub(super) const KINDS: &[&Kind] = &[&device_class::KIND, &claims::CLAIM, &claims::TEMPLATE, &slices::KIND];

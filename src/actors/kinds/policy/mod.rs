//! `policy`: what may be done to pods that are wanted.
mod pod_disruption_budget;
#[cfg(test)]
mod tests;

use super::Kind;

pub(super) const KINDS: &[&Kind] = &[&pod_disruption_budget::KIND];

//! `apps`: the workloads.
mod replica_set;

use super::Kind;

pub(super) const KINDS: &[&Kind] = &[&replica_set::KIND];

//! `batch`: work that ends.
mod cron_job;
mod indexes;
mod job;
mod job_spec;
mod job_status;
mod job_update;
mod policies;
pub(crate) mod schedule;
#[cfg(test)]
mod tests;

use super::Kind;

pub(super) const KINDS: &[&Kind] = &[&cron_job::KIND, &job::KIND];

//! `events.k8s.io`: events in today's words.
mod event;

#[cfg(test)]
mod tests;

use super::Kind;

pub(super) const KINDS: &[&Kind] = &[&event::KIND];

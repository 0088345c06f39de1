//! Of the nodes on which room could be made, the one where it costs least.
use super::victims::Candidate;
use std::cmp::Reverse;

/// Upstream's order: fewest broken budgets; least important worst victim; least sum of priorities; fewest victims; whose
/// most important victims began latest; the first.
pub fn best(candidates: Vec<Candidate>) -> Option<Candidate> {
    candidates.into_iter().min_by_key(|c| {
        let highest = c.victims.iter().map(|v| v.priority).max().unwrap_or(i32::MIN);
        // Negative priorities must not make many victims look cheap.
        let sum: i64 = c.victims.iter().map(|v| i64::from(v.priority) + i64::from(i32::MAX) + 1).sum();
        let earliest = c.victims.iter().filter(|v| v.priority == highest).map(|v| v.started).min().unwrap_or_default();
        (c.broken_budgets, highest, sum, c.victims.len(), Reverse(earliest))
    })
}

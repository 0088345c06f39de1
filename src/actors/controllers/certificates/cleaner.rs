//! Removes requests that are of no use any more, after upstream's times.
use super::super::plan::{Action, Deletion, Plan, Propagation};
use super::{SHELF, has, is_issued};
use crate::actors::kinds::certificates::signing_request::decoded;
use crate::protocol::time::parse_seconds;
use crate::storage::entry::Entry;
use crate::storage::pki::not_after;
use jiff::Timestamp;
use serde_json::Value;
use std::time::Duration;

/// Requests that were decided and dealt with stay this long, in seconds: for people to look at.
const DECIDED_SECONDS: i64 = 3600;
/// Those that nobody decided about.
const PENDING_SECONDS: i64 = 24 * 3600;

/// Decides about one request: it is removed, or looked at again when it is time.
pub fn plan(entry: &Entry, object: &Value, now: Timestamp) -> Plan {
    let mut plan = Plan::quiet();
    let Some(deadline) = deadline(object) else { return plan };
    let left = deadline - now.as_second();
    if left >= 0 {
        plan.requeue(Duration::from_secs(u64::try_from(left).unwrap_or_default() + 1));
        return plan;
    }
    plan.why = format!("request {}: old enough to be removed", entry.key.name);
    plan.actions.push(Action::Delete(Deletion {
        kind: SHELF.into(),
        key: entry.key.clone(),
        uid: entry.meta.uid.clone(),
        propagation: Propagation::Background,
        grace: None,
        report: None,
    }));
    plan
}

/// The last second of a request's life; `None` while it waits for its signer.
pub fn deadline(object: &Value) -> Option<i64> {
    let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    if conditions.is_empty() {
        let created = object["metadata"]["creationTimestamp"].as_str().and_then(parse_seconds)?;
        return Some(created + PENDING_SECONDS);
    }
    let issued = is_issued(object);
    let decided = conditions.iter().filter(|c| match c["type"].as_str() {
        Some("Approved") => issued,
        Some("Denied" | "Failed") => true,
        _ => false,
    });
    let deadlines = decided.filter_map(|c| c["lastUpdateTime"].as_str().and_then(parse_seconds)).map(|at| at + DECIDED_SECONDS);
    let expiry = (issued && has(object, "Approved")).then(|| not_after(&decoded(&object["status"]["certificate"]))).flatten();
    deadlines.chain(expiry).min()
}

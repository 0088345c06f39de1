//! ResourceQuota: what a namespace may hold. A write brings along the change that it makes to the quotas of its namespace; the
//! committer computes it on the newest state, so that no two writes count on the same rest.
//!
//! A quota counts from the moment that the controller has counted for it first (`status.hard`). Until then every write in the
//! namespace writes it again as it is, which makes a count under way start over.
mod ledger;
mod scopes;
mod usage;

#[cfg(test)]
mod tests;

pub use ledger::{add, printed, status_of, subtract, to_value};
pub use scopes::{matches, selectors};
pub use usage::{concerns, pod_demand, shelves_of, usage};

pub use super::plugins::limit_ranger::{Amounts, amounts};
use super::refusal::forbidden;
use crate::actors::kinds::{Attributes, Operation};
use crate::protocol::status::ApiError;
use crate::storage::{Amendment, Change, Expect, Op, Shelf};
use serde_json::Value;
use std::sync::Arc;

/// The changes of a namespace's quotas that a write makes. `object` is `None` when it goes for good.
///
/// # Errors
/// 403 when the object does not say what a quota has to count. That a quota is exceeded is found in the commit, or here for a
/// dry run.
pub fn charges(
    a: &Attributes<'_>,
    object: Option<&Value>,
    old: Option<&Value>,
    quotas: &Arc<Shelf>,
    token: impl Fn() -> u64,
) -> Result<Vec<Change>, ApiError> {
    let resource = &a.kind.resource;
    // Events come and go by themselves.
    if resource.plural == "events" {
        return Ok(Vec::new());
    }
    let mut changes = Vec::new();
    let of = |object: Option<&Value>| object.map(|o| usage(resource.group, resource.plural, o)).unwrap_or_default();
    let (new_usage, old_usage) = (of(object), of(old));
    for entry in quotas.snapshot().iter_namespace(&a.key.namespace) {
        // A quota that is written itself is not counted in the same commit.
        if resource.plural == "resourcequotas" && entry.key == *a.key {
            continue;
        }
        let quota = entry.parse();
        let known = amounts(&quota["status"]["hard"]);
        let hard = if known.is_empty() { amounts(&quota["spec"]["hard"]) } else { known.clone() };
        let names: Vec<&str> = hard.keys().map(String::as_str).filter(|n| concerns(resource.group, resource.plural, n)).collect();
        if names.is_empty() {
            continue;
        }
        let selectors = selectors(&quota);
        let counts = |object: Option<&Value>| object.is_some_and(|o| matches(&selectors, resource.group, resource.plural, o));
        let (now, before) = (counts(object), counts(old));
        let masked = |usage: &Amounts, counted: bool| -> Amounts {
            usage.iter().filter(|(n, _)| counted && names.contains(&n.as_str())).map(|(n, q)| (n.clone(), *q)).collect()
        };
        if let Some(object) = object.filter(|_| now && a.operation == Operation::Create && !known.is_empty()) {
            usage::constraints(resource.plural, &names, object)
                .map_err(|why| forbidden(a, Some(object), &format!("failed quota: {}: {why}", entry.key.name)))?;
        }
        let mut delta = subtract(&masked(&new_usage, now), &masked(&old_usage, before));
        delta.retain(|_, quantity| !quantity.is_zero());
        if delta.is_empty() {
            continue;
        }
        let subject = ledger::Subject::of(a, object.or(old), &entry.key.name);
        let amendment: Arc<Amendment> = Arc::new(move |entry| ledger::charge(entry, &delta, &subject));
        if a.dry_run {
            amendment(entry)?;
            continue;
        }
        changes.push(Change {
            shelf: quotas.clone(),
            key: entry.key.clone(),
            expect: Expect::Any,
            op: Op::Amend(amendment),
            token: token(),
        });
    }
    Ok(changes)
}

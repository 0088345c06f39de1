//! Whether somebody's rules are worth at least as much as others: nobody may grant what they don't have.
use super::PolicyRule;
use super::rules::{quoted, url_covers};
use std::collections::BTreeSet;

/// Single rights looked at before a role is taken for too large to be judged. A role of a few kilobytes may stand for
/// billions of them.
const MAX_RIGHTS: usize = 1_000_000;
/// Missing rights that are named.
const MAX_NAMED: usize = 1_000;

/// What the owned rules lack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shortfall {
    pub missing: Vec<PolicyRule>,
}

impl Shortfall {
    /// `user "jane" (groups=["dev"]) is attempting to grant RBAC permissions not currently held:` and what they are.
    pub fn message(&self, user: &str, groups: &[String]) -> String {
        let named: BTreeSet<String> = self.missing.iter().map(PolicyRule::compact).collect();
        let named: Vec<String> = named.into_iter().collect();
        let groups = quoted(groups);
        format!("user {user:?} (groups={groups}) is attempting to grant RBAC permissions not currently held:\n{}", named.join("\n"))
    }
}

/// Whether `owned` allows all that `wanted` allows. What is missing comes back grouped by resource.
pub fn covers(owned: &[PolicyRule], wanted: &[PolicyRule]) -> Result<(), Shortfall> {
    let mut shortfall = Shortfall::default();
    let mut looked_at = 0;
    for rule in wanted {
        if owned.iter().any(|held| rule_covers(held, rule)) {
            continue;
        }
        for right in rights_of(rule) {
            looked_at += 1;
            if looked_at > MAX_RIGHTS || shortfall.missing.len() >= MAX_NAMED {
                shortfall.missing.push(right);
                return Err(shortfall);
            }
            if !owned.iter().any(|held| rule_covers(held, &right)) {
                shortfall.add(right);
            }
        }
    }
    if shortfall.missing.is_empty() { Ok(()) } else { Err(shortfall) }
}

impl Shortfall {
    /// Joins the verbs of rights on the same thing.
    fn add(&mut self, right: PolicyRule) {
        let same = |held: &&mut PolicyRule| {
            (&held.api_groups, &held.resources, &held.resource_names) == (&right.api_groups, &right.resources, &right.resource_names)
        };
        let known = if right.urls.is_empty() { self.missing.iter_mut().filter(|h| h.urls.is_empty()).find(same) } else { None };
        match known {
            Some(held) => held.verbs.extend(right.verbs.into_iter().filter(|v| !held.verbs.contains(v)).collect::<Vec<_>>()),
            None => self.missing.push(right),
        }
    }
}

/// The single rights that a rule stands for, made one by one.
fn rights_of(rule: &PolicyRule) -> impl Iterator<Item = PolicyRule> + '_ {
    let names: Vec<Vec<String>> = match rule.resource_names.as_slice() {
        [] => vec![Vec::new()],
        names => names.iter().map(|n| vec![n.clone()]).collect(),
    };
    let one = |text: &String| vec![text.clone()];
    let resources = rule.api_groups.iter().flat_map(move |group| {
        let names = names.clone();
        rule.resources.iter().flat_map(move |resource| {
            let names = names.clone();
            rule.verbs.iter().flat_map(move |verb| {
                names.clone().into_iter().map(move |resource_names| PolicyRule {
                    api_groups: one(group),
                    resources: one(resource),
                    verbs: one(verb),
                    resource_names,
                    urls: Vec::new(),
                })
            })
        })
    });
    let paths = rule
        .urls
        .iter()
        .flat_map(move |url| rule.verbs.iter().map(move |verb| PolicyRule { urls: one(url), verbs: one(verb), ..Default::default() }));
    resources.chain(paths)
}

fn rule_covers(held: &PolicyRule, wanted: &PolicyRule) -> bool {
    all(&held.verbs, &wanted.verbs)
        && all(&held.api_groups, &wanted.api_groups)
        && wanted.resources.iter().all(|resource| covers_resource(&held.resources, resource))
        && wanted.urls.iter().all(|url| held.urls.iter().any(|rule| url_covers(rule, url)))
        && names_cover(&held.resource_names, &wanted.resource_names)
}

fn all(held: &[String], wanted: &[String]) -> bool {
    held.iter().any(|h| h == "*") || wanted.iter().all(|w| held.contains(w))
}

fn covers_resource(held: &[String], wanted: &str) -> bool {
    let subresource = wanted.split_once('/').map(|(_, sub)| sub);
    held.iter().any(|h| h == "*" || h == wanted || subresource.is_some_and(|sub| h.strip_prefix("*/") == Some(sub)))
}

/// No names means all of them.
fn names_cover(held: &[String], wanted: &[String]) -> bool {
    held.is_empty() || (!wanted.is_empty() && wanted.iter().all(|w| held.contains(w)))
}

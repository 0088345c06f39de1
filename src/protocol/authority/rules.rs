//! `rbac.authorization.k8s.io/v1 PolicyRule`, and what it allows.
use super::Attributes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One rule of a role. An empty list matches nothing, but for `resource_names`, where it matches every name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyRule {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_groups: Vec<String>,
    #[serde(rename = "nonResourceURLs", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    pub verbs: Vec<String>,
}

impl PolicyRule {
    /// The `rules` of a role.
    pub fn of_role(role: &Value) -> Vec<PolicyRule> {
        role["rules"].as_array().into_iter().flatten().filter_map(|rule| PolicyRule::deserialize(rule).ok()).collect()
    }

    /// Everything on everything: what `cluster-admin` has.
    pub fn everything() -> [PolicyRule; 2] {
        let all = || vec!["*".to_string()];
        [
            PolicyRule { api_groups: all(), resources: all(), verbs: all(), ..Default::default() },
            PolicyRule { urls: all(), verbs: all(), ..Default::default() },
        ]
    }

    /// Whether the rule allows a request.
    pub fn allows(&self, wanted: &Attributes<'_>) -> bool {
        if !has(&self.verbs, wanted.verb) {
            return false;
        }
        match wanted.path {
            Some(path) => self.urls.iter().any(|url| url_covers(url, path)),
            None => {
                has(&self.api_groups, wanted.group)
                    && self.resources.iter().any(|rule| resource_matches(rule, wanted.resource, wanted.subresource))
                    && (self.resource_names.is_empty() || self.resource_names.iter().any(|name| name == wanted.name))
            }
        }
    }

    /// As upstream prints a rule: `{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}`.
    pub fn compact(&self) -> String {
        let parts = [
            ("APIGroups", &self.api_groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.urls),
            ("ResourceNames", &self.resource_names),
            ("Verbs", &self.verbs),
        ];
        let parts: Vec<String> =
            parts.iter().filter(|(_, list)| !list.is_empty()).map(|(n, list)| format!("{n}:{}", quoted(list))).collect();
        format!("{{{}}}", parts.join(", "))
    }
}

/// A list as upstream prints it: `["a" "b"]`.
pub(super) fn quoted(list: &[String]) -> String {
    let parts: Vec<String> = list.iter().map(|text| format!("{text:?}")).collect();
    format!("[{}]", parts.join(" "))
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|held| held == "*" || held == wanted)
}

/// `pods`, `pods/log`, `*` (which takes subresources along) or `*/scale`.
fn resource_matches(rule: &str, resource: &str, subresource: &str) -> bool {
    if rule == "*" {
        return true;
    }
    match rule.split_once('/') {
        None => subresource.is_empty() && rule == resource,
        Some((of, sub)) => !subresource.is_empty() && sub == subresource && (of == "*" || of == resource),
    }
}

/// `*`, a path, or the beginning of paths: `/apis/*`.
pub(super) fn url_covers(rule: &str, path: &str) -> bool {
    rule == "*" || rule == path || (rule.ends_with('*') && path.starts_with(rule.trim_end_matches('*')))
}

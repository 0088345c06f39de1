//! `audit.k8s.io/v1 Policy`: which requests are recorded, and how much of them. The first rule that matches decides.
use super::Request;
use crate::protocol::user::User;
use serde::{Deserialize, Serialize};

/// How much is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// Nothing.
    #[default]
    None,
    /// Who, what, when, and the outcome.
    Metadata,
    /// And the request's body.
    Request,
    /// And the answer's.
    RequestResponse,
}

/// When within a request an event is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    RequestReceived,
    /// Only for long-running requests: watches, exec.
    ResponseStarted,
    ResponseComplete,
    Panic,
}

/// A policy file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("{file}: {problem}")]
    Unreadable { file: String, problem: String },
}

/// The policy, as its file has it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Policy {
    api_version: String,
    kind: String,
    metadata: serde_json::Value,
    rules: Vec<Rule>,
    omit_stages: Vec<Stage>,
    omit_managed_fields: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Rule {
    level: Level,
    users: Vec<String>,
    user_groups: Vec<String>,
    verbs: Vec<String>,
    resources: Vec<GroupResources>,
    namespaces: Vec<String>,
    #[serde(rename = "nonResourceURLs")]
    non_resource_urls: Vec<String>,
    omit_stages: Vec<Stage>,
    omit_managed_fields: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct GroupResources {
    group: String,
    resources: Vec<String>,
    resource_names: Vec<String>,
}

/// What the policy says about one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub level: Level,
    pub omit_stages: Vec<Stage>,
    pub omit_managed_fields: bool,
}

impl Policy {
    /// Reads a policy; `file` is named in errors.
    pub fn parse(file: &str, text: &str) -> Result<Policy, PolicyError> {
        let unreadable = |problem: String| PolicyError::Unreadable { file: file.into(), problem };
        let policy: Policy = serde_yaml::from_str(text).map_err(|e| unreadable(e.to_string()))?;
        if policy.kind != "Policy" || policy.api_version != "audit.k8s.io/v1" {
            return Err(unreadable("expected apiVersion audit.k8s.io/v1 and kind Policy".into()));
        }
        if policy.rules.is_empty() {
            return Err(unreadable("loaded illegal policy with 0 rules".into()));
        }
        for (i, rule) in policy.rules.iter().enumerate() {
            rule.check().map_err(|why| unreadable(format!("rules[{i}]: {why}")))?;
        }
        Ok(policy)
    }

    /// The first matching rule's word; a request that no rule matches is not recorded.
    pub fn decide(&self, user: &User, request: &Request) -> Decision {
        let Some(rule) = self.rules.iter().find(|r| r.matches(user, request)) else {
            return Decision { level: Level::None, omit_stages: self.omit_stages.clone(), omit_managed_fields: self.omit_managed_fields };
        };
        let mut omit_stages = self.omit_stages.clone();
        omit_stages.extend(&rule.omit_stages);
        Decision { level: rule.level, omit_stages, omit_managed_fields: rule.omit_managed_fields.unwrap_or(self.omit_managed_fields) }
    }
}

impl Rule {
    fn check(&self) -> Result<(), String> {
        let about_resources = !self.resources.is_empty() || !self.namespaces.is_empty();
        if about_resources && !self.non_resource_urls.is_empty() {
            return Err("rules cannot apply to both regular resources and non-resource URLs".into());
        }
        for url in &self.non_resource_urls {
            let inside = url.strip_suffix('*').unwrap_or(url);
            if url != "*" && (!url.starts_with('/') || inside.contains('*')) {
                return Err(format!("nonResourceURLs \"{url}\": must begin with a '/', and a '*' may only be at the end"));
            }
        }
        match self.resources.iter().find(|r| !r.resource_names.is_empty() && r.resources.is_empty()) {
            Some(_) => Err("using resourceNames requires at least one resource".into()),
            None => Ok(()),
        }
    }

    fn matches(&self, user: &User, request: &Request) -> bool {
        let listed = |list: &[String], value: &str| list.is_empty() || list.iter().any(|v| v == value);
        if !listed(&self.users, &user.name) || !listed(&self.verbs, &request.verb) {
            return false;
        }
        if !self.user_groups.is_empty() && !self.user_groups.iter().any(|g| user.is_in(g)) {
            return false;
        }
        match &request.target {
            None => {
                let about_resources = !self.resources.is_empty() || !self.namespaces.is_empty();
                !about_resources
                    && (self.non_resource_urls.is_empty() || self.non_resource_urls.iter().any(|u| url_matches(u, request.path())))
            }
            Some(target) => {
                if !self.non_resource_urls.is_empty() || !listed(&self.namespaces, &target.namespace) {
                    return false;
                }
                let whole = match target.subresource.as_str() {
                    "" => target.resource.clone(),
                    sub => format!("{}/{sub}", target.resource),
                };
                self.resources.is_empty()
                    || self.resources.iter().any(|r| {
                        r.group == target.group
                            && listed(&r.resource_names, &target.name)
                            && (r.resources.is_empty() || r.resources.iter().any(|pattern| resource_matches(pattern, target, &whole)))
                    })
            }
        }
    }
}

fn url_matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => pattern == path,
    }
}

/// `pods`, `pods/log`, `pods/*`, `*/scale`, `*`.
fn resource_matches(pattern: &str, target: &crate::http::api::Target, whole: &str) -> bool {
    match pattern.split_once('/') {
        _ if pattern == "*" || pattern == whole => true,
        Some((resource, "*")) => resource == target.resource,
        Some(("*", subresource)) => subresource == target.subresource,
        _ => false,
    }
}

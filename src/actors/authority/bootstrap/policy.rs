//! The default roles and bindings, from their compact form in `policy.txt`.
use crate::protocol::authority::PolicyRule;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// See its first lines for the form.
const TEXT: &str = include_str!("policy.txt");

/// A default role.
#[derive(Debug, Default)]
pub(super) struct DefaultRole {
    /// Empty for a ClusterRole.
    pub namespace: String,
    pub name: String,
    /// The roles that take its rules in.
    pub part_of: Vec<String>,
    /// It is made of others itself.
    pub aggregated: bool,
    pub rules: Vec<PolicyRule>,
}

/// A default binding.
#[derive(Debug)]
pub(super) struct DefaultBinding {
    /// Empty for a ClusterRoleBinding.
    pub namespace: String,
    pub name: String,
    pub role: String,
    pub subjects: Vec<Value>,
}

#[derive(Debug, Default)]
pub(super) struct Policy {
    pub roles: Vec<DefaultRole>,
    pub bindings: Vec<DefaultBinding>,
}

/// The policy. A line that cannot be read is left out; a test holds that there is none.
pub(super) fn policy() -> &'static Policy {
    static POLICY: LazyLock<Policy> = LazyLock::new(|| parse(TEXT).0);
    &POLICY
}

/// The policy in a text, and the lines that say nothing.
pub(super) fn parse(text: &str) -> (Policy, Vec<String>) {
    let (mut policy, mut wrong) = (Policy::default(), Vec::new());
    for line in text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let read = if line.starts_with(' ') { rule(&words).and_then(|r| policy.add_rule(r)) } else { policy.heading(&words) };
        if read.is_none() {
            wrong.push(line.to_string());
        }
    }
    (policy, wrong)
}

impl Policy {
    fn add_rule(&mut self, rule: PolicyRule) -> Option<()> {
        self.roles.last_mut()?.rules.push(rule);
        Some(())
    }

    fn heading(&mut self, words: &[&str]) -> Option<()> {
        match words {
            ["role", name, rest @ ..] => {
                let part_of = rest.iter().filter_map(|w| w.strip_prefix("part-of=")).map(String::from).collect();
                let role = DefaultRole { name: (*name).into(), part_of, aggregated: rest.contains(&"aggregated"), ..Default::default() };
                self.roles.push(role);
            }
            ["role-in", namespace, name] => {
                self.roles.push(DefaultRole { namespace: (*namespace).into(), name: (*name).into(), ..Default::default() });
            }
            // A controller's role is for the account of that name.
            ["controller", name] => {
                let role = format!("system:controller:{name}");
                self.roles.push(DefaultRole { name: role.clone(), ..Default::default() });
                let subjects = vec![subject(&format!("ServiceAccount:kube-system/{name}"))?];
                self.bindings.push(DefaultBinding { namespace: String::new(), name: role.clone(), role, subjects });
            }
            ["bind", role, subjects @ ..] => {
                let subjects = subjects.iter().map(|s| subject(s)).collect::<Option<Vec<_>>>()?;
                self.bindings.push(DefaultBinding { namespace: String::new(), name: (*role).into(), role: (*role).into(), subjects });
            }
            ["bind-as", name, role, subjects @ ..] => {
                let subjects = subjects.iter().map(|s| subject(s)).collect::<Option<Vec<_>>>()?;
                self.bindings.push(DefaultBinding { namespace: String::new(), name: (*name).into(), role: (*role).into(), subjects });
            }
            ["bind-in", namespace, name, role, subjects @ ..] => {
                let subjects = subjects.iter().map(|s| subject(s)).collect::<Option<Vec<_>>>()?;
                let (namespace, name, role) = ((*namespace).into(), (*name).into(), (*role).into());
                self.bindings.push(DefaultBinding { namespace, name, role, subjects });
            }
            _ => return None,
        }
        Some(())
    }
}

/// `verbs groups resources [names]`, or `verbs url paths`.
fn rule(words: &[&str]) -> Option<PolicyRule> {
    let list = |text: &str| -> Vec<String> {
        let mut list: Vec<String> = text.split(',').map(|part| if part == "core" { String::new() } else { part.into() }).collect();
        list.sort();
        list
    };
    match words {
        [verbs, "url", paths] => Some(PolicyRule { verbs: verbs_of(verbs), urls: list(paths), ..Default::default() }),
        [verbs, groups, resources, names @ ..] if names.len() < 2 => Some(PolicyRule {
            verbs: verbs_of(verbs),
            api_groups: list(groups),
            resources: list(resources),
            resource_names: names.first().map(|n| list(n)).unwrap_or_default(),
            urls: Vec::new(),
        }),
        _ => None,
    }
}

fn verbs_of(text: &str) -> Vec<String> {
    let read = ["get", "list", "watch"].as_slice();
    let write = ["create", "delete", "deletecollection", "patch", "update"].as_slice();
    let mut verbs: Vec<String> = Vec::new();
    for word in text.split(',') {
        match word {
            "READ" => verbs.extend(read.iter().map(|v| v.to_string())),
            "WRITE" => verbs.extend(write.iter().map(|v| v.to_string())),
            other => verbs.push(other.into()),
        }
    }
    verbs.sort();
    verbs.dedup();
    verbs
}

/// `User:jane`, `Group:dev` or `ServiceAccount:namespace/name`.
fn subject(text: &str) -> Option<Value> {
    let (kind, name) = text.split_once(':')?;
    match (kind, name.split_once('/')) {
        ("ServiceAccount", Some((namespace, name))) => Some(json!({ "kind": kind, "name": name, "namespace": namespace })),
        ("User" | "Group", None) => Some(json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name })),
        _ => None,
    }
}

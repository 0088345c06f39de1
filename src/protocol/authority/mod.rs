//! Who may do what, as pure decisions: what is asked for, what a rule allows, what rules cover others.
mod attributes;
mod covers;
mod decision;
mod rules;
#[cfg(test)]
mod tests;

pub use attributes::Attributes;
pub use covers::{Shortfall, covers};
pub use decision::{Authorize, Decision};
pub use rules::PolicyRule;

/// The group of roles and their bindings.
pub const RBAC: &str = "rbac.authorization.k8s.io";
/// What the name of every service account's user begins with.
pub const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// `system:serviceaccount:<namespace>:<name>`
pub fn account_user(namespace: &str, name: &str) -> String {
    format!("{SERVICE_ACCOUNT}{namespace}:{name}")
}

/// The namespace and name of the service account with this user name.
pub fn account_of(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix(SERVICE_ACCOUNT)?.split_once(':')?;
    let good = |text: &str| !text.is_empty() && !text.contains(':');
    (good(namespace) && good(name)).then_some((namespace, name))
}

/// The groups that every service account of a namespace is in.
pub fn account_groups(namespace: &str) -> [String; 2] {
    ["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}")]
}

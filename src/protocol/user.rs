//! Somebody who was recognised: upstream's `user.Info`.
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The group of everybody with full power.
pub const MASTERS: &str = "system:masters";
/// The group of node agents.
pub const NODES: &str = "system:nodes";
/// The group of everybody who showed who they are.
pub const AUTHENTICATED: &str = "system:authenticated";
/// The group of those who showed nothing.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";

/// A user, as reviews and admission requests spell it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    #[serde(rename = "username", default)]
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    #[serde(default)]
    pub groups: Vec<String>,
    /// What the authenticator knows besides, for instance which pod a token is bound to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A user who is no node and no master until a certificate or token says so.
    pub fn new(name: impl Into<String>, groups: impl IntoIterator<Item = String>) -> Self {
        let mut groups: Vec<String> = groups.into_iter().collect();
        if !groups.iter().any(|g| g == AUTHENTICATED) {
            groups.push(AUTHENTICATED.into());
        }
        User { name: name.into(), groups, ..Default::default() }
    }

    /// Somebody who showed nothing.
    pub fn anonymous() -> Self {
        User { name: "system:anonymous".into(), groups: vec![UNAUTHENTICATED.into()], ..Default::default() }
    }

    /// A part of the server itself, which may do everything: `system:apiserver`, or a controller's name.
    pub fn internal(name: &str) -> Self {
        User::new(name, [MASTERS.to_string()])
    }

    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }

    /// The node that this user is the agent of.
    pub fn node(&self) -> Option<&str> {
        self.name.strip_prefix("system:node:").filter(|_| self.is_in(NODES))
    }
}

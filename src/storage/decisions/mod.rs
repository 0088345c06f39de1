//! The causal log: what controllers and the scheduler decided, why, and what moved them to it. It outlives the objects it is about,
//! and the hour that events live.
//!
//! It is no part of the cluster's state: nothing waits for it, and a decision of the last moments before a crash may be missing.
//! It lies in a file of its own, bounded in number; the oldest decisions make room for new ones.
mod file;
mod log;
#[cfg(test)]
mod tests;

pub use log::{DecisionLog, Query};

use crate::protocol::meta::ObjectKey;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An object as the log names it. It may be long gone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// `pods`, `deployments.apps`.
    pub shelf: Arc<str>,
    /// Empty for cluster-scoped objects.
    pub namespace: Arc<str>,
    /// For objects whose name was left to the server, what they were to be called: `web-5d8f-`.
    pub name: Arc<str>,
}

impl Subject {
    pub fn new(shelf: &str, key: &ObjectKey) -> Subject {
        Subject { shelf: shelf.into(), namespace: key.namespace.clone(), name: key.name.clone() }
    }

    /// How it stands in the index. Names hold no slashes.
    fn index(&self) -> String {
        format!("{}/{}/{}", self.shelf, self.namespace, self.name)
    }
}

/// What moved somebody to decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    pub object: Subject,
    pub deleted: bool,
    /// The revision of the change.
    pub revision: u64,
}

/// What was done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verb {
    Create,
    Delete,
    Patch,
    Bind,
}

impl Verb {
    pub fn word(self) -> &'static str {
        match self {
            Verb::Create => "create",
            Verb::Delete => "delete",
            Verb::Patch => "patch",
            Verb::Bind => "bind",
        }
    }
}

/// Something done because of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    pub verb: Verb,
    pub object: Subject,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Milliseconds since the epoch.
    pub at: i64,
    /// Who decided: `replicaset`, `default-scheduler`.
    pub by: Arc<str>,
    pub about: Subject,
    /// One line for people.
    pub why: String,
    /// `None` when time alone moved it, or a restart.
    pub cause: Option<Cause>,
    pub deeds: Vec<Deed>,
    /// Why it could not be carried out, all of it or a part.
    pub failure: Option<String>,
}

impl Decision {
    /// Every object that it is about or touches, each once.
    fn involved(&self) -> Vec<String> {
        let mut all: Vec<String> = std::iter::once(&self.about).chain(self.deeds.iter().map(|d| &d.object)).map(Subject::index).collect();
        all.sort();
        all.dedup();
        all
    }
}

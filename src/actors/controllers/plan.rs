//! What a controller wants done. Data only; the executor gives it effect.
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a plan's reasons after which no more are added.
const LONGEST_WHY: usize = 400;

/// A controller's decision about one key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Carried out in order.
    pub actions: Vec<Action>,
    /// Look again after this long, even if nothing changes.
    pub requeue_after: Option<Duration>,
    /// One line for the dashboard and the causal log; empty when there was nothing to decide.
    pub why: String,
}

impl Plan {
    /// Nothing to do.
    pub fn quiet() -> Plan {
        Plan::default()
    }

    /// Adds a reason to [`why`](Self::why): the first one names its subject, further ones follow it.
    pub fn because(&mut self, subject: impl fmt::Display, reason: impl fmt::Display) {
        let reason = reason.to_string();
        if self.why.is_empty() {
            self.why = format!("{subject}: {reason}");
        } else if self.why.len() < LONGEST_WHY && !self.why.contains(&reason) {
            self.why.push_str("; ");
            self.why.push_str(&reason);
        }
    }

    /// Look again after `delay`, or sooner when that was asked for already.
    pub fn requeue(&mut self, delay: Duration) {
        self.requeue_after = Some(self.requeue_after.map_or(delay, |d| d.min(delay)));
    }
}

/// The few things that controllers do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Create(Creation),
    /// Create an object after what it needs.
    CreateAfter(Creation, Vec<Prerequisite>),
    Delete(Deletion),
    Patch(Patch),
    Event(EventNote),
}

/// Create an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Creation {
    /// The shelf.
    pub kind: Arc<str>,
    /// Empty for cluster-scoped kinds.
    pub namespace: Arc<str>,
    pub object: Value,
    pub report: Option<Report>,
}

/// What must be there before another object is made. All of one object's prerequisites are tried, one after the other; when one
/// fails, the object itself is not made.
#[derive(Clone, Debug, PartialEq)]
pub struct Prerequisite {
    pub creation: Creation,
    /// What the object's own failure says before the error: `failed to create PVC data-web-0: `.
    pub failure: String,
}

/// Delete an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Deletion {
    pub kind: Arc<str>,
    pub key: ObjectKey,
    /// Only this very object; empty for whatever has the name.
    pub uid: Arc<str>,
    pub propagation: Propagation,
    /// Seconds; `None` for the object's own grace, 0 to remove it at once.
    pub grace: Option<i64>,
    pub report: Option<Report>,
}

/// Change an object by a JSON merge patch.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    pub kind: Arc<str>,
    pub key: ObjectKey,
    /// Only this very object.
    pub uid: Option<Arc<str>>,
    /// `status`, `finalize`, `approval`, `scale`, or the object itself.
    pub subresource: Option<&'static str>,
    pub patch: Value,
    /// Refuse with a conflict when the object is at another revision.
    pub expect_revision: Option<u64>,
}

/// What happens to the dependents of a deleted object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    #[default]
    Background,
    Foreground,
    Orphan,
}

/// An event to record.
#[derive(Clone, Debug, PartialEq)]
pub struct EventNote {
    pub regarding: ObjectRef,
    /// `Normal` or `Warning`.
    pub kind: &'static str,
    pub reason: &'static str,
    pub message: String,
    /// `source.component`: `replicaset-controller`.
    pub component: &'static str,
}

/// The object an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ObjectRef {
    pub api_version: Arc<str>,
    pub kind: Arc<str>,
    pub namespace: Arc<str>,
    pub name: Arc<str>,
    pub uid: Arc<str>,
}

impl ObjectRef {
    /// A reference to a stored object.
    pub fn to(api_version: &str, kind: &str, entry: &Entry) -> Self {
        ObjectRef {
            api_version: api_version.into(),
            kind: kind.into(),
            namespace: entry.key.namespace.clone(),
            name: entry.key.name.clone(),
            uid: entry.meta.uid.clone(),
        }
    }
}

/// The events that tell how a creation or deletion went. The name, or the error, takes the place of `{}` in a text that
/// has it, and is appended otherwise. A reason that is empty: no event.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub regarding: ObjectRef,
    pub component: &'static str,
    /// `SuccessfulCreate`, `"Created pod: "`
    pub success: (&'static str, Cow<'static, str>),
    /// `FailedCreate`, `"Error creating: "`
    pub failure: (&'static str, Cow<'static, str>),
}

/// How the last run of a key failed; the next plan may show it in a condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The report's failure reason, or empty when the failed action had no report.
    pub reason: &'static str,
    pub message: String,
}

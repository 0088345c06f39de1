//! What can be asked of a kind actor, and what it answers.
use super::Writer;
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use crate::storage::Entry;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A write, with the channel that its committed outcome goes to.
pub struct WriteRequest {
    pub op: WriteOp,
    pub writer: Writer,
    pub reply: oneshot::Sender<Result<Written, ApiError>>,
}

/// The verbs that change something.
#[derive(Clone, Debug)]
pub enum WriteOp {
    /// The object is defaulted, admitted, prepared and validated (see [`super::prepare_create`]).
    Create(Box<Value>),
    /// Shared with whoever may have to ask for it again.
    Edit(Arc<Edit>),
    /// An edit that was decided and admitted elsewhere, on the state with this token.
    Put {
        held: u64,
        part: Part,
        object: Box<Value>,
        warnings: Vec<String>,
    },
    Delete {
        key: ObjectKey,
        options: DeleteOptions,
    },
}

/// An update or a patch of an object, or of one of its parts.
#[derive(Clone, Debug)]
pub struct Edit {
    pub key: ObjectKey,
    pub part: Part,
    pub body: EditBody,
}

impl Edit {
    /// Whether it is meant for whatever state the object is in.
    pub fn is_unversioned(&self) -> bool {
        let silent = |object: &Value| object["metadata"]["resourceVersion"].as_str().is_none_or(|v| matches!(v, "" | "0"));
        match &self.body {
            EditBody::Update(body) => silent(body),
            EditBody::Patch { patch: Patch::Merge(patch) | Patch::Strategic(patch), .. } => silent(patch),
            EditBody::Patch { patch: Patch::Apply { config, .. }, .. } => silent(config),
            EditBody::Patch { patch: Patch::Json(operations), .. } => {
                let about = |o: &Value| o["path"].as_str().is_some_and(|p| p.starts_with("/metadata/resourceVersion"));
                !operations.as_array().into_iter().flatten().any(about)
            }
        }
    }
}

/// What an edit brings.
#[derive(Clone, Debug)]
pub enum EditBody {
    /// A decoded body.
    Update(Box<Value>),
    Patch {
        patch: Patch,
        validation: FieldValidation,
    },
}

/// `fieldValidation`: what to do about unknown and duplicate fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// Which part of the object a write is for: the object itself, or a subresource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Main,
    Status,
    Scale,
    /// `pods/binding`: assigns the node.
    Binding,
    /// `namespaces/finalize`: changes `spec.finalizers` only.
    Finalize,
    /// `certificatesigningrequests/approval`: changes `status.conditions` only.
    Approval,
    /// `pods/ephemeralcontainers`
    EphemeralContainers,
    /// `pods/resize`: resources of running containers.
    Resize,
}

/// A patch, parsed as far as its type allows without the object.
#[derive(Clone, Debug)]
pub enum Patch {
    Json(Value),
    Merge(Value),
    Strategic(Value),
    /// Server-side apply.
    Apply {
        config: Value,
        /// Take over what others manage.
        force: bool,
    },
}

/// `metav1.DeleteOptions`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeleteOptions {
    pub uid: Option<String>,
    pub resource_version: Option<String>,
    pub grace_seconds: Option<i64>,
    pub propagation: Option<Propagation>,
}

/// What happens to the dependents of a deleted object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// A committed write (or what would have been committed, for a dry run).
#[derive(Clone, Debug)]
pub struct Written {
    pub entry: Arc<Entry>,
    pub outcome: Outcome,
    /// What a patch brought in that the schema doesn't know, said as in [`crate::protocol::codec::Checked::findings`].
    pub warnings: Vec<String>,
}

/// What a write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Created,
    Updated,
    /// The object was already like that; nothing was written.
    Unchanged,
    /// Marked for deletion: a grace period or finalizers are still to come.
    Deleting,
    Deleted,
}

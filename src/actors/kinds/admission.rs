//! What stands between a request and the store: upstream's admission, as the write path sees it.
//!
//! There are two sorts. Plugins of the server itself look at snapshots, never wait, and run wherever the write is decided, in
//! the kind's actor for updates. Webhooks and policies have to be asked: a write that they have a say in is decided outside of
//! the actor and handed to it with the state that it rests on, to be decided anew when that state is gone.
use super::{Kind, Part};
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use crate::protocol::user::User;
use crate::storage::Change;
use futures_util::future::BoxFuture;
use serde_json::Value;
use std::sync::Arc;

/// What a request does to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create,
    Update,
    Delete,
    /// `exec`, `attach`, `portforward`, `proxy`.
    Connect,
}

impl Operation {
    /// As admission reviews spell it: `CREATE`.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
            Operation::Connect => "CONNECT",
        }
    }
}

/// A request, as admission sees it.
#[derive(Clone, Copy)]
pub struct Attributes<'a> {
    pub kind: &'a Kind,
    pub operation: Operation,
    /// `status`, `scale`, …; empty for the object itself.
    pub subresource: &'a str,
    /// The name is empty when the server will make it up.
    pub key: &'a ObjectKey,
    pub user: &'a User,
    pub dry_run: bool,
    /// The options of the request, without `kind` and `apiVersion`; null for none.
    pub options: &'a Value,
}

/// Says yes or no, or changes what is written.
pub trait Admission: Send + Sync {
    /// The server's own mutating plugins. Answers warnings.
    fn mutate(&self, attributes: &Attributes<'_>, object: &mut Value, old: Option<&Value>) -> Result<Vec<String>, ApiError>;

    /// The server's own validating plugins; `object` is `None` for a delete. Answers warnings.
    fn validate(&self, attributes: &Attributes<'_>, object: Option<&Value>, old: Option<&Value>) -> Result<Vec<String>, ApiError>;

    /// What has to be written in the same commit, or must hold in it: quotas. `object` is `None` when the object goes for good,
    /// be it by a delete or by an update that takes the last finalizer.
    fn charges(&self, attributes: &Attributes<'_>, object: Option<&Value>, old: Option<&Value>) -> Result<Vec<Change>, ApiError>;

    /// Whether the user may create what an update or apply found missing: the request itself was authorized as an update.
    ///
    /// # Errors
    /// 403 in upstream's words.
    fn may_create(&self, _attributes: &Attributes<'_>) -> Result<(), ApiError> {
        Ok(())
    }

    /// Whether a webhook or a policy may have a say. Costs next to nothing when there are none.
    fn asks(&self, attributes: &Attributes<'_>) -> bool;

    /// Mutating policies and webhooks. Answers the object as they want it, and warnings.
    fn ask_mutating<'a>(&'a self, attributes: Attributes<'a>, object: Value, old: Option<&'a Value>) -> BoxFuture<'a, Asked<Value>>;

    /// Validating policies and webhooks.
    fn ask_validating<'a>(
        &'a self,
        attributes: Attributes<'a>,
        object: Option<&'a Value>,
        old: Option<&'a Value>,
    ) -> BoxFuture<'a, Asked<()>>;
}

/// What somebody who was asked answered, with warnings for the client.
pub type Asked<T> = Result<(T, Vec<String>), ApiError>;

/// Lets everything pass.
pub struct Unrestricted;

impl Admission for Unrestricted {
    fn mutate(&self, _: &Attributes<'_>, _: &mut Value, _: Option<&Value>) -> Result<Vec<String>, ApiError> {
        Ok(Vec::new())
    }

    fn validate(&self, _: &Attributes<'_>, _: Option<&Value>, _: Option<&Value>) -> Result<Vec<String>, ApiError> {
        Ok(Vec::new())
    }

    fn charges(&self, _: &Attributes<'_>, _: Option<&Value>, _: Option<&Value>) -> Result<Vec<Change>, ApiError> {
        Ok(Vec::new())
    }

    fn asks(&self, _: &Attributes<'_>) -> bool {
        false
    }

    fn ask_mutating<'a>(&'a self, _: Attributes<'a>, object: Value, _: Option<&'a Value>) -> BoxFuture<'a, Asked<Value>> {
        Box::pin(async move { Ok((object, Vec::new())) })
    }

    fn ask_validating<'a>(&'a self, _: Attributes<'a>, _: Option<&'a Value>, _: Option<&'a Value>) -> BoxFuture<'a, Asked<()>> {
        Box::pin(async { Ok(((), Vec::new())) })
    }
}

/// On whose behalf something is written, and under which name its fields are owned.
#[derive(Clone, Debug)]
pub struct Writer {
    pub user: Arc<User>,
    /// The field manager: `fieldManager`, or the client's name from its `User-Agent`.
    pub manager: Arc<str>,
    /// Do everything but commit.
    pub dry_run: bool,
    /// What the request's `CreateOptions` and their like say, for those who judge it; null for none.
    pub options: Arc<Value>,
}

impl Writer {
    /// A part of the server itself.
    pub fn internal(manager: &str) -> Self {
        let user = Arc::new(User::internal(&format!("system:{manager}")));
        Writer { user, manager: manager.into(), dry_run: false, options: Arc::default() }
    }
}

impl Part {
    /// The subresource in a path; empty for the object itself.
    pub fn subresource(self) -> &'static str {
        match self {
            Part::Main => "",
            Part::Status => "status",
            Part::Scale => "scale",
            Part::Binding => "binding",
            Part::Finalize => "finalize",
            Part::Approval => "approval",
            Part::EphemeralContainers => "ephemeralcontainers",
            Part::Resize => "resize",
        }
    }
}

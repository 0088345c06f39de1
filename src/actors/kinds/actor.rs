//! The generic kind actor: the one owner of every object of its kind. Concurrency control is its mailbox.
use super::prepare::{prepare_update, strict_error};
use super::write::{Outcome, Part, Patch, WriteOp, WriteRequest, Written};
use super::{Kind, remove};
use crate::actors::base::{Role, Scope};
use crate::protocol::codec::{self, DecodeError};
use crate::protocol::meta::ObjectKey;
use crate::protocol::patch;
use crate::protocol::status::ApiError;
use crate::protocol::time;
use crate::storage::{Change, Commit, CommitError, Committer, Draft, Entry, Expect, Guard, Op, Shelf};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a kind actor understands.
pub enum KindMessage {
    Write(Box<WriteRequest>),
}

/// Owns the objects of one kind: decides each write against the newest state, pending writes included, and hands it to
/// the committer, which answers the asker once it is durable. The actor itself never waits for the disk.
pub struct KindActor {
    kind: &'static Kind,
    shelf: Arc<Shelf>,
    namespaces: Arc<Shelf>,
    committer: Committer,
    pending: HashMap<ObjectKey, Pending>,
}

/// A write that was handed to the committer and may not be published yet.
struct Pending {
    /// `None`: deleted.
    entry: Option<Arc<Entry>>,
    settled: Arc<AtomicBool>,
}

/// Above this many remembered writes the settled ones are forgotten.
const SWEEP_AT: usize = 1024;

impl Role for KindActor {
    type Message = KindMessage;

    fn handle(&mut self, message: KindMessage, scope: &mut Scope<'_, Self>) {
        let KindMessage::Write(request) = message;
        let WriteRequest { op, dry_run, reply } = *request;
        let verb = verb_of(&op);
        match self.decide(op) {
            Err(error) => {
                scope.decided(format!("refused {verb}: {error}"));
                let _ = reply.send(Err(error));
            }
            Ok(Decision::Nothing(entry)) => {
                let _ = reply.send(Ok(Written { entry, outcome: Outcome::Unchanged }));
            }
            Ok(Decision::Write { base, object, outcome }) => {
                let token = self.committer.next_token();
                let (draft, entry) = self.draft(&object, token);
                if dry_run {
                    let _ = reply.send(Ok(Written { entry, outcome }));
                    return;
                }
                scope.decided(format!("{verb} {}", entry.key));
                self.submit(base, draft, entry, outcome, token, reply);
            }
        }
    }
}

/// What a write comes to, before it is committed.
enum Decision {
    Nothing(Arc<Entry>),
    Write { base: Expect, object: Value, outcome: Outcome },
}

impl KindActor {
    pub fn new(kind: &'static Kind, shelf: Arc<Shelf>, namespaces: Arc<Shelf>, committer: Committer) -> Self {
        KindActor { kind, shelf, namespaces, committer, pending: HashMap::new() }
    }

    /// The newest state of an object, durable or not.
    fn current(&mut self, key: &ObjectKey) -> Option<Arc<Entry>> {
        if let Some(pending) = self.pending.get(key) {
            if !pending.settled.load(Ordering::Acquire) {
                return pending.entry.clone();
            }
            self.pending.remove(key);
        }
        self.shelf.snapshot().get(key).cloned()
    }

    fn required(&mut self, key: &ObjectKey) -> Result<Arc<Entry>, ApiError> {
        let resource = &self.kind.resource;
        self.current(key).ok_or_else(|| ApiError::not_found(resource.group, resource.plural, &key.name))
    }

    fn decide(&mut self, op: WriteOp) -> Result<Decision, ApiError> {
        let resource = &self.kind.resource;
        match op {
            WriteOp::Create(object) => {
                let (key, _) = codec::meta_of(&object);
                if self.current(&key).is_some() {
                    return Err(ApiError::already_exists(resource.group, resource.plural, &key.name));
                }
                Ok(Decision::Write { base: Expect::Absent, object: *object, outcome: Outcome::Created })
            }
            WriteOp::Update { key, part, body } => {
                let held = self.required(&key)?;
                let old = held.parse();
                let new = prepare_update(self.kind, part, &old, *body)?;
                Ok(self.settle(held, new))
            }
            WriteOp::Patch { key, part, patch, strict } => {
                let held = self.required(&key)?;
                let old = held.parse();
                let body = self.patched(part, &old, patch, strict)?;
                let new = prepare_update(self.kind, part, &old, body)?;
                Ok(self.settle(held, new))
            }
            WriteOp::Delete { key, options } => {
                let held = self.required(&key)?;
                let removal = remove::decide(self.kind, &held.parse(), &options, time::now())?;
                if removal.outcome == Outcome::Deleted {
                    return Ok(Decision::Write { base: Expect::Token(held.token), object: removal.object, outcome: Outcome::Deleted });
                }
                Ok(match self.settle(held, removal.object) {
                    Decision::Write { base, object, .. } => Decision::Write { base, object, outcome: Outcome::Deleting },
                    nothing => nothing,
                })
            }
        }
    }

    /// An update that changes nothing is not written; one that takes the last finalizer of a deleted object removes it.
    fn settle(&self, held: Arc<Entry>, new: Value) -> Decision {
        let base = Expect::Token(held.token);
        if remove::complete(self.kind, &new) {
            return Decision::Write { base, object: new, outcome: Outcome::Deleted };
        }
        if codec::encode(&new).0 == held.body {
            return Decision::Nothing(held);
        }
        Decision::Write { base, object: new, outcome: Outcome::Updated }
    }

    /// The patched body, decoded again so that a patch cannot bring in what a full update could not.
    fn patched(&self, part: Part, old: &Value, patch: Patch, strict: bool) -> Result<Value, ApiError> {
        let target = if part == Part::Scale { super::scale_of(old) } else { old.clone() };
        let schema = if part == Part::Scale { "Scale" } else { self.kind.schema };
        let patched = match patch {
            Patch::Json(patch) => patch::apply_json(&target, &patch),
            Patch::Merge(patch) => patch::apply_merge(&target, &patch),
            Patch::Strategic(patch) => patch::apply_strategic(&target, &patch, schema),
        };
        let patched = patched.map_err(|e| patch_error(self.kind, old, e))?;
        if part == Part::Scale {
            return Ok(patched);
        }
        let bytes = serde_json::to_vec(&patched).map_err(ApiError::internal)?;
        let checked = self.kind.codec.check(&bytes).map_err(|e| decode_error(&e))?;
        match strict_error(self.kind, &checked) {
            Some(error) if strict => Err(error),
            _ => Ok(checked.value),
        }
    }

    fn draft(&self, object: &Value, token: u64) -> (Draft, Arc<Entry>) {
        let (body, splice) = codec::encode(object);
        let (key, meta) = codec::meta_of(object);
        let light = (self.kind.rules.light)(object);
        let draft = Draft { body: body.clone(), splice, meta: meta.clone(), light: light.clone() };
        (draft, Arc::new(Entry { key, body, splice, revision: 0, token, meta, light }))
    }

    fn submit(
        &mut self,
        expect: Expect,
        draft: Draft,
        entry: Arc<Entry>,
        outcome: Outcome,
        token: u64,
        reply: tokio::sync::oneshot::Sender<Result<Written, ApiError>>,
    ) {
        let key = entry.key.clone();
        let mut changes = Vec::with_capacity(2);
        if outcome == Outcome::Created && self.kind.resource.namespaced {
            let namespace = ObjectKey::new("", key.namespace.clone());
            changes.push(Change {
                shelf: self.namespaces.clone(),
                key: namespace,
                expect: Expect::Any,
                op: Op::Check(Guard::Custom(self.namespace_guard(&key))),
                token: 0,
            });
        }
        let deleted = outcome == Outcome::Deleted;
        let op = if deleted { Op::Delete(draft) } else { Op::Put(draft) };
        changes.push(Change { shelf: self.shelf.clone(), key: key.clone(), expect, op, token });
        let settled = Arc::new(AtomicBool::new(false));
        if self.pending.len() >= SWEEP_AT {
            self.pending.retain(|_, p| !p.settled.load(Ordering::Acquire));
        }
        self.pending.insert(key, Pending { entry: (!deleted).then_some(entry), settled: settled.clone() });
        let kind = self.kind;
        let answer = Box::new(move |result: Result<Vec<Arc<Entry>>, CommitError>| {
            settled.store(true, Ordering::Release);
            let result = result.map_err(|e| commit_error(kind, e)).and_then(|entries| {
                let entry = entries.into_iter().next().ok_or_else(|| ApiError::internal("the commit answered without an object"))?;
                Ok(Written { entry, outcome })
            });
            let _ = reply.send(result);
        });
        if let Err(refused) = self.committer.submit(Commit { changes, reply: answer }) {
            (refused.reply)(Err(CommitError::Refused("too many writes are waiting for the disk".into())));
        }
    }

    /// Nothing is created in a namespace that is missing or going away; checked in the same commit.
    fn namespace_guard(&self, key: &ObjectKey) -> Arc<dyn Fn(Option<&Entry>) -> Result<(), ApiError> + Send + Sync> {
        let kind = self.kind;
        let key = key.clone();
        Arc::new(move |namespace| match namespace {
            None => Err(ApiError::not_found("", "namespaces", &key.namespace)),
            Some(held) if held.meta.deleting.is_some() => Err(terminating(kind, &key)),
            Some(_) => Ok(()),
        })
    }
}

/// The refusal of a create in a namespace that is being deleted.
fn terminating(kind: &Kind, key: &ObjectKey) -> ApiError {
    let why = format!("unable to create new content in namespace {} because it is being terminated", key.namespace);
    let mut error = ApiError::forbidden(kind.resource.group, kind.resource.plural, &key.name, &why);
    if let Some(details) = &mut error.details {
        details.causes.push(crate::protocol::status::Cause {
            reason: "NamespaceTerminating".into(),
            message: format!("namespace {} is being terminated", key.namespace),
            field: "metadata.namespace".into(),
        });
    }
    error
}

fn verb_of(op: &WriteOp) -> &'static str {
    match op {
        WriteOp::Create(_) => "create",
        WriteOp::Update { .. } => "update",
        WriteOp::Patch { .. } => "patch",
        WriteOp::Delete { .. } => "delete",
    }
}

fn commit_error(kind: &Kind, error: CommitError) -> ApiError {
    match error {
        CommitError::Guard(error) => error,
        CommitError::Expectation { key, .. } => ApiError::modified(kind.resource.group, kind.resource.plural, &key.name),
        CommitError::Refused(why) => ApiError::unavailable(format!("the write was not stored: {why}")),
        CommitError::Unknown(why) => ApiError::timeout(format!("the outcome of the write is unknown: {why}")),
        CommitError::Closed => ApiError::unavailable("the server is shutting down"),
    }
}

/// A body that does not decode, in upstream's words.
pub(super) fn decode_error(error: &DecodeError) -> ApiError {
    ApiError::bad_request(error.to_string())
}

fn patch_error(kind: &Kind, old: &Value, error: patch::PatchError) -> ApiError {
    let name = old["metadata"]["name"].as_str().unwrap_or_default();
    let mut error = error.to_api_error();
    if let Some(details) = &mut error.details {
        (details.group, details.kind, details.name) = (kind.resource.group.into(), kind.resource.kind.into(), name.into());
    }
    error
}

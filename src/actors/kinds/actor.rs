//! The generic kind actor: the one owner of every object of its kind. Concurrency control is its mailbox.
use super::allocation::Shares;
use super::owner_references::{Found, deduplicate};
use super::prepare::prepare_update;
use super::tracking::Act;
use super::write::{Edit, EditBody, Outcome, Part, WriteOp, WriteRequest, Written};
use super::{Admission, Attributes, Forms, Kind, Operation, Writer, remove, stages};
use crate::actors::base::{Role, Scope};
use crate::protocol::codec::{self, DecodeError};
use crate::protocol::light::Light;
use crate::protocol::meta::{Meta, ObjectKey};
use crate::protocol::status::ApiError;
use crate::protocol::time;
use crate::storage::{Change, Commit, CommitError, Committer, Draft, Entry, Expect, Guard, Op, Shelf};
use bytes::Bytes;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a kind actor understands.
pub enum KindMessage {
    Write(Box<WriteRequest>),
    /// The newest state of an object, durable or not.
    Held(ObjectKey, tokio::sync::oneshot::Sender<Option<Arc<Entry>>>),
    /// The definition of a custom kind has changed.
    Renew(Arc<Kind>),
    /// The kind is no longer served.
    Stop,
}

/// Owns the objects of one kind: decides each write against the newest state, pending writes included, and hands it to
/// the committer, which answers the asker once it is durable. The actor itself never waits for the disk.
pub struct KindActor {
    kind: Arc<Kind>,
    shelf: Arc<Shelf>,
    namespaces: Arc<Shelf>,
    committer: Committer,
    admission: Arc<dyn Admission>,
    shares: Shares,
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
        let request = match message {
            KindMessage::Write(request) => request,
            KindMessage::Held(key, reply) => {
                let _ = reply.send(self.current(&key));
                return;
            }
            KindMessage::Renew(kind) => {
                self.kind = kind;
                scope.decided("took over a changed definition");
                return;
            }
            KindMessage::Stop => return scope.stop(),
        };
        let WriteRequest { op, writer, reply } = *request;
        let verb = verb_of(&op);
        match self.decide(op, &writer) {
            Err(error) => {
                scope.decided(format!("refused {verb}: {error}"));
                let _ = reply.send(Err(error));
            }
            Ok(Decision { step: Step::Nothing(entry), warnings }) => self.unchanged(entry, warnings, reply),
            Ok(Decision { step: Step::Write(write), warnings }) => {
                if writer.dry_run {
                    let Write { held, state, outcome, .. } = *write;
                    let revision = held.map_or(0, |entry| entry.revision);
                    let _ = reply.send(Ok(Written { entry: Arc::new(state.into_entry(revision, 0)), outcome, warnings }));
                    return;
                }
                scope.decided(format!("{verb} {}", write.state.key));
                self.submit(*write, warnings, reply);
            }
        }
    }
}

type Reply = tokio::sync::oneshot::Sender<Result<Written, ApiError>>;

/// What a request comes to, before anything is committed.
struct Decision {
    step: Step,
    warnings: Vec<String>,
}

impl Decision {
    fn merge(&mut self, merges: bool) {
        if let Step::Write(write) = &mut self.step {
            write.merges = merges;
        }
    }
}

enum Step {
    Nothing(Arc<Entry>),
    Write(Box<Write>),
}

/// An object's next state.
struct Write {
    /// The state that it follows; `None` for a new object.
    held: Option<Arc<Entry>>,
    state: State,
    outcome: Outcome,
    /// Written on whatever the commits of others have made of the status meanwhile; see [`super::Rules::amended`].
    merges: bool,
    /// What happens in the same commit, or must hold in it.
    charges: Vec<Change>,
}

/// A state in the form that it is stored in.
struct State {
    key: ObjectKey,
    body: Bytes,
    splice: u32,
    meta: Meta,
    light: Light,
}

impl State {
    fn of(kind: &Kind, object: &Value, (body, splice): (Bytes, u32)) -> Self {
        let (key, meta) = codec::meta_of(object);
        State { key, body, splice, meta, light: (kind.rules.light)(object) }
    }

    fn into_entry(self, revision: u64, token: u64) -> Entry {
        let State { key, body, splice, meta, light } = self;
        Entry { key, body, splice, revision, token, meta, light }
    }

    fn draft(&self) -> Draft {
        Draft { body: self.body.clone(), splice: self.splice, meta: self.meta.clone(), light: self.light.clone() }
    }
}

impl KindActor {
    pub(super) fn new(
        kind: Arc<Kind>,
        shelf: Arc<Shelf>,
        namespaces: Arc<Shelf>,
        committer: Committer,
        admission: Arc<dyn Admission>,
        shares: Shares,
    ) -> Self {
        KindActor { kind, shelf, namespaces, committer, admission, shares, pending: HashMap::new() }
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
        let held = self.current(key);
        let resource = &self.kind.resource;
        held.ok_or_else(|| ApiError::not_found(resource.group, resource.plural, &key.name))
    }

    fn decide(&mut self, op: WriteOp, writer: &Writer) -> Result<Decision, ApiError> {
        match op {
            WriteOp::Create(mut object) => {
                let (key, _) = codec::meta_of(&object);
                if self.current(&key).is_some() {
                    let resource = &self.kind.resource;
                    return Err(ApiError::already_exists(resource.group, resource.plural, &key.name));
                }
                self.shares.allocate(None, &mut object)?;
                let step = self.step(None, &object, codec::encode(&object), Outcome::Created);
                self.charged(step, Operation::Create, Part::Main, writer, Some(&object), None)
            }
            WriteOp::Edit(edit) => self.edit(&edit, writer),
            WriteOp::Put { held: token, part, mut object, warnings } => {
                let (key, _) = codec::meta_of(&object);
                let held = self.required(&key)?;
                if held.token != token {
                    let resource = &self.kind.resource;
                    return Err(ApiError::modified(resource.group, resource.plural, &key.name));
                }
                let old = self.kind.read(&held);
                self.shares.allocate(Some(&old), &mut object)?;
                let step = self.settle(held, &object, Outcome::Updated);
                let mut decision = self.charged(step, Operation::Update, part, writer, Some(&object), Some(&old))?;
                decision.warnings = warnings;
                Ok(decision)
            }
            WriteOp::Delete { key, options } => {
                let held = self.required(&key)?;
                let old = self.kind.read(&held);
                let removal = remove::decide(&self.kind, &old, &options, time::now())?;
                let attributes = attributes(&self.kind, Operation::Delete, Part::Main, &key, writer);
                let warnings = self.admission.validate(&attributes, None, Some(&old))?;
                let step = if removal.outcome == Outcome::Deleted {
                    let encoded = codec::encode(&removal.object);
                    self.step(Some(held), &removal.object, encoded, Outcome::Deleted)
                } else {
                    self.settle(held, &removal.object, Outcome::Deleting)
                };
                let mut decision = self.charged(step, Operation::Delete, Part::Main, writer, Some(&removal.object), Some(&old))?;
                decision.merge(self.kind.rules.amended && options.resource_version.is_none());
                decision.warnings = warnings;
                Ok(decision)
            }
        }
    }

    /// An edit that nobody outside of the server has to be asked about.
    fn edit(&mut self, edit: &Edit, writer: &Writer) -> Result<Decision, ApiError> {
        let held = self.required(&edit.key)?;
        let old = self.kind.read(&held);
        let kind = self.kind.clone();
        let (mut body, mut warnings) = stages::proposed(&kind, edit, &old, writer)?;
        let attributes = attributes(&kind, Operation::Update, edit.part, &edit.key, writer);
        warnings.extend(self.admission.mutate(&attributes, &mut body, Some(&old))?);
        warnings.extend(deduplicate(&mut body, Found::AfterMutation));
        let mut new = prepare_update(&kind, edit.part, &old, body)?;
        Act { kind: &kind, part: edit.part, writer, forms: &Forms::here(&kind) }.merged(&old, &mut new);
        self.shares.allocate(Some(&old), &mut new)?;
        warnings.extend(self.admission.validate(&attributes, Some(&new), Some(&old))?);
        warnings.extend((kind.rules.warnings)(&new, Some(&old)));
        let step = self.settle(held, &new, Outcome::Updated);
        let mut decision = self.charged(step, Operation::Update, edit.part, writer, Some(&new), Some(&old))?;
        decision.merge(kind.rules.amended && edit.part == Part::Main && edit.is_unversioned());
        decision.warnings = warnings;
        Ok(decision)
    }

    /// The decision with what has to happen in the same commit.
    fn charged(
        &self,
        mut step: Step,
        operation: Operation,
        part: Part,
        writer: &Writer,
        new: Option<&Value>,
        old: Option<&Value>,
    ) -> Result<Decision, ApiError> {
        if let Step::Write(write) = &mut step {
            let attributes = attributes(&self.kind, operation, part, &write.state.key, writer);
            // What goes for good is given back; what only waits for its end is still there.
            let new = new.filter(|_| write.outcome != Outcome::Deleted);
            write.charges = self.admission.charges(&attributes, new, old)?;
        }
        Ok(Decision { step, warnings: Vec::new() })
    }

    /// An update that changes nothing is not written; one that takes the last finalizer of a deleted object removes it.
    fn settle(&self, held: Arc<Entry>, new: &Value, outcome: Outcome) -> Step {
        let encoded = codec::encode(new);
        if remove::complete(&self.kind, new) {
            return self.step(Some(held), new, encoded, Outcome::Deleted);
        }
        if encoded.0 == held.body {
            return Step::Nothing(held);
        }
        self.step(Some(held), new, encoded, outcome)
    }

    fn step(&self, held: Option<Arc<Entry>>, object: &Value, encoded: (Bytes, u32), outcome: Outcome) -> Step {
        Step::Write(Box::new(Write { held, state: State::of(&self.kind, object, encoded), outcome, merges: false, charges: Vec::new() }))
    }

    /// Answers a write that changes nothing. When it rests on a state that is not durable yet, the answer waits for that.
    fn unchanged(&self, entry: Arc<Entry>, warnings: Vec<String>, reply: Reply) {
        if entry.revision > 0 {
            let _ = reply.send(Ok(Written { entry, outcome: Outcome::Unchanged, warnings }));
            return;
        }
        let (kind, shelf, key) = (self.kind.clone(), self.shelf.clone(), entry.key.clone());
        let check = Change {
            shelf: shelf.clone(),
            key: key.clone(),
            expect: Expect::Token(entry.token),
            op: Op::Check(Guard::Custom(Arc::new(|_| Ok(())))),
            token: 0,
        };
        let answer = Box::new(move |result: Result<Vec<Arc<Entry>>, CommitError>| {
            let stored = result.map_err(|e| commit_error(&kind, e)).and_then(|_| {
                let gone = || ApiError::not_found(kind.resource.group, kind.resource.plural, &key.name);
                shelf.snapshot().get(&key).cloned().ok_or_else(gone)
            });
            let _ = reply.send(stored.map(|entry| Written { entry, outcome: Outcome::Unchanged, warnings }));
        });
        self.hand_over(Commit { changes: vec![check], reply: answer });
    }

    fn submit(&mut self, write: Write, warnings: Vec<String>, reply: Reply) {
        let Write { held, state, outcome, merges, charges } = write;
        let key = state.key.clone();
        let token = self.committer.next_token();
        let mut changes = Vec::with_capacity(2 + charges.len());
        if outcome == Outcome::Created && self.kind.resource.namespaced {
            changes.push(Change {
                shelf: self.namespaces.clone(),
                key: ObjectKey::new("", key.namespace.clone()),
                expect: Expect::Any,
                op: Op::Check(Guard::Custom(self.namespace_guard(&key))),
                token: 0,
            });
        }
        let deleted = outcome == Outcome::Deleted;
        let op = match deleted {
            true => Op::Delete(state.draft()),
            false if merges => Op::Amend(stages::merging(self.kind.clone(), state.draft())),
            false => Op::Put(state.draft()),
        };
        let expect = match &held {
            Some(_) if merges => Expect::Any,
            held => held.as_ref().map_or(Expect::Absent, |entry| Expect::Token(entry.token)),
        };
        // The object comes first among the entries that the committer answers with.
        changes.push(Change { shelf: self.shelf.clone(), key: key.clone(), expect, op, token });
        changes.extend(charges);
        let settled = Arc::new(AtomicBool::new(false));
        if self.pending.len() >= SWEEP_AT {
            self.pending.retain(|_, p| !p.settled.load(Ordering::Acquire));
        }
        let entry = (!deleted).then(|| Arc::new(state.into_entry(0, token)));
        let given_back = self.take_shares(held.as_deref(), entry.as_deref());
        self.pending.insert(key, Pending { entry, settled: settled.clone() });
        let kind = self.kind.clone();
        let answer = Box::new(move |result: Result<Vec<Arc<Entry>>, CommitError>| {
            settled.store(true, Ordering::Release);
            if let (Err(_), Some(give_back)) = (&result, given_back) {
                give_back();
            }
            let result = result.map_err(|e| commit_error(&kind, e)).and_then(|entries| {
                let entry = entries.into_iter().next().ok_or_else(|| ApiError::internal("the commit answered without an object"))?;
                Ok(Written { entry, outcome, warnings })
            });
            let _ = reply.send(result);
        });
        self.hand_over(Commit { changes, reply: answer });
    }

    /// Takes the shares of a write that is on its way; what is answered gives them back when it fails.
    fn take_shares(&self, old: Option<&Entry>, new: Option<&Entry>) -> Option<impl FnOnce() + Send + use<>> {
        if !self.shares.is_kept() {
            return None;
        }
        let (old, new) = (old.map(Entry::parse), new.map(Entry::parse));
        self.shares.observe(old.as_ref(), new.as_ref());
        let shares = self.shares.clone();
        Some(move || shares.observe(new.as_ref(), old.as_ref()))
    }

    fn hand_over(&self, commit: Commit) {
        if let Err(refused) = self.committer.submit(commit) {
            (refused.reply)(Err(CommitError::Refused("too many writes are waiting for the disk".into())));
        }
    }

    /// Nothing is created in a namespace that is missing or going away; checked in the same commit.
    fn namespace_guard(&self, key: &ObjectKey) -> Arc<dyn Fn(Option<&Entry>) -> Result<(), ApiError> + Send + Sync> {
        let kind = self.kind.clone();
        let key = key.clone();
        Arc::new(move |namespace| match namespace {
            None => Err(ApiError::not_found("", "namespaces", &key.namespace)),
            Some(held) if held.meta.deleting.is_some() => Err(terminating(&kind, &key)),
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

/// A request as admission sees it.
pub(super) fn attributes<'a>(kind: &'a Kind, operation: Operation, part: Part, key: &'a ObjectKey, writer: &'a Writer) -> Attributes<'a> {
    let options = &*writer.options;
    Attributes { kind, operation, subresource: part.subresource(), key, user: &writer.user, dry_run: writer.dry_run, options }
}

fn verb_of(op: &WriteOp) -> &'static str {
    match op {
        WriteOp::Create(_) => "create",
        WriteOp::Edit(edit) if matches!(edit.body, EditBody::Patch { .. }) => "patch",
        WriteOp::Edit(_) | WriteOp::Put { .. } => "update",
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

//! How a write reaches the owner of its kind.
use super::actor::{attributes, decode_error};
use super::outside::Decided;
use super::owner_references::{Found, deduplicate};
use super::tracking::{Act, Intent};
use super::{
    Admission, DeleteOptions, Edit, EditBody, FieldValidation, Forms, Kind, KindMessage, Kinds, Operation, Part, Patch, Served, WriteOp,
    WriteRequest, Writer, Written, begin_create,
};
use crate::actors::base::AskError;
use crate::protocol::codec::{self, Checked};
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use crate::protocol::time;
use crate::storage::Entry;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Bounds of the write path.
#[derive(Clone, Copy, Debug)]
pub struct WriteLimits {
    /// Letters waiting at one kind actor.
    pub mailbox: usize,
    /// How long a writer waits for its commit.
    pub patience: Duration,
}

impl Default for WriteLimits {
    fn default() -> Self {
        WriteLimits { mailbox: 4096, patience: Duration::from_secs(30) }
    }
}

/// How often a name is made up anew when it is taken already, as upstream does.
const GENERATED_NAME_TRIES: usize = 8;
/// How often an edit that webhooks are asked about is decided anew when the object changed meanwhile, as upstream does.
pub(super) const EDIT_TRIES: usize = 5;

impl Kinds {
    /// Creates an object from a decoded body, on the server's own behalf; answers once it is durable.
    pub async fn create(&self, served: &Served, namespace: &str, body: Value, dry_run: bool) -> Result<Written, ApiError> {
        self.create_as(served, namespace, body, &Writer { dry_run, ..self.server.clone() }).await
    }

    /// Replaces an object (or one of its parts) with a decoded body, on the server's own behalf.
    pub async fn update(&self, served: &Served, key: ObjectKey, part: Part, body: Value, dry_run: bool) -> Result<Written, ApiError> {
        let edit = Edit { key, part, body: EditBody::Update(Box::new(body)) };
        self.edit_as(served, edit, &Writer { dry_run, ..self.server.clone() }).await
    }

    /// Patches an object (or one of its parts), on the server's own behalf. `strict` refuses unknown fields.
    pub async fn patch(
        &self,
        served: &Served,
        key: ObjectKey,
        part: Part,
        patch: Patch,
        strict: bool,
        dry_run: bool,
    ) -> Result<Written, ApiError> {
        let validation = if strict { FieldValidation::Strict } else { FieldValidation::Ignore };
        let edit = Edit { key, part, body: EditBody::Patch { patch, validation } };
        self.edit_as(served, edit, &Writer { dry_run, ..self.server.clone() }).await
    }

    /// Deletes an object, or marks it, on the server's own behalf.
    pub async fn delete(&self, served: &Served, key: ObjectKey, options: DeleteOptions, dry_run: bool) -> Result<Written, ApiError> {
        self.delete_as(served, key, options, &Writer { dry_run, ..self.server.clone() }).await
    }

    /// What stands between requests and the store, for requests that write nothing.
    pub fn admission(&self) -> &dyn Admission {
        &*self.admission
    }

    /// Creates an object from a decoded body; answers once it is durable. The body is of `served`, whichever version that is, and so is
    /// what admission sees and the rules are about; the answer is as it is stored.
    pub async fn create_as(&self, served: &Served, namespace: &str, mut body: Value, writer: &Writer) -> Result<Written, ApiError> {
        let kind = &served.kind;
        begin_create(kind, namespace, &mut body)?;
        let warning = deduplicate(&mut body, Found::InRequest);
        if kind.reading().is_some_and(|reading| reading.asks()) {
            let tracked = |forms: &Forms<'_>| {
                let mut body = body.clone();
                Act { kind, part: Part::Main, writer, forms }.created(&mut body);
                body
            };
            body = Forms::of(kind).complete(false, tracked).await?;
        } else {
            Act { kind, part: Part::Main, writer, forms: &Forms::here(kind) }.created(&mut body);
        }
        let mut written = self.create_begun(served, namespace, body, writer).await?;
        written.warnings.splice(0..0, warning);
        Ok(written)
    }

    /// Creates an object from a configuration that was applied to a name which nothing has.
    async fn create_applied(&self, served: &Served, key: &ObjectKey, intent: &Intent<'_>, writer: &Writer) -> Result<Written, ApiError> {
        let kind = &served.kind;
        let applied = |forms: &Forms<'_>| Act { kind, part: Part::Main, writer, forms }.applied(None, intent);
        let (mut body, record, warnings) = Forms::of(kind).complete(true, applied).await??;
        begin_create(kind, &key.namespace, &mut body)?;
        if let Some(record) = record {
            record.finish(None, &mut body);
        }
        let mut written = self.create_begun(served, &key.namespace, body, writer).await?;
        written.warnings.extend(warnings);
        Ok(written)
    }

    /// The rest of a create: the body is defaulted and tracked.
    async fn create_begun(&self, served: &Served, namespace: &str, mut body: Value, writer: &Writer) -> Result<Written, ApiError> {
        let kind = &served.kind;
        let given = |field: &str| body["metadata"][field].as_str().is_some_and(|t| !t.is_empty());
        let generated = !given("name") && given("generateName");
        let key = ObjectKey::new(namespace, body["metadata"]["name"].as_str().unwrap_or_default());
        let attributes = attributes(kind, Operation::Create, Part::Main, &key, writer);
        let mut warnings = self.admission.mutate(&attributes, &mut body, None)?;
        let asks = self.admission.asks(&attributes);
        if asks {
            let (mutated, more) = self.admission.ask_mutating(attributes, body, None).await?;
            warnings.extend(more);
            body = redecoded(kind, mutated)?;
            kind.default(&mut body);
        }
        warnings.extend(deduplicate(&mut body, Found::AfterMutation));
        for _ in 1..GENERATED_NAME_TRIES {
            if !generated {
                break;
            }
            match self.create_once(served, body.clone(), &warnings, asks, writer).await {
                Err(error) if error.reason == "AlreadyExists" => {}
                outcome => return outcome,
            }
        }
        self.create_once(served, body, &warnings, asks, writer).await
    }

    async fn create_once(
        &self,
        served: &Served,
        body: Value,
        warnings: &[String],
        asks: bool,
        writer: &Writer,
    ) -> Result<Written, ApiError> {
        let kind = &served.kind;
        let (uid, random) = fresh_identity()?;
        let now = time::rfc3339(time::now());
        let owner = self.view_owner(served)?;
        let decided = Decided::new_object(kind, owner.as_deref(), body, &now, (&uid, random), &writer.user)?;
        let object = &decided.shown;
        let (key, _) = codec::meta_of(object);
        let attributes = attributes(kind, Operation::Create, Part::Main, &key, writer);
        let mut warnings = warnings.to_vec();
        warnings.extend(self.admission.validate(&attributes, Some(object), None)?);
        if asks {
            warnings.extend(self.admission.ask_validating(attributes, Some(object), None).await?.1);
        }
        warnings.extend((kind.rules.warnings)(object, None));
        let object = decided.stored(kind).await?;
        let mut written = self.write(served, WriteOp::Create(Box::new(object)), writer).await?;
        written.warnings = warnings;
        Ok(written)
    }

    /// Updates or patches an object, or one of its parts. An apply creates what is not there; so does an update of some kinds. As with
    /// creating, everything but what is stored and answered is in the version of `served`.
    pub async fn edit_as(&self, served: &Served, edit: Edit, writer: &Writer) -> Result<Written, ApiError> {
        let asks = self.admission.asks(&attributes(&served.kind, Operation::Update, edit.part, &edit.key, writer));
        let creates = edit.part == Part::Main
            && match &edit.body {
                EditBody::Update(body) => served.kind.rules.create_on_update && unversioned(body),
                EditBody::Patch { patch: Patch::Apply { config, .. }, .. } => unversioned(config),
                _ => false,
            };
        let spare = creates.then(|| edit.clone());
        let outcome = match asks || served.kind.is_other_form() {
            true => self.edit_outside(served, edit, asks, writer).await,
            false => self.edit_alone(served, edit, writer).await,
        };
        let Some(edit) = spare.filter(|_| matches!(&outcome, Err(error) if error.code == 404)) else { return outcome };
        self.admission.may_create(&attributes(&served.kind, Operation::Create, Part::Main, &edit.key, writer))?;
        match &edit.body {
            EditBody::Patch { patch: Patch::Apply { config, force }, validation } => {
                let intent = Intent { config, force: *force, validation: *validation };
                self.create_applied(served, &edit.key, &intent, writer).await
            }
            EditBody::Update(body) => self.create_as(served, &edit.key.namespace, (**body).clone(), writer).await,
            _ => outcome,
        }
    }

    /// An edit that the kind's actor decides by itself. One that names no version is decided anew when the state that it was made
    /// for never came to be.
    async fn edit_alone(&self, served: &Served, edit: Edit, writer: &Writer) -> Result<Written, ApiError> {
        let (tries, edit) = (if edit.is_unversioned() { EDIT_TRIES } else { 1 }, Arc::new(edit));
        for _ in 1..tries {
            match self.write(served, WriteOp::Edit(edit.clone()), writer).await {
                Err(error) if error.is_modified() => {}
                outcome => return outcome,
            }
        }
        self.write(served, WriteOp::Edit(edit), writer).await
    }

    /// Deletes an object, or marks it.
    pub async fn delete_as(
        &self,
        served: &Served,
        key: ObjectKey,
        mut options: DeleteOptions,
        writer: &Writer,
    ) -> Result<Written, ApiError> {
        let attributes = attributes(&served.kind, Operation::Delete, Part::Main, &key, writer);
        let mut warnings = Vec::new();
        if self.admission.asks(&attributes) {
            let old = served.kind.read_as(&*self.held(served, &key).await?).await?;
            warnings = self.admission.ask_validating(attributes, None, Some(&old)).await?.1;
            // What was asked about is what goes, or nothing.
            options.uid = options.uid.or_else(|| old["metadata"]["uid"].as_str().map(String::from));
        }
        let mut written = self.delete_unasked(served, key, options, writer).await?;
        written.warnings.extend(warnings);
        Ok(written)
    }

    /// Deletes an object, or marks it, when webhooks and policies have been asked about what brings this about.
    pub async fn delete_unasked(
        &self,
        served: &Served,
        key: ObjectKey,
        options: DeleteOptions,
        writer: &Writer,
    ) -> Result<Written, ApiError> {
        self.write(served, WriteOp::Delete { key, options }, writer).await
    }

    /// The newest state of an object, durable or not.
    pub(super) async fn held(&self, served: &Served, key: &ObjectKey) -> Result<Arc<Entry>, ApiError> {
        let ask = served.mailbox.ask(self.limits.patience, |reply| KindMessage::Held(key.clone(), reply));
        let resource = &served.kind.resource;
        ask.await.map_err(unanswered)?.ok_or_else(|| ApiError::not_found(resource.group, resource.plural, &key.name))
    }

    pub(super) async fn write(&self, served: &Served, op: WriteOp, writer: &Writer) -> Result<Written, ApiError> {
        let writer = writer.clone();
        let ask = served.mailbox.ask(self.limits.patience, |reply| KindMessage::Write(Box::new(WriteRequest { op, writer, reply })));
        ask.await.map_err(unanswered)?
    }
}

/// A kind actor that could not be asked.
fn unanswered(error: AskError) -> ApiError {
    match error {
        AskError::Full(_) => ApiError::new(429, "TooManyRequests", error.to_string()),
        AskError::Timeout(_) => ApiError::timeout(error.to_string()),
        _ => ApiError::unavailable(format!("{error}; nothing was acknowledged, try again")),
    }
}

/// What webhooks made of an object, decoded again: they can bring in nothing that a client could not.
pub(super) fn redecoded(kind: &Kind, object: Value) -> Result<Value, ApiError> {
    Ok(kind.check_value(&object).map_err(|e| decode_error(&e))?.value)
}

/// Whether an update says nothing about the state that it means to replace.
fn unversioned(body: &Value) -> bool {
    ["resourceVersion", "uid"].iter().all(|f| body["metadata"][*f].as_str().is_none_or(str::is_empty))
}

impl Served {
    /// Decodes a body of this kind, with the API's errors.
    pub fn decode(&self, body: &[u8]) -> Result<Checked, ApiError> {
        self.kind.check(body).map_err(|e| super::actor::decode_error(&e))
    }

    /// The same for a body that was never text.
    pub fn decode_value(&self, body: &Value) -> Result<Checked, ApiError> {
        self.kind.check_value(body).map_err(|e| super::actor::decode_error(&e))
    }

    /// The error that `fieldValidation=Strict` makes of what was found in a body.
    pub fn strict(&self, findings: &[String]) -> Option<ApiError> {
        self.kind.strict_error(findings).map(|e| ApiError::bad_request(e.to_string()))
    }

    /// What `fieldValidation=Warn` says about it.
    pub fn warnings(&self, checked: &Checked) -> Vec<String> {
        checked.findings()
    }
}

/// A random UUID (version 4) and five random bytes for a generated name.
fn fresh_identity() -> Result<(String, [u8; 5]), ApiError> {
    let mut bytes = [0u8; 21];
    getrandom::fill(&mut bytes).map_err(|e| ApiError::internal(format!("no randomness to be had: {e}")))?;
    let mut uid = [0u8; 16];
    uid.copy_from_slice(&bytes[..16]);
    uid[6] = (uid[6] & 0x0f) | 0x40;
    uid[8] = (uid[8] & 0x3f) | 0x80;
    let hex = hex::encode(uid);
    let uid = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    let mut random = [0u8; 5];
    random.copy_from_slice(&bytes[16..]);
    Ok((uid, random))
}

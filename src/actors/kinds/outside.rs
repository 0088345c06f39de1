//! Writes that are decided outside of the actor that owns the objects: because others have a say in them, or because objects are stored
//! in another form than the request's. Everything is in the request's version until the store needs it otherwise.
use super::actor::attributes;
use super::cluster::{EDIT_TRIES, redecoded};
use super::owner_references::{Found, deduplicate};
use super::tracking::Act;
use super::{
    Edit, EditBody, Forms, Kind, Kinds, Operation, Part, Patch, Served, View, WriteOp, Writer, Written, prepare_create, prepare_update,
    stages,
};
use crate::protocol::status::{ApiError, FieldError};
use crate::protocol::user::User;
use crate::storage::Entry;
use serde_json::Value;
use std::sync::Arc;

/// A state that was decided on.
pub(super) struct Decided {
    /// As the request's kind shows it.
    pub shown: Value,
    /// As it is stored, if that is known already: the rules of a view are those of the stored kind, so they have seen it in that form.
    stored: Option<Value>,
}

impl Decided {
    /// Makes an admitted body a new object. `owner` is the stored kind of a view.
    pub fn new_object(
        kind: &Kind,
        owner: Option<&Served>,
        body: Value,
        now: &str,
        (uid, random): (&str, [u8; 5]),
        user: &User,
    ) -> Result<Decided, ApiError> {
        let Some((view, owner)) = kind.view.zip(owner) else {
            let mut shown = prepare_create(kind, body, now, uid, random)?;
            (kind.rules.requester)(&mut shown, user);
            return Ok(Decided { shown, stored: None });
        };
        // A view may be stricter than the stored kind, as the newer events are.
        refuse(kind, &body, kind.validate_create(&body))?;
        let mut stored = prepare_create(&owner.kind, as_stored(view, &owner.kind, body), now, uid, random)?;
        (owner.kind.rules.requester)(&mut stored, user);
        Ok(Decided { shown: as_shown(kind, &stored), stored: Some(stored) })
    }

    /// Makes an admitted body the next state of `held`, which the kind shows as `old`.
    fn next_state(kind: &Kind, owner: Option<&Served>, part: Part, held: &Entry, old: &Value, body: Value) -> Result<Decided, ApiError> {
        let Some((view, owner)) = kind.view.zip(owner) else {
            return Ok(Decided { shown: prepare_update(kind, part, old, body)?, stored: None });
        };
        if part == Part::Main {
            refuse(kind, old, kind.validate_update(&body, old))?;
        }
        let before = owner.kind.read(held);
        let unchanged = body == *old;
        let after = prepare_update(&owner.kind, part, &before, as_stored(view, &owner.kind, body))?;
        // A view's spelling of the same is no change.
        let stored = if unchanged { before } else { after };
        Ok(Decided { shown: as_shown(kind, &stored), stored: Some(stored) })
    }

    /// What goes to the store.
    pub async fn stored(self, kind: &Kind) -> Result<Value, ApiError> {
        match self.stored {
            Some(stored) => Ok(stored),
            None => kind.stored(self.shown).await,
        }
    }
}

fn as_stored(view: &View, owner: &Kind, mut object: Value) -> Value {
    (view.to_stored)(&mut object);
    owner.default(&mut object);
    object
}

fn as_shown(kind: &Kind, stored: &Value) -> Value {
    let mut shown = stored.clone();
    kind.show(&mut shown);
    shown
}

fn refuse(kind: &Kind, object: &Value, errors: Vec<FieldError>) -> Result<(), ApiError> {
    if errors.is_empty() {
        return Ok(());
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    Err(ApiError::invalid(kind.resource.group, kind.resource.kind, name, &errors))
}

impl Kinds {
    /// The kind that the objects of a view are stored as; `None` for kinds that are none.
    pub(super) fn view_owner(&self, served: &Served) -> Result<Option<Arc<Served>>, ApiError> {
        if served.kind.view.is_none() || served.kind.is_removed() {
            return Ok(None);
        }
        let shelf = &served.shelf.name;
        self.by_shelf(shelf).map(Some).ok_or_else(|| ApiError::internal(format!("{shelf} is not served")))
    }

    /// An edit that is decided here, on the newest state, and written if that state still stands; else decided anew. `asks`: webhooks
    /// or policies have a say.
    pub(super) async fn edit_outside(&self, served: &Served, edit: Edit, asks: bool, writer: &Writer) -> Result<Written, ApiError> {
        let mut outcome = Err(ApiError::internal("an edit was not tried"));
        for _ in 0..EDIT_TRIES {
            let held = self.held(served, &edit.key).await?;
            let (object, warnings) = self.decided(served, &edit, &held, asks, writer).await?;
            let put = WriteOp::Put { held: held.token, part: edit.part, object: Box::new(object), warnings };
            outcome = self.write(served, put, writer).await;
            match &outcome {
                Err(error) if error.code == 409 => {}
                _ => break,
            }
        }
        outcome
    }

    /// The state that an edit makes of `held`, as it is stored, with warnings.
    async fn decided(
        &self,
        served: &Served,
        edit: &Edit,
        held: &Entry,
        asks: bool,
        writer: &Writer,
    ) -> Result<(Value, Vec<String>), ApiError> {
        let (kind, part) = (&served.kind, edit.part);
        let old = kind.read_as(held).await?;
        let mut forms = Forms::of(kind);
        let applies = matches!(&edit.body, EditBody::Patch { patch: Patch::Apply { .. }, .. });
        let proposed = forms.complete(applies, |forms| stages::proposed_in(forms, kind, edit, &old, writer)).await?;
        let (mut body, mut warnings) = proposed?;
        let attributes = attributes(kind, Operation::Update, part, &edit.key, writer);
        warnings.extend(self.admission.mutate(&attributes, &mut body, Some(&old))?);
        if asks {
            let (mutated, more) = self.admission.ask_mutating(attributes, body, Some(&old)).await?;
            (body, warnings) = (mutated, [warnings, more].concat());
            if matches!(part, Part::Main | Part::Status) {
                body = redecoded(kind, body)?;
                kind.default(&mut body);
            }
        }
        warnings.extend(deduplicate(&mut body, Found::AfterMutation));
        let owner = self.view_owner(served)?;
        let mut decided = Decided::next_state(kind, owner.as_deref(), part, held, &old, body)?;
        if !matches!(part, Part::Main | Part::Status) {
            let merged = |forms: &Forms<'_>| {
                let mut new = decided.shown.clone();
                Act { kind, part, writer, forms }.merged(&old, &mut new);
                new
            };
            decided.shown = forms.complete(false, merged).await?;
        }
        warnings.extend(self.admission.validate(&attributes, Some(&decided.shown), Some(&old))?);
        if asks {
            warnings.extend(self.admission.ask_validating(attributes, Some(&decided.shown), Some(&old)).await?.1);
        }
        warnings.extend((kind.rules.warnings)(&decided.shown, Some(&old)));
        Ok((decided.stored(kind).await?, warnings))
    }
}

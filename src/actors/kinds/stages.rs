//! An edit on its way to the store, as far as it can be told without asking anybody: what the patch makes of the object.
use super::actor::decode_error;
use super::tracking::{Act, Intent};
use super::{Edit, EditBody, FieldValidation, Forms, Kind, Part, Patch, Writer, scale_of};
use crate::protocol::codec;
use crate::protocol::codec::kinds::SCALE;
use crate::protocol::patch::{self, PatchError};
use crate::protocol::status::{ApiError, FieldError};
use crate::storage::{Amendment, Draft};
use serde_json::Value;
use std::sync::Arc;

/// What an edit wants `old` to be: patched, decoded, defaulted and with its fields' managers recorded, not yet admitted. With it what
/// nobody knew in the patch. For kinds whose versions nobody else has to convert.
pub fn proposed(kind: &Kind, edit: &Edit, old: &Value, writer: &Writer) -> Result<(Value, Vec<String>), ApiError> {
    proposed_in(&Forms::here(kind), kind, edit, old, writer)
}

/// [`proposed`] with what is known of other versions.
pub(super) fn proposed_in(
    forms: &Forms<'_>,
    kind: &Kind,
    edit: &Edit,
    old: &Value,
    writer: &Writer,
) -> Result<(Value, Vec<String>), ApiError> {
    let act = Act { kind, part: edit.part, writer, forms };
    let (mut body, warnings) = match &edit.body {
        EditBody::Update(body) => ((**body).clone(), Vec::new()),
        EditBody::Patch { patch: Patch::Apply { config, force }, validation } => {
            let intent = Intent { config, force: *force, validation: *validation };
            let (object, _, warnings) = act.applied(Some(old), &intent)?;
            // What a Scale comes to is told by its replicas; the managers are recorded when they are merged.
            let object = if edit.part == Part::Scale { scale_of(kind, &object) } else { object };
            return Ok((object, warnings));
        }
        EditBody::Patch { patch, validation } => patched(kind, edit.part, old, patch, *validation)?,
    };
    if matches!(edit.part, Part::Main | Part::Status) {
        kind.default(&mut body);
    }
    act.edited(old, &mut body);
    Ok((body, warnings))
}

/// The patched body, decoded again so that a patch cannot bring in what a full update could not.
fn patched(kind: &Kind, part: Part, old: &Value, patch: &Patch, validation: FieldValidation) -> Result<(Value, Vec<String>), ApiError> {
    let scale = (part == Part::Scale).then(|| scale_of(kind, old));
    let target = scale.as_ref().unwrap_or(old);
    let schema = if part == Part::Scale { "Scale" } else { kind.schema };
    let make = || {
        let patched = match patch {
            Patch::Json(patch) => patch::apply_json(target, patch),
            Patch::Merge(patch) => patch::apply_merge(target, patch),
            Patch::Strategic(patch) => patch::apply_strategic(target, patch, schema),
            Patch::Apply { .. } => return Err(ApiError::internal("an apply is no patch of the object")),
        };
        patched.map_err(|e| patch_error(kind, old, e))
    };
    let patched = make()?;
    let checked = match part {
        Part::Scale => SCALE.check_value(&patched),
        Part::Status => kind.check_status(patched, old),
        _ => kind.check_value(&patched),
    };
    let checked = checked.map_err(|e| decode_error(&e))?;
    if validation == FieldValidation::Strict
        && let findings = checked.findings()
        && !findings.is_empty()
    {
        let value = match patch {
            Patch::Strategic(patch) => patch::printed(patch),
            _ => make()?.to_string(),
        };
        let why = format!("strict decoding error: {}", findings.join(", "));
        return Err(ApiError::invalid("", "", "", &[FieldError::invalid("patch", value, why)]));
    }
    let warnings = if validation == FieldValidation::Warn { checked.findings() } else { Vec::new() };
    Ok((checked.value, warnings))
}

fn patch_error(kind: &Kind, old: &Value, error: PatchError) -> ApiError {
    let name = old["metadata"]["name"].as_str().unwrap_or_default();
    let mut error = error.to_api_error();
    if let Some(details) = &mut error.details {
        (details.group, details.kind, details.name) = (kind.resource.group.into(), kind.resource.kind.into(), name.into());
    }
    error
}

/// The amendment that writes a state with the status that the object has by then.
pub(super) fn merging(kind: Arc<Kind>, draft: Draft) -> Arc<Amendment> {
    Arc::new(move |newest| {
        if newest.meta.uid != draft.meta.uid {
            return Err(ApiError::modified(kind.resource.group, kind.resource.plural, &newest.key.name));
        }
        let Ok(mut object) = serde_json::from_slice::<Value>(&draft.body) else { return Ok(Some(draft.clone())) };
        let mut newest = newest.parse();
        if let Some(members) = object.as_object_mut() {
            match newest.get_mut("status").map(Value::take) {
                Some(status) => members.insert("status".into(), status),
                None => members.remove("status"),
            };
        }
        let (body, splice) = codec::encode(&object);
        let (_, meta) = codec::meta_of(&object);
        Ok(Some(Draft { body, splice, meta, light: draft.light.clone() }))
    })
}

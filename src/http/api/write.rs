//! The verbs that change something: bodies are parsed here, on the HTTP thread, and sent to the kind's actor.
use super::bodies::{GivenPatch, decoded, json_body, options_body, patch_of, refused_twice, typed_body};
use super::gateway::{Answer, ApiRequest, Call, Gateway};
use super::late;
use super::list::Selection;
use super::options::{delete_options, invalid_options};
use super::path::Target;
use super::render;
use super::view::{shown, shown_one};
use crate::actors::kinds::{Edit, EditBody, FieldValidation, Outcome, Part, Served, Writer, Written, scale_of};
use crate::protocol::codec::kinds::SCALE;
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::{ApiError, FieldError};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::sync::Arc;

impl Gateway {
    pub(super) async fn create(&self, call: &Call<'_>) -> Result<Answer, ApiError> {
        let Call { served, request, query, target, .. } = *call;
        match target.subresource.as_str() {
            "" if target.name.is_empty() => {}
            "binding" => return self.bind(call).await,
            "eviction" => return self.evict(call).await,
            _ => return Err(ApiError::method_not_supported(&target.group, &target.resource, "create")),
        }
        let writer = writer(call, "CreateOptions")?;
        let validation = query.field_validation("CreateOptions")?;
        let (value, warnings) = decoded(served, typed_body(request)?, validation)?;
        let written = self.create_in(served, value, &target.namespace, &writer).await?;
        answer(call, written, warnings)
    }

    pub(super) async fn bind(&self, call: &Call<'_>) -> Result<Answer, ApiError> {
        let Call { served, request, target, .. } = *call;
        let body: Value = serde_json::from_slice(&json_body(request)?).map_err(|e| ApiError::bad_request(e.to_string()))?;
        let key = ObjectKey::new(target.namespace.as_str(), target.name.as_str());
        let body = json!({ "metadata": { "uid": body["metadata"]["uid"] }, "target": body["target"] });
        let edit = Edit { key, part: Part::Binding, body: EditBody::Update(Box::new(body)) };
        self.kinds.edit_as(served, edit, &writer(call, "CreateOptions")?).await?;
        let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 });
        render::document(201, &status, &request.accept)
    }

    pub(super) async fn update(&self, call: &Call<'_>) -> Result<Answer, ApiError> {
        let Call { served, request, query, target, .. } = *call;
        let part = part_of(target)?;
        let writer = writer(call, "UpdateOptions")?;
        let validation = query.field_validation("UpdateOptions")?;
        let (value, warnings) = match part {
            Part::Scale => (SCALE.check(&json_body(request)?).map_err(|e| ApiError::bad_request(e.to_string()))?.value, Vec::new()),
            _ => decoded(served, typed_body(request)?, validation)?,
        };
        check_name(&value, target)?;
        let key = ObjectKey::new(target.namespace.as_str(), target.name.as_str());
        check_version(served, part, &key, &value)?;
        let edit = Edit { key, part, body: EditBody::Update(Box::new(value)) };
        let written = self.edit_in(served, edit, &writer).await?;
        part_answer(call, part, written, warnings)
    }

    pub(super) async fn patch(&self, call: &Call<'_>) -> Result<Answer, ApiError> {
        let Call { served, query, target, .. } = *call;
        let part = part_of(target)?;
        let GivenPatch { patch, twice } = patch_of(call)?;
        let validation = query.field_validation("PatchOptions")?;
        let writer = writer(call, "PatchOptions")?;
        let key = ObjectKey::new(target.namespace.as_str(), target.name.as_str());
        if !twice.is_empty() && validation == FieldValidation::Strict {
            // Whatever else is wrong comes first.
            let writer = Writer { dry_run: true, ..writer };
            let edit = Edit { key, part, body: EditBody::Patch { patch: patch.clone(), validation: FieldValidation::Warn } };
            let wanted = self.edit_in(served, edit, &writer).await?;
            return Err(refused_twice(&patch, &twice, &wanted));
        }
        let edit = Edit { key, part, body: EditBody::Patch { patch, validation } };
        let written = self.edit_in(served, edit, &writer).await?;
        part_answer(call, part, written, if validation == FieldValidation::Warn { twice } else { Vec::new() })
    }

    pub(super) async fn delete(&self, call: &Call<'_>) -> Result<Answer, ApiError> {
        let Call { served, request, query, target, .. } = *call;
        let (options, dry_run, said) = delete_options(&options_body(request)?, query)?;
        let key = ObjectKey::new(target.namespace.as_str(), target.name.as_str());
        let writer = Writer { dry_run, options: said, ..writer(call, "DeleteOptions")? };
        let written = self.kinds.delete_as(&*self.written_as(served)?, key, options, &writer).await?;
        let written = Written { entry: shown_one(&served.kind, &written.entry).await?, ..written };
        if written.outcome == Outcome::Deleted && !served.kind.resource.returns_deleted() {
            return deleted_status(served, &written, request);
        }
        answer(call, Written { outcome: Outcome::Updated, ..written }, Vec::new())
    }

    pub(super) async fn delete_collection(&self, call: &Call<'_>) -> Result<Answer, ApiError> {
        let Call { served, request, query, target, .. } = *call;
        let (options, dry_run, said) = delete_options(&options_body(request)?, query)?;
        let writer = &Writer { dry_run, options: said, ..writer(call, "DeleteOptions")? };
        let selection = Selection::parse(&served.kind, &target.namespace, "", query)?;
        let written_as = &self.written_as(served)?;
        let (revision, snapshot) = self.kinds.shelves.read(&served.shelf);
        let (mut entries, _) = super::read::page(&snapshot, &selection, None, 0);
        if selection.late.is_some() {
            entries = late::selected(shown(&served.kind, entries).await?, &selection);
        }
        // Several at a time, so that they share the disk's syncs.
        for some in entries.chunks(DELETIONS_AT_ONCE) {
            let deletions: Vec<_> =
                some.iter().map(|entry| self.kinds.delete_as(written_as, entry.key.clone(), options.clone(), writer)).collect();
            for outcome in join_all(deletions).await {
                match outcome {
                    Err(error) if error.code != 404 => return Err(error),
                    _ => {}
                }
            }
        }
        let revision = revision.to_string();
        let meta = crate::protocol::table::ListMeta { resource_version: &revision, ..Default::default() };
        let entries = shown(&served.kind, entries).await?;
        render::list(&served.kind, &render::Page { entries: &entries, meta }, &request.accept, query)
    }
}

/// A field manager's name may be this long.
const MAX_MANAGER: usize = 128;

/// Who writes, as the request says it.
pub(super) fn writer(call: &Call<'_>, options: &str) -> Result<Writer, ApiError> {
    let given = call.query.get("fieldManager");
    if given.len() > MAX_MANAGER {
        let error = FieldError::invalid("fieldManager", given, format!("may not be more than {MAX_MANAGER} bytes"));
        return Err(invalid_options(options, &[error]));
    }
    if let Some(bad) = given.chars().find(|c| c.is_control()) {
        let error = FieldError::invalid("fieldManager", given, format!("should only contain printable characters, not {bad:?}"));
        return Err(invalid_options(options, &[error]));
    }
    let agent = call.request.user_agent.split('/').next().unwrap_or_default();
    let manager: Arc<str> = match given {
        "" => agent.chars().filter(|c| !c.is_control()).take(MAX_MANAGER).collect::<String>().into(),
        given => given.into(),
    };
    Ok(Writer { user: call.user.clone(), manager, dry_run: call.query.dry_run(options)?, options: call.query.write_options() })
}

/// How many deletions of a collection are under way at the same time.
const DELETIONS_AT_ONCE: usize = 64;

/// The `Status` that a finished delete is answered with.
fn deleted_status(served: &Served, written: &Written, request: &ApiRequest) -> Result<Answer, ApiError> {
    let resource = &served.kind.resource;
    let mut details = json!({ "name": &*written.entry.key.name, "kind": resource.plural, "uid": &*written.entry.meta.uid });
    if !resource.group.is_empty() {
        details["group"] = resource.group.into();
    }
    let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details });
    render::document(200, &status, &request.accept)
}

fn answer(call: &Call<'_>, written: Written, mut warnings: Vec<String>) -> Result<Answer, ApiError> {
    let Call { served, request, query, .. } = *call;
    let mut answer = render::object(&served.kind, &written.entry, &request.accept, query, render::code_of(written.outcome))?;
    warnings.extend(written.warnings);
    answer.warnings = warnings;
    Ok(answer)
}

fn part_answer(call: &Call<'_>, part: Part, written: Written, warnings: Vec<String>) -> Result<Answer, ApiError> {
    if part == Part::Scale {
        return render::document(200, &scale_of(&call.served.kind, &written.entry.parse()), &call.request.accept);
    }
    answer(call, written, warnings)
}

fn part_of(target: &Target) -> Result<Part, ApiError> {
    match target.subresource.as_str() {
        "" => Ok(Part::Main),
        "status" => Ok(Part::Status),
        "scale" => Ok(Part::Scale),
        "finalize" => Ok(Part::Finalize),
        "approval" => Ok(Part::Approval),
        "ephemeralcontainers" => Ok(Part::EphemeralContainers),
        "resize" => Ok(Part::Resize),
        other => Err(ApiError::method_not_supported(&target.group, &format!("{}/{other}", target.resource), "update")),
    }
}

/// Objects of some kinds are only replaced by who says which state of them is meant.
fn check_version(served: &Served, part: Part, key: &ObjectKey, value: &Value) -> Result<(), ApiError> {
    let silent = value["metadata"]["resourceVersion"].as_str().is_none_or(|v| matches!(v, "" | "0"));
    if served.kind.rules.unconditional
        || !silent
        || !matches!(part, Part::Main | Part::Status)
        || served.shelf.snapshot().get(key).is_none()
    {
        return Ok(());
    }
    let error = FieldError::invalid("metadata.resourceVersion", 0, "must be specified for an update");
    // Upstream names the resource here, where it names the kind otherwise.
    let resource = &served.kind.resource;
    Err(ApiError::invalid(resource.group, resource.plural, &key.name, &[error]))
}

/// The body must be about the object that the path names.
fn check_name(value: &Value, target: &Target) -> Result<(), ApiError> {
    let meta = &value["metadata"];
    let refused = |why: String| Err(ApiError::bad_request(why));
    match meta["name"].as_str().unwrap_or_default() {
        "" => return refused("the name of the object (based on URL) was undeterminable: name must be provided".into()),
        name if name != target.name => {
            return refused(format!("the name of the object ({name}) does not match the name on the URL ({})", target.name));
        }
        _ => {}
    }
    match meta["namespace"].as_str().unwrap_or_default() {
        namespace if !namespace.is_empty() && !target.namespace.is_empty() && namespace != target.namespace => {
            refused(format!("the namespace of the object ({namespace}) does not match the namespace on the request ({})", target.namespace))
        }
        _ => Ok(()),
    }
}

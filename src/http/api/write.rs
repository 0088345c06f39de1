//! The verbs that change something: bodies are parsed here, on the HTTP thread, and sent to the kind's actor.
use super::gateway::{Answer, ApiRequest, Gateway};
use super::list::Selection;
use super::options::{FieldValidation, Query, delete_options};
use super::path::Target;
use super::render;
use crate::actors::kinds::{Outcome, Part, Patch, Served, Written, scale_of};
use crate::protocol::codec::kinds::SCALE;
use crate::protocol::codec::{self, Checked};
use crate::protocol::meta::ObjectKey;
use crate::protocol::protobuf;
use crate::protocol::status::ApiError;
use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::{Value, json};

impl Gateway {
    pub(super) async fn create(&self, served: &Served, request: &ApiRequest, query: &Query, target: &Target) -> Result<Answer, ApiError> {
        if target.subresource == "binding" {
            return self.bind(served, request, query, target).await;
        }
        if !target.name.is_empty() {
            return Err(ApiError::method_not_supported(&target.group, &target.resource, "create"));
        }
        let dry_run = query.dry_run("CreateOptions")?;
        let validation = query.field_validation("CreateOptions")?;
        let (value, warnings) = decoded(served, &json_body(request)?, validation)?;
        let written = self.kinds.create(served, &target.namespace, value, dry_run).await?;
        answer(served, &written, request, query, warnings)
    }

    async fn bind(&self, served: &Served, request: &ApiRequest, query: &Query, target: &Target) -> Result<Answer, ApiError> {
        let body: Value = serde_json::from_slice(&json_body(request)?).map_err(|e| ApiError::bad_request(e.to_string()))?;
        let key = ObjectKey::new(target.namespace.as_str(), target.name.as_str());
        let body = json!({ "metadata": { "uid": body["metadata"]["uid"] }, "target": body["target"] });
        self.kinds.update(served, key, Part::Binding, body, query.dry_run("CreateOptions")?).await?;
        let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 });
        render::document(201, &status, &request.accept)
    }

    pub(super) async fn update(&self, served: &Served, request: &ApiRequest, query: &Query, target: &Target) -> Result<Answer, ApiError> {
        let part = part_of(target)?;
        let dry_run = query.dry_run("UpdateOptions")?;
        let validation = query.field_validation("UpdateOptions")?;
        let body = json_body(request)?;
        let (value, warnings) = match part {
            Part::Scale => (SCALE.check(&body).map_err(|e| ApiError::bad_request(e.to_string()))?.value, Vec::new()),
            _ => decoded(served, &body, validation)?,
        };
        check_name(&value, target)?;
        let key = ObjectKey::new(target.namespace.as_str(), target.name.as_str());
        let written = self.kinds.update(served, key, part, value, dry_run).await?;
        part_answer(served, part, &written, request, query, warnings)
    }

    pub(super) async fn patch(&self, served: &Served, request: &ApiRequest, query: &Query, target: &Target) -> Result<Answer, ApiError> {
        let part = part_of(target)?;
        let parse = |bytes: &[u8]| -> Result<Value, ApiError> {
            serde_json::from_slice(bytes).map_err(|e| ApiError::bad_request(format!("error decoding patch: {e}")))
        };
        let media = media_type(&request.content_type);
        let patch = match media.as_str() {
            "application/json-patch+json" => Patch::Json(parse(&request.body)?),
            "application/merge-patch+json" => Patch::Merge(parse(&request.body)?),
            "application/strategic-merge-patch+json" => Patch::Strategic(parse(&request.body)?),
            "application/apply-patch+yaml" | "application/apply-patch+cbor" => return Err(ApiError::not_implemented("server-side apply")),
            other => {
                return Err(ApiError::unsupported_media_type(format!(
                    "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json (got \"{other}\")"
                )));
            }
        };
        let validation = query.field_validation("PatchOptions")?;
        let dry_run = query.dry_run("PatchOptions")?;
        let key = ObjectKey::new(target.namespace.as_str(), target.name.as_str());
        let written = self.kinds.patch(served, key, part, patch, validation == FieldValidation::Strict, dry_run).await?;
        let warnings = if validation == FieldValidation::Warn { written.warnings.clone() } else { Vec::new() };
        part_answer(served, part, &written, request, query, warnings)
    }

    pub(super) async fn delete(&self, served: &Served, request: &ApiRequest, query: &Query, target: &Target) -> Result<Answer, ApiError> {
        let (options, dry_run) = delete_options(&options_body(request)?, query)?;
        let key = ObjectKey::new(target.namespace.as_str(), target.name.as_str());
        let written = self.kinds.delete(served, key, options, dry_run).await?;
        if written.outcome == Outcome::Deleted && !RETURN_DELETED.contains(&served.kind.resource.kind) {
            return deleted_status(served, &written, request);
        }
        render::object(&served.kind, &written.entry, &request.accept, query, 200)
    }

    pub(super) async fn delete_collection(
        &self,
        served: &Served,
        request: &ApiRequest,
        query: &Query,
        target: &Target,
    ) -> Result<Answer, ApiError> {
        let (options, dry_run) = delete_options(&options_body(request)?, query)?;
        let selection = Selection::parse(&served.kind, &target.namespace, "", query)?;
        let (revision, snapshot) = self.kinds.shelves.read(&served.shelf);
        let (entries, _) = super::read::page(&snapshot, &selection, None, 0);
        // Several at a time, so that they share the disk's syncs.
        for some in entries.chunks(DELETIONS_AT_ONCE) {
            let deletions: Vec<_> =
                some.iter().map(|entry| self.kinds.delete(served, entry.key.clone(), options.clone(), dry_run)).collect();
            for outcome in join_all(deletions).await {
                match outcome {
                    Err(error) if error.code != 404 => return Err(error),
                    _ => {}
                }
            }
        }
        let revision = revision.to_string();
        let meta = crate::protocol::table::ListMeta { resource_version: &revision, ..Default::default() };
        render::list(&served.kind, &render::Page { entries: &entries, meta }, &request.accept, query)
    }
}

/// Kinds whose finished deletion is answered with the object; all others answer with a `Status`.
const RETURN_DELETED: &[&str] = &["Pod", "Service", "ServiceAccount"];
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

fn answer(served: &Served, written: &Written, request: &ApiRequest, query: &Query, warnings: Vec<String>) -> Result<Answer, ApiError> {
    let mut answer = render::object(&served.kind, &written.entry, &request.accept, query, render::code_of(written.outcome))?;
    answer.warnings = warnings;
    Ok(answer)
}

fn part_answer(
    served: &Served,
    part: Part,
    written: &Written,
    request: &ApiRequest,
    query: &Query,
    warnings: Vec<String>,
) -> Result<Answer, ApiError> {
    if part == Part::Scale {
        return render::document(200, &scale_of(&served.kind, &written.entry.parse()), &request.accept);
    }
    answer(served, written, request, query, warnings)
}

fn part_of(target: &Target) -> Result<Part, ApiError> {
    match target.subresource.as_str() {
        "" => Ok(Part::Main),
        "status" => Ok(Part::Status),
        "scale" => Ok(Part::Scale),
        "finalize" => Ok(Part::Finalize),
        other => Err(ApiError::method_not_supported(&target.group, &format!("{}/{other}", target.resource), "update")),
    }
}

/// The typed body, pruned and canonical, with the warnings about what was not understood.
fn decoded(served: &Served, body: &[u8], validation: FieldValidation) -> Result<(Value, Vec<String>), ApiError> {
    let checked: Checked = served.decode(body)?;
    let warnings = match validation {
        FieldValidation::Strict => match served.strict(&checked) {
            Some(error) => return Err(error),
            None => Vec::new(),
        },
        FieldValidation::Warn => served.warnings(&checked),
        FieldValidation::Ignore => Vec::new(),
    };
    Ok((checked.value, warnings))
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

/// The body as JSON: YAML is converted, anything else is refused.
pub(super) fn json_body(request: &ApiRequest) -> Result<Bytes, ApiError> {
    match media_type(&request.content_type).as_str() {
        "" | "application/json" | "*/*" => Ok(request.body.clone()),
        "application/yaml" | "application/x-yaml" | "text/yaml" => {
            if nests_deeper_than(&request.body, YAML_DEPTH) {
                return Err(ApiError::bad_request("error converting YAML to JSON: yaml: exceeded max depth"));
            }
            codec::yaml_to_json(&request.body).map(Bytes::from).map_err(|e| ApiError::bad_request(e.to_string()))
        }
        protobuf::MEDIA_TYPE => {
            let object = protobuf::to_json(&request.body).map_err(|e| ApiError::bad_request(e.to_string()))?;
            Ok(object.to_string().into())
        }
        other => Err(ApiError::unsupported_media_type(format!(
            "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf (got \"{other}\")"
        ))),
    }
}

/// Open brackets that a YAML body may have at once.
const YAML_DEPTH: usize = 4096;

/// Whether that many brackets are open at some place. The YAML reader takes a time that grows with the square of this before
/// it looks at its own limit, so that a megabyte of `[` would keep it busy for minutes. Brackets within texts count as well.
fn nests_deeper_than(body: &[u8], limit: usize) -> bool {
    let mut open = 0usize;
    body.iter().any(|byte| {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        open > limit
    })
}

/// `DeleteOptions` as JSON; empty when there are none.
fn options_body(request: &ApiRequest) -> Result<Bytes, ApiError> {
    if request.body.is_empty() { Ok(Bytes::new()) } else { json_body(request) }
}

fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

//! The verbs that change something: bodies are parsed here, on the HTTP thread, and sent to the kind's actor.
use super::gateway::{Answer, ApiRequest, Gateway};
use super::list::Selection;
use super::options::{FieldValidation, Query, delete_options};
use super::path::Target;
use super::render;
use crate::actors::kinds::{Outcome, Part, Patch, Served, Written, scale_of};
use crate::protocol::codec::{self, Checked};
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use bytes::Bytes;
use serde_json::{Value, json};

impl Gateway {
    pub(super) async fn create(&self, served: &Served, request: &ApiRequest, query: &Query, target: &Target) -> Result<Answer, ApiError> {
        if target.subresource == "binding" {
            return self.bind(served, request, query, target).await;
        }
        if !target.name.is_empty() {
            return Err(ApiError::method_not_supported(&target.group, &target.resource, "create"));
        }
        let body = json_body(request)?;
        let (value, warnings) = decoded(served, &body, query)?;
        let written = self.kinds.create(served, &target.namespace, value, query.dry_run()?).await?;
        answer(served, &written, request, query, warnings)
    }

    async fn bind(&self, served: &Served, request: &ApiRequest, query: &Query, target: &Target) -> Result<Answer, ApiError> {
        let body: Value = serde_json::from_slice(&json_body(request)?).map_err(|e| ApiError::bad_request(e.to_string()))?;
        let key = ObjectKey::new(target.namespace.as_str(), target.name.as_str());
        let body = json!({ "metadata": { "uid": body["metadata"]["uid"] }, "target": body["target"] });
        self.kinds.update(served, key, Part::Binding, body, query.dry_run()?).await?;
        let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 });
        render::document(201, &status, &request.accept)
    }

    pub(super) async fn update(&self, served: &Served, request: &ApiRequest, query: &Query, target: &Target) -> Result<Answer, ApiError> {
        let part = part_of(target)?;
        let body = json_body(request)?;
        let (value, warnings) = match part {
            Part::Scale => (serde_json::from_slice(&body).map_err(|e| ApiError::bad_request(e.to_string()))?, Vec::new()),
            _ => decoded(served, &body, query)?,
        };
        check_name(&value, target)?;
        let key = ObjectKey::new(target.namespace.as_str(), target.name.as_str());
        let written = self.kinds.update(served, key, part, value, query.dry_run()?).await?;
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
                    "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml, application/strategic-merge-patch+json (got \"{other}\")"
                )));
            }
        };
        let strict = query.field_validation()? == FieldValidation::Strict;
        let key = ObjectKey::new(target.namespace.as_str(), target.name.as_str());
        let written = self.kinds.patch(served, key, part, patch, strict, query.dry_run()?).await?;
        part_answer(served, part, &written, request, query, Vec::new())
    }

    pub(super) async fn delete(&self, served: &Served, request: &ApiRequest, query: &Query, target: &Target) -> Result<Answer, ApiError> {
        let options = delete_options(&options_body(request)?, query)?;
        let key = ObjectKey::new(target.namespace.as_str(), target.name.as_str());
        let written = self.kinds.delete(served, key, options, query.dry_run()?).await?;
        if written.outcome == Outcome::Deleted && served.kind.resource.kind != "Pod" {
            return deleted_status(served, &written, request);
        }
        render::object(served.kind, &written.entry, &request.accept, query, 200)
    }

    pub(super) async fn delete_collection(
        &self,
        served: &Served,
        request: &ApiRequest,
        query: &Query,
        target: &Target,
    ) -> Result<Answer, ApiError> {
        let options = delete_options(&options_body(request)?, query)?;
        let selection = Selection::parse(served.kind, &target.namespace, "", query)?;
        let dry_run = query.dry_run()?;
        let (revision, snapshot) = self.kinds.shelves.read(&served.shelf);
        let (entries, _) = super::read::page(&snapshot, &selection, None, 0);
        for entry in &entries {
            match self.kinds.delete(served, entry.key.clone(), options.clone(), dry_run).await {
                Err(error) if error.code != 404 => return Err(error),
                _ => {}
            }
        }
        let revision = revision.to_string();
        let meta = crate::protocol::table::ListMeta { resource_version: &revision, ..Default::default() };
        render::list(served.kind, &render::Page { entries: &entries, meta }, &request.accept, query)
    }
}

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
    let mut answer = render::object(served.kind, &written.entry, &request.accept, query, render::code_of(written.outcome))?;
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
        return render::document(200, &scale_of(&written.entry.parse()), &request.accept);
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
fn decoded(served: &Served, body: &[u8], query: &Query) -> Result<(Value, Vec<String>), ApiError> {
    check_type(served, body)?;
    let checked: Checked = served.decode(body)?;
    let warnings = match query.field_validation()? {
        FieldValidation::Strict => match served.strict(&checked) {
            Some(error) => return Err(error),
            None => Vec::new(),
        },
        FieldValidation::Warn => served.warnings(&checked),
        FieldValidation::Ignore => Vec::new(),
    };
    let mut value = checked.value;
    let resource = &served.kind.resource;
    value["kind"] = resource.kind.into();
    value["apiVersion"] = resource.api_version().into();
    Ok((value, warnings))
}

/// A body that says it is something else than its path is refused before anything is read into it.
fn check_type(served: &Served, body: &[u8]) -> Result<(), ApiError> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct TypeMeta {
        #[serde(default)]
        api_version: String,
        #[serde(default)]
        kind: String,
    }
    let resource = &served.kind.resource;
    let Ok(found) = serde_json::from_slice::<TypeMeta>(body) else { return Ok(()) };
    let expected = resource.api_version();
    let other_kind = !found.kind.is_empty() && found.kind != resource.kind;
    let other_version = !found.api_version.is_empty() && found.api_version != expected;
    if other_kind || other_version {
        let (group, version) = found.api_version.split_once('/').unwrap_or(("", &found.api_version));
        return Err(ApiError::bad_request(format!(
            "{} in version \"{version}\" cannot be handled as a {}: no kind \"{}\" is registered for version \"{}\" at {}",
            if found.kind.is_empty() { resource.kind } else { &found.kind },
            resource.kind,
            found.kind,
            if group.is_empty() { version.to_string() } else { format!("{group}/{version}") },
            expected,
        )));
    }
    Ok(())
}

fn check_name(value: &Value, target: &Target) -> Result<(), ApiError> {
    match value["metadata"]["name"].as_str() {
        Some(name) if !name.is_empty() && name != target.name => {
            Err(ApiError::bad_request(format!("the name of the object ({name}) does not match the name on the URL ({})", target.name)))
        }
        _ => Ok(()),
    }
}

/// The body as JSON: YAML is converted, anything else is refused.
fn json_body(request: &ApiRequest) -> Result<Bytes, ApiError> {
    match media_type(&request.content_type).as_str() {
        "" | "application/json" | "*/*" => Ok(request.body.clone()),
        "application/yaml" | "application/x-yaml" | "text/yaml" => {
            codec::yaml_to_json(&request.body).map(Bytes::from).map_err(|e| ApiError::bad_request(e.to_string()))
        }
        other => Err(ApiError::unsupported_media_type(format!(
            "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml (got \"{other}\")"
        ))),
    }
}

fn options_body(request: &ApiRequest) -> Result<Value, ApiError> {
    if request.body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&json_body(request)?)
        .map_err(|e| ApiError::bad_request(format!("couldn't get version/kind; json parse error: {e}")))
}

fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

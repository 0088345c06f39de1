//! What is answered and lies in no shelf: two old ways of the legacy group (`componentstatuses`, which are made when asked for, and
//! `bindings`, which are the `binding` subresource of pods under another path), the causal log, and what nodes and pods use.
mod decisions;
mod metrics;

use crate::actors::kinds::component_status::{self, DEPRECATED};
use crate::actors::kinds::{decision, metrics as measured};
use crate::http::api::bodies::json_body;
use crate::http::api::gateway::{Answer, ApiRequest, Call, Gateway};
use crate::http::api::list::Selection;
use crate::http::api::options::Query;
use crate::http::api::path::Target;
use crate::http::api::render::{self, Page};
use crate::http::auth::User;
use crate::protocol::codec;
use crate::protocol::light::Light;
use crate::protocol::resource::Resource;
use crate::protocol::status::ApiError;
use crate::protocol::table::ListMeta;
use crate::storage::Entry;
use serde_json::Value;
use std::sync::Arc;

static BINDINGS: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Binding",
    plural: "bindings",
    singular: "binding",
    namespaced: true,
    short_names: &[],
    categories: &[],
    verbs: &["create"],
    subresources: &[],
};

/// The resources that are answered here, for discovery.
pub(super) fn unstored_resources() -> impl Iterator<Item = Resource> {
    let of = |kind: &'static crate::actors::kinds::Kind| &kind.resource;
    [of(&component_status::KIND), &BINDINGS, of(&decision::KIND), of(&measured::NODES), of(&measured::PODS)].into_iter().cloned()
}

impl Gateway {
    /// The answer about one of them; `None` when the path is about something else. The user may make the request.
    pub(super) async fn unstored(
        &self,
        user: &Arc<User>,
        request: &ApiRequest,
        query: &Query,
        target: &Target,
        verb: &str,
    ) -> Result<Option<Answer>, ApiError> {
        let is =
            |r: &Resource| (r.group, r.version, r.plural) == (target.group.as_str(), target.version.as_str(), target.resource.as_str());
        let Some(resource) = unstored_resources().find(is) else { return Ok(None) };
        let everywhere = resource.namespaced && verb == "list";
        if (resource.namespaced == target.namespace.is_empty() && !everywhere) || !target.subresource.is_empty() {
            return Err(ApiError::new(404, "NotFound", "the server could not find the requested resource"));
        }
        if !resource.verbs.contains(&verb) {
            return Err(ApiError::method_not_supported(resource.group, resource.plural, verb));
        }
        match verb {
            _ if resource.group == measured::GROUP => self.usage(request, query, target).await.map(Some),
            _ if resource.group == decision::GROUP => self.decisions(request, query, target).await.map(Some),
            "create" => self.bind_named(user, request, query, target).await.map(Some),
            _ => components(request, query, target).map(Some),
        }
    }

    /// Binds the pod that the body names.
    async fn bind_named(&self, user: &Arc<User>, request: &ApiRequest, query: &Query, target: &Target) -> Result<Answer, ApiError> {
        let body: Value = serde_json::from_slice(&json_body(request)?).map_err(|e| ApiError::bad_request(e.to_string()))?;
        let name = body["metadata"]["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            return Err(ApiError::bad_request("name must be provided"));
        }
        let target = Target { resource: "pods".into(), name: name.into(), subresource: "binding".into(), ..target.clone() };
        let served = self.find(&target)?;
        self.bind(&Call { served: &served, request, query, target: &target, user }).await
    }
}

fn components(request: &ApiRequest, query: &Query, target: &Target) -> Result<Answer, ApiError> {
    let kind = Arc::new(component_status::KIND.clone());
    let selection = Selection::parse(&kind, "", &target.name, query)?;
    let entries: Vec<Arc<Entry>> = component_status::objects().iter().map(entry).filter(|e| selection.matches(e)).collect();
    let mut answer = match entries.first() {
        _ if target.name.is_empty() => render::list(&kind, &Page { entries: &entries, meta: ListMeta::default() }, &request.accept, query)?,
        Some(entry) => render::object(&kind, entry, &request.accept, query, 200)?,
        None => return Err(ApiError::not_found("", kind.resource.plural, &target.name)),
    };
    answer.warnings.push(DEPRECATED.into());
    Ok(answer)
}

/// An object in the form that answers are made from; it has no revision.
fn entry(object: &Value) -> Arc<Entry> {
    let ((key, meta), (body, splice)) = (codec::meta_of(object), codec::encode(object));
    Arc::new(Entry { key, body, splice, revision: 0, token: 0, meta, light: Light::None })
}

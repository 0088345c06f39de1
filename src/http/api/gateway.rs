//! The one door: every request, over HTTPS or the mesh, passes here.
use super::documents::Documents;
use super::list::Selection;
use super::options::Query;
use super::path::{RequestPath, Target, parse_path};
use super::render;
use super::watch::WatchStream;
use crate::actors::kinds::{Kinds, Served};
use crate::actors::metrics::Metrics;
use crate::http::auth::{Access, Action, User};
use crate::protocol::legacy;
use crate::protocol::status::ApiError;
use crate::storage::DecisionLog;
use bytes::Bytes;
use std::sync::Arc;

/// A request to the API, free of its transport.
#[derive(Clone, Debug, Default)]
pub struct ApiRequest {
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE` or `HEAD`.
    pub method: String,
    pub path: String,
    /// Without the question mark.
    pub query: String,
    pub accept: String,
    pub content_type: String,
    pub if_none_match: String,
    pub accept_gzip: bool,
    /// Whose first word names the field manager when the query doesn't.
    pub user_agent: String,
    pub body: Bytes,
}

/// An answer of the API, free of its transport.
pub enum Reply {
    Whole(Answer),
    Watch(Box<WatchStream>),
}

/// An answer with a body.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub code: u16,
    pub content_type: &'static str,
    pub body: Bytes,
    pub etag: String,
    pub gzip: bool,
    /// For `Warning:` headers.
    pub warnings: Vec<String>,
}

impl Answer {
    pub fn json(code: u16, body: Bytes) -> Self {
        Answer { code, content_type: "application/json", body, ..Default::default() }
    }
}

/// A request for a resource, once it is known to be allowed and in shape.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub served: &'a Arc<Served>,
    pub request: &'a ApiRequest,
    pub query: &'a Query,
    pub target: &'a Target,
    pub user: &'a Arc<User>,
}

/// Reads, writes and watches objects on behalf of users.
pub struct Gateway {
    pub kinds: Arc<Kinds>,
    pub documents: Documents,
    pub access: Arc<Access>,
    pub decisions: DecisionLog,
    pub metrics: Metrics,
}

impl Gateway {
    pub fn new(kinds: Arc<Kinds>, documents: Documents, access: Arc<Access>) -> Self {
        Gateway { kinds, documents, access, decisions: DecisionLog::default(), metrics: Metrics::default() }
    }

    /// With a causal log to show.
    pub fn with_decisions(self, decisions: DecisionLog) -> Self {
        Gateway { decisions, ..self }
    }

    /// Answers a request made by `user`. Errors become `Status` bodies at the transport.
    pub async fn handle(&self, user: &Arc<User>, request: ApiRequest) -> Result<Reply, ApiError> {
        let path = parse_path(&request.path)?;
        self.handle_at(user, request, path).await
    }

    /// The same for a transport that has looked at the path already.
    pub async fn handle_at(&self, user: &Arc<User>, request: ApiRequest, path: RequestPath) -> Result<Reply, ApiError> {
        match path {
            RequestPath::Other => {
                self.access.deciding(|| self.access.authorize(user, &Action::path(&request.method, &request.path))).await?;
                if let Some(answer) = self.issuer_document(&request) {
                    return Ok(Reply::Whole(answer));
                }
                self.documents.answer(&request).map(Reply::Whole)
            }
            RequestPath::Resource(target) => self.resource(user, &request, target).await,
        }
    }

    async fn resource(&self, user: &Arc<User>, request: &ApiRequest, target: Target) -> Result<Reply, ApiError> {
        let query = &Query::parse(&request.query)?;
        let verb = verb_of(&request.method, &target, query)?;
        // Rights come first: whether something exists is nothing for strangers.
        self.access.deciding(|| self.access.authorize(user, &Action::resource(verb, &target, query))).await?;
        if let Some(review) = self.asked_review(request, query, &target, verb)? {
            return self.review(user, request, query, &target, review).await.map(Reply::Whole);
        }
        if let Some(answer) = self.unstored(user, request, query, &target, verb).await? {
            return Ok(Reply::Whole(answer));
        }
        let served = self.find(&target)?;
        self.check_shape(&served, &target, verb)?;
        if matches!(target.subresource.as_str(), "" | "status") && !verb.starts_with("delete") {
            render::acceptable(&served.kind, &request.accept)?;
        }
        let call = Call { served: &served, request, query, target: &target, user };
        let reply = match verb {
            "get" => self.get(&served, request, query, &target).await.map(Reply::Whole),
            "list" => self.list(&served, request, query, &target).await.map(Reply::Whole),
            "watch" => self.watch(&served, request, query, &target).map(|w| Reply::Watch(Box::new(w))),
            "create" => self.create(&call).await.map(Reply::Whole),
            "update" => self.update(&call).await.map(Reply::Whole),
            "patch" => self.patch(&call).await.map(Reply::Whole),
            "delete" => self.delete(&call).await.map(Reply::Whole),
            "deletecollection" => self.delete_collection(&call).await.map(Reply::Whole),
            other => Err(ApiError::method_not_supported(&target.group, &target.resource, other)),
        };
        reply.map(|reply| warned(reply, served.kind.deprecation()))
    }

    /// The kind behind a path, or the plain 404 that upstream answers for paths it does not know.
    pub fn find(&self, target: &Target) -> Result<Arc<Served>, ApiError> {
        let found = self.kinds.find_version(&target.group, &target.version, &target.resource);
        let why =
            || legacy::gone(&target.group, &target.version, &target.resource).unwrap_or("the server could not find the requested resource");
        found.ok_or_else(|| ApiError::new(404, "NotFound", why()))
    }

    fn check_shape(&self, served: &Served, target: &Target, verb: &str) -> Result<(), ApiError> {
        let resource = &served.kind.resource;
        let missing = || ApiError::new(404, "NotFound", "the server could not find the requested resource");
        let verbs = match target.subresource.as_str() {
            "" => resource.verbs,
            name => resource.subresource(name).ok_or_else(missing)?.verbs,
        };
        if resource.namespaced && target.namespace.is_empty() && !matches!(verb, "list" | "watch") {
            // The collection over all namespaces exists, for reading.
            let readable = target.name.is_empty();
            return Err(if readable { ApiError::method_not_supported(resource.group, resource.plural, verb) } else { missing() });
        }
        if !resource.namespaced && !target.namespace.is_empty() {
            return Err(missing());
        }
        if !verbs.contains(&verb) {
            return Err(ApiError::method_not_supported(resource.group, resource.plural, verb));
        }
        Ok(())
    }
}

/// The reply with one more warning, before the others.
fn warned(mut reply: Reply, warning: Option<String>) -> Reply {
    if let Some(warning) = warning {
        match &mut reply {
            Reply::Whole(answer) => answer.warnings.insert(0, warning),
            Reply::Watch(stream) => stream.warnings.insert(0, warning),
        }
    }
    reply
}

/// The API verb of a request.
pub fn verb_of(method: &str, target: &Target, query: &Query) -> Result<&'static str, ApiError> {
    let named = !target.name.is_empty();
    Ok(match (method, named) {
        ("GET" | "HEAD", _) if target.watch_prefix && target.subresource.is_empty() => "watch",
        ("GET" | "HEAD", false) if query.flag("watch") => "watch",
        ("GET" | "HEAD", true) => "get",
        ("GET" | "HEAD", false) => "list",
        ("POST", _) => "create",
        ("PUT", true) => "update",
        ("PATCH", true) => "patch",
        ("DELETE", true) => "delete",
        ("DELETE", false) => "deletecollection",
        _ => return Err(ApiError::method_not_supported(&target.group, &target.resource, &method.to_lowercase())),
    })
}

impl Gateway {
    /// The kind and the selection of a watch over the mesh, once the user may make it.
    pub fn selected(
        &self,
        user: &User,
        group: &str,
        resource: &str,
        namespace: &str,
        query: [(&str, &str); 2],
    ) -> Result<(Arc<Served>, Selection), ApiError> {
        let served = self.kinds.find(group, resource);
        let served = served.ok_or_else(|| ApiError::new(404, "NotFound", "the server could not find the requested resource"))?;
        let target = Target { group: group.into(), resource: resource.into(), namespace: namespace.into(), ..Default::default() };
        let query = Query::of(query);
        self.access.authorize(user, &Action::resource("watch", &target, &query))?;
        let selection = Selection::parse(&served.kind, namespace, "", &query)?;
        Ok((served, selection))
    }
}

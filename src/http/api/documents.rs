//! Everything that is not an object: discovery, OpenAPI, version, health, metrics.
use super::gateway::{Answer, ApiRequest};
use super::reviews::reviews;
use super::unstored::unstored_resources;
use crate::actors::aggregation::Aggregation;
use crate::actors::kinds::Kinds;
use crate::actors::kinds::apiextensions::SHELF;
use crate::actors::kinds::custom::models_of;
use crate::protocol::discovery::{self, Body, RemoteVersion, wants_aggregated};
use crate::protocol::legacy;
use crate::protocol::openapi::{Document, ListRule, OpenApi, V2_PROTOBUF, V2_PROTOBUF_ANSWER};
use crate::protocol::resource::Resource;
use crate::protocol::status::ApiError;
use arc_swap::ArcSwapOption;
use serde_json::{Value, json};
use std::sync::Arc;

/// The API level that this server implements.
pub const API_LEVEL: (&str, &str) = ("1", "36");

/// What the server can say about itself.
pub struct Documents {
    kinds: Arc<Kinds>,
    rules: ListRules,
    /// Addresses for `/api`'s `serverAddressByClientCIDRs`.
    pub(super) server_address: String,
    /// Whether the server is ready, and the text of `/metrics`.
    health: Arc<dyn Health>,
    surface: ArcSwapOption<Surface>,
    /// What others answer.
    aggregation: Option<Arc<Aggregation>>,
}

/// How patches treat the lists of a type: type's name and field in, rule out.
pub type ListRules = fn(&str, &str) -> Option<ListRule>;

/// The resources at one moment, and the documents about them.
struct Surface {
    /// The generation of the kinds that this is about.
    generation: u64,
    resources: Vec<Resource>,
    openapi: OpenApi,
}

/// What `/readyz` and `/metrics` ask.
pub trait Health: Send + Sync {
    /// The names of checks with their outcome; all good means ready.
    fn checks(&self) -> Vec<(&'static str, Result<(), String>)>;
    /// Prometheus text.
    fn metrics(&self) -> String;
}

impl Documents {
    pub fn new(kinds: Arc<Kinds>, rules: ListRules, server_address: String, health: Arc<dyn Health>) -> Self {
        Documents { kinds, rules, server_address, health, surface: ArcSwapOption::empty(), aggregation: None }
    }

    /// With the groups and versions of extension API servers.
    pub fn with_aggregation(mut self, aggregation: Arc<Aggregation>) -> Self {
        self.aggregation = Some(aggregation);
        self
    }

    fn remote(&self) -> Vec<RemoteVersion> {
        self.aggregation.as_ref().map(|a| a.versions()).unwrap_or_default()
    }

    /// What is served now. It is put together when asked for first after a change; the OpenAPI documents later still.
    fn surface(&self) -> Arc<Surface> {
        let generation = *self.kinds.generation().borrow();
        if let Some(surface) = self.surface.load_full().filter(|s| s.generation == generation) {
            return surface;
        }
        let stored = self.kinds.iter().map(|served| served.kind.resource.clone());
        let resources: Vec<Resource> = stored.chain(unstored_resources()).chain(reviews()).collect();
        let definitions = self.kinds.by_shelf(SHELF).map(|served| served.shelf.snapshot());
        let custom = definitions.iter().flat_map(|s| s.iter()).flat_map(|entry| models_of(&entry.parse())).collect();
        // Versions that Kubernetes has removed have no schema to publish.
        let described = resources.iter().filter(|r| !legacy::is_removed(r));
        let openapi = OpenApi::new(described, custom, Box::new(self.rules), &git_version());
        let surface = Arc::new(Surface { generation, resources, openapi });
        self.surface.store(Some(surface.clone()));
        surface
    }

    /// The answer for a path outside of resources.
    pub fn answer(&self, request: &ApiRequest) -> Result<Answer, ApiError> {
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            return Err(ApiError::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource"));
        }
        let parts: Vec<&str> = request.path.split('/').filter(|p| !p.is_empty()).collect();
        let surface = self.surface();
        let resources = || surface.resources.iter();
        match parts.as_slice() {
            ["api"] => Ok(self.discovery(
                request,
                |v| discovery::aggregated_api(resources(), v),
                || Some(discovery::api_versions(resources(), &self.server_address)),
            )?),
            ["apis"] => Ok(self.discovery(
                request,
                |v| {
                    let mut list = discovery::aggregated_apis(resources(), v);
                    discovery::add_to_aggregated(&mut list, &self.remote());
                    list
                },
                || {
                    let mut list = discovery::api_group_list(resources());
                    discovery::add_to_groups(&mut list, &self.remote());
                    Some(list)
                },
            )?),
            ["api", version] => plain(discovery::api_resource_list(resources(), "", version), request),
            ["apis", group] => plain(discovery::add_to_group(discovery::api_group(resources(), group), group, &self.remote()), request),
            ["apis", group, version] => plain(discovery::api_resource_list(resources(), group, version), request),
            ["openapi", "v2"] => openapi_v2(&surface.openapi, request),
            ["openapi", "v3"] => {
                let mut index = surface.openapi.v3_index();
                for remote in self.remote() {
                    if let Some(place) = &remote.openapi {
                        index["paths"][format!("apis/{}/{}", remote.group, remote.version)] = json!({ "serverRelativeURL": place });
                    }
                }
                Ok(Answer::json(200, index.to_string().into()))
            }
            ["openapi", "v3", gv @ ..] => {
                let document = surface.openapi.v3(&gv.join("/"));
                compressed(document.ok_or_else(not_found)?, "application/json", request)
            }
            ["version"] => Ok(Answer::json(200, version().to_string().into())),
            ["healthz", rest @ ..] => self.health("healthz", rest, request),
            ["livez", rest @ ..] => self.health("livez", rest, request),
            ["readyz", rest @ ..] => self.health("readyz", rest, request),
            ["metrics"] => Ok(Answer {
                code: 200,
                content_type: "text/plain; version=0.0.4; charset=utf-8",
                body: self.health.metrics().into(),
                ..Default::default()
            }),
            [] => Ok(Answer::json(200, json!({ "paths": paths(&surface.resources) }).to_string().into())),
            _ => Err(not_found()),
        }
    }

    fn discovery(
        &self,
        request: &ApiRequest,
        aggregated: impl FnOnce(discovery::Version) -> Value,
        legacy: impl FnOnce() -> Option<Value>,
    ) -> Result<Answer, ApiError> {
        match wants_aggregated(&request.accept) {
            Some(version) => Ok(discovered(Body::aggregated(&aggregated(version), version), request)),
            None => plain(legacy(), request),
        }
    }

    /// `ok`, or with `?verbose` every check; a failing one makes it a 500.
    fn health(&self, which: &str, rest: &[&str], request: &ApiRequest) -> Result<Answer, ApiError> {
        let mut checks = vec![("ping", Ok(()))];
        if which != "livez" {
            checks.extend(self.health.checks());
        }
        if let [one] = rest {
            checks.retain(|(name, _)| name == one);
            if checks.is_empty() {
                return Err(not_found());
            }
        }
        let good = checks.iter().all(|(_, outcome)| outcome.is_ok());
        let verbose = request.query.split('&').any(|p| p == "verbose" || p.starts_with("verbose="));
        let mut text = String::new();
        if verbose || !good {
            for (name, outcome) in &checks {
                match outcome {
                    Ok(()) => text.push_str(&format!("[+]{name} ok\n")),
                    Err(why) => text.push_str(&format!("[-]{name} failed: {why}\n")),
                }
            }
            text.push_str(&format!("{which} check {}\n", if good { "passed" } else { "failed" }));
        } else {
            text.push_str("ok");
        }
        Ok(Answer {
            code: if good { 200 } else { 500 },
            content_type: "text/plain; charset=utf-8",
            body: text.into(),
            ..Default::default()
        })
    }
}

fn openapi_v2(openapi: &OpenApi, request: &ApiRequest) -> Result<Answer, ApiError> {
    if request.accept.contains(V2_PROTOBUF) {
        return compressed(openapi.v2_proto(), V2_PROTOBUF_ANSWER, request);
    }
    compressed(openapi.v2_json(), "application/json", request)
}

fn paths(resources: &[Resource]) -> Vec<String> {
    let mut paths: Vec<String> =
        ["/api", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"].map(String::from).to_vec();
    for resource in resources {
        let prefix = if resource.group.is_empty() { "/api/" } else { "/apis/" };
        paths.push(format!("{prefix}{}", resource.api_version()));
    }
    paths.sort();
    paths.dedup();
    paths
}

/// `/version`, as `kubectl version` shows it.
pub fn version() -> Value {
    json!({
        "major": API_LEVEL.0, "minor": API_LEVEL.1, "gitVersion": git_version(), "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc", "platform": "linux/amd64",
    })
}

/// `v1.36.0+impresario-0.1.0`: the API level, then our own version.
pub fn git_version() -> String {
    format!("v{}.{}.0+impresario-{}", API_LEVEL.0, API_LEVEL.1, env!("CARGO_PKG_VERSION"))
}

fn plain(document: Option<Value>, request: &ApiRequest) -> Result<Answer, ApiError> {
    Ok(discovered(Body::plain(&document.ok_or_else(not_found)?), request))
}

fn discovered(body: Body, request: &ApiRequest) -> Answer {
    if request.if_none_match.contains(&body.etag) {
        return Answer { code: 304, etag: body.etag, content_type: body.content_type, ..Default::default() };
    }
    Answer { code: 200, content_type: body.content_type, body: body.json, etag: body.etag, ..Default::default() }
}

fn compressed(document: &Document, content_type: &'static str, request: &ApiRequest) -> Result<Answer, ApiError> {
    let etag = document.etag.clone();
    if request.if_none_match.contains(&etag) {
        return Ok(Answer { code: 304, etag, content_type, ..Default::default() });
    }
    if request.accept_gzip {
        return Ok(Answer { code: 200, content_type, body: document.gzip.clone(), etag, gzip: true, ..Default::default() });
    }
    let body = document.plain().map_err(ApiError::internal)?;
    Ok(Answer { code: 200, content_type, body, etag, ..Default::default() })
}

fn not_found() -> ApiError {
    ApiError::new(404, "NotFound", "the server could not find the requested resource")
}

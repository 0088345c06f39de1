//! The dashboard: one page that anybody may load, and a websocket that only who may see everything gets. What the page
//! shows comes over the websocket alone: a whole state first, then what changes.
//!
//! - `assets`: the page, its script and style, embedded in the binary.
//! - `door`: who may look, and from where.
//! - `view`: what one browser was told so far, and what it must be told next. No I/O.
//! - `causes`: the causal log, line by line.
//! - `live`: one websocket, from its first message to its last.
mod assets;
mod causes;
mod door;
mod live;
mod rows;
mod view;

#[cfg(test)]
mod tests;

pub use door::token_of;

use crate::actors::base::Registry;
use crate::actors::mesh::MeshServer;
use crate::http::api::Gateway;
use crate::http::auth::User;
use crate::protocol::status::ApiError;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Browsers that may look at the same time.
const VIEWERS: usize = 64;
/// The websocket subprotocol that carries the state; it is named beside the one that carries the token.
const PROTOCOL: &str = "dashboard.impresario.v1";

/// Where the dashboard's data comes from.
struct Sources {
    gateway: Arc<Gateway>,
    registry: Registry,
    mesh: Arc<MeshServer>,
}

/// Serves `/dashboard/`.
pub struct Dashboard {
    sources: Arc<Sources>,
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Dashboard {
    /// A dashboard over the cluster's objects, the actors of this process and the nodes connected to it. Its websockets
    /// end when `stop` fires.
    pub fn new(gateway: Arc<Gateway>, registry: Registry, mesh: Arc<MeshServer>, stop: CancellationToken) -> Self {
        let sources = Arc::new(Sources { gateway, registry, mesh });
        Dashboard { sources, places: Arc::new(Semaphore::new(VIEWERS)), stop }
    }

    /// Whether a request's path is the dashboard's.
    pub fn owns(path: &str) -> bool {
        path == "/dashboard" || path.starts_with("/dashboard/")
    }

    /// See the free function [`token_of`].
    pub fn token_of(headers: &HeaderMap) -> Option<String> {
        token_of(headers)
    }

    /// Answers a request below `/dashboard`. Errors: 401 for somebody unknown and 403 for somebody without the right, on
    /// `live` and `session` only; 404, 405; 503 when too many look already.
    pub async fn serve(&self, user: &User, request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, ApiError> {
        if !matches!(request.method().as_str(), "GET" | "HEAD") {
            return Err(ApiError::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource"));
        }
        match request.path().strip_prefix("/dashboard") {
            Some("") => Ok(HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/dashboard/")).finish()),
            Some("/session") => {
                door::admit(&self.sources.gateway.access.authorizer, user)?;
                let body = json!({ "user": user.name, "groups": user.groups });
                Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(body))
            }
            Some("/live") => {
                door::admit(&self.sources.gateway.access.authorizer, user)?;
                door::same_origin(request)?;
                self.live(request, payload)
            }
            Some(path) => assets::answer(path, request),
            None => Err(assets::not_found()),
        }
    }

    fn live(&self, request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, ApiError> {
        let place = self.places.clone().try_acquire_owned();
        let place = place.map_err(|_| ApiError::unavailable(format!("{VIEWERS} browsers look at the dashboard already")))?;
        let (response, session, messages) = actix_ws::handle_with_protocols(request, payload, &[PROTOCOL])
            .map_err(|e| ApiError::bad_request(format!("this path speaks websocket only: {e}")))?;
        let (sources, stop) = (self.sources.clone(), self.stop.clone());
        actix_web::rt::spawn(async move {
            live::run(&sources, session, messages, stop).await;
            drop(place);
        });
        Ok(response)
    }
}

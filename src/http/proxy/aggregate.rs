//! Requests for groups and versions that extension API servers answer: passed on with the word of who asks.
use super::forward::{Onward, exchange};
use crate::actors::aggregation::{Aggregation, Route, identity_headers};
use crate::protocol::user::User;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use std::sync::Arc;

/// As whom schemas are fetched, whoever asks for them.
const SCHEMA_READER: &str = "system:aggregator";

/// See the module.
pub struct Aggregator {
    aggregation: Arc<Aggregation>,
}

impl Aggregator {
    pub fn new(aggregation: Arc<Aggregation>) -> Self {
        Aggregator { aggregation }
    }

    /// Who answers a path; `None` when this server does.
    pub fn route(&self, path: &str) -> Option<Arc<Route>> {
        let (_, rest) = path.split_once("/apis/").filter(|(before, _)| matches!(*before, "" | "/openapi/v3"))?;
        let mut parts = rest.split('/');
        self.aggregation.route(parts.next()?, parts.next()?)
    }

    /// Passes a request on; the user may make it.
    pub async fn serve(&self, request: &HttpRequest, payload: web::Payload, user: &User, route: &Route) -> HttpResponse {
        if !route.available {
            return unavailable("service unavailable");
        }
        let stream = match self.aggregation.remote.connect(route).await {
            Ok(stream) => stream,
            Err(why) => {
                tracing::warn!(apiservice = route.name, why, "an extension API server cannot be reached");
                self.aggregation.suspect(&route.name);
                return unavailable(&format!("error trying to reach service: {why}"));
            }
        };
        let reader = User { name: SCHEMA_READER.into(), ..User::default() };
        let asks = if request.path().starts_with("/openapi/") { &reader } else { user };
        let onward =
            Onward { prefix: "", path: request.path(), host: route.server_name(), scheme: "https", identity: Some(identity_headers(asks)) };
        match exchange(request, payload, stream, &onward).await {
            Ok(response) => response,
            Err(why) => {
                self.aggregation.suspect(&route.name);
                unavailable(&format!("error trying to reach service: {why}"))
            }
        }
    }
}

/// Upstream answers with plain text here, and clients make their own error of the code.
fn unavailable(why: &str) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::SERVICE_UNAVAILABLE);
    response.insert_header(("content-type", "text/plain; charset=utf-8")).insert_header(("x-content-type-options", "nosniff"));
    response.body(format!("{why}\n"))
}

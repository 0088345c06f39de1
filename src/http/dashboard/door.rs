//! Who may look, and from which page.
use crate::actors::authority::Authorizer;
use crate::http::auth::{Action, User};
use crate::protocol::status::ApiError;
use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// How upstream's API server is told a token by somebody who cannot set headers.
const BEARER_PROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

/// The bearer token in a websocket's subprotocols, as upstream reads it: base64url without padding behind
/// `base64url.bearer.authorization.k8s.io.`, UTF-8, given once. `None` for requests that are no websocket.
pub fn token_of(headers: &HeaderMap) -> Option<String> {
    let upgrade = headers.get(header::UPGRADE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !upgrade.eq_ignore_ascii_case("websocket") {
        return None;
    }
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).filter_map(|v| v.to_str().ok());
    let mut tokens = offered.flat_map(|v| v.split(',')).filter_map(|p| p.trim().strip_prefix(BEARER_PROTOCOL));
    let (first, second) = (tokens.next()?, tokens.next());
    if second.is_some() {
        return None;
    }
    let token = String::from_utf8(URL_SAFE_NO_PAD.decode(first).ok()?).ok()?;
    (!token.is_empty()).then_some(token)
}

/// Only who may see everything may look, as the page shows every namespace and the inside of the server.
pub(super) fn admit(authorizer: &Authorizer, user: &User) -> Result<(), ApiError> {
    if user.is_in("system:unauthenticated") {
        return Err(ApiError::unauthorized());
    }
    authorizer.authorize(user, &Action::path("GET", "/dashboard/live").attributes())
}

/// A browser shows its client certificate to websockets of any page; only our own page may use it.
pub(super) fn same_origin(request: &HttpRequest) -> Result<(), ApiError> {
    let text = |name| request.headers().get(name).and_then(|v| v.to_str().ok());
    let Some(origin) = text(header::ORIGIN) else { return Ok(()) };
    let host = text(header::HOST).or_else(|| request.uri().authority().map(|a| a.as_str())).unwrap_or_default();
    let from = origin.split_once("://").map_or("", |(_, host)| host);
    if !from.is_empty() && from.eq_ignore_ascii_case(host) {
        return Ok(());
    }
    Err(ApiError::new(403, "Forbidden", format!("a page of {origin} may not look at the dashboard of {host}")))
}

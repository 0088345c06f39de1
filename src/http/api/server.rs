//! The HTTPS front of the gateway: actix in, actix out.
use super::gateway::{Answer, ApiRequest, Gateway, Reply};
use super::options::Query;
use super::outflow::{Outflow, STALL_LIMIT, watching};
use super::path::{RequestPath, Target, parse_path};
use super::watch::WatchStream;
use super::{MAX_BODY, gateway, render};
use crate::actors::admission::notes::noting;
use crate::http::audit::{Audit, Record, Request};
use crate::http::auth::{Action, User, impersonated};
use crate::http::dashboard::Dashboard;
use crate::http::listener::{Cutoff, PeerInfo};
use crate::http::overload::Overload;
use crate::http::pods::PodStreams;
use crate::http::proxy::{Aggregator, Proxy};
use crate::protocol::protobuf;
use crate::protocol::status::ApiError;
use crate::protocol::table::Encoding;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{App, HttpRequest, HttpResponse, HttpResponseBuilder, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What every worker shares.
pub struct ServerState {
    pub gateway: Arc<Gateway>,
    pub pods: PodStreams,
    pub proxy: Proxy,
    pub aggregator: Aggregator,
    pub dashboard: Dashboard,
    pub overload: Overload,
    pub audit: Option<Audit>,
    /// Fired before the listener stops: streams end themselves.
    pub stop: CancellationToken,
}

/// The application that one worker serves.
pub fn app(
    state: Arc<ServerState>,
) -> App<
    impl actix_web::dev::ServiceFactory<
        actix_web::dev::ServiceRequest,
        Config = (),
        Response = actix_web::dev::ServiceResponse,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    App::new().app_data(web::Data::from(state)).default_service(web::to(serve))
}

async fn serve(request: HttpRequest, payload: web::Payload, state: web::Data<ServerState>) -> HttpResponse {
    let mut record = None;
    let accept = header_text(request.headers(), header::ACCEPT);
    match answer(request, payload, state.into_inner(), &mut record).await {
        Ok(response) => response,
        Err(error) => {
            if let Some(record) = record {
                record.complete(error.code, &error.to_status().to_string().into());
            }
            error_response(&error, &accept)
        }
    }
}

async fn answer(
    request: HttpRequest,
    payload: web::Payload,
    state: Arc<ServerState>,
    record: &mut Option<Record>,
) -> Result<HttpResponse, ApiError> {
    let access = state.gateway.access.clone();
    let real = access.deciding(|| recognised(&request, &state)).await?;
    let impersonate = || impersonated(&access.authorizer, real.clone(), request.headers());
    if Dashboard::owns(request.path()) {
        let user = access.deciding(impersonate).await?;
        return state.dashboard.serve(&user, &request, payload).await;
    }
    let path = parse_path(request.path())?;
    if let Some(audit) = &state.audit {
        *record = audit.begin(&real, audited(&request, &path)?);
    }
    let user = access.deciding(impersonate).await?;
    if let Some(record) = record.as_mut().filter(|_| !Arc::ptr_eq(&user, &real)) {
        record.impersonating(&user);
    }
    if let Some(route) = state.aggregator.route(request.path()) {
        access.deciding(|| authorize(&state, &user, &request, &path)).await?;
        let response = state.aggregator.serve(&request, payload, &user, &route).await;
        if let Some(record) = record {
            record.started(response.status().as_u16());
        }
        return Ok(response);
    }
    match &path {
        RequestPath::Resource(target) if PodStreams::owns(target) || Proxy::owns(target) => {
            connected(&request, payload, &state, &user, target, record).await
        }
        _ => served(&request, payload, &state, &user, path, record).await,
    }
}

/// What goes through to a pod, a service or a node.
async fn connected(
    request: &HttpRequest,
    payload: web::Payload,
    state: &ServerState,
    user: &Arc<User>,
    target: &Target,
    record: &mut Option<Record>,
) -> Result<HttpResponse, ApiError> {
    let access = &state.gateway.access;
    let query = Query::parse(request.query_string())?;
    let verb = gateway::verb_of(request.method().as_str(), target, &query)?;
    access.deciding(|| access.authorize(user, &Action::resource(verb, target, &query))).await?;
    if verb == "get" && matches!(target.subresource.as_str(), "exec" | "attach" | "portforward") {
        // A websocket begins with a GET; what it does is no reading.
        access.deciding(|| access.authorize(user, &Action::resource("create", target, &query))).await?;
    }
    let behind = Proxy::behind(request.path());
    let (admitted, notes) = noting(state.gateway.admit_connection(user, target, &query, behind)).await;
    if let Some(record) = record {
        notes.iter().for_each(|(key, value)| record.annotate(key, value));
    }
    admitted?;
    let response = match Proxy::owns(target) {
        true => state.proxy.serve(request, payload, target).await?,
        false => state.pods.serve(request, payload, &query, target, &state.stop).await?,
    };
    if let Some(record) = record {
        record.started(response.status().as_u16());
    }
    Ok(response)
}

/// What this server answers itself.
async fn served(
    request: &HttpRequest,
    payload: web::Payload,
    state: &ServerState,
    user: &Arc<User>,
    path: RequestPath,
    record: &mut Option<Record>,
) -> Result<HttpResponse, ApiError> {
    let target = match &path {
        RequestPath::Resource(target) => Some(target),
        RequestPath::Other => None,
    };
    // Held until the answer is there: a watch gives its seat back once it has begun.
    let _seat = state.overload.seat(user, target).await?;
    let api_request = read_request(request, payload).await?;
    if let Some(record) = record {
        record.request(&api_request.body);
    }
    let cutoff = request.conn_data::<Cutoff>();
    let handled = match record {
        None => state.gateway.handle_at(user, api_request, path).await,
        Some(record) => {
            let (handled, notes) = noting(state.gateway.handle_at(user, api_request, path)).await;
            notes.iter().for_each(|(key, value)| record.annotate(key, value));
            handled
        }
    };
    match handled? {
        Reply::Whole(answer) => {
            if let Some(record) = record.take() {
                record.complete(answer.code, &answer.body);
            }
            Ok(whole(answer))
        }
        Reply::Watch(stream) => {
            let mut record = record.take();
            if let Some(record) = &mut record {
                record.started(200);
            }
            Ok(watch_response(*stream, state.stop.clone(), record, cutoff))
        }
    }
}

/// The rights to what somebody else answers.
fn authorize(state: &ServerState, user: &User, request: &HttpRequest, path: &RequestPath) -> Result<(), ApiError> {
    let method = request.method().as_str();
    match path {
        RequestPath::Other => state.gateway.access.authorize(user, &Action::path(method, request.path())),
        RequestPath::Resource(target) => {
            let query = Query::parse(request.query_string())?;
            let verb = gateway::verb_of(method, target, &query)?;
            state.gateway.access.authorize(user, &Action::resource(verb, target, &query))
        }
    }
}

/// The request as the audit log sees it.
fn audited(request: &HttpRequest, path: &RequestPath) -> Result<Request, ApiError> {
    let method = request.method().as_str();
    let (verb, target) = match path {
        RequestPath::Resource(target) => {
            (gateway::verb_of(method, target, &Query::parse(request.query_string())?)?.to_string(), Some(target.clone()))
        }
        RequestPath::Other => (method.to_ascii_lowercase(), None),
    };
    Ok(Request {
        verb,
        uri: request.uri().to_string(),
        user_agent: header_text(request.headers(), header::USER_AGENT),
        source: request.peer_addr().map(|a| a.ip().to_string()).unwrap_or_default(),
        target,
    })
}

fn recognised(request: &HttpRequest, state: &ServerState) -> Result<Arc<User>, ApiError> {
    let authenticator = &state.gateway.access.authenticator;
    let certificate = request.conn_data::<PeerInfo>().and_then(|p| p.certificate.as_deref());
    let given = request.headers().get(header::AUTHORIZATION).map(|v| v.to_str().unwrap_or("unreadable"));
    if certificate.is_none() && given.is_none() {
        // A browser cannot set headers on a websocket: upstream takes the token from a subprotocol there, and so do we.
        if let Some(token) = crate::http::dashboard::token_of(request.headers()) {
            return authenticator.user(None, Some(&format!("Bearer {token}")));
        }
    }
    authenticator.user(certificate, given)
}

async fn read_request(request: &HttpRequest, payload: web::Payload) -> Result<ApiRequest, ApiError> {
    let text = |name: header::HeaderName| header_text(request.headers(), name);
    Ok(ApiRequest {
        method: request.method().as_str().to_string(),
        path: request.path().to_string(),
        query: request.query_string().to_string(),
        accept: text(header::ACCEPT),
        content_type: text(header::CONTENT_TYPE),
        if_none_match: text(header::IF_NONE_MATCH),
        accept_gzip: text(header::ACCEPT_ENCODING).contains("gzip"),
        user_agent: text(header::USER_AGENT),
        body: read_body(payload).await?,
    })
}

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> String {
    headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_string()
}

async fn read_body(mut payload: web::Payload) -> Result<Bytes, ApiError> {
    let mut first = Bytes::new();
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|e| ApiError::bad_request(format!("the body could not be read: {e}")))?;
        if first.len() + body.len() + chunk.len() > MAX_BODY {
            return Err(ApiError::too_large(format!("Request entity too large: limit is {MAX_BODY}")));
        }
        // Most bodies come in one piece, which is used as it is.
        if first.is_empty() && body.is_empty() {
            first = chunk;
            continue;
        }
        if body.is_empty() {
            body.extend_from_slice(&std::mem::take(&mut first));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(if body.is_empty() { first } else { body.freeze() })
}

/// What every answer says about caching.
const NOT_CACHED: HeaderValue = HeaderValue::from_static("no-cache, private");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

fn whole(answer: Answer) -> HttpResponse {
    let mut response = builder(answer.code);
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type)));
    response.insert_header((header::CACHE_CONTROL, NOT_CACHED));
    if !answer.etag.is_empty() {
        response.insert_header((header::ETAG, answer.etag));
        response.insert_header((header::VARY, "Accept"));
    }
    if answer.gzip {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
    }
    for value in warning_headers(&answer.warnings) {
        response.append_header((header::WARNING, value));
    }
    response.body(answer.body)
}

/// Upstream's bounds: when all warnings together pass the first, each is cut to the second, and the rest is left out.
const ALL_WARNINGS: usize = 4 * 1024;
const ONE_WARNING: usize = 256;

/// `299 - "unknown field \"spec.foo\""`, within bounds that clients' header limits allow.
fn warning_headers(warnings: &[String]) -> Vec<HeaderValue> {
    let cut = warnings.iter().map(String::len).sum::<usize>() > ALL_WARNINGS;
    let mut left = ALL_WARNINGS;
    let mut values = Vec::new();
    for warning in warnings {
        let text = quoted(if cut { warning.get(..warning.floor_char_boundary(ONE_WARNING)).unwrap_or_default() } else { warning });
        if cut && text.len() > left {
            break;
        }
        left = left.saturating_sub(text.len());
        values.extend(HeaderValue::from_bytes(format!("299 - \"{text}\"").as_bytes()));
    }
    values
}

/// The inside of a quoted string in a header; what a header cannot hold becomes a space.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn watch_response(stream: WatchStream, stop: CancellationToken, record: Option<Record>, cutoff: Option<&Cutoff>) -> HttpResponse {
    let content_type = HeaderValue::from_static(stream.content_type());
    let warnings = warning_headers(&stream.warnings);
    let chunks = watching(stream, stop, record);
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_TYPE, content_type)).insert_header((header::CACHE_CONTROL, NOT_CACHED));
    for value in warnings {
        response.append_header((header::WARNING, value));
    }
    match cutoff {
        Some(cutoff) => response.streaming(Outflow::new(chunks, cutoff.clone(), STALL_LIMIT)),
        None => response.streaming(chunks),
    }
}

/// An error as a `Status` body; protobuf for clients that take nothing else.
pub fn error_response(error: &ApiError, accept: &str) -> HttpResponse {
    let mut response = builder(error.code);
    // Clients ask again by themselves, before anybody hears of it, when they are told after how long: right under load, wrong where
    // somebody has decided, as a disruption budget does.
    let pause = match &error.details {
        Some(details) => details.retry_after_seconds,
        None => u32::from(error.code == 429),
    };
    if pause > 0 {
        response.insert_header((header::RETRY_AFTER, pause.to_string()));
    }
    response.insert_header((header::CACHE_CONTROL, NOT_CACHED));
    let status = error.to_status();
    if render::media(accept).is_ok_and(|media| media.encoding == Encoding::Protobuf)
        && let Ok(bytes) = protobuf::from_json(&status)
    {
        return response.insert_header((header::CONTENT_TYPE, protobuf::MEDIA_TYPE)).body(bytes);
    }
    response.insert_header((header::CONTENT_TYPE, JSON)).body(status.to_string())
}

fn builder(code: u16) -> HttpResponseBuilder {
    HttpResponse::build(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
}

//! The HTTPS front of the gateway: actix in, actix out.
use super::gateway::{ApiRequest, Gateway, Reply};
use super::options::Query;
use super::path::{RequestPath, Target, parse_path};
use super::response::{error_response, watch_response, whole};
use super::{MAX_BODY, deadline, gateway};
use crate::actors::admission::notes::noting;
use crate::http::audit::{Audit, Record, Request, fresh_id};
use crate::http::auth::{Action, User, impersonated};
use crate::http::dashboard::Dashboard;
use crate::http::listener::{Cutoff, PeerInfo};
use crate::http::overload::Overload;
use crate::http::pods::PodStreams;
use crate::http::proxy::{Aggregator, Proxy};
use crate::protocol::status::ApiError;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{App, HttpRequest, HttpResponse, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
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
    let id = audit_id(&request);
    let mut response = match answer(request, payload, state.into_inner(), &id, &mut record).await {
        Ok(response) => response,
        Err(error) => {
            if let Some(record) = record {
                record.complete(error.code, &error.to_status().to_string().into());
            }
            error_response(&error, &accept)
        }
    };
    response.headers_mut().insert(AUDIT_ID, id);
    response
}

/// Names a request in the audit log and in its answer.
const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// The id that the client has given its request, or a new one.
fn audit_id(request: &HttpRequest) -> HeaderValue {
    let given = request.headers().get(AUDIT_ID).filter(|id| !id.is_empty()).cloned();
    given.or_else(|| HeaderValue::from_str(&fresh_id()).ok()).unwrap_or(HeaderValue::from_static("unknown"))
}

async fn answer(
    request: HttpRequest,
    payload: web::Payload,
    state: Arc<ServerState>,
    id: &HeaderValue,
    record: &mut Option<Record>,
) -> Result<HttpResponse, ApiError> {
    let access = state.gateway.access.clone();
    let real = match access.deciding(|| recognised(&request, &state)).await {
        Ok(user) => user,
        Err(error) => {
            if let Some(audit) = &state.audit
                && let Some(record) = audit.begin(&User::default(), audited(&request, &parse_path(request.path())?, id)?)
            {
                record.unauthenticated(&error.to_status());
            }
            return Err(error);
        }
    };
    let impersonate = || impersonated(&access.authorizer, real.clone(), request.headers());
    if Dashboard::owns(request.path()) {
        let user = access.deciding(impersonate).await?;
        return state.dashboard.serve(&user, &request, payload).await;
    }
    let path = parse_path(request.path())?;
    if let Some(audit) = &state.audit {
        *record = audit.begin(&real, audited(&request, &path, id)?);
    }
    let user = access.deciding(impersonate).await?;
    if let Some(record) = record.as_mut().filter(|_| !Arc::ptr_eq(&user, &real)) {
        record.impersonating(&user);
    }
    if let Some(route) = state.aggregator.route(request.path()) {
        let limit = deadline::of(&request, &path)?;
        noted(record, access.deciding(|| authorize(&state, &user, &request, &path))).await?;
        // As for what is answered here: the seat is given back when the answer begins.
        let passing = async {
            let _seat = state.overload.seat(&user, target_of(&path)).await?;
            Ok(state.aggregator.serve(&request, payload, &user, &route).await)
        };
        let response = within(limit, passing).await?;
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
    noted(record, access.deciding(|| access.authorize(user, &Action::resource(verb, target, &query)))).await?;
    if verb == "get" && matches!(target.subresource.as_str(), "exec" | "attach" | "portforward") {
        // A websocket begins with a GET; what it does is no reading.
        noted(record, access.deciding(|| access.authorize(user, &Action::resource("create", target, &query)))).await?;
    }
    let behind = Proxy::behind(request.path());
    noted(record, state.gateway.admit_connection(user, target, &query, behind)).await?;
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
    let cutoff = request.conn_data::<Cutoff>();
    let limit = deadline::of(request, &path)?;
    let handling = async {
        // Held until the answer is out: a watch gives its seat back once it has begun.
        let seat = state.overload.seat(user, target_of(&path)).await?;
        let api_request = read_request(request, payload).await?;
        if let Some(record) = record {
            record.request(&api_request.body);
        }
        let reply = noted(record, state.gateway.handle_at(user, api_request, path)).await?;
        Ok((reply, seat))
    };
    let (reply, seat) = within(limit, handling).await?;
    match reply {
        Reply::Whole(answer) => {
            if let Some(record) = record.take() {
                record.complete(answer.code, &answer.body);
            }
            Ok(whole(answer, seat, cutoff))
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

fn target_of(path: &RequestPath) -> Option<&Target> {
    match path {
        RequestPath::Resource(target) => Some(target),
        RequestPath::Other => None,
    }
}

/// What is done for a request, with what is noted meanwhile in its record.
async fn noted<T>(record: &mut Option<Record>, work: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
    let Some(record) = record else { return work.await };
    let (done, notes) = noting(work).await;
    notes.iter().for_each(|(key, value)| record.annotate(key, value));
    done
}

/// What is done within a request's deadline, if it has one.
async fn within<T>(limit: Option<Duration>, work: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
    let Some(limit) = limit else { return work.await };
    let late = || ApiError::timeout("Timeout: request did not complete within the allotted timeout");
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(late()))
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
fn audited(request: &HttpRequest, path: &RequestPath, id: &HeaderValue) -> Result<Request, ApiError> {
    let method = request.method().as_str();
    let (verb, target) = match path {
        RequestPath::Resource(target) => {
            (gateway::verb_of(method, target, &Query::parse(request.query_string())?)?.to_string(), Some(target.clone()))
        }
        RequestPath::Other => (method.to_ascii_lowercase(), None),
    };
    Ok(Request {
        id: id.to_str().unwrap_or_default().into(),
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

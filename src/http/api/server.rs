//! The HTTPS front of the gateway: actix in, actix out.
use super::gateway::{Answer, ApiRequest, Gateway, Reply};
use super::options::Query;
use super::path::{RequestPath, parse_path};
use super::watch::WatchStream;
use super::{MAX_BODY, gateway};
use crate::http::auth::{Action, Authenticator, User, authorize};
use crate::http::dashboard::Dashboard;
use crate::http::listener::PeerInfo;
use crate::http::pods::PodStreams;
use crate::protocol::status::ApiError;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{App, HttpRequest, HttpResponse, HttpResponseBuilder, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::unfold;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What every worker shares.
pub struct ServerState {
    pub gateway: Arc<Gateway>,
    pub authenticator: Authenticator,
    pub pods: PodStreams,
    pub dashboard: Dashboard,
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
    match answer(request, payload, state.into_inner()).await {
        Ok(response) => response,
        Err(error) => error_response(&error),
    }
}

async fn answer(request: HttpRequest, payload: web::Payload, state: Arc<ServerState>) -> Result<HttpResponse, ApiError> {
    let user = authenticated(&request, &state)?;
    if Dashboard::owns(request.path()) {
        return state.dashboard.serve(&user, &request, payload).await;
    }
    if let RequestPath::Resource(target) = parse_path(request.path())?
        && PodStreams::owns(&target)
    {
        let query = Query::parse(request.query_string())?;
        let verb = gateway::verb_of(request.method().as_str(), &target, &query)?;
        authorize(&user, &Action::resource(verb, &target))?;
        return state.pods.serve(&request, payload, &query, &target, &state.stop).await;
    }
    let api_request = read_request(&request, payload).await?;
    match state.gateway.handle(&user, api_request).await? {
        Reply::Whole(answer) => Ok(whole(answer)),
        Reply::Watch(stream) => Ok(watching(*stream, state.stop.clone())),
    }
}

fn authenticated(request: &HttpRequest, state: &ServerState) -> Result<User, ApiError> {
    let certificate = request.conn_data::<PeerInfo>().and_then(|p| p.certificate.as_deref());
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    // A browser cannot set headers on a websocket: upstream takes the token from a subprotocol there, and so do we.
    let protocol_token = || crate::http::dashboard::token_of(request.headers());
    match (authorization, protocol_token()) {
        (None, Some(token)) => state.authenticator.user(certificate, Some(&format!("Bearer {token}"))),
        (given, _) => state.authenticator.user(certificate, given),
    }
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
        body: read_body(payload).await?,
    })
}

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> String {
    headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_string()
}

async fn read_body(mut payload: web::Payload) -> Result<Bytes, ApiError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|e| ApiError::bad_request(format!("the body could not be read: {e}")))?;
        if body.len() + chunk.len() > MAX_BODY {
            return Err(ApiError::too_large(format!("Request entity too large: limit is {MAX_BODY}")));
        }
        if body.is_empty() && chunk.len() > MAX_BODY / 2 {
            return Ok(chunk);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn whole(answer: Answer) -> HttpResponse {
    let mut response = builder(answer.code);
    response.insert_header((header::CONTENT_TYPE, answer.content_type));
    response.insert_header(("Cache-Control", "no-cache, private"));
    if !answer.etag.is_empty() {
        response.insert_header((header::ETAG, answer.etag));
        response.insert_header((header::VARY, "Accept"));
    }
    if answer.gzip {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
    }
    for warning in &answer.warnings {
        let text: String = warning
            .chars()
            .flat_map(|c| match c {
                '"' | '\\' => vec!['\\', c],
                c if c.is_control() => vec![' '],
                c => vec![c],
            })
            .collect();
        response.append_header((header::WARNING, format!("299 - \"{text}\"")));
    }
    response.body(answer.body)
}

fn watching(stream: WatchStream, stop: CancellationToken) -> HttpResponse {
    let chunks = unfold((stream, stop), |(mut stream, stop)| async move {
        tokio::select! {
            biased;
            () = stop.cancelled() => None,
            chunk = stream.next() => chunk.map(|c| (Ok::<_, actix_web::Error>(c), (stream, stop))),
        }
    });
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header(("Cache-Control", "no-cache, private"))
        .streaming(chunks)
}

/// An error as a `Status` body.
pub fn error_response(error: &ApiError) -> HttpResponse {
    let mut response = builder(error.code);
    if let Some(details) = &error.details
        && details.retry_after_seconds > 0
    {
        response.insert_header((header::RETRY_AFTER, details.retry_after_seconds.to_string()));
    }
    if error.code == 429 {
        response.insert_header((header::RETRY_AFTER, "1"));
    }
    response.insert_header((header::CONTENT_TYPE, "application/json")).body(error.to_status().to_string())
}

fn builder(code: u16) -> HttpResponseBuilder {
    HttpResponse::build(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
}

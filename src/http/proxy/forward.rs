//! One request onward, one answer back; an upgraded connection is joined to the other.
use crate::http::listener::UPGRADE_WAS;
use crate::storage::pki::trusting;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http_body_util::{BodyDataStream, BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// Chunks that may wait between the two sides.
const QUEUE: usize = 16;

/// Where a request goes on to.
pub(super) struct Onward<'a> {
    /// The part of the path that is not sent on.
    pub prefix: &'a str,
    pub path: &'a str,
    pub host: String,
    pub scheme: &'a str,
    /// Who asks, for a backend that takes our word for it.
    pub identity: Option<Vec<(String, String)>>,
}

/// Headers between two neighbours, which are not sent on; and what proves who somebody is here, which is nobody's business there.
const OWN: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "host",
    "authorization",
    "content-length",
];

/// Sends a request on over `stream` and answers with what comes back.
pub(super) async fn forward<S>(request: &HttpRequest, payload: web::Payload, stream: S, onward: &Onward<'_>) -> Result<HttpResponse, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if onward.scheme == "https" {
        let config = trusting().map_err(|e| e.to_string())?;
        let name = ServerName::try_from("backend.invalid").map_err(|e| e.to_string())?;
        let stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await.map_err(|e| e.to_string())?;
        return exchange(request, payload, stream, onward).await;
    }
    exchange(request, payload, stream, onward).await
}

pub(super) async fn exchange<S>(
    request: &HttpRequest,
    payload: web::Payload,
    stream: S,
    onward: &Onward<'_>,
) -> Result<HttpResponse, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    tokio::spawn(connection.with_upgrades());
    // The listener shows SPDY as a websocket; the backend is to see what the client asked for.
    let asked = request.headers().get(UPGRADE_WAS).or_else(|| request.headers().get("upgrade"));
    let upgrade = asked.filter(|_| request.head().upgrade()).cloned();
    let (chunks, body) = mpsc::channel::<Bytes>(QUEUE);
    let mut payload = Some(payload);
    if upgrade.is_none()
        && let Some(payload) = payload.take()
    {
        actix_rt::spawn(send_body(payload, chunks));
    }
    let mut builder = hyper::Request::builder().method(request.method().as_str()).uri(match request.query_string() {
        "" => onward.path.to_string(),
        query => format!("{}?{query}", onward.path),
    });
    for (name, value) in request.headers().iter().filter(|(name, _)| passes(name.as_str(), onward)) {
        builder = builder.header(name.as_str(), value.as_bytes());
    }
    builder = builder.header("host", &onward.host);
    if !onward.prefix.is_empty() {
        builder = builder.header("x-forwarded-uri", onward.prefix);
    }
    for (name, value) in onward.identity.iter().flatten() {
        builder = builder.header(name, value);
    }
    if let Some(protocol) = &upgrade {
        builder = builder.header("connection", "Upgrade").header("upgrade", protocol.as_bytes());
    }
    // A request with no body must not promise one.
    let length = request.headers().get("content-length").and_then(|v| v.to_str().ok());
    let bodiless = upgrade.is_some() || (length.is_none_or(|l| l == "0") && !request.headers().contains_key("transfer-encoding"));
    let body = match bodiless {
        true => http_body_util::Empty::new().map_err(|never| match never {}).boxed(),
        false => BodyExt::boxed(StreamBody::new(queued(body).map(|chunk| Ok::<_, std::io::Error>(Frame::data(chunk))))),
    };
    let response = sender.send_request(builder.body(body).map_err(|e| e.to_string())?).await.map_err(|e| e.to_string())?;
    answer(response, payload, onward).await
}

/// Whether a client's header is for the backend. Nobody says by himself who he is where our word counts.
fn passes(name: &str, onward: &Onward<'_>) -> bool {
    let forged = onward.identity.is_some() && name.starts_with("x-remote-");
    !OWN.contains(&name) && !name.starts_with("impersonate-") && !name.eq_ignore_ascii_case(UPGRADE_WAS) && !forged
}

async fn answer(response: hyper::Response<Incoming>, payload: Option<web::Payload>, onward: &Onward<'_>) -> Result<HttpResponse, String> {
    let status = StatusCode::from_u16(response.status().as_u16()).map_err(|e| e.to_string())?;
    let mut out = HttpResponse::build(status);
    for (name, value) in response.headers().iter().filter(|(n, _)| !OWN.contains(&n.as_str())) {
        if name == "location" {
            let text = value.to_str().unwrap_or_default();
            // A redirect to an absolute path stays below the proxy.
            let inside = if text.starts_with('/') && !text.starts_with("//") { format!("{}{text}", onward.prefix) } else { text.into() };
            out.append_header(("location", inside));
            continue;
        }
        out.append_header((name.as_str(), value.as_bytes()));
    }
    if let (101, Some(payload)) = (response.status().as_u16(), payload) {
        if let Some(protocol) = response.headers().get("upgrade").and_then(|v| v.to_str().ok()) {
            out.upgrade(protocol.to_string());
        }
        let upgraded = hyper::upgrade::on(response).await.map_err(|e| e.to_string())?;
        return Ok(out.streaming(joined(TokioIo::new(upgraded), payload)));
    }
    let chunks = BodyDataStream::new(response.into_body());
    Ok(out.streaming(chunks.map(|chunk| chunk.map_err(|e| actix_web::error::ErrorBadGateway(e.to_string())))))
}

/// What the backend says on an upgraded connection, while what the client says goes there.
fn joined<S>(backend: S, mut payload: web::Payload) -> impl Stream<Item = Result<Bytes, actix_web::Error>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut from, mut to) = tokio::io::split(backend);
    actix_rt::spawn(async move {
        while let Some(Ok(chunk)) = payload.next().await {
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    });
    let (out, chunks) = mpsc::channel::<Bytes>(QUEUE);
    tokio::spawn(async move {
        let mut buffer = vec![0u8; 16 * 1024];
        while let Ok(n) = from.read(&mut buffer).await {
            let chunk = Bytes::copy_from_slice(buffer.get(..n).unwrap_or_default());
            if n == 0 || out.send(chunk).await.is_err() {
                return;
            }
        }
    });
    queued(chunks).map(Ok)
}

async fn send_body(mut payload: web::Payload, chunks: mpsc::Sender<Bytes>) {
    while let Some(Ok(chunk)) = payload.next().await {
        if chunks.send(chunk).await.is_err() {
            return;
        }
    }
}

fn queued(receiver: mpsc::Receiver<Bytes>) -> impl Stream<Item = Bytes> {
    stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|chunk| (chunk, receiver)) })
}

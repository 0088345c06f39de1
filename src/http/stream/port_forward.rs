//! port-forward: pairs of streams (data and error) to ports of a pod. Over raw SPDY, over SPDY inside a websocket, or over the
//! older websocket channels.
use super::spdy::{self, SpdyStream, StreamReader, StreamWriter};
use super::upgrade::{SpdyUpgrade, UpgradeKind, WebSocketUpgrade, open_spdy, open_websocket, receiver_stream, require_upgrade};
use crate::protocol::status::ApiError;
use actix_web::{HttpRequest, HttpResponse, web};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason};
use bytes::{Bytes, BytesMut};
use std::collections::HashMap;
use std::fmt::Display;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long the second stream of a pair may take; upstream's `DefaultStreamCreationTimeout`.
const PAIR_LIMIT: Duration = Duration::from_secs(30);
const READ_SIZE: usize = 32 * 1024;
const TUNNEL_QUEUE: usize = 8;
const MAX_WAITING_PAIRS: usize = 64;

const SPDY_PROTOCOLS: &[&str] = &["portforward.k8s.io"];
/// The SPDY protocol, inside binary websocket messages; what clients since 1.31 ask for.
const TUNNELLED: &str = "SPDY/3.1+portforward.k8s.io";
const WEBSOCKET_PROTOCOLS: &[&str] = &[TUNNELLED];

/// The pod, for error messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodTarget {
    /// `<name>_<namespace>`
    pub name: String,
    pub uid: String,
}

/// Answers a port-forward request: upgrades the connection and serves it in the background until the client goes away or `stop`
/// fires. `dial` connects to a port of the pod, once per forwarded connection.
pub async fn port_forward_response<D, F, T, E>(
    req: &HttpRequest,
    payload: web::Payload,
    target: PodTarget,
    dial: D,
    stop: CancellationToken,
) -> Result<HttpResponse, ApiError>
where
    D: Fn(u16) -> F + 'static,
    F: Future<Output = Result<T, E>> + 'static,
    T: AsyncRead + AsyncWrite + Unpin + 'static,
    E: Display + 'static,
{
    match require_upgrade(req)? {
        UpgradeKind::Spdy => {
            let SpdyUpgrade { response, input, output, .. } = open_spdy(req, payload, SPDY_PROTOCOLS)?;
            let connection = spdy::serve(input, output).map_err(ApiError::internal)?;
            actix_rt::spawn(forward(connection, target, dial, stop));
            Ok(response)
        }
        UpgradeKind::WebSocket => {
            let WebSocketUpgrade { response, protocol, session, messages } = open_websocket(req, payload, WEBSOCKET_PROTOCOLS)?;
            if protocol != TUNNELLED {
                return Err(ApiError::bad_request(format!(
                    "unable to upgrade: port-forward over websockets needs the protocol {TUNNELLED}"
                )));
            }
            let (input, output) = tunnel(session, messages);
            let connection = spdy::serve(receiver_stream(input), output).map_err(ApiError::internal)?;
            actix_rt::spawn(forward(connection, target, dial, stop));
            Ok(response)
        }
    }
}

/// The bytes inside a websocket's messages, both ways. Messages need not match SPDY frames.
fn tunnel(session: actix_ws::Session, mut messages: AggregatedMessageStream) -> (mpsc::Receiver<Bytes>, mpsc::Sender<Bytes>) {
    let (to_spdy, input) = mpsc::channel(TUNNEL_QUEUE);
    let (output, mut from_spdy) = mpsc::channel::<Bytes>(TUNNEL_QUEUE);
    let mut ponger = session.clone();
    actix_rt::spawn(async move {
        while let Some(Ok(message)) = messages.recv().await {
            let alive = match message {
                AggregatedMessage::Binary(bytes) => to_spdy.send(bytes).await.is_ok(),
                AggregatedMessage::Ping(bytes) => ponger.pong(&bytes).await.is_ok(),
                AggregatedMessage::Pong(_) => true,
                AggregatedMessage::Text(_) | AggregatedMessage::Close(_) => false,
            };
            if !alive {
                return;
            }
        }
    });
    let mut sender = session;
    actix_rt::spawn(async move {
        while let Some(bytes) = from_spdy.recv().await {
            if sender.binary(bytes).await.is_err() {
                return;
            }
        }
        let _ = sender.close(Some(CloseReason { code: CloseCode::Normal, description: None })).await;
    });
    (input, output)
}

/// One half of a pair that waits for the other.
struct Waiting {
    data: Option<SpdyStream>,
    error: Option<SpdyStream>,
    until: Instant,
}

/// Takes streams, pairs them by their request id, and starts a copy for each pair.
async fn forward<D, F, T, E>(mut connection: spdy::Connection, target: PodTarget, dial: D, stop: CancellationToken)
where
    D: Fn(u16) -> F + 'static,
    F: Future<Output = Result<T, E>> + 'static,
    T: AsyncRead + AsyncWrite + Unpin + 'static,
    E: Display + 'static,
{
    let (target, dial, closed) = (Rc::new(target), Rc::new(dial), connection.closed());
    let mut waiting: HashMap<String, Waiting> = HashMap::new();
    loop {
        let earliest = waiting.values().map(|pair| pair.until).min();
        let stream = tokio::select! {
            stream = connection.accept() => stream,
            () = expiry(earliest) => {
                // Dropped streams are reset.
                waiting.retain(|_, pair| pair.until > Instant::now());
                continue;
            }
            () = stop.cancelled() => None,
        };
        let Some(stream) = stream else { break };
        if stream.accept().await.is_err() {
            break;
        }
        let Some((port, data, error)) = pair_up(&mut waiting, stream) else { continue };
        let (target, dial, closed) = (target.clone(), dial.clone(), closed.clone());
        actix_rt::spawn(async move {
            tokio::select! {
                () = serve_pair(port, data, error, &target, &*dial) => {}
                () = closed.cancelled() => {}
            }
        });
    }
    connection.close().await;
}

async fn expiry(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Adds a stream; gives port, data and error stream once both are there. A stream without sense is dropped, which resets it.
fn pair_up(waiting: &mut HashMap<String, Waiting>, stream: SpdyStream) -> Option<(u16, SpdyStream, SpdyStream)> {
    let is_error = match stream.header("streamtype") {
        Some("error") => true,
        Some("data") => false,
        _ => return None,
    };
    stream.header("port")?.parse::<u16>().ok().filter(|port| *port > 0)?;
    let request = match stream.header("requestid") {
        Some(id) => id.to_string(),
        // Old clients give none; they open the error stream right before the data stream.
        None if is_error => stream.id.to_string(),
        None => stream.id.saturating_sub(2).to_string(),
    };
    if waiting.len() >= MAX_WAITING_PAIRS && !waiting.contains_key(&request) {
        return None;
    }
    let pair = waiting.entry(request.clone()).or_insert_with(|| Waiting { data: None, error: None, until: Instant::now() + PAIR_LIMIT });
    let place = if is_error { &mut pair.error } else { &mut pair.data };
    if place.is_none() {
        *place = Some(stream);
    }
    if pair.data.is_none() || pair.error.is_none() {
        return None;
    }
    let Waiting { data, error, .. } = waiting.remove(&request)?;
    let (data, error) = (data?, error?);
    let port = data.header("port")?.parse().ok()?;
    Some((port, data, error))
}

async fn serve_pair<D, F, T, E>(port: u16, data: SpdyStream, error: SpdyStream, target: &PodTarget, dial: &D)
where
    D: Fn(u16) -> F,
    F: Future<Output = Result<T, E>>,
    T: AsyncRead + AsyncWrite + Unpin,
    E: Display,
{
    let result = match dial(port).await {
        Ok(socket) => {
            let (mut reading, mut writing) = tokio::io::split(socket);
            let SpdyStream { reader, writer, .. } = data;
            // The pod's end of file ends the pair: clients keep their side open until they have read the error stream's end.
            tokio::select! {
                down = copy_out(&mut reading, writer) => down.map_err(|error| error.to_string()),
                () = copy_in(reader, &mut writing) => Ok(()),
            }
        }
        Err(error) => {
            let _ = data.writer.finish().await;
            Err(error.to_string())
        }
    };
    if let Err(why) = result {
        tracing::debug!(port, pod = %target.name, %why, "port-forward");
        let message = format!("error forwarding port {port} to pod {}, uid {}: {why}", target.name, target.uid);
        let _ = error.writer.write(message.into()).await;
    }
    let _ = error.writer.finish().await;
}

/// Client to pod, until the client finishes or the pod takes no more. Never returns: the other direction decides about the end.
async fn copy_in(mut reader: StreamReader, socket: &mut (impl AsyncWrite + Unpin)) {
    while let Some(bytes) = reader.recv().await {
        if let Err(error) = socket.write_all(&bytes).await {
            tracing::debug!(%error, "the pod takes no more");
            break;
        }
    }
    let _ = socket.shutdown().await;
    drop(reader);
    std::future::pending().await
}

/// Pod to client, until the pod's side is closed. A client that is gone is no failure.
async fn copy_out(socket: &mut (impl AsyncRead + Unpin), writer: StreamWriter) -> std::io::Result<()> {
    let mut space = BytesMut::with_capacity(READ_SIZE);
    loop {
        space.reserve(READ_SIZE);
        let read = tokio::select! {
            read = socket.read_buf(&mut space) => read?,
            () = writer.gone() => return Ok(()),
        };
        if read == 0 {
            let _ = writer.finish().await;
            return Ok(());
        }
        if writer.write(space.split().freeze()).await.is_err() {
            return Ok(());
        }
    }
}

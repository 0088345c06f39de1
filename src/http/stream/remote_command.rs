//! exec and attach: a session of the node's runtime on one side, a client's SPDY streams or websocket on the other.
use super::channels::{self, CLOSE, Dialect, ERROR, Outlet, RESIZE, STDERR, STDIN, STDOUT};
use super::delivery::deliver;
use super::outcome::Outcome;
use super::spdy::{self, SpdyError, SpdyStream, StreamReader};
use super::upgrade::{SpdyUpgrade, UpgradeKind, WebSocketUpgrade, open_spdy, open_websocket, require_upgrade};
use crate::protocol::status::ApiError;
use crate::runtime::api::{Session, SessionInput, SessionOutput, TerminalSize};
use actix_web::{HttpRequest, HttpResponse, web};
use actix_ws::{AggregatedMessage, AggregatedMessageStream};
use bytes::Bytes;
use futures_util::future::{OptionFuture, join, pending};
use serde::Deserialize;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How long a client may take to open its streams; upstream's `DefaultStreamCreationTimeout`.
const STREAM_CREATION_LIMIT: Duration = Duration::from_secs(30);
/// The most bytes kept of a terminal size that comes in pieces.
const MAX_RESIZE: usize = 1024;

const SPDY_PROTOCOLS: &[&str] = &["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"];
const WEBSOCKET_PROTOCOLS: &[&str] =
    &["v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io", "channel.k8s.io", "base64.channel.k8s.io"];

/// The streams that a client wants; the query of an exec or attach request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecOptions {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    pub tty: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Exec,
    Attach,
}

/// Checks an exec or attach request before anything is started: upstream's 400 for a plain request or for no streams at all.
/// The options given back have no stderr with a terminal, where there is none.
pub fn check_options(req: &HttpRequest, options: ExecOptions) -> Result<(UpgradeKind, ExecOptions), ApiError> {
    if !options.stdin && !options.stdout && !options.stderr {
        return Err(ApiError::bad_request("you must specify at least 1 of stdin, stdout, stderr"));
    }
    let kind = require_upgrade(req)?;
    Ok((kind, ExecOptions { stderr: options.stderr && !options.tty, ..options }))
}

/// Answers an exec request: upgrades the connection and joins it to `session`, in the background, until the command ends, the client
/// goes away, or `stop` fires. The session is dropped at the end.
pub async fn exec_response(
    req: &HttpRequest,
    payload: web::Payload,
    options: ExecOptions,
    session: Session,
    stop: CancellationToken,
) -> Result<HttpResponse, ApiError> {
    respond(Verb::Exec, req, payload, options, session, stop)
}

/// Answers an attach request, like [`exec_response`]; the container's exit code is not told, as upstream.
pub async fn attach_response(
    req: &HttpRequest,
    payload: web::Payload,
    options: ExecOptions,
    session: Session,
    stop: CancellationToken,
) -> Result<HttpResponse, ApiError> {
    respond(Verb::Attach, req, payload, options, session, stop)
}

fn respond(
    verb: Verb,
    req: &HttpRequest,
    payload: web::Payload,
    options: ExecOptions,
    session: Session,
    stop: CancellationToken,
) -> Result<HttpResponse, ApiError> {
    let (kind, options) = check_options(req, options)?;
    match kind {
        UpgradeKind::Spdy => {
            let upgrade = open_spdy(req, payload, SPDY_PROTOCOLS)?;
            let dialect = Dialect::of(upgrade.protocol);
            let SpdyUpgrade { response, input, output, .. } = upgrade;
            let connection = spdy::serve(input, output).map_err(ApiError::internal)?;
            actix_rt::spawn(async move {
                if let Err(error) = run_spdy(verb, dialect, options, connection, session, stop).await {
                    tracing::debug!(%error, ?verb, "SPDY session ended early");
                }
            });
            Ok(response)
        }
        UpgradeKind::WebSocket => {
            let upgrade = open_websocket(req, payload, WEBSOCKET_PROTOCOLS)?;
            let dialect = Dialect::of(upgrade.protocol);
            let WebSocketUpgrade { response, session: socket, messages, .. } = upgrade;
            actix_rt::spawn(async move {
                if let Err(error) = run_websocket(verb, dialect, options, socket, messages, session, stop).await {
                    tracing::debug!(%error, ?verb, "websocket session ended early");
                }
            });
            Ok(response)
        }
    }
}

/// Where a session's output goes.
struct Outlets {
    stdout: Option<Outlet>,
    stderr: Option<Outlet>,
    error: Outlet,
}

async fn run_spdy(
    verb: Verb,
    dialect: Dialect,
    options: ExecOptions,
    mut connection: spdy::Connection,
    session: Session,
    stop: CancellationToken,
) -> Result<(), SpdyError> {
    let wanted = wanted_streams(options, dialect);
    let collect = collect_streams(&mut connection, &wanted);
    let mut streams = tokio::time::timeout(STREAM_CREATION_LIMIT, collect).await.map_err(|_| SpdyError::Closed)??;
    let mut take = |name| streams.iter().position(|s| s.header("streamtype") == Some(name)).map(|at| streams.swap_remove(at));
    let error = take("error").ok_or(SpdyError::Closed)?;
    // The writing sides of input streams are of no use, but dropping one would reset its stream.
    let (stdin, stdin_back) = take("stdin").map(|stream| (stream.reader, stream.writer)).unzip();
    let (resize, resize_back) = take("resize").map(|stream| (stream.reader, stream.writer)).unzip();
    let (stdout, stderr) = (take("stdout").map(writer), take("stderr").map(writer));
    let outlets = Outlets { stdout, stderr, error: writer(error) };

    let closed = connection.closed();
    let Session { input, output } = session;
    let stdin_input = input.clone();
    let stdin_pump: OptionFuture<_> = stdin.map(|reader| copy_stdin(reader, stdin_input)).into();
    let resize_pump: OptionFuture<_> = resize.map(|reader| copy_sizes(reader, input)).into();
    let gone = async move {
        tokio::select! {
            () = closed.cancelled() => {}
            _ = async { join(stdin_pump, resize_pump).await; pending::<()>().await } => {}
        }
    };
    run(verb, dialect, outlets, output, gone, stop).await?;
    for back in [stdin_back, resize_back].into_iter().flatten() {
        back.finish().await?;
    }
    connection.close().await;
    Ok(())
}

fn writer(stream: SpdyStream) -> Outlet {
    Outlet::Spdy(stream.writer)
}

fn wanted_streams(options: ExecOptions, dialect: Dialect) -> Vec<&'static str> {
    let wanted = [
        ("error", true),
        ("stdin", options.stdin),
        ("stdout", options.stdout),
        ("stderr", options.stderr),
        ("resize", options.tty && dialect.resize),
    ];
    wanted.into_iter().filter(|(_, wanted)| *wanted).map(|(name, _)| name).collect()
}

/// Waits until the client has opened every stream of the session. A stream that is not wanted is reset.
async fn collect_streams(connection: &mut spdy::Connection, wanted: &[&str]) -> Result<Vec<SpdyStream>, SpdyError> {
    let mut streams: Vec<SpdyStream> = Vec::new();
    while streams.len() < wanted.len() {
        let stream = connection.accept().await.ok_or(SpdyError::Closed)?;
        let kind = stream.header("streamtype").unwrap_or_default();
        let known = wanted.contains(&kind) && !streams.iter().any(|other| other.header("streamtype") == Some(kind));
        if known {
            stream.accept().await?;
            streams.push(stream);
        }
    }
    Ok(streams)
}

async fn copy_stdin(mut stdin: StreamReader, session: mpsc::Sender<SessionInput>) {
    while let Some(bytes) = stdin.recv().await {
        if session.send(SessionInput::Stdin(bytes)).await.is_err() {
            return;
        }
    }
    let _ = session.send(SessionInput::CloseStdin).await;
}

async fn copy_sizes(mut sizes: StreamReader, session: mpsc::Sender<SessionInput>) {
    let mut text = Vec::new();
    while let Some(bytes) = sizes.recv().await {
        text.extend_from_slice(&bytes);
        for size in take_sizes(&mut text) {
            if session.send(SessionInput::Resize(size)).await.is_err() {
                return;
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SizeMessage {
    #[serde(default)]
    width: u16,
    #[serde(default)]
    height: u16,
}

/// Takes the whole JSON sizes off the front of `text`; a beginning stays, nonsense is dropped.
fn take_sizes(text: &mut Vec<u8>) -> Vec<TerminalSize> {
    let mut found = Vec::new();
    let mut parsed = serde_json::Deserializer::from_slice(text).into_iter::<SizeMessage>();
    let mut broken = false;
    let mut used = 0;
    while let Some(message) = parsed.next() {
        match message {
            Ok(size) => found.push(TerminalSize { width: size.width, height: size.height }),
            Err(error) => {
                broken = !error.is_eof();
                break;
            }
        }
        used = parsed.byte_offset();
    }
    if broken || text.len() - used > MAX_RESIZE {
        text.clear();
    } else {
        text.drain(..used);
    }
    found
}

async fn run_websocket(
    verb: Verb,
    dialect: Dialect,
    options: ExecOptions,
    socket: actix_ws::Session,
    messages: AggregatedMessageStream,
    session: Session,
    stop: CancellationToken,
) -> Result<(), SpdyError> {
    let outlet = |channel| Outlet::WebSocket { session: socket.clone(), channel, base64: dialect.base64 };
    let mut outlets =
        Outlets { stdout: options.stdout.then(|| outlet(STDOUT)), stderr: options.stderr.then(|| outlet(STDERR)), error: outlet(ERROR) };
    // Clients wait for a first message to know that the connection stands.
    match (&mut outlets.stdout, &mut outlets.stderr) {
        (Some(first), _) | (None, Some(first)) => first.announce().await?,
        (None, None) => outlets.error.announce().await?,
    }
    let Session { input, output } = session;
    let gone = read_messages(dialect, options, messages, socket.clone(), input);
    run(verb, dialect, outlets, output, gone, stop).await?;
    let reason = actix_ws::CloseReason { code: actix_ws::CloseCode::Normal, description: None };
    socket.close(Some(reason)).await.map_err(|_| SpdyError::Closed)
}

/// Passes the client's messages to the session; returns when the client closed the connection.
async fn read_messages(
    dialect: Dialect,
    options: ExecOptions,
    mut messages: AggregatedMessageStream,
    mut socket: actix_ws::Session,
    session: mpsc::Sender<SessionInput>,
) {
    while let Some(Ok(message)) = messages.recv().await {
        let payload = match message {
            AggregatedMessage::Binary(payload) => payload,
            AggregatedMessage::Text(payload) => payload.into_bytes(),
            AggregatedMessage::Ping(payload) => {
                if socket.pong(&payload).await.is_err() {
                    return;
                }
                continue;
            }
            AggregatedMessage::Pong(_) => continue,
            AggregatedMessage::Close(_) => return,
        };
        let inputs = match channels::decode(dialect.base64, payload) {
            Some((STDIN, bytes)) if options.stdin && !bytes.is_empty() => vec![SessionInput::Stdin(bytes)],
            Some((CLOSE, channel)) if dialect.close_signal && options.stdin && *channel == [STDIN] => vec![SessionInput::CloseStdin],
            Some((RESIZE, size)) if options.tty => take_sizes(&mut size.to_vec()).into_iter().map(SessionInput::Resize).collect(),
            _ => continue,
        };
        for input in inputs {
            // A session that takes no more input may still have output to give.
            if deliver(&session, input, async || socket.ping(b"").await.map_err(|_| SpdyError::Closed)).await.is_err() {
                return;
            }
        }
    }
}

/// Carries output to the client until the session ends, and tells how it ended. `gone` resolves when the client is away.
async fn run(
    verb: Verb,
    dialect: Dialect,
    mut outlets: Outlets,
    mut output: mpsc::Receiver<SessionOutput>,
    gone: impl Future<Output = ()>,
    stop: CancellationToken,
) -> Result<(), SpdyError> {
    let outcome = tokio::select! {
        outcome = copy_output(verb, &mut outlets, &mut output) => outcome?,
        () = gone => return Err(SpdyError::Closed),
        () = stop.cancelled() => Outcome::Failed("the server is shutting down".into()),
    };
    let report = outcome.report(dialect.json_status);
    outlets.error.write(report.into()).await?;
    for outlet in [outlets.stdout, outlets.stderr, Some(outlets.error)].into_iter().flatten() {
        outlet.finish().await?;
    }
    Ok(())
}

async fn copy_output(verb: Verb, outlets: &mut Outlets, output: &mut mpsc::Receiver<SessionOutput>) -> Result<Outcome, SpdyError> {
    while let Some(event) = output.recv().await {
        let (outlet, bytes) = match event {
            SessionOutput::Stdout(bytes) => (&mut outlets.stdout, bytes),
            SessionOutput::Stderr(bytes) => (&mut outlets.stderr, bytes),
            SessionOutput::Exit(0) => return Ok(Outcome::Success),
            SessionOutput::Exit(code) if verb == Verb::Exec => return Ok(Outcome::ExitCode(code)),
            SessionOutput::Exit(_) => return Ok(Outcome::Success),
            SessionOutput::Failed(why) if verb == Verb::Exec => {
                return Ok(Outcome::Failed(format!("error executing command in container: {why}")));
            }
            SessionOutput::Failed(why) => return Ok(Outcome::Failed(format!("error attaching to container: {why}"))),
        };
        write_if_wanted(outlet, bytes).await?;
    }
    Ok(Outcome::Failed("the node ended the session without a result".into()))
}

async fn write_if_wanted(outlet: &mut Option<Outlet>, bytes: Bytes) -> Result<(), SpdyError> {
    match outlet {
        Some(outlet) => outlet.write(bytes).await,
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn wrong_requests_are_refused_in_upstreams_words() {
        let plain = TestRequest::get().to_http_request();
        assert_eq!(
            check_options(&plain, ExecOptions::default()).unwrap_err().message,
            "you must specify at least 1 of stdin, stdout, stderr"
        );
        let options = ExecOptions { stdout: true, stderr: true, tty: true, ..Default::default() };
        let error = check_options(&plain, options).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (400, "Upgrade request required"));
        let asks = TestRequest::get().append_header(("Connection", "Upgrade")).append_header(("Upgrade", "websocket")).to_http_request();
        assert!(!check_options(&asks, options).unwrap().1.stderr);
    }

    #[test]
    fn terminal_sizes_come_whole_or_in_pieces() {
        let size = |width, height| TerminalSize { width, height };
        let mut text = br#"{"Width":80,"Height":24}{"Width":1"#.to_vec();
        assert_eq!(take_sizes(&mut text), [size(80, 24)]);
        text.extend_from_slice(b"00,\"Height\":50}\n");
        assert_eq!(take_sizes(&mut text), [size(100, 50)]);
        let mut nonsense = b"]]".to_vec();
        assert!(take_sizes(&mut nonsense).is_empty() && nonsense.is_empty());
    }
}

//! One kept connection to the API, over HTTP/1.1 or HTTP/2.
use super::kubeconfig::Access;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(60);

/// Bytes that the server may send ahead, per HTTP/2 stream and per connection: a reader that keeps up is never waited for.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum Protocol {
    #[default]
    Http1,
    Http2,
}

impl Protocol {
    pub fn other(self) -> Protocol {
        match self {
            Protocol::Http1 => Protocol::Http2,
            Protocol::Http2 => Protocol::Http1,
        }
    }
}

/// Why a request has no good answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(in crate::cli) enum ClientError {
    #[error("cannot reach {0}: {1}; is the server running, and is this its kubeconfig?")]
    Unreachable(String, String),
    #[error("no secure connection to {0}: {1}")]
    Tls(String, String),
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("no answer within {} seconds", ANSWER.as_secs())]
    Timeout,
    /// The server refused; the code, and the message of its `Status`.
    #[error("the server answered {0}: {1}")]
    Refused(u16, String),
}

/// A request to make.
pub(in crate::cli) struct Call {
    pub method: Method,
    pub path: String,
    pub content_type: &'static str,
    pub body: Bytes,
}

impl Call {
    pub fn get(path: impl Into<String>) -> Call {
        Call { method: Method::GET, path: path.into(), content_type: "", body: Bytes::new() }
    }

    pub fn post(path: impl Into<String>, body: impl Into<Bytes>) -> Call {
        Call { method: Method::POST, path: path.into(), content_type: "application/json", body: body.into() }
    }

    pub fn merge_patch(path: impl Into<String>, body: impl Into<Bytes>) -> Call {
        Call { method: Method::PATCH, path: path.into(), content_type: "application/merge-patch+json", body: body.into() }
    }

    pub fn put(path: impl Into<String>, body: impl Into<Bytes>) -> Call {
        Call { method: Method::PUT, path: path.into(), content_type: "application/json", body: body.into() }
    }

    /// A server-side apply; JSON is YAML too.
    pub fn apply(path: impl Into<String>, body: impl Into<Bytes>) -> Call {
        Call { method: Method::PATCH, path: path.into(), content_type: "application/apply-patch+yaml", body: body.into() }
    }

    pub fn delete(path: impl Into<String>) -> Call {
        Call { method: Method::DELETE, path: path.into(), content_type: "", body: Bytes::new() }
    }
}

/// A connection that is made when needed and kept.
pub(in crate::cli) struct Client {
    access: Arc<Access>,
    protocol: Protocol,
    sender: Option<Sender>,
}

/// The sending end of a connection. That of HTTP/2 can be shared.
enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Sender {
    fn is_open(&self) -> bool {
        match self {
            Sender::One(sender) => !sender.is_closed(),
            Sender::Two(sender) => !sender.is_closed(),
        }
    }
}

impl Client {
    pub fn new(access: Arc<Access>) -> Client {
        Client::speaking(access, Protocol::Http1)
    }

    pub fn speaking(access: Arc<Access>, protocol: Protocol) -> Client {
        Client { access, protocol, sender: None }
    }

    /// Another client: over HTTP/2 on the same connection, otherwise on one of its own.
    pub fn sibling(&self) -> Client {
        let sender = match &self.sender {
            Some(Sender::Two(sender)) => Some(Sender::Two(sender.clone())),
            _ => None,
        };
        Client { access: self.access.clone(), protocol: self.protocol, sender }
    }

    /// Makes the connection now, so that it isn't part of what is measured.
    pub async fn connect(&mut self) -> Result<(), ClientError> {
        if self.sender.as_ref().is_some_and(Sender::is_open) {
            return Ok(());
        }
        let connecting = connect(&self.access, self.protocol);
        let late = |_| ClientError::Unreachable(self.access.server.clone(), "it does not answer in time".into());
        self.sender = Some(timeout(CONNECT, connecting).await.map_err(late)??);
        Ok(())
    }

    /// Makes a request and reads the whole answer; anything but 2xx is an error.
    pub async fn call(&mut self, call: Call) -> Result<Bytes, ClientError> {
        let answered = timeout(ANSWER, self.answer(call)).await.unwrap_or(Err(ClientError::Timeout));
        if matches!(answered, Err(ClientError::Broken(_) | ClientError::Timeout)) {
            // What else comes on this connection would be the answer to this request.
            self.sender = None;
        }
        answered
    }

    async fn answer(&mut self, call: Call) -> Result<Bytes, ClientError> {
        let response = self.start(call).await?;
        let code = response.status();
        let body = response.into_body().collect().await.map_err(broken)?.to_bytes();
        if code.is_success() { Ok(body) } else { Err(refusal(code.as_u16(), &body)) }
    }

    /// Makes a request whose answer is read piece by piece.
    pub async fn stream(&mut self, call: Call) -> Result<Incoming, ClientError> {
        let response = self.start(call).await?;
        if response.status().is_success() {
            return Ok(response.into_body());
        }
        let code = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(broken)?.to_bytes();
        Err(refusal(code, &body))
    }

    async fn start(&mut self, call: Call) -> Result<Response<Incoming>, ClientError> {
        self.connect().await?;
        let access = &self.access;
        let mut request = Request::builder()
            .method(call.method)
            .header(USER_AGENT, concat!("impresario-bench/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "application/json");
        if !call.content_type.is_empty() {
            request = request.header(CONTENT_TYPE, call.content_type);
        }
        if let Some(authorization) = &access.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let path = format!("{}{}", access.prefix, call.path);
        let body = Full::new(call.body);
        match self.sender.as_mut().ok_or_else(|| ClientError::Broken("not connected".into()))? {
            Sender::One(sender) => {
                let request = request.uri(path).header(HOST, &access.authority).body(body).map_err(broken)?;
                sender.ready().await.map_err(broken)?;
                sender.send_request(request).await.map_err(broken)
            }
            Sender::Two(sender) => {
                let scheme = if access.tls.is_some() { "https" } else { "http" };
                let request = request.uri(format!("{scheme}://{}{path}", access.authority)).body(body).map_err(broken)?;
                sender.ready().await.map_err(broken)?;
                sender.send_request(request).await.map_err(broken)
            }
        }
    }
}

fn broken(error: impl std::fmt::Display) -> ClientError {
    ClientError::Broken(error.to_string())
}

#[derive(Deserialize)]
struct StatusBody {
    message: String,
}

fn refusal(code: u16, body: &[u8]) -> ClientError {
    let status: Option<StatusBody> = serde_json::from_slice(body).ok();
    let plain = || String::from_utf8_lossy(body).chars().take(200).collect();
    ClientError::Refused(code, status.map_or_else(plain, |s| s.message))
}

async fn connect(access: &Access, protocol: Protocol) -> Result<Sender, ClientError> {
    let unreachable = |e: std::io::Error| ClientError::Unreachable(access.server.clone(), e.to_string());
    let socket = TcpStream::connect((access.host.as_str(), access.port)).await.map_err(unreachable)?;
    socket.set_nodelay(true).map_err(unreachable)?;
    match &access.tls {
        None => speak(socket, protocol).await,
        Some((config, name)) => {
            let mut config = config.clone();
            if protocol == Protocol::Http2 {
                Arc::make_mut(&mut config).alpn_protocols = vec![b"h2".to_vec()];
            }
            let secure = TlsConnector::from(config).connect(name.clone(), socket).await;
            speak(secure.map_err(|e| ClientError::Tls(access.server.clone(), e.to_string()))?, protocol).await
        }
    }
}

/// The connection ends with its senders; what goes wrong is told by the request under way.
async fn speak<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: T, protocol: Protocol) -> Result<Sender, ClientError> {
    let stream = TokioIo::new(stream);
    match protocol {
        Protocol::Http1 => {
            let (sender, connection) = http1::handshake(stream).await.map_err(broken)?;
            tokio::spawn(async move { drop(connection.await) });
            Ok(Sender::One(sender))
        }
        Protocol::Http2 => {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
            let (sender, connection) = builder.handshake(stream).await.map_err(broken)?;
            tokio::spawn(async move { drop(connection.await) });
            Ok(Sender::Two(sender))
        }
    }
}

//! One keep-alive HTTP/1.1 connection to the API.
use super::kubeconfig::Access;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
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

    pub fn delete(path: impl Into<String>) -> Call {
        Call { method: Method::DELETE, path: path.into(), content_type: "", body: Bytes::new() }
    }
}

/// A connection that is made when needed and kept.
pub(in crate::cli) struct Client {
    access: Arc<Access>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    pub fn new(access: Arc<Access>) -> Client {
        Client { access, sender: None }
    }

    /// Makes the connection now, so that it isn't part of what is measured.
    pub async fn connect(&mut self) -> Result<(), ClientError> {
        if self.sender.as_ref().is_some_and(|sender| !sender.is_closed()) {
            return Ok(());
        }
        let connecting = connect(&self.access);
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
            .uri(format!("{}{}", access.prefix, call.path))
            .header(HOST, &access.authority)
            .header(USER_AGENT, concat!("impresario-bench/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "application/json");
        if !call.content_type.is_empty() {
            request = request.header(CONTENT_TYPE, call.content_type);
        }
        if let Some(authorization) = &access.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(call.body)).map_err(broken)?;
        let sender = self.sender.as_mut().ok_or_else(|| ClientError::Broken("not connected".into()))?;
        sender.ready().await.map_err(broken)?;
        sender.send_request(request).await.map_err(broken)
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

async fn connect(access: &Access) -> Result<SendRequest<Full<Bytes>>, ClientError> {
    let unreachable = |e: std::io::Error| ClientError::Unreachable(access.server.clone(), e.to_string());
    let socket = TcpStream::connect((access.host.as_str(), access.port)).await.map_err(unreachable)?;
    socket.set_nodelay(true).map_err(unreachable)?;
    match &access.tls {
        None => speak(socket).await,
        Some((config, name)) => {
            let secure = TlsConnector::from(config.clone()).connect(name.clone(), socket).await;
            speak(secure.map_err(|e| ClientError::Tls(access.server.clone(), e.to_string()))?).await
        }
    }
}

async fn speak<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: T) -> Result<SendRequest<Full<Bytes>>, ClientError> {
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // Ends with the connection; what goes wrong is told by the request under way.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender)
}

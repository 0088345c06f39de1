//! The front door: one TLS port that speaks HTTP/1.1 and HTTP/2, and lets SPDY and websocket upgrades through.
//!
//! actix-web's own `HttpServer` opens a request's byte stream for websocket upgrades only, so the listener is put together from
//! actix's parts: our TLS accept, [`rewrite::Rewriting`] which lets SPDY upgrades pass as websocket ones, and actix's HTTP service.
mod cutoff;
mod panics;
mod rewrite;

use actix_http::body::{BoxBody, MessageBody};
use actix_http::error::DispatchError;
use actix_http::{Extensions, HttpService, KeepAlive, Protocol, Request, Response};
use actix_rt::net::TcpStream;
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
pub use cutoff::Cutoff;
use nix::sys::socket::{setsockopt, sockopt};
use rewrite::Rewriting;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// The header by which a handler knows that the client asked for SPDY; the listener shows such a request as a websocket upgrade.
pub const UPGRADE_WAS: &str = "X-Upgrade-Was";

/// How long a client may take for the TLS handshake.
const TLS_HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// How long a client may take to send a request's head; upstream's `ReadHeaderTimeout`.
const HEAD_LIMIT: Duration = Duration::from_secs(32);
/// How long an idle connection is kept; a little above the 90 s after which Go's clients close theirs.
const IDLE_LIMIT: Duration = Duration::from_secs(95);
/// How long a finished connection is drained, so that an answer is not lost to a TCP reset.
const LINGER: Duration = Duration::from_secs(1);
/// The kernel's send buffer per connection, bytes (the kernel doubles it): a reader that stopped must not hide megabytes.
const SEND_BUFFER: usize = 64 * 1024;
/// Seconds that running requests get after the stop signal.
const SHUTDOWN_SECONDS: u64 = 3;

/// Where and how to listen.
#[derive(Clone)]
pub struct ListenerConfig {
    /// Port 0 picks a free port; [`Listener::address`] tells which.
    pub address: SocketAddr,
    /// Threads that serve connections; 0 counts as 1.
    pub workers: usize,
    pub tls: Arc<rustls::ServerConfig>,
    /// Fired by [`Listener::stop`] before connections are closed. Long answers (watches, logs, exec) observe it and end themselves.
    pub stop: CancellationToken,
}

/// Why the listener could not start.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("cannot listen on {address}: the port is in use by another process")]
    InUse { address: SocketAddr },
    #[error("cannot listen on {address}: {source}")]
    Bind { address: SocketAddr, source: io::Error },
    #[error("cannot start serving on {address}: {source}")]
    Start { address: SocketAddr, source: io::Error },
}

/// Who is at the other end of a connection; found by handlers with `req.conn_data::<PeerInfo>()`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeerInfo {
    /// The client's own certificate in DER, verified by the TLS configuration; `None` when it showed none.
    pub certificate: Option<Vec<u8>>,
    pub address: Option<SocketAddr>,
}

/// A running listener. Dropping it leaves it running; use [`Listener::stop`].
pub struct Listener {
    /// The address really bound.
    pub address: SocketAddr,
    stop: CancellationToken,
    server: actix_server::ServerHandle,
    running: tokio::task::JoinHandle<io::Result<()>>,
}

impl Listener {
    /// Tells long answers to end, waits a few seconds for requests, then closes everything. Returns when the port is free.
    pub async fn stop(self) {
        self.stop.cancel();
        let bound = Duration::from_secs(SHUTDOWN_SECONDS + 2);
        if tokio::time::timeout(bound, self.server.stop(true)).await.is_err() {
            tracing::warn!(address = %self.address, "connections did not close in time; cutting them");
            let _ = tokio::time::timeout(bound, self.server.stop(false)).await;
        }
        let _ = tokio::time::timeout(bound, self.running).await;
    }
}

/// Binds the port and serves `app` on it. `app` is called once per worker and gives an actix `App`.
///
/// A panic in a handler is answered with a 500 `Status`; the worker lives on. The returned listener is bound already.
pub async fn serve<F, I, S, B>(config: ListenerConfig, app: F) -> Result<Listener, ListenError>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request> + 'static,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Response<BoxBody>> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as actix_service::Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    let asked = config.address;
    let socket = bind(asked)?;
    let start_error = |source| ListenError::Start { address: asked, source };
    let address = socket.local_addr().map_err(start_error)?;
    let acceptor = TlsAcceptor::from(with_protocols(&config.tls));
    let server = actix_server::Server::build()
        .workers(config.workers.max(1))
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .disable_signals()
        .listen("api", socket, move || connection_service(acceptor.clone(), app()))
        .map_err(start_error)?
        .run();
    let handle = server.handle();
    Ok(Listener { address, stop: config.stop, server: handle, running: tokio::spawn(server) })
}

/// A connection from accept to its last answer.
fn connection_service<I, S, B>(
    acceptor: TlsAcceptor,
    app: I,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = DispatchError, InitError = ()>
where
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Response<BoxBody>> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as actix_service::Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    let app = panics::answered(map_config(app.into_factory(), |()| AppConfig::default()));
    let http = HttpService::build()
        .keep_alive(KeepAlive::Timeout(IDLE_LIMIT))
        .client_request_timeout(HEAD_LIMIT)
        .client_disconnect_timeout(LINGER)
        // As in Go, a client that closes its side is gone: its watch or exec ends at once.
        .h1_allow_half_closed(false)
        .on_connect_ext(|io: &Connection, data: &mut Extensions| {
            data.insert(io.peer.clone());
            data.insert(io.cutoff.clone());
        })
        .finish(app);
    fn_service(move |io: TcpStream| {
        let acceptor = acceptor.clone();
        async move {
            accept(acceptor, io).await.map_err(|error| {
                tracing::debug!(%error, "connection refused");
                DispatchError::Io(error)
            })
        }
    })
    .and_then(http)
}

type Connection = Rewriting<TlsStream<TcpStream>>;

/// The TLS handshake, within its time limit.
async fn accept(acceptor: TlsAcceptor, io: TcpStream) -> io::Result<(Connection, Protocol, Option<SocketAddr>)> {
    let address = io.peer_addr().ok();
    // Without it an HTTP/2 answer waits 40 ms for the client's delayed acknowledgement.
    io.set_nodelay(true)?;
    let tls = within(TLS_HANDSHAKE_LIMIT, async {
        let io = refuse_plain_http(io).await?;
        acceptor.accept(io).await
    })
    .await?;
    let (_, session) = tls.get_ref();
    let certificate = session.peer_certificates().and_then(|chain| chain.first()).map(|leaf| leaf.as_ref().to_vec());
    let http2 = session.alpn_protocol() == Some(b"h2");
    let protocol = if http2 { Protocol::Http2 } else { Protocol::Http1 };
    Ok((Rewriting::new(tls, PeerInfo { certificate, address }, http2), protocol, address))
}

async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "TLS handshake took too long")))
}

/// A TLS hello starts with byte 22, an HTTP request with a capital letter. The second gets an answer that says what is wrong.
async fn refuse_plain_http(mut io: TcpStream) -> io::Result<TcpStream> {
    let mut first = [0u8; 1];
    let seen = io.peek(&mut first).await?;
    if seen == 1 && first[0].is_ascii_uppercase() {
        let answer = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
        io.write_all(answer).await?;
        return Err(io::Error::new(io::ErrorKind::InvalidData, "plain HTTP on the TLS port"));
    }
    Ok(io)
}

fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let socket = TcpListener::bind(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse { address },
        _ => ListenError::Bind { address, source },
    })?;
    // Accepted connections inherit it.
    setsockopt(&socket, sockopt::SndBuf, &SEND_BUFFER).map_err(|errno| ListenError::Bind { address, source: errno.into() })?;
    Ok(socket)
}

/// Both HTTP versions are offered unless the caller chose for itself.
fn with_protocols(tls: &Arc<rustls::ServerConfig>) -> Arc<rustls::ServerConfig> {
    if !tls.alpn_protocols.is_empty() {
        return tls.clone();
    }
    let mut tls = rustls::ServerConfig::clone(tls);
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(tls)
}

#[cfg(test)]
mod tests;

//! The node's end: one connection to one of the servers, kept up for as long as the client lives.
use super::backoff::Backoff;
use super::error::MeshError;
use super::link::Link;
use super::metrics::MeshMetrics;
use super::service::{Caller, Service, serve_calls};
use super::stream::Stream;
use super::transport::{HANDSHAKE, close, peer_identity, socket, transport};
use crate::protocol::mesh::{Answer, Call, PROTOCOL_VERSIONS};
use crate::storage::pki::tls::{MESH_SERVER_NAME, mesh_client_config};
use crate::storage::pki::{NodeIdentity, PkiError};
use arc_swap::{ArcSwap, ArcSwapOption};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, ConnectionError, Endpoint, EndpointConfig, TokioRuntime};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

/// A connection that lasted this long was a good one: after it, the first attempt comes soon.
const STABLE: Duration = Duration::from_secs(10);

/// What a node needs to be on the mesh.
pub struct MeshClientConfig {
    /// `host:port` of the servers, tried in turn.
    pub servers: Vec<String>,
    /// From [`super::join`], or `NodeIdentity::load`.
    pub identity: NodeIdentity,
    /// Where that identity is kept; a renewal writes there.
    pub dir: PathBuf,
    /// Answers what servers ask of the node.
    pub service: Arc<dyn Service>,
    /// A multi-threaded runtime, in which everything here runs.
    pub runtime: Handle,
    /// A socket that several nodes of one process dial from; without it the client opens its own.
    pub socket: Option<SharedSocket>,
}

/// A UDP socket for the connections of several nodes: each has its own connection and shows its own certificate on it.
#[derive(Clone, Debug)]
pub struct SharedSocket(Endpoint);

impl SharedSocket {
    /// A socket that reaches addresses of the same family as `server`. Must be called within the runtime.
    pub fn to(server: SocketAddr) -> Result<SharedSocket, MeshError> {
        endpoint_for(server).map(SharedSocket)
    }
}

/// A node's place on the mesh. Cheap to clone; when the last clone is dropped, the connection is closed.
#[derive(Clone)]
pub struct MeshClient {
    inner: Arc<Inner>,
    /// Its being dropped ends the task.
    _alive: Arc<watch::Sender<()>>,
}

struct Inner {
    servers: Vec<String>,
    identity: ArcSwap<NodeIdentity>,
    dir: PathBuf,
    service: Arc<dyn Service>,
    socket: Option<SharedSocket>,
    current: ArcSwapOption<Link>,
    connected: watch::Sender<bool>,
    last_error: ArcSwapOption<String>,
    metrics: Arc<MeshMetrics>,
}

impl MeshClient {
    /// Begins to dial, and to dial again whenever the connection is lost.
    pub fn start(config: MeshClientConfig) -> MeshClient {
        let inner = Arc::new(Inner {
            servers: config.servers,
            identity: ArcSwap::from_pointee(config.identity),
            dir: config.dir,
            service: config.service,
            socket: config.socket,
            current: ArcSwapOption::empty(),
            connected: watch::channel(false).0,
            last_error: ArcSwapOption::empty(),
            metrics: Arc::default(),
        });
        let (alive, ended) = watch::channel(());
        config.runtime.spawn(keep_connected(inner.clone(), ended));
        MeshClient { inner, _alive: Arc::new(alive) }
    }

    /// Asks an actor on the server for something; see [`Link::call`].
    ///
    /// # Errors
    /// [`MeshError::NotConnected`] at once when there is no connection: [`MeshClient::connected`] tells when to try again.
    pub async fn call(&self, to: &str, call: Call) -> Result<Answer, MeshError> {
        self.link()?.call(to, call).await
    }

    /// See [`Link::call_within`].
    pub async fn call_within(&self, limit: Duration, to: &str, call: Call) -> Result<Answer, MeshError> {
        self.link()?.call_within(limit, to, call).await
    }

    /// See [`Link::open`].
    pub async fn open(&self, to: &str, call: Call) -> Result<(Answer, Stream), MeshError> {
        self.link()?.open(to, call).await
    }

    /// Whether there is a connection, and every change of it. After a change to true, watches must be opened anew.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.inner.connected.subscribe()
    }

    /// Why the last attempt to connect failed, when it did; for the user.
    pub fn last_error(&self) -> Option<String> {
        self.inner.last_error.load_full().map(|text| (*text).clone())
    }

    pub fn metrics(&self) -> &Arc<MeshMetrics> {
        &self.inner.metrics
    }

    /// Who this node is at present.
    pub fn identity(&self) -> Arc<NodeIdentity> {
        self.inner.identity.load_full()
    }

    pub(super) fn dir(&self) -> &std::path::Path {
        &self.inner.dir
    }

    /// Uses another certificate from the next connection on.
    pub(super) fn replace_identity(&self, identity: NodeIdentity) {
        self.inner.identity.store(Arc::new(identity));
    }

    fn link(&self) -> Result<Arc<Link>, MeshError> {
        self.inner.current.load_full().ok_or(MeshError::NotConnected)
    }
}

/// Runs until the last [`MeshClient`] is dropped.
async fn keep_connected(inner: Arc<Inner>, mut ended: watch::Receiver<()>) {
    let mut backoff = Backoff::default();
    let mut turn = 0usize;
    loop {
        let attempt = tokio::select! {
            attempt = inner.attempt(turn) => attempt,
            _ = ended.changed() => return,
        };
        match attempt {
            Ok(session) => {
                let began = Instant::now();
                let why = tokio::select! {
                    why = inner.serve(&session) => Some(why),
                    _ = ended.changed() => None,
                };
                inner.current.store(None);
                inner.connected.send_replace(false);
                MeshMetrics::less(&inner.metrics.connections);
                let Some(why) = why else {
                    session.link.connection.close(close::DONE, b"the node leaves");
                    // A shared socket never falls idle while other nodes use it.
                    if inner.socket.is_none() {
                        session.endpoint.wait_idle().await;
                    }
                    return;
                };
                tracing::info!(server = session.server, %why, "connection to the server lost");
                inner.last_error.store(Some(Arc::new(why.to_string())));
                if began.elapsed() > STABLE {
                    backoff.reset();
                }
                if was_replaced(&why) {
                    // Somebody else runs with this very key: taking the name back at once would go on forever.
                    backoff.slow();
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot reach the server over the mesh");
                inner.last_error.store(Some(Arc::new(error.to_string())));
                turn = turn.wrapping_add(1);
            }
        }
        let wait = backoff.next(getrandom::u32().unwrap_or(u32::MAX / 2));
        tokio::select! {
            _ = tokio::time::sleep(wait) => {}
            _ = ended.changed() => return,
        }
    }
}

fn was_replaced(why: &ConnectionError) -> bool {
    matches!(why, ConnectionError::ApplicationClosed(closed) if closed.error_code == close::REPLACED)
}

/// A connection on which the server has said welcome.
struct Session {
    endpoint: Endpoint,
    link: Link,
    caller: Caller,
    server: String,
}

impl Inner {
    /// Dials the server whose turn it is.
    async fn attempt(&self, turn: usize) -> Result<Session, MeshError> {
        let server = turn.checked_rem(self.servers.len()).and_then(|i| self.servers.get(i)).ok_or(MeshError::NotConnected)?;
        let identity = self.identity.load_full();
        let (endpoint, connection) = dial(server, mesh_client_config(&identity)?, self.socket.as_ref()).await?;
        let proved = peer_identity(&connection)?.ok_or_else(|| MeshError::Unexpected("the server showed no certificate".into()))?;
        let link = Link::new(connection, &format!("node/{}", identity.node), &self.metrics);
        let greeted = hello(&link, &identity.node).await;
        let (version, name) = greeted.inspect_err(|_| link.connection.close(close::DONE, b""))?;
        MeshMetrics::one(&self.metrics.connections_total);
        MeshMetrics::one(&self.metrics.connections);
        tracing::info!(server, name, "connected to the server");
        let caller = Caller { name, identity: Arc::new(proved), version };
        Ok(Session { endpoint, link, caller, server: server.clone() })
    }

    /// Lets calls flow both ways, until the connection ends.
    async fn serve(&self, session: &Session) -> ConnectionError {
        self.current.store(Some(Arc::new(session.link.clone())));
        self.last_error.store(None);
        self.connected.send_replace(true);
        serve_calls(&session.link.connection, session.caller.clone(), self.service.clone(), &self.metrics).await
    }
}

/// Says Hello. Answers the version agreed on, and the server's name.
pub(super) async fn hello(link: &Link, node: &str) -> Result<(u16, String), MeshError> {
    let (oldest, newest) = PROTOCOL_VERSIONS.into_inner();
    match link.call_within(HANDSHAKE, "server", Call::Hello { node: node.into(), oldest, newest }).await? {
        Answer::Welcome { version, server, .. } if PROTOCOL_VERSIONS.contains(&version) => Ok((version, server)),
        other => Err(MeshError::Unexpected(format!("{other:?}"))),
    }
}

/// Connects to `server` (`host:port`), over any of its addresses. Must run within the runtime.
pub(super) async fn dial(
    server: &str,
    tls: rustls::ClientConfig,
    socket: Option<&SharedSocket>,
) -> Result<(Endpoint, Connection), MeshError> {
    let tls = QuicClientConfig::try_from(tls).map_err(|e| PkiError::Crypto("use TLS 1.3 with QUIC", e.to_string()))?;
    let mut config = quinn::ClientConfig::new(Arc::new(tls));
    config.transport_config(transport(true));
    let unresolved = |why: String| MeshError::Address { address: server.to_string(), why };
    let addresses = timeout(HANDSHAKE, tokio::net::lookup_host(server)).await.map_err(|_| unresolved("no answer".into()))?;
    let mut last = unresolved("it has no address".into());
    for address in addresses.map_err(|e| unresolved(e.to_string()))? {
        match dial_address(address, &config, socket).await {
            Ok(connected) => return Ok(connected),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn dial_address(
    address: SocketAddr,
    config: &quinn::ClientConfig,
    socket: Option<&SharedSocket>,
) -> Result<(Endpoint, Connection), MeshError> {
    let failed = |why: String| MeshError::Connect { address: address.to_string(), why };
    let endpoint = match socket {
        Some(shared) => shared.0.clone(),
        None => endpoint_for(address)?,
    };
    let connecting = endpoint.connect_with(config.clone(), address, MESH_SERVER_NAME).map_err(|e| failed(e.to_string()))?;
    let connection = timeout(HANDSHAKE, connecting).await.map_err(|_| failed("no answer".into()))?.map_err(|e| failed(e.to_string()))?;
    Ok((endpoint, connection))
}

/// A new socket for dialling an address of this family.
fn endpoint_for(address: SocketAddr) -> Result<Endpoint, MeshError> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let failed = |source| MeshError::Socket { address: any.to_string(), source };
    Endpoint::new(EndpointConfig::default(), None, socket(any)?, Arc::new(TokioRuntime)).map_err(failed)
}

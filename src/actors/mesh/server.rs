//! The server's end: accepts connections, says who is who, signs certificates, hands calls on.
use super::error::MeshError;
use super::link::Link;
use super::metrics::MeshMetrics;
use super::registry::{Peer, PeerEvent, Registry};
use super::service::{Caller, Service, read_envelope, serve_calls};
use super::stream::Stream;
use super::transport::{FIRST_MESSAGE, HANDSHAKE, close, negotiate, peer_identity, server_endpoint, socket, transport};
use crate::protocol::mesh::{Answer, Call, Envelope, PROTOCOL_VERSIONS};
use crate::protocol::status::ApiError;
use crate::storage::pki::{Pki, PkiError, TokenError, request_fingerprint};
use async_trait::async_trait;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, Incoming, TokioRuntime};
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio::time::timeout;

/// Connections at once that have not yet proved to be a node's.
const STRANGERS: usize = 512;
/// When fewer places are left, strangers must first prove that they receive at their address.
const STRANGERS_TRUSTED: usize = 128;
/// How long a machine without a certificate may stay.
const STRANGER_STAY: Duration = Duration::from_secs(30);

/// What a server needs.
pub struct MeshServerConfig {
    /// The UDP address to listen on; port 0 takes a free one.
    pub address: SocketAddr,
    pub pki: Arc<Pki>,
    /// This server's name, told to nodes.
    pub server: String,
    pub service: Arc<dyn Service>,
    /// A multi-threaded runtime, in which everything here runs.
    pub runtime: Handle,
}

/// A listening server. Dropping it closes every connection.
pub struct MeshServer {
    endpoint: Endpoint,
    address: SocketAddr,
    inner: Arc<Inner>,
}

struct Inner {
    pki: Arc<Pki>,
    server: String,
    service: Arc<dyn Service>,
    registry: Registry,
    metrics: Arc<MeshMetrics>,
    strangers: Arc<Semaphore>,
}

impl MeshServer {
    /// Starts to listen.
    pub fn bind(config: MeshServerConfig) -> Result<MeshServer, MeshError> {
        let tls = config.pki.mesh_server_config()?;
        let tls = QuicServerConfig::try_from(tls).map_err(|e| PkiError::Crypto("use TLS 1.3 with QUIC", e.to_string()))?;
        let mut quic = quinn::ServerConfig::with_crypto(Arc::new(tls));
        quic.transport_config(transport(false));
        let failed = |source| MeshError::Socket { address: config.address.to_string(), source };
        let socket = socket(config.address)?;
        let _runtime = config.runtime.enter();
        let secret = config.pki.server_secret("mesh: stateless reset");
        let endpoint = Endpoint::new(server_endpoint(secret.as_ref()), Some(quic), socket, Arc::new(TokioRuntime)).map_err(failed)?;
        let address = endpoint.local_addr().map_err(failed)?;
        let inner = Arc::new(Inner {
            pki: config.pki,
            server: config.server,
            service: config.service,
            registry: Registry::new(),
            metrics: Arc::default(),
            strangers: Arc::new(Semaphore::new(STRANGERS)),
        });
        config.runtime.spawn(accept(endpoint.clone(), inner.clone()));
        Ok(MeshServer { endpoint, address, inner })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The nodes connected now.
    pub fn peers(&self) -> Vec<Peer> {
        self.inner.registry.all()
    }

    /// The node's connection, when it has one.
    pub fn peer(&self, node: &str) -> Option<Peer> {
        self.inner.registry.get(node)
    }

    /// What happens from now on. A receiver that is told it `Lagged` should look at [`MeshServer::peers`] again.
    pub fn events(&self) -> broadcast::Receiver<PeerEvent> {
        self.inner.registry.subscribe()
    }

    pub fn metrics(&self) -> &Arc<MeshMetrics> {
        &self.inner.metrics
    }

    /// Closes every connection, and waits until the nodes have been told.
    pub async fn close(self) {
        self.endpoint.close(close::SHUTDOWN, b"the server shuts down");
        self.endpoint.wait_idle().await;
    }
}

impl Drop for MeshServer {
    fn drop(&mut self) {
        self.endpoint.close(close::SHUTDOWN, b"the server shuts down");
    }
}

async fn accept(endpoint: Endpoint, inner: Arc<Inner>) {
    while let Some(incoming) = endpoint.accept().await {
        if inner.strangers.available_permits() < STRANGERS_TRUSTED && incoming.may_retry() {
            let _ = incoming.retry();
            continue;
        }
        let Ok(place) = inner.strangers.clone().try_acquire_owned() else {
            MeshMetrics::one(&inner.metrics.refused_total);
            incoming.refuse();
            continue;
        };
        tokio::spawn(serve(inner.clone(), incoming, place));
    }
}

/// One connection, from its handshake to its end.
async fn serve(inner: Arc<Inner>, incoming: Incoming, place: OwnedSemaphorePermit) {
    let address = incoming.remote_address();
    let Ok(connecting) = incoming.accept() else { return };
    let connection = match timeout(HANDSHAKE, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return tracing::debug!(%address, %error, "mesh handshake failed"),
        Err(_) => return tracing::debug!(%address, "mesh handshake took too long"),
    };
    MeshMetrics::one(&inner.metrics.connections_total);
    MeshMetrics::one(&inner.metrics.connections);
    let ended = greet(&inner, &connection, place).await;
    MeshMetrics::less(&inner.metrics.connections);
    if let Err(why) = ended {
        tracing::info!(%address, %why, "mesh connection refused");
        MeshMetrics::one(&inner.metrics.refused_total);
        // The peer hangs up when it has read the refusal.
        let _ = timeout(HANDSHAKE, connection.closed()).await;
    }
    connection.close(close::REFUSED, b"");
}

/// The Hello, and what follows from it. The error is the reason why the peer was refused.
async fn greet(inner: &Arc<Inner>, connection: &Connection, place: OwnedSemaphorePermit) -> Result<(), String> {
    let first = timeout(FIRST_MESSAGE, connection.accept_bi()).await.map_err(|_| "it says nothing")?;
    let (send, recv) = first.map_err(|e| e.to_string())?;
    let stream = Stream::new(send, recv, &inner.metrics);
    let (envelope, stream) = read_envelope(stream, &inner.metrics).await.ok_or("its first message makes no sense")?;
    match admit(inner, connection, &envelope).await {
        Ok(Guest::Node(peer)) => {
            drop(place);
            let answered = stream.reply(inner.welcome(peer.version)).await;
            if answered.is_ok() {
                inner.registry.announce(&peer);
            }
            tracing::info!(node = peer.node, address = %peer.address(), "node connected");
            let caller = Caller { name: peer.node.clone(), identity: peer.identity.clone(), version: peer.version };
            let gate = Arc::new(Gate { inner: Arc::downgrade(inner), service: inner.service.clone() });
            let why = serve_calls(connection, caller, gate, &inner.metrics).await.to_string();
            tracing::info!(node = peer.node, why, "node gone");
            inner.registry.leave(&peer, &why);
            Ok(())
        }
        Ok(Guest::Stranger { version }) => {
            stream.reply(inner.welcome(version)).await.map_err(|e| e.to_string())?;
            // Over when the machine hangs up, or has stayed too long.
            let _ = timeout(STRANGER_STAY, serve_stranger(inner, connection)).await;
            Ok(())
        }
        Err(error) => {
            let why = error.message.clone();
            let _ = timeout(FIRST_MESSAGE, stream.refuse(error)).await;
            Err(why)
        }
    }
}

enum Guest {
    Node(Peer),
    Stranger { version: u16 },
}

/// Decides about a connection by its first message, and enters a node into the registry.
async fn admit(inner: &Inner, connection: &Connection, envelope: &Envelope) -> Result<Guest, ApiError> {
    let Call::Hello { node, oldest, newest } = &envelope.body else {
        return Err(ApiError::bad_request("the first call on a connection must be Hello"));
    };
    let version = negotiate(*oldest, *newest).ok_or_else(|| {
        let (ours, newest_ours) = PROTOCOL_VERSIONS.into_inner();
        ApiError::bad_request(format!(
            "no common protocol version: the peer speaks {oldest} to {newest}, this server {ours} to {newest_ours}"
        ))
    })?;
    let identity = peer_identity(connection).map_err(|e| ApiError::bad_request(e.to_string()))?;
    let Some(identity) = identity else { return Ok(Guest::Stranger { version }) };
    if identity.node() != Some(node.as_str()) {
        let message = format!("the certificate of \"{}\" is not that of node \"{node}\"", identity.common_name);
        return Err(ApiError::new(403, "Forbidden", message));
    }
    inner.service.admit(&identity, node).await?;
    let link = Link::new(connection.clone(), "server", &inner.metrics);
    let peer = Peer { node: node.clone(), identity: Arc::new(identity), version, link };
    inner.registry.enter(&peer)?;
    Ok(Guest::Node(peer))
}

/// A machine without a certificate: it may join, one call after the other.
async fn serve_stranger(inner: &Inner, connection: &Connection) {
    while let Ok((send, recv)) = connection.accept_bi().await {
        let stream = Stream::new(send, recv, &inner.metrics);
        let Some((envelope, stream)) = read_envelope(stream, &inner.metrics).await else { continue };
        let answer = match envelope.body {
            Call::Join { token, node, request } => inner.join(&token, &node, &request).await,
            _ => Err(ApiError::unauthorized()),
        };
        let _ = stream.reply(answer.unwrap_or_else(Answer::Error)).await;
    }
}

impl Inner {
    fn welcome(&self, version: u16) -> Answer {
        Answer::Welcome { version, cluster: self.pki.cluster_name().into(), server: self.server.clone() }
    }

    async fn join(&self, token: &str, node: &str, request: &[u8]) -> Result<Answer, ApiError> {
        let joined = match self.pki.tokens().verify(token, crate::protocol::time::now()) {
            Ok(()) => self.sign(node, request).await,
            Err(TokenError::Pki(error)) => Err(ApiError::internal(error)),
            Err(error) => Err(ApiError::new(401, "Unauthorized", error.to_string())),
        };
        match &joined {
            Ok(_) => tracing::info!(node, "machine joined"),
            Err(error) => {
                MeshMetrics::one(&self.metrics.refused_total);
                tracing::info!(node, why = error.message, "machine may not join");
            }
        }
        joined
    }

    /// A node's new certificate: for its own name and the very key it is connected with.
    async fn renew(&self, caller: &Caller, node: &str, request: &[u8]) -> Result<Answer, ApiError> {
        let key = request_fingerprint(request).map_err(|e| ApiError::bad_request(e.to_string()))?;
        if caller.name != node || caller.identity.key_fingerprint != key {
            let message = format!("node \"{}\" can renew only its own certificate, for its own key", caller.name);
            return Err(ApiError::new(403, "Forbidden", message));
        }
        self.sign(node, request).await
    }

    async fn sign(&self, node: &str, request: &[u8]) -> Result<Answer, ApiError> {
        let key = request_fingerprint(request).map_err(|e| ApiError::bad_request(e.to_string()))?;
        self.registry.check_free(node, &key)?;
        self.service.join_allowed(node, &key).await?;
        match self.pki.issue_node(request, node) {
            Ok(certificate) => Ok(Answer::Joined { certificate, ca: self.pki.ca_pem().into() }),
            Err(error @ (PkiError::Request(_) | PkiError::NodeName(_))) => Err(ApiError::bad_request(error.to_string())),
            Err(error) => Err(ApiError::internal(error)),
        }
    }
}

/// Stands before the service: answers what concerns the mesh itself.
struct Gate {
    inner: Weak<Inner>,
    service: Arc<dyn Service>,
}

#[async_trait]
impl Service for Gate {
    async fn call(&self, caller: Caller, envelope: Envelope, stream: Stream) {
        let answer = match &envelope.body {
            Call::Hello { .. } => Err(ApiError::bad_request("Hello was said already")),
            Call::Join { token, node, request } if token.is_empty() => match self.inner.upgrade() {
                Some(inner) => inner.renew(&caller, node, request).await,
                None => Err(ApiError::unavailable("the server shuts down")),
            },
            Call::Join { .. } => Err(ApiError::bad_request("this machine has joined already")),
            _ => return self.service.call(caller, envelope, stream).await,
        };
        let _ = stream.reply(answer.unwrap_or_else(Answer::Error)).await;
    }
}

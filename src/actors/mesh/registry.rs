//! Which nodes are connected to this server, each at most once.
use super::error::MeshError;
use super::link::Link;
use super::stream::Stream;
use super::transport::close;
use crate::protocol::mesh::{Answer, Call};
use crate::protocol::status::ApiError;
use crate::storage::pki::Identity;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::broadcast;

/// Events that a slow listener may be behind before it must look at [`super::MeshServer::peers`] again.
const EVENTS_KEPT: usize = 1024;

/// A connected node.
#[derive(Clone, Debug)]
pub struct Peer {
    pub node: String,
    pub identity: Arc<Identity>,
    /// The protocol version that was agreed on.
    pub version: u16,
    pub(super) link: Link,
}

impl Peer {
    /// Asks an actor on the node for something; see [`Link::call`].
    pub async fn call(&self, to: &str, call: Call) -> Result<Answer, MeshError> {
        self.link.call(to, call).await
    }

    /// See [`Link::call_within`].
    pub async fn call_within(&self, limit: Duration, to: &str, call: Call) -> Result<Answer, MeshError> {
        self.link.call_within(limit, to, call).await
    }

    /// See [`Link::open`].
    pub async fn open(&self, to: &str, call: Call) -> Result<(Answer, Stream), MeshError> {
        self.link.open(to, call).await
    }

    /// Where the node calls from now. It may change: nodes roam.
    pub fn address(&self) -> SocketAddr {
        self.link.connection.remote_address()
    }

    /// Ends the connection, for instance because the node was deleted. The node will dial again, and be asked for admission again.
    pub fn disconnect(&self, why: &str) {
        self.link.connection.close(close::REFUSED, why.as_bytes());
    }

    fn is_open(&self) -> bool {
        self.link.connection.close_reason().is_none()
    }

    fn same_connection(&self, other: &Peer) -> bool {
        self.link.connection.stable_id() == other.link.connection.stable_id()
    }
}

/// What happens to peers.
#[derive(Clone, Debug)]
pub enum PeerEvent {
    /// A node has connected. Comes again, without a `PeerGone` between, when a node's new connection replaces its old one.
    PeerConnected(Peer),
    /// A node has no connection any more.
    PeerGone { node: String, why: String },
}

/// The peers by node name.
#[derive(Debug)]
pub(super) struct Registry {
    peers: Mutex<BTreeMap<String, Peer>>,
    events: broadcast::Sender<PeerEvent>,
}

impl Registry {
    pub(super) fn new() -> Registry {
        Registry { peers: Mutex::default(), events: broadcast::channel(EVENTS_KEPT).0 }
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<PeerEvent> {
        self.events.subscribe()
    }

    pub(super) fn get(&self, node: &str) -> Option<Peer> {
        self.lock().get(node).cloned()
    }

    pub(super) fn all(&self) -> Vec<Peer> {
        self.lock().values().cloned().collect()
    }

    /// Refuses when `node` is connected with another key.
    pub(super) fn check_free(&self, node: &str, key_fingerprint: &str) -> Result<(), ApiError> {
        Self::check(self.lock().get(node), key_fingerprint)
    }

    /// Enters a peer. An older connection with the same key is closed; one with another key keeps the name.
    pub(super) fn enter(&self, peer: &Peer) -> Result<(), ApiError> {
        let mut peers = self.lock();
        Self::check(peers.get(&peer.node), &peer.identity.key_fingerprint)?;
        if let Some(old) = peers.insert(peer.node.clone(), peer.clone()) {
            old.link.connection.close(close::REPLACED, b"the node has connected anew");
        }
        Ok(())
    }

    /// Tells of a peer that was entered. Under the lock, so that events come in the order of what happened.
    pub(super) fn announce(&self, peer: &Peer) {
        let peers = self.lock();
        if peers.get(&peer.node).is_some_and(|now| now.same_connection(peer)) {
            let _ = self.events.send(PeerEvent::PeerConnected(peer.clone()));
        }
    }

    /// Takes out a peer whose connection has ended, unless a newer connection has taken its place.
    pub(super) fn leave(&self, peer: &Peer, why: &str) {
        let mut peers = self.lock();
        if peers.get(&peer.node).is_some_and(|now| now.same_connection(peer)) {
            peers.remove(&peer.node);
            let _ = self.events.send(PeerEvent::PeerGone { node: peer.node.clone(), why: why.into() });
        }
    }

    fn check(present: Option<&Peer>, key_fingerprint: &str) -> Result<(), ApiError> {
        match present {
            Some(peer) if peer.is_open() && peer.identity.key_fingerprint != key_fingerprint => {
                let key: String = peer.identity.key_fingerprint.chars().take(16).collect();
                let message = format!("node name \"{}\" is already taken by another machine (key {key})", peer.node);
                Err(ApiError::new(409, "AlreadyExists", message))
            }
            _ => Ok(()),
        }
    }

    /// What is inside is consistent after every statement, so a panic elsewhere poisons nothing.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Peer>> {
        self.peers.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

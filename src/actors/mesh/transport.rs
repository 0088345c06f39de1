//! Sockets, QUIC settings and limits, the same for both ends.
use super::error::MeshError;
use crate::protocol::mesh::PROTOCOL_VERSIONS;
use crate::storage::pki::{Identity, PkiError, identity_of};
use nix::sys::socket::{setsockopt, sockopt};
use quinn::{Connection, ConnectionId, ConnectionIdGenerator, EndpointConfig, IdleTimeout, TransportConfig, VarInt};
use rustls::pki_types::CertificateDer;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

/// Streams that a peer may have open at once: each allowed one costs memory, also when idle.
const MAX_STREAMS: u32 = 128;
/// Bytes in flight on one stream before its reader must take some.
const STREAM_WINDOW: u32 = 128 * 1024;
/// Every stream of both sides may be stuck and full, and the connection still has room: a slow reader blocks only itself.
const CONNECTION_WINDOW: u32 = 2 * MAX_STREAMS * STREAM_WINDOW;
/// Longer than what lies between two heartbeats of a node, which do the same: only a silent connection is asked.
const KEEP_ALIVE: Duration = Duration::from_secs(14);
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Bursts of this many bytes survive a busy moment of ours.
const SOCKET_BUFFER: usize = 2 * 1024 * 1024;

/// A handshake that takes longer comes to nothing.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);
/// A stream's first message must be there within this time.
pub(super) const FIRST_MESSAGE: Duration = Duration::from_secs(10);

/// Why a connection was closed, as the peer sees it.
pub(super) mod close {
    use quinn::VarInt;
    pub const DONE: VarInt = VarInt::from_u32(0);
    pub const REPLACED: VarInt = VarInt::from_u32(1);
    pub const REFUSED: VarInt = VarInt::from_u32(2);
    pub const SHUTDOWN: VarInt = VarInt::from_u32(3);
}

/// QUIC's settings. Only the dialling end keeps the connection (and its NAT mapping) alive.
pub(super) fn transport(keep_alive: bool) -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(MAX_STREAMS.into())
        .max_concurrent_uni_streams(0u32.into())
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(CONNECTION_WINDOW.into())
        .send_window(u64::from(CONNECTION_WINDOW))
        .datagram_receive_buffer_size(None)
        .keep_alive_interval(keep_alive.then_some(KEEP_ALIVE))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_TIMEOUT.as_millis() as u32))));
    Arc::new(config)
}

/// Settings of a server's endpoint. After a crash, nodes still send on connections that the new process does not know: with
/// the same key as before it can tell them so (a stateless reset), and they dial anew at once and not after the idle timeout.
pub(super) fn server_endpoint(secret: &[u8]) -> EndpointConfig {
    let mut config = EndpointConfig::new(Arc::new(ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret)));
    config.cid_generator(|| Box::new(RandomIds));
    config
}

/// Connection ids that any process of this server takes for its own.
struct RandomIds;

const CONNECTION_ID_BYTES: usize = 8;

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        // Without random bytes, handshakes fail for want of a free id, and nothing worse.
        let mut bytes = [0u8; CONNECTION_ID_BYTES];
        let _ = getrandom::fill(&mut bytes);
        ConnectionId::new(&bytes)
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// A UDP socket with room for bursts.
pub(super) fn socket(address: SocketAddr) -> Result<UdpSocket, MeshError> {
    let failed = |source| MeshError::Socket { address: address.to_string(), source };
    let socket = UdpSocket::bind(address).map_err(failed)?;
    // The kernel gives what its limits allow; less is slower, not wrong.
    let _ = setsockopt(&socket, sockopt::RcvBuf, &SOCKET_BUFFER);
    let _ = setsockopt(&socket, sockopt::SndBuf, &SOCKET_BUFFER);
    Ok(socket)
}

/// Who the peer is, by the certificate that the handshake proved; `None` when it showed none.
pub(super) fn peer_identity(connection: &Connection) -> Result<Option<Identity>, PkiError> {
    let chain = connection.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
    chain.as_ref().and_then(|chain| chain.first()).map(|leaf| identity_of(leaf)).transpose()
}

/// The highest protocol version that both sides speak.
pub(super) fn negotiate(oldest: u16, newest: u16) -> Option<u16> {
    let highest = newest.min(*PROTOCOL_VERSIONS.end());
    (highest >= oldest && PROTOCOL_VERSIONS.contains(&highest)).then_some(highest)
}

#[cfg(test)]
mod tests {
    use super::negotiate;

    #[test]
    fn highest_common_version() {
        assert_eq!(negotiate(1, 1), Some(1));
        assert_eq!(negotiate(0, 9), Some(1));
        assert_eq!(negotiate(2, 9), None);
        assert_eq!(negotiate(0, 0), None);
        assert_eq!(negotiate(9, 1), None);
    }
}

//! Who answers what peers ask, and the loop that hands it over.
use super::metrics::MeshMetrics;
use super::stream::Stream;
use super::transport::FIRST_MESSAGE;
use crate::protocol::mesh::Envelope;
use crate::protocol::status::ApiError;
use crate::storage::pki::Identity;
use async_trait::async_trait;
use quinn::{Connection, ConnectionError};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Calls of one peer that are worked on at the same time. QUIC bounds the open streams; a call may outlive its stream.
const CALLS_AT_ONCE: usize = 256;

/// Who makes a call.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The node's name on a server; on a node, the name that the server gave itself.
    pub name: String,
    /// From the certificate that the TLS handshake proved.
    pub identity: Arc<Identity>,
    /// The protocol version that was agreed on.
    pub version: u16,
}

/// What stands behind an end of the mesh.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// Answers one call on its stream: [`Stream::reply`], or [`Stream::answer`] and then frames. A stream that is dropped
    /// unanswered, also by a panic, is an error to the caller at once.
    async fn call(&self, caller: Caller, envelope: Envelope, stream: Stream);

    /// On servers: may the machine with this identity be connected as `node`? The place to pin a name to its key for good.
    /// Refuses everybody unless implemented.
    async fn admit(&self, identity: &Identity, node: &str) -> Result<(), ApiError> {
        let _ = identity;
        Err(ApiError::new(403, "Forbidden", format!("node \"{node}\" may not connect here")))
    }

    /// On servers: may the key with this fingerprint have a certificate for `node`? The token has been checked already.
    /// Refuses everybody unless implemented.
    async fn join_allowed(&self, node: &str, key_fingerprint: &str) -> Result<(), ApiError> {
        let _ = key_fingerprint;
        Err(ApiError::new(403, "Forbidden", format!("node \"{node}\" may not join here")))
    }
}

/// Hands the peer's calls to `service`, each in a task of its own, until the connection ends.
pub(super) async fn serve_calls(
    connection: &Connection,
    caller: Caller,
    service: Arc<dyn Service>,
    metrics: &Arc<MeshMetrics>,
) -> ConnectionError {
    let room = Arc::new(Semaphore::new(CALLS_AT_ONCE));
    loop {
        let accepted = connection.accept_bi().await;
        let (send, recv) = match accepted {
            Ok(halves) => halves,
            Err(error) => return error,
        };
        // The semaphore is never closed.
        let Ok(permit) = room.clone().acquire_owned().await else { continue };
        let stream = Stream::new(send, recv, metrics);
        let (caller, service, metrics) = (caller.clone(), service.clone(), metrics.clone());
        tokio::spawn(async move {
            let _permit = permit;
            if let Some((envelope, stream)) = read_envelope(stream, &metrics).await {
                service.call(caller, envelope, stream).await;
            }
        });
    }
}

/// The first message of a stream. What cannot be read is answered with an error, and is `None` here.
pub(super) async fn read_envelope(mut stream: Stream, metrics: &MeshMetrics) -> Option<(Envelope, Stream)> {
    MeshMetrics::one(&metrics.calls_in_total);
    let why = match timeout(FIRST_MESSAGE, stream.read::<Envelope>()).await {
        Ok(Ok(Some(envelope))) => return Some((envelope, stream)),
        Ok(Ok(None)) => "the stream carries no message".to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the message did not arrive in time".to_string(),
    };
    MeshMetrics::one(&metrics.malformed_total);
    let error = ApiError::bad_request(format!("not a call that this build knows: {why}"));
    let _ = timeout(FIRST_MESSAGE, stream.refuse(error)).await;
    None
}

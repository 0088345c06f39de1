//! What can go wrong on the mesh.
use super::codec::CodecError;
use crate::protocol::status::ApiError;
use crate::storage::pki::{PkiError, TokenError};
use std::time::Duration;

/// Why a call, a stream or a connection failed.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// The UDP socket could not be made.
    #[error("cannot open the UDP socket {address}: {source}")]
    Socket { address: String, source: std::io::Error },
    /// A server's address could not be found out.
    #[error("cannot resolve the server address \"{address}\": {why}")]
    Address { address: String, why: String },
    /// No connection came about: nobody there, or the certificates don't fit.
    #[error("cannot connect to {address}: {why}")]
    Connect { address: String, why: String },
    /// There is no connection at the moment; one is being tried for.
    #[error("not connected to any server")]
    NotConnected,
    /// The connection ended, or the peer abandoned the stream.
    #[error("the connection to the peer was cut: {0}")]
    Cut(String),
    /// As many calls are under way as the connection allows.
    #[error("too many calls are under way on this connection")]
    Busy,
    /// No answer within this time. Whether the call was carried out is unknown.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// A message was too long or made no sense.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The peer said no, in the API's words.
    #[error("{0}")]
    Refused(ApiError),
    /// The peer answered something that is no answer to the question.
    #[error("the peer's answer does not fit the question: {0}")]
    Unexpected(String),
    /// This machine belongs to another cluster than the token.
    #[error("this machine already belongs to another cluster; remove {0} to let it join a new one")]
    OtherCluster(String),
    #[error(transparent)]
    Pki(#[from] PkiError),
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl From<MeshError> for ApiError {
    /// How a failed call to a node looks to the API's client.
    fn from(error: MeshError) -> ApiError {
        match error {
            MeshError::Refused(error) => error,
            MeshError::TimedOut(_) => ApiError::timeout(error.to_string()),
            MeshError::NotConnected | MeshError::Cut(_) | MeshError::Busy | MeshError::Connect { .. } => {
                ApiError::unavailable(error.to_string())
            }
            other => ApiError::internal(other),
        }
    }
}

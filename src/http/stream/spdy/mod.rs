//! SPDY/3.1, as far as Kubernetes clients use it: they open streams, we answer on them.
//!
//! Flow control: we grant windows as the protocol wants. The clients' library never grants any and sends without regard to ours, so
//! our own sending obeys a window only once the peer has shown, by a WINDOW_UPDATE or SETTINGS, that it does flow control; until
//! then TCP's back-pressure is what there is. A stream whose reader lags holds up the connection's other streams, as upstream.
mod connection;
mod dictionary;
pub mod frame;
mod headers;
#[cfg(test)]
mod tests;

pub use connection::{Connection, SpdyStream, StreamReader, StreamWriter, serve};
pub use headers::{Headers, Packer, Unpacker};

/// Why a SPDY connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpdyError {
    #[error("not SPDY/3")]
    Version,
    #[error("a frame or header block is too large")]
    TooLarge,
    #[error("a header block does not decompress")]
    Compression,
    #[error("a malformed frame")]
    Malformed,
    #[error("the connection is closed")]
    Closed,
}

//! The channels of an exec or attach connection, the same to a session whether SPDY streams or websocket messages carry them.
use super::spdy::{SpdyError, StreamWriter};
use actix_ws::Session;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};

/// Websocket channel numbers.
pub(super) const STDIN: u8 = 0;
pub(super) const STDOUT: u8 = 1;
pub(super) const STDERR: u8 = 2;
pub(super) const ERROR: u8 = 3;
pub(super) const RESIZE: u8 = 4;
/// Since v5: the payload's one byte names a channel on which nothing follows.
pub(super) const CLOSE: u8 = 255;

/// The most that one websocket message carries, bytes.
const MAX_PIECE: usize = 32 * 1024;

/// How an exec protocol behaves, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    /// The result is a `Status` in JSON; before v4 it was the bare message, and nothing for success.
    pub json_status: bool,
    /// Terminal sizes have a stream of their own (SPDY, since v3).
    pub resize: bool,
    /// Channels can be closed one by one (websockets, v5).
    pub close_signal: bool,
    /// Payloads are base64 in text messages.
    pub base64: bool,
}

impl Dialect {
    pub fn of(protocol: &str) -> Self {
        let version = protocol.strip_prefix('v').and_then(|rest| rest.split('.').next()).and_then(|n| n.parse().ok()).unwrap_or(1u8);
        Dialect { json_status: version >= 4, resize: version >= 3, close_signal: version >= 5, base64: protocol.contains("base64.") }
    }
}

/// The way of one channel to the client.
pub(super) enum Outlet {
    Spdy(StreamWriter),
    WebSocket { session: Session, channel: u8, base64: bool },
}

impl Outlet {
    /// Sends bytes, waiting for the connection. Fails when the client is gone.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), SpdyError> {
        match self {
            Outlet::Spdy(writer) => writer.write(bytes).await,
            Outlet::WebSocket { session, channel, base64 } => {
                for piece in bytes.chunks(MAX_PIECE) {
                    send(session, *channel, *base64, piece).await?;
                }
                Ok(())
            }
        }
    }

    /// Shows the client that the channel is there, by an empty message; SPDY streams were replied to already.
    pub async fn announce(&mut self) -> Result<(), SpdyError> {
        match self {
            Outlet::Spdy(_) => Ok(()),
            Outlet::WebSocket { session, channel, base64 } => send(session, *channel, *base64, &[]).await,
        }
    }

    /// Nothing follows on this channel. Websocket channels end with their connection.
    pub async fn finish(self) -> Result<(), SpdyError> {
        match self {
            Outlet::Spdy(writer) => writer.finish().await,
            Outlet::WebSocket { .. } => Ok(()),
        }
    }
}

async fn send(session: &mut Session, channel: u8, base64: bool, piece: &[u8]) -> Result<(), SpdyError> {
    let sent = if base64 {
        let mut text = String::from(char::from(b'0' + channel));
        STANDARD.encode_string(piece, &mut text);
        session.text(text).await
    } else {
        let mut message = BytesMut::with_capacity(1 + piece.len());
        message.put_u8(channel);
        message.put_slice(piece);
        session.binary(message.freeze()).await
    };
    sent.map_err(|_| SpdyError::Closed)
}

/// A message's channel and payload; `None` when it has no channel or does not decode.
pub(crate) fn decode(base64: bool, message: Bytes) -> Option<(u8, Bytes)> {
    let (first, rest) = message.split_first()?;
    if !base64 {
        return Some((*first, message.slice(1..)));
    }
    let channel = first.checked_sub(b'0').filter(|channel| *channel < 10)?;
    Some((channel, STANDARD.decode(rest).ok()?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dialects_by_name() {
        let v5 = Dialect::of("v5.channel.k8s.io");
        assert!(v5.json_status && v5.close_signal && !v5.base64);
        let v4 = Dialect::of("v4.base64.channel.k8s.io");
        assert!(v4.json_status && !v4.close_signal && v4.base64);
        let v1 = Dialect::of("base64.channel.k8s.io");
        assert!(!v1.json_status && !v1.resize && v1.base64);
        assert_eq!(Dialect::of(""), Dialect::of("channel.k8s.io"));
        assert!(Dialect::of("v3.channel.k8s.io").resize);
    }

    #[test]
    fn messages_decode_or_are_refused() {
        assert_eq!(decode(false, Bytes::from_static(b"\x00hi")), Some((0, Bytes::from_static(b"hi"))));
        assert_eq!(decode(true, Bytes::from_static(b"0aGk=")), Some((0, Bytes::from_static(b"hi"))));
        assert_eq!(decode(false, Bytes::new()), None);
        assert_eq!(decode(true, Bytes::from_static(b"0?")), None);
        assert_eq!(decode(true, Bytes::from_static(b"!aGk=")), None);
    }
}

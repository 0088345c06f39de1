//! One call's stream: messages both ways, back-pressure by QUIC's flow control, every wait safe to cancel in a `select!`.
use super::codec;
use super::error::MeshError;
use super::metrics::MeshMetrics;
use crate::protocol::mesh::{Answer, Frame};
use crate::protocol::status::ApiError;
use bytes::{Buf, Bytes, BytesMut};
use quinn::{ReadError, RecvStream, SendStream, VarInt, WriteError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// How much is taken from QUIC at once.
const CHUNK: usize = 64 * 1024;
/// The code with which a stream is reset that was dropped unfinished.
const ABANDONED: VarInt = VarInt::from_u32(1);

/// Both halves of a call's stream.
///
/// Dropping it before [`Stream::finish`] tells the peer that the call was abandoned: it sees an error and not a clean end.
#[derive(Debug)]
pub struct Stream {
    writer: FrameWriter,
    reader: FrameReader,
}

impl Stream {
    pub(super) fn new(send: SendStream, recv: RecvStream, metrics: &Arc<MeshMetrics>) -> Stream {
        Stream {
            writer: FrameWriter { send, pending: Bytes::new(), finished: false, metrics: metrics.clone() },
            reader: FrameReader { recv, buffer: BytesMut::new(), metrics: metrics.clone() },
        }
    }

    /// Answers the call and goes on: frames may follow.
    pub async fn answer(&mut self, answer: &Answer) -> Result<(), MeshError> {
        self.writer.write(answer).await
    }

    /// Answers the call and ends it.
    pub async fn reply(mut self, answer: Answer) -> Result<(), MeshError> {
        self.writer.write(&answer).await?;
        self.writer.finish()
    }

    /// Ends the call with an error.
    pub async fn refuse(self, error: ApiError) -> Result<(), MeshError> {
        self.reply(Answer::Error(error)).await
    }

    /// The peer's next frame; `None` after its last.
    pub async fn next_frame(&mut self) -> Result<Option<Frame>, MeshError> {
        self.reader.next_frame().await
    }

    /// See [`FrameWriter::send_frame`].
    pub async fn send_frame(&mut self, frame: &Frame) -> Result<(), MeshError> {
        self.writer.send_frame(frame).await
    }

    /// Says that no frame follows from this side. What was sent before still arrives.
    pub fn finish(&mut self) -> Result<(), MeshError> {
        self.writer.finish()
    }

    /// The two halves, for two tasks.
    pub fn split(self) -> (FrameWriter, FrameReader) {
        (self.writer, self.reader)
    }

    pub(super) async fn write<T: Serialize>(&mut self, message: &T) -> Result<(), MeshError> {
        self.writer.write(message).await
    }

    pub(super) async fn read<T: DeserializeOwned>(&mut self) -> Result<Option<T>, MeshError> {
        self.reader.read().await
    }
}

/// The half that sends.
#[derive(Debug)]
pub struct FrameWriter {
    send: SendStream,
    /// Of an earlier message, what the peer's window had no room for when the wait was cancelled.
    pending: Bytes,
    finished: bool,
    metrics: Arc<MeshMetrics>,
}

impl FrameWriter {
    /// Sends a frame; waits as long as the peer has no room for it. When the wait is cancelled, the frame may be partly
    /// sent, and its rest goes out before the next one.
    pub async fn send_frame(&mut self, frame: &Frame) -> Result<(), MeshError> {
        self.write(frame).await
    }

    /// Says that no frame follows.
    ///
    /// # Errors
    /// When a cancelled frame is still only partly sent: the peer must not take that for a clean end.
    pub fn finish(&mut self) -> Result<(), MeshError> {
        if self.finished {
            return Ok(());
        }
        if self.pending.has_remaining() {
            return Err(MeshError::Cut("the last frame was cancelled half-way".into()));
        }
        self.finished = true;
        self.send.finish().map_err(|_| MeshError::Cut("the peer no longer listens".into()))
    }

    /// Waits until the peer no longer wants to hear from this stream, or is gone: for senders that have nothing to send.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let stopped = self.send.stopped();
        async move {
            let _ = stopped.await;
        }
    }

    async fn write<T: Serialize>(&mut self, message: &T) -> Result<(), MeshError> {
        let bytes = codec::encode(message)?;
        self.drain().await?;
        MeshMetrics::add(&self.metrics.bytes_out_total, bytes.len());
        self.pending = bytes;
        self.drain().await
    }

    async fn drain(&mut self) -> Result<(), MeshError> {
        while self.pending.has_remaining() {
            let written = self.send.write(&self.pending).await.map_err(cut_writing)?;
            self.pending.advance(written);
        }
        Ok(())
    }
}

impl Drop for FrameWriter {
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.send.reset(ABANDONED);
        }
    }
}

/// The half that receives.
#[derive(Debug)]
pub struct FrameReader {
    recv: RecvStream,
    buffer: BytesMut,
    metrics: Arc<MeshMetrics>,
}

impl FrameReader {
    /// The peer's next frame; `None` after its last.
    pub async fn next_frame(&mut self) -> Result<Option<Frame>, MeshError> {
        self.read().await
    }

    async fn read<T: DeserializeOwned>(&mut self) -> Result<Option<T>, MeshError> {
        loop {
            if let Some(message) = codec::take(&mut self.buffer)? {
                return Ok(Some(codec::decode(&message)?));
            }
            match self.recv.read_chunk(CHUNK, true).await {
                Ok(Some(chunk)) => {
                    MeshMetrics::add(&self.metrics.bytes_in_total, chunk.bytes.len());
                    self.buffer.extend_from_slice(&chunk.bytes);
                }
                Ok(None) if self.buffer.is_empty() => return Ok(None),
                Ok(None) => return Err(MeshError::Cut("the stream ended within a message".into())),
                Err(error) => return Err(cut_reading(error)),
            }
        }
    }
}

/// With the connection's own reason, when it is the connection that was lost.
fn cut_writing(error: WriteError) -> MeshError {
    MeshError::Cut(match error {
        WriteError::ConnectionLost(why) => why.to_string(),
        WriteError::Stopped(_) => "the peer no longer listens".into(),
        other => other.to_string(),
    })
}

fn cut_reading(error: ReadError) -> MeshError {
    MeshError::Cut(match error {
        ReadError::ConnectionLost(why) => why.to_string(),
        ReadError::Reset(_) => "the peer abandoned the call".into(),
        other => other.to_string(),
    })
}

//! One attached client of a shim: a non-blocking socket with bounded buffers in both directions.
use super::frame::{Decoder, Frame, FrameError};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// A client this far behind is dropped: a log is never held up by a reader.
const MAX_BACKLOG: usize = 256 * 1024;

/// A connection that speaks frames.
#[derive(Debug)]
pub struct Client {
    socket: UnixStream,
    decoder: Decoder,
    backlog: Vec<u8>,
    gone: bool,
}

/// Why a client is no longer of use.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the peer closed")]
    Closed,
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Client {
    pub fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Client { socket, decoder: Decoder::default(), backlog: Vec::new(), gone: false })
    }

    /// Takes over a connection from which something was read already.
    pub fn resume(socket: UnixStream, decoder: Decoder) -> io::Result<Self> {
        Ok(Client { decoder, ..Client::new(socket)? })
    }

    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether bytes wait for the peer to read.
    pub fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    pub fn backlog(&self) -> usize {
        self.backlog.len()
    }

    /// Whether the peer closed, broke the protocol, or reads too slowly to be kept.
    pub fn is_gone(&self) -> bool {
        self.gone || self.backlog.len() > MAX_BACKLOG
    }

    /// Gives the peer up; its owner removes it when that is convenient.
    pub fn give_up(&mut self) {
        self.gone = true;
    }

    /// Queues a frame and sends what goes without waiting.
    pub fn send(&mut self, frame: &Frame) -> Result<(), ClientError> {
        frame.encode(&mut self.backlog);
        self.flush()
    }

    pub fn flush(&mut self) -> Result<(), ClientError> {
        let mut sent = 0;
        let result = loop {
            let Some(rest) = self.backlog.get(sent..).filter(|r| !r.is_empty()) else { break Ok(()) };
            match self.socket.write(rest) {
                Ok(0) => break Err(ClientError::Closed),
                Ok(n) => sent += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => break Err(e.into()),
            }
        };
        self.backlog.drain(..sent);
        result
    }

    /// Reads once and returns the frames that became whole.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<Vec<Frame>, ClientError> {
        match self.socket.read(buffer) {
            Ok(0) => return Err(ClientError::Closed),
            Ok(n) => self.decoder.push(buffer.get(..n).unwrap_or_default()),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => return Ok(Vec::new()),
            Err(e) => return Err(e.into()),
        }
        self.take_frames()
    }

    /// The whole frames that were read already.
    pub fn take_frames(&mut self) -> Result<Vec<Frame>, ClientError> {
        let mut frames = Vec::new();
        while let Some(frame) = self.decoder.next_frame()? {
            frames.push(frame);
        }
        Ok(frames)
    }
}

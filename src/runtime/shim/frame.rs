//! The words spoken between the agent and a shim: one byte of kind, four bytes of length (big endian), a payload.

/// A payload is at most this long; longer output is sent in pieces.
pub const MAX_PAYLOAD: usize = 64 * 1024;
const HEADER: usize = 5;

/// One message on a control socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// To the container.
    Stdin(Vec<u8>),
    CloseStdin,
    Resize {
        width: u16,
        height: u16,
    },
    /// The order that opens an exec session: JSON of [`super::exec::Order`].
    Exec(Vec<u8>),
    /// From the container.
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    /// It ended; nothing follows.
    Exit(i32),
    /// The session could not be had; nothing follows.
    Failed(String),
}

/// The peer does not speak this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of {0} bytes is too long")]
    TooLong(usize),
    #[error("frame kind {0} with {1} bytes is unknown")]
    Unknown(u8, usize),
}

impl Frame {
    /// Appends the frame's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Frame::Stdin(data) => put(out, 0, data),
            Frame::CloseStdin => put(out, 1, &[]),
            Frame::Resize { width, height } => {
                let ([a, b], [c, d]) = (width.to_be_bytes(), height.to_be_bytes());
                put(out, 2, &[a, b, c, d]);
            }
            Frame::Exec(data) => put(out, 3, data),
            Frame::Stdout(data) => put(out, 4, data),
            Frame::Stderr(data) => put(out, 5, data),
            Frame::Exit(code) => put(out, 6, &code.to_be_bytes()),
            Frame::Failed(message) => put(out, 7, message.as_bytes()),
        }
    }

    fn decode(kind: u8, payload: &[u8]) -> Result<Frame, FrameError> {
        Ok(match (kind, payload) {
            (0, data) => Frame::Stdin(data.to_vec()),
            (1, []) => Frame::CloseStdin,
            (2, [a, b, c, d]) => Frame::Resize { width: u16::from_be_bytes([*a, *b]), height: u16::from_be_bytes([*c, *d]) },
            (3, data) => Frame::Exec(data.to_vec()),
            (4, data) => Frame::Stdout(data.to_vec()),
            (5, data) => Frame::Stderr(data.to_vec()),
            (6, [a, b, c, d]) => Frame::Exit(i32::from_be_bytes([*a, *b, *c, *d])),
            (7, text) => Frame::Failed(String::from_utf8_lossy(text).into_owned()),
            (kind, other) => return Err(FrameError::Unknown(kind, other.len())),
        })
    }
}

fn put(out: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    out.push(kind);
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    out.extend_from_slice(payload);
}

/// Cuts a byte stream into frames.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
}

impl Decoder {
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, if there is one. After an error the stream is of no further use.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some((&[kind, a, b, c, d], rest)) = self.buffer.split_first_chunk::<HEADER>() else { return Ok(None) };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > MAX_PAYLOAD {
            return Err(FrameError::TooLong(length));
        }
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        let frame = Frame::decode(kind, payload)?;
        self.buffer.drain(..HEADER + length);
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_any_cut() {
        let frames = [
            Frame::Stdin(b"in".to_vec()),
            Frame::CloseStdin,
            Frame::Resize { width: 80, height: 24 },
            Frame::Stdout(vec![7; MAX_PAYLOAD]),
            Frame::Exit(-1),
            Frame::Failed("no".into()),
        ];
        let mut bytes = Vec::new();
        frames.iter().for_each(|f| f.encode(&mut bytes));
        for step in [1, 3, 4096] {
            let mut decoder = Decoder::default();
            let mut seen = Vec::new();
            for piece in bytes.chunks(step) {
                decoder.push(piece);
                while let Some(f) = decoder.next_frame().expect("well formed") {
                    seen.push(f);
                }
            }
            assert_eq!(seen, frames);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let mut decoder = Decoder::default();
        decoder.push(&[0, 255, 0, 0, 0]);
        assert!(matches!(decoder.next_frame(), Err(FrameError::TooLong(_))));
        let mut decoder = Decoder::default();
        decoder.push(&[99, 0, 0, 0, 0]);
        assert_eq!(decoder.next_frame(), Err(FrameError::Unknown(99, 0)));
    }
}

//! SPDY/3.1 frames as bytes. No I/O here: the decoder is fed with whatever came and gives frames.
use super::SpdyError;
use super::headers::{Headers, Packer, Unpacker, take_u32};
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The largest control frame taken, bytes. Data frames have no limit: they are handed on in pieces as they come.
const MAX_CONTROL: usize = 32 * 1024;
const HEADER: usize = 8;
const FLAG_FIN: u8 = 1;
const SETTING_INITIAL_WINDOW: u32 = 7;
const VERSION: u16 = 3;

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const SETTINGS: u16 = 4;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;
const WINDOW_UPDATE: u16 = 9;

/// Status of a RST_STREAM: what the peer did is against the protocol.
pub const RST_PROTOCOL_ERROR: u32 = 1;
/// Status of a RST_STREAM: the stream was not looked at.
pub const RST_REFUSED: u32 = 3;
/// Status of a RST_STREAM: no more interest.
pub const RST_CANCEL: u32 = 5;

/// What a peer can say.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    SynStream {
        id: u32,
        fin: bool,
        headers: Headers,
    },
    SynReply {
        id: u32,
        fin: bool,
        headers: Headers,
    },
    RstStream {
        id: u32,
        status: u32,
    },
    /// Of all settings only the initial window concerns us.
    Settings {
        initial_window: Option<u32>,
    },
    Ping {
        id: u32,
    },
    GoAway {
        last: u32,
    },
    Headers {
        id: u32,
        fin: bool,
        headers: Headers,
    },
    WindowUpdate {
        id: u32,
        delta: u32,
    },
    /// A data frame or a piece of one; `fin` only on its last piece.
    Data {
        id: u32,
        fin: bool,
        payload: Bytes,
    },
}

/// The data frame that is being handed on.
struct DataInFlight {
    id: u32,
    fin: bool,
    left: usize,
}

/// Bytes to frames.
#[derive(Default)]
pub struct Decoder {
    buffer: BytesMut,
    data: Option<DataInFlight>,
    unpacker: Unpacker,
}

impl Decoder {
    /// Adds bytes. Take all frames with [`Decoder::next_frame`] before adding more: that bounds the buffer.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame, `None` when more bytes are needed. After an error the connection cannot go on.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, SpdyError> {
        loop {
            if let Some(data) = &mut self.data {
                let now = data.left.min(self.buffer.len());
                if now == 0 && data.left > 0 {
                    return Ok(None);
                }
                data.left -= now;
                let last = data.left == 0;
                let frame = Frame::Data { id: data.id, fin: data.fin && last, payload: self.buffer.split_to(now).freeze() };
                if last {
                    self.data = None;
                }
                return Ok(Some(frame));
            }
            let Some((head, _)) = self.buffer.split_first_chunk::<HEADER>() else { return Ok(None) };
            let [a, b, c, d, flags, e, f, g] = *head;
            let length = u32::from_be_bytes([0, e, f, g]) as usize;
            if a & 0x80 == 0 {
                let id = u32::from_be_bytes([a, b, c, d]);
                self.buffer.advance(HEADER);
                self.data = Some(DataInFlight { id, fin: flags & FLAG_FIN != 0, left: length });
                continue;
            }
            if length > MAX_CONTROL {
                return Err(SpdyError::TooLarge);
            }
            if self.buffer.len() < HEADER + length {
                return Ok(None);
            }
            if u16::from_be_bytes([a & 0x7f, b]) != VERSION {
                return Err(SpdyError::Version);
            }
            self.buffer.advance(HEADER);
            let body = self.buffer.split_to(length);
            if let Some(frame) = self.control(u16::from_be_bytes([c, d]), flags & FLAG_FIN != 0, &body)? {
                return Ok(Some(frame));
            }
        }
    }

    /// `None` for a type that is not known; such frames are to be ignored.
    fn control(&mut self, kind: u16, fin: bool, body: &[u8]) -> Result<Option<Frame>, SpdyError> {
        let mut rest = body;
        let mut word = || take_u32(&mut rest).ok_or(SpdyError::Malformed);
        Ok(Some(match kind {
            SYN_STREAM => {
                let id = word()? & 0x7fff_ffff;
                let _associated = word()?;
                // Priority and slot.
                let packed = rest.get(2..).ok_or(SpdyError::Malformed)?;
                Frame::SynStream { id, fin, headers: self.unpacker.unpack(packed)? }
            }
            SYN_REPLY => {
                let id = word()? & 0x7fff_ffff;
                Frame::SynReply { id, fin, headers: self.unpacker.unpack(rest)? }
            }
            HEADERS => {
                let id = word()? & 0x7fff_ffff;
                Frame::Headers { id, fin, headers: self.unpacker.unpack(rest)? }
            }
            RST_STREAM => Frame::RstStream { id: word()? & 0x7fff_ffff, status: word()? },
            SETTINGS => Frame::Settings { initial_window: initial_window(body)? },
            PING => Frame::Ping { id: word()? },
            GOAWAY => Frame::GoAway { last: word()? & 0x7fff_ffff },
            WINDOW_UPDATE => Frame::WindowUpdate { id: word()? & 0x7fff_ffff, delta: word()? & 0x7fff_ffff },
            _ => return Ok(None),
        }))
    }
}

fn initial_window(body: &[u8]) -> Result<Option<u32>, SpdyError> {
    let mut rest = body;
    let mut found = None;
    let count = take_u32(&mut rest).ok_or(SpdyError::Malformed)?;
    for _ in 0..count {
        let id = take_u32(&mut rest).ok_or(SpdyError::Malformed)? & 0x00ff_ffff;
        let value = take_u32(&mut rest).ok_or(SpdyError::Malformed)?;
        if id == SETTING_INITIAL_WINDOW {
            found = Some(value & 0x7fff_ffff);
        }
    }
    Ok(found)
}

fn control(kind: u16, fin: bool, body: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(HEADER + body.len());
    out.put_u16(0x8000 | VERSION);
    out.put_u16(kind);
    out.put_u32((u32::from(fin) << 24) | body.len() as u32);
    out.put_slice(body);
    out.freeze()
}

fn two(kind: u16, first: u32, second: u32) -> Bytes {
    let mut body = [0u8; 8];
    body.as_mut_slice().put_u32(first);
    body.as_mut_slice().get_mut(4..).unwrap_or_default().put_u32(second);
    control(kind, false, &body)
}

/// A stream's acceptance.
pub fn syn_reply(packer: &mut Packer, id: u32, headers: &[(&str, &str)]) -> Result<Bytes, SpdyError> {
    let mut body = id.to_be_bytes().to_vec();
    body.extend(packer.pack(headers)?);
    Ok(control(SYN_REPLY, false, &body))
}

/// A new stream; what a client sends.
pub fn syn_stream(packer: &mut Packer, id: u32, fin: bool, headers: &[(&str, &str)]) -> Result<Bytes, SpdyError> {
    let mut body = id.to_be_bytes().to_vec();
    body.extend([0u8; 6]);
    body.extend(packer.pack(headers)?);
    Ok(control(SYN_STREAM, fin, &body))
}

/// The abrupt end of a stream.
pub fn rst_stream(id: u32, status: u32) -> Bytes {
    two(RST_STREAM, id, status)
}

/// An answer to (or a) ping.
pub fn ping(id: u32) -> Bytes {
    control(PING, false, &id.to_be_bytes())
}

/// No more streams behind `last`; status OK.
pub fn go_away(last: u32) -> Bytes {
    two(GOAWAY, last, 0)
}

/// `delta` more bytes may be sent on the stream (0: on the connection).
pub fn window_update(id: u32, delta: u32) -> Bytes {
    two(WINDOW_UPDATE, id, delta)
}

/// A data frame. `payload` must be shorter than 16 MiB.
pub fn data(id: u32, fin: bool, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(HEADER + payload.len());
    out.put_u32(id & 0x7fff_ffff);
    out.put_u32((u32::from(fin) << 24) | (payload.len() as u32 & 0x00ff_ffff));
    out.put_slice(payload);
    out.freeze()
}

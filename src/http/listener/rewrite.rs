//! Shows SPDY upgrades to actix as websocket upgrades.
//!
//! actix opens a request's raw byte stream only for `Upgrade: websocket`. So on an HTTP/1.1 connection every request's head is looked
//! at on its way in: `Upgrade: SPDY/3.1` becomes `Upgrade: websocket` plus [`UPGRADE_WAS`], and its `Content-Length` (clients send 0)
//! is dropped. To find the heads of later requests, bodies are counted by `Content-Length`. After a chunked body, an upgrade or
//! anything odd the rest of the connection passes untouched; then only actix's own judgement counts.
use super::{Cutoff, PeerInfo, UPGRADE_WAS};
use bytes::{Buf, BytesMut};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The largest request head that is looked at, bytes. A longer one is answered with 431.
pub(super) const MAX_HEAD: usize = 16 * 1024;
/// Bytes that a refused client may still send before it is cut off.
const MAX_DRAINED: usize = 256 * 1024;
const READ_SIZE: usize = 8 * 1024;
const TOO_LARGE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// The head of a request is longer than [`MAX_HEAD`].
#[derive(Debug, PartialEq)]
pub(super) struct HeadTooLarge;

#[derive(Debug, PartialEq)]
enum State {
    /// Collecting a request's head.
    Head,
    /// This many bytes of body until the next head.
    Body(u64),
    /// Nothing is looked at any more.
    Opaque,
}

/// The pure part: bytes from the wire go in, bytes for actix come out.
#[derive(Debug)]
pub(super) struct Rewriter {
    state: State,
    head: BytesMut,
    ready: BytesMut,
}

impl Rewriter {
    pub(super) fn new(opaque: bool) -> Self {
        Rewriter { state: if opaque { State::Opaque } else { State::Head }, head: BytesMut::new(), ready: BytesMut::new() }
    }

    #[cfg(test)]
    pub(super) fn ready_bytes(&self) -> &[u8] {
        &self.ready
    }

    /// Takes bytes off the wire; what may go on is appended to `ready`.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), HeadTooLarge> {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Opaque => {
                    self.ready.extend_from_slice(bytes);
                    return Ok(());
                }
                State::Body(left) => {
                    let now = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    let (body, rest) = bytes.split_at(now);
                    self.ready.extend_from_slice(body);
                    bytes = rest;
                    *left -= now as u64;
                    if *left == 0 {
                        self.state = State::Head;
                    }
                }
                State::Head => bytes = self.feed_head(bytes)?,
            }
        }
        Ok(())
    }

    /// Adds to the head; gives back what lies behind its end.
    fn feed_head<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], HeadTooLarge> {
        // Empty lines before a request line are allowed and mean nothing.
        let bytes = if self.head.is_empty() { bytes.trim_ascii_start() } else { bytes };
        let before = self.head.len();
        let room = MAX_HEAD - before;
        let (taken, _) = bytes.split_at(bytes.len().min(room));
        self.head.extend_from_slice(taken);
        let Some(end) = head_end(&self.head, before.saturating_sub(3)) else {
            return if self.head.len() >= MAX_HEAD { Err(HeadTooLarge) } else { Ok(&[]) };
        };
        let text = self.head.split_to(end);
        let view = HeadView::read(&text);
        self.state = view.what_follows();
        if view.spdy {
            rewrite(&text, &mut self.ready);
        } else {
            self.ready.extend_from_slice(&text);
        }
        self.head.clear();
        Ok(bytes.get(end - before..).unwrap_or_default())
    }
}

/// Where a head ends: behind the first empty line, looking from `from` on. Bare line feeds count, as they do in actix's parser.
fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    let tail = bytes.get(from..)?;
    let mut search = tail.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at);
    search.find_map(|at| match tail.get(at + 1..)? {
        [b'\n', ..] => Some(from + at + 2),
        [b'\r', b'\n', ..] => Some(from + at + 3),
        _ => None,
    })
}

/// What matters in a head.
#[derive(Default)]
struct HeadView {
    spdy: bool,
    upgrade: bool,
    chunked: bool,
    lengths: Vec<Option<u64>>,
}

impl HeadView {
    fn read(head: &[u8]) -> Self {
        let mut view = HeadView { upgrade: head.starts_with(b"CONNECT "), ..Default::default() };
        for (name, value) in head.split(|b| *b == b'\n').skip(1).filter_map(header) {
            if name.eq_ignore_ascii_case(b"upgrade") {
                view.upgrade = true;
                view.spdy |= value.eq_ignore_ascii_case(b"spdy/3.1");
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                view.chunked = true;
            } else if name.eq_ignore_ascii_case(b"content-length") {
                view.lengths.push(std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()));
            }
        }
        // A SPDY upgrade with a body is none; it goes on as it is and is refused by the handler.
        view.spdy &= !view.chunked && view.lengths.iter().all(|length| *length == Some(0));
        view
    }

    fn what_follows(&self) -> State {
        match self.lengths.as_slice() {
            _ if self.upgrade || self.chunked => State::Opaque,
            [] | [Some(0)] => State::Head,
            [Some(length)] => State::Body(*length),
            _ => State::Opaque,
        }
    }
}

fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|b| *b == b':')?;
    let (name, value) = line.split_at(colon);
    Some((name, value.get(1..)?.trim_ascii()))
}

fn rewrite(head: &[u8], out: &mut BytesMut) {
    for (number, line) in head.split_inclusive(|b| *b == b'\n').enumerate() {
        let name = if number == 0 { None } else { header(line).map(|(name, _)| name) };
        match name {
            Some(name) if name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(UPGRADE_WAS.as_bytes()) => {}
            Some(name) if name.eq_ignore_ascii_case(b"upgrade") => {
                out.extend_from_slice(b"Upgrade: websocket\r\n");
                out.extend_from_slice(UPGRADE_WAS.as_bytes());
                out.extend_from_slice(b": SPDY/3.1\r\n");
            }
            _ => out.extend_from_slice(line),
        }
    }
}

/// A connection whose incoming request heads are rewritten. What is written to it passes unchanged.
pub(super) struct Rewriting<T> {
    io: T,
    pub(super) peer: PeerInfo,
    pub(super) cutoff: Cutoff,
    rewriter: Rewriter,
    refusal: Option<Refusal>,
}

/// A 431 on its way out.
#[derive(Default)]
struct Refusal {
    written: usize,
    flushed: bool,
    drained: usize,
}

impl<T> Rewriting<T> {
    /// `opaque`: look at nothing (HTTP/2 has its own framing and no upgrades).
    pub(super) fn new(io: T, peer: PeerInfo, opaque: bool) -> Self {
        Rewriting { io, peer, cutoff: Cutoff::default(), rewriter: Rewriter::new(opaque), refusal: None }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Rewriting<T> {
    /// Writes the 431, then swallows what the client still sends so that the answer is not lost to a TCP reset; ends as end of file.
    fn poll_refuse(io: &mut T, refusal: &mut Refusal, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = TOO_LARGE.get(refusal.written..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut *io).poll_write(cx, rest))? {
                0 => return Poll::Ready(Ok(())),
                written => refusal.written += written,
            }
        }
        if !refusal.flushed {
            ready!(Pin::new(&mut *io).poll_flush(cx))?;
            refusal.flushed = true;
        }
        while refusal.drained < MAX_DRAINED {
            let mut space = [MaybeUninit::uninit(); READ_SIZE];
            let mut read = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut *io).poll_read(cx, &mut read))?;
            match read.filled().len() {
                0 => break,
                more => refusal.drained += more,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Rewriting<T> {
    fn poll_rewritten(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self;
        loop {
            if let Some(refusal) = &mut this.refusal {
                return Self::poll_refuse(&mut this.io, refusal, cx);
            }
            let ready_bytes = &mut this.rewriter.ready;
            if !ready_bytes.is_empty() {
                let now = ready_bytes.len().min(out.remaining());
                out.put_slice(ready_bytes.get(..now).unwrap_or_default());
                ready_bytes.advance(now);
                return Poll::Ready(Ok(()));
            }
            if this.rewriter.state == State::Opaque {
                return Pin::new(&mut this.io).poll_read(cx, out);
            }
            let mut space = [MaybeUninit::uninit(); READ_SIZE];
            let mut read = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut this.io).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            if this.rewriter.feed(read.filled()).is_err() {
                this.refusal = Some(Refusal::default());
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Rewriting<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let cutoff = self.cutoff.clone();
        cutoff.poll(cx, |cx| self.poll_rewritten(cx, out))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Rewriting<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.cutoff.poll(cx, |cx| Pin::new(&mut this.io).poll_write(cx, bytes))
    }
    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.cutoff.poll(cx, |cx| Pin::new(&mut this.io).poll_write_vectored(cx, parts))
    }
    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.cutoff.poll(cx, |cx| Pin::new(&mut this.io).poll_flush(cx))
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.cutoff.poll(cx, |cx| Pin::new(&mut this.io).poll_shutdown(cx))
    }
}

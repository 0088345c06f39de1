//! A SPDY connection's server side: streams over any pair of byte channels.
//!
//! Everything here runs on one thread (the actix worker that owns the connection), hence `Rc` and cells.
use super::SpdyError;
use super::frame::{self, Decoder, Frame};
use super::headers::{Headers, Packer};
use crate::http::stream::delivery::deliver;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use tokio::sync::{Mutex, Notify, mpsc};
use tokio_util::sync::CancellationToken;

const MAX_STREAMS: usize = 256;
/// Pieces of data that wait for a stream's reader.
const STREAM_QUEUE: usize = 8;
/// New streams that wait to be looked at.
const INCOMING_QUEUE: usize = 16;
const INITIAL_WINDOW: i64 = 64 * 1024;
/// Consumed bytes after which more window is granted.
const GRANT: u32 = 32 * 1024;
/// The id of our pings; a server's are even.
const OUR_PING: u32 = 2;
/// The largest data frame that we send, bytes.
const MAX_DATA: usize = 32 * 1024;

/// How much may be sent. Counts from the start, binds only after the peer's first grant.
struct SendWindow {
    credit: Cell<i64>,
    binding: Cell<bool>,
    changed: Notify,
}

impl SendWindow {
    fn new(credit: i64) -> Self {
        SendWindow { credit: Cell::new(credit), binding: Cell::new(false), changed: Notify::new() }
    }

    fn grant(&self, delta: i64) {
        self.binding.set(true);
        self.credit.set(self.credit.get().saturating_add(delta));
        self.changed.notify_waiters();
    }

    /// How many of `wanted` bytes may go now.
    fn available(&self, wanted: usize) -> usize {
        if self.binding.get() { wanted.min(usize::try_from(self.credit.get()).unwrap_or(0)) } else { wanted }
    }

    fn spend(&self, bytes: usize) {
        self.credit.set(self.credit.get().saturating_sub(bytes as i64));
    }
}

/// One stream, as the connection knows it.
struct Entry {
    /// Gone when the peer has finished.
    inbox: Option<mpsc::Sender<Bytes>>,
    window: Rc<SendWindow>,
    /// Cancelled when the stream is reset by the peer or the connection ended.
    dead: CancellationToken,
    finished_here: bool,
}

struct Shared {
    output: mpsc::Sender<Bytes>,
    /// Held while packing and sending: header blocks must leave in the order in which they were packed.
    packer: Mutex<Packer>,
    streams: RefCell<HashMap<u32, Entry>>,
    window: SendWindow,
    initial_window: Cell<i64>,
    last_id: Cell<u32>,
    closed: CancellationToken,
}

impl Shared {
    async fn send(&self, bytes: Bytes) -> Result<(), SpdyError> {
        self.output.send(bytes).await.map_err(|_| SpdyError::Closed)
    }

    fn finish_here(&self, id: u32) {
        let mut streams = self.streams.borrow_mut();
        if let Some(entry) = streams.get_mut(&id) {
            entry.finished_here = true;
            if entry.inbox.is_none() {
                streams.remove(&id);
            }
        }
    }

    fn finish_there(&self, id: u32) {
        let mut streams = self.streams.borrow_mut();
        if let Some(entry) = streams.get_mut(&id) {
            entry.inbox = None;
            if entry.finished_here {
                streams.remove(&id);
            }
        }
    }

    fn remove(&self, id: u32) {
        if let Some(entry) = self.streams.borrow_mut().remove(&id) {
            entry.dead.cancel();
        }
    }
}

/// The connection: where new streams come from.
pub struct Connection {
    shared: Rc<Shared>,
    incoming: mpsc::Receiver<SpdyStream>,
}

/// A stream that the client opened; not yet answered.
pub struct SpdyStream {
    pub id: u32,
    pub headers: Headers,
    pub reader: StreamReader,
    pub writer: StreamWriter,
}

/// What the client sends on a stream.
pub struct StreamReader {
    id: u32,
    inbox: mpsc::Receiver<Bytes>,
    consumed: u32,
    shared: Rc<Shared>,
}

/// What we send on a stream. Dropping it unfinished resets the stream.
pub struct StreamWriter {
    id: u32,
    shared: Rc<Shared>,
    window: Rc<SendWindow>,
    dead: CancellationToken,
    finished: bool,
}

/// Starts a connection over `input` and `output`. It lives until the input ends, the peer errs, or [`Connection::close`].
/// Must be called on an actix worker (or inside a `LocalSet`).
pub fn serve<S, E>(input: S, output: mpsc::Sender<Bytes>) -> Result<Connection, SpdyError>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin + 'static,
    E: std::fmt::Display + 'static,
{
    let shared = Rc::new(Shared {
        output,
        packer: Mutex::new(Packer::new()?),
        streams: RefCell::default(),
        window: SendWindow::new(INITIAL_WINDOW),
        initial_window: Cell::new(INITIAL_WINDOW),
        last_id: Cell::new(0),
        closed: CancellationToken::new(),
    });
    let (arrivals, incoming) = mpsc::channel(INCOMING_QUEUE);
    let driver = shared.clone();
    actix_rt::spawn(async move {
        let closed = driver.closed.clone();
        let end = tokio::select! {
            end = drive(&driver, input, arrivals) => end,
            () = closed.cancelled() => Ok(()),
        };
        if let Err(error) = end {
            tracing::debug!(%error, "SPDY connection ended");
        }
        closed.cancel();
        for (_, entry) in driver.streams.borrow_mut().drain() {
            entry.dead.cancel();
        }
    });
    Ok(Connection { shared, incoming })
}

/// Reads frames until the input ends.
async fn drive<S, E>(shared: &Rc<Shared>, mut input: S, arrivals: mpsc::Sender<SpdyStream>) -> Result<(), SpdyError>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    let mut decoder = Decoder::default();
    while let Some(chunk) = input.next().await {
        let Ok(chunk) = chunk else { return Err(SpdyError::Closed) };
        decoder.feed(&chunk);
        while let Some(frame) = decoder.next_frame()? {
            handle(shared, frame, &arrivals).await?;
        }
    }
    Ok(())
}

async fn handle(shared: &Rc<Shared>, frame: Frame, arrivals: &mpsc::Sender<SpdyStream>) -> Result<(), SpdyError> {
    match frame {
        Frame::SynStream { id, fin, headers } => return open(shared, id, fin, headers, arrivals).await,
        Frame::Data { id, fin, payload } => {
            let inbox = shared.streams.borrow().get(&id).and_then(|entry| entry.inbox.clone());
            if let Some(inbox) = inbox.filter(|_| !payload.is_empty()) {
                // A reader that is gone does not want it; the stream itself may live on for its writer.
                deliver(&inbox, payload, async || shared.send(frame::ping(OUR_PING)).await).await?;
            }
            if fin {
                shared.finish_there(id);
            }
        }
        Frame::Headers { id, fin: true, .. } => shared.finish_there(id),
        Frame::RstStream { id, .. } => shared.remove(id),
        // Those with even numbers are answers to ours.
        Frame::Ping { id } if id % 2 == 1 => shared.send(frame::ping(id)).await?,
        Frame::WindowUpdate { id: 0, delta } => shared.window.grant(i64::from(delta)),
        Frame::WindowUpdate { id, delta } => {
            if let Some(entry) = shared.streams.borrow().get(&id) {
                entry.window.grant(i64::from(delta));
            }
        }
        Frame::Settings { initial_window: Some(window) } => {
            let change = i64::from(window) - shared.initial_window.replace(i64::from(window));
            shared.streams.borrow().values().for_each(|entry| entry.window.grant(change));
        }
        Frame::Settings { .. } | Frame::Headers { .. } | Frame::Ping { .. } | Frame::SynReply { .. } | Frame::GoAway { .. } => {}
    }
    Ok(())
}

async fn open(shared: &Rc<Shared>, id: u32, fin: bool, headers: Headers, arrivals: &mpsc::Sender<SpdyStream>) -> Result<(), SpdyError> {
    if id.is_multiple_of(2) || id <= shared.last_id.get() {
        return shared.send(frame::rst_stream(id, frame::RST_PROTOCOL_ERROR)).await;
    }
    shared.last_id.set(id);
    if shared.streams.borrow().len() >= MAX_STREAMS {
        return shared.send(frame::rst_stream(id, frame::RST_REFUSED)).await;
    }
    let (inbox, receiver) = mpsc::channel(STREAM_QUEUE);
    let window = Rc::new(SendWindow::new(shared.initial_window.get()));
    let dead = CancellationToken::new();
    let entry = Entry { inbox: (!fin).then_some(inbox), window: window.clone(), dead: dead.clone(), finished_here: false };
    shared.streams.borrow_mut().insert(id, entry);
    let stream = SpdyStream {
        id,
        headers,
        reader: StreamReader { id, inbox: receiver, consumed: 0, shared: shared.clone() },
        writer: StreamWriter { id, shared: shared.clone(), window, dead, finished: false },
    };
    // With nobody to take it the writer is dropped here, which resets the stream.
    let _ = arrivals.send(stream).await;
    Ok(())
}

impl Connection {
    /// The next stream that the client opens; `None` when the connection is closed.
    pub async fn accept(&mut self) -> Option<SpdyStream> {
        self.incoming.recv().await
    }

    /// Fires when the connection is closed from either side.
    pub fn closed(&self) -> CancellationToken {
        self.shared.closed.clone()
    }

    /// Says good-bye and ends the connection. Finish the streams first.
    pub async fn close(self) {
        let _ = self.shared.send(frame::go_away(self.shared.last_id.get())).await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.closed.cancel();
    }
}

impl SpdyStream {
    /// A header's value; names are lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Tells the client that the stream is taken.
    pub async fn accept(&self) -> Result<(), SpdyError> {
        let mut packer = self.writer.shared.packer.lock().await;
        let reply = frame::syn_reply(&mut packer, self.id, &[])?;
        self.writer.shared.send(reply).await
    }
}

impl StreamReader {
    /// The next bytes; `None` when the client finished or reset the stream, or is gone.
    pub async fn recv(&mut self) -> Option<Bytes> {
        let bytes = self.inbox.recv().await?;
        self.consumed = self.consumed.saturating_add(bytes.len() as u32);
        if self.consumed >= GRANT {
            let delta = std::mem::take(&mut self.consumed);
            let grants = [frame::window_update(self.id, delta), frame::window_update(0, delta)].concat();
            let _ = self.shared.send(grants.into()).await;
        }
        Some(bytes)
    }
}

impl StreamWriter {
    /// Sends bytes, waiting for the connection (and the peer's window, if it keeps one). Fails when the stream is gone.
    pub async fn write(&self, mut bytes: Bytes) -> Result<(), SpdyError> {
        while !bytes.is_empty() {
            let now = tokio::select! {
                biased;
                () = self.dead.cancelled() => return Err(SpdyError::Closed),
                now = self.may_send(bytes.len().min(MAX_DATA)) => now,
            };
            self.shared.send(frame::data(self.id, false, &bytes.split_to(now))).await?;
        }
        Ok(())
    }

    async fn may_send(&self, wanted: usize) -> usize {
        loop {
            let (stream, connection) = (self.window.changed.notified(), self.shared.window.changed.notified());
            let now = self.window.available(self.shared.window.available(wanted));
            if now > 0 {
                self.window.spend(now);
                self.shared.window.spend(now);
                return now;
            }
            tokio::select! { () = stream => {}, () = connection => {} }
        }
    }

    /// Resolves when the client has reset the stream or the connection ended.
    pub async fn gone(&self) {
        self.dead.cancelled().await;
    }

    /// Tells the client that nothing follows on this stream.
    pub async fn finish(mut self) -> Result<(), SpdyError> {
        self.finished = true;
        self.shared.finish_here(self.id);
        self.shared.send(frame::data(self.id, true, &[])).await
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        if !self.finished && !self.dead.is_cancelled() {
            self.shared.remove(self.id);
            // Best effort: where the queue is full the connection is about to end anyway, or the client finds out by its own means.
            let _ = self.shared.output.try_send(frame::rst_stream(self.id, frame::RST_CANCEL));
        }
    }
}

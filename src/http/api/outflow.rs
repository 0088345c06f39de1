//! A watch or a large body on its way to the client, and the bound for clients that never read: their connection is ended.
//!
//! A client that is merely slow is cut off by the bound on its queue, and told so. But one that reads nothing is not told
//! anything: its answer stands still, over HTTP/1 with the connection, over HTTP/2 with its own window alone. Both show in the
//! same way: a chunk was handed over, and the next one is not asked for.
use super::watch::WatchStream;
use crate::http::audit::Record;
use crate::http::listener::Cutoff;
use bytes::Bytes;
use futures_util::Stream;
use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// How long a client may leave a chunk of a watch unread.
pub const STALL_LIMIT: Duration = Duration::from_secs(60);

/// The chunks of a watch, as actix takes them. The record of a watch ends when the stream is dropped.
pub fn watching(
    stream: WatchStream,
    stop: CancellationToken,
    record: Option<Record>,
) -> impl Stream<Item = Result<Bytes, actix_web::Error>> + 'static {
    futures_util::stream::unfold((stream, stop, record), |(mut stream, stop, record)| async move {
        tokio::select! {
            biased;
            () = stop.cancelled() => None,
            chunk = stream.next() => chunk.map(|c| (Ok(c), (stream, stop, record))),
        }
    })
}

/// How much of a large body is handed over at a time.
const PIECE: usize = 64 * 1024;

/// A large body in pieces, with the seat of its request.
pub fn pieces(body: Bytes, seat: Option<OwnedSemaphorePermit>) -> impl Stream<Item = Result<Bytes, actix_web::Error>> + 'static {
    futures_util::stream::unfold((body, seat), |(mut body, seat)| async move {
        let piece = body.split_to(body.len().min(PIECE));
        (!piece.is_empty()).then_some((Ok(piece), (body, seat)))
    })
}

/// A stream whose connection is ended when nobody takes what it gives.
pub struct Outflow<S> {
    stream: Pin<Box<S>>,
    /// When the last chunk was handed over; `None` while the next one is asked for.
    handed: Rc<Cell<Option<Instant>>>,
    guard: JoinHandle<()>,
}

impl<S: Stream> Outflow<S> {
    /// To be called on a thread that serves connections.
    pub fn new(stream: S, cutoff: Cutoff, limit: Duration) -> Self {
        let handed = Rc::new(Cell::new(None));
        let guard = actix_web::rt::spawn(guard(handed.clone(), cutoff, limit));
        Outflow { stream: Box::pin(stream), handed, guard }
    }
}

/// Looks once per limit: an idle watch costs next to nothing.
async fn guard(handed: Rc<Cell<Option<Instant>>>, cutoff: Cutoff, limit: Duration) {
    loop {
        let since = handed.get();
        if since.is_some_and(|at| at.elapsed() >= limit) {
            tracing::info!("a client reads nothing of its answer; its connection is closed");
            return cutoff.cut();
        }
        sleep_until(since.unwrap_or_else(Instant::now) + limit).await;
    }
}

impl<S: Stream> Stream for Outflow<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let polled = self.stream.as_mut().poll_next(cx);
        self.handed.set(polled.is_ready().then(Instant::now));
        polled
    }
}

impl<S> Drop for Outflow<S> {
    fn drop(&mut self) {
        self.guard.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;
    use futures_util::stream::{pending, repeat};

    #[actix_web::test]
    async fn a_large_body_keeps_its_seat_to_the_end() {
        let seats = std::sync::Arc::new(tokio::sync::Semaphore::new(1));
        let seat = seats.clone().try_acquire_owned().expect("a seat");
        let mut body = Box::pin(pieces(Bytes::from(vec![7; 2 * PIECE + 1]), Some(seat)));
        let mut sizes = Vec::new();
        while let Some(piece) = body.next().await {
            sizes.push(piece.expect("a piece").len());
            assert_eq!(seats.available_permits(), 0);
        }
        drop(body);
        assert_eq!((sizes, seats.available_permits()), (vec![PIECE, PIECE, 1], 1));
    }

    #[actix_web::test]
    async fn who_takes_nothing_is_cut_off_and_who_waits_is_not() {
        tokio::time::pause();
        let (stalled, idle, slow) = (Cutoff::default(), Cutoff::default(), Cutoff::default());
        let mut unread = Outflow::new(repeat(1), stalled.clone(), STALL_LIMIT);
        let mut quiet = Outflow::new(pending::<u8>(), idle.clone(), STALL_LIMIT);
        let mut read = Outflow::new(repeat(1), slow.clone(), STALL_LIMIT);
        assert_eq!(unread.next().await, Some(1));
        for _ in 0..10 {
            assert!(tokio::time::timeout(STALL_LIMIT / 2, quiet.next()).await.is_err());
            assert_eq!(read.next().await, Some(1));
        }
        assert_eq!([stalled.is_cut(), idle.is_cut(), slow.is_cut()], [true, false, false]);
        let gone = Cutoff::default();
        let _ = Outflow::new(repeat(1), gone.clone(), STALL_LIMIT).next().await;
        tokio::time::sleep(STALL_LIMIT * 3).await;
        assert!(!gone.is_cut(), "a watch that has ended cuts nobody");
    }
}

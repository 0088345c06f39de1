//! Ending a connection from outside of it: by a handler that finds out that its client is no client any more.
use futures_util::task::AtomicWaker;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// Ends one connection; found by handlers with `req.conn_data::<Cutoff>()`.
#[derive(Clone, Default)]
pub struct Cutoff(Arc<Inner>);

#[derive(Default)]
struct Inner {
    cut: AtomicBool,
    /// The task that serves the connection.
    serving: AtomicWaker,
}

impl Cutoff {
    /// Ends the connection with everything on it; nothing more is read or written.
    pub fn cut(&self) {
        self.0.cut.store(true, Ordering::Release);
        self.0.serving.wake();
    }

    pub fn is_cut(&self) -> bool {
        self.0.cut.load(Ordering::Acquire)
    }

    /// Reading or writing, unless the connection has been cut.
    pub(super) fn poll<T>(&self, cx: &mut Context<'_>, io: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if !self.is_cut() {
            match io(cx) {
                Poll::Pending => self.0.serving.register(cx.waker()),
                ready => return ready,
            }
        }
        // Looked at once more behind the registration: the cut may have come in between.
        if self.is_cut() { Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())) } else { Poll::Pending }
    }
}

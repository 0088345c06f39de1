//! The handle to an actor: bounded and counted. actix's own `do_send` ignores the capacity and drops silently when the
//! actor is gone, so nothing in this project uses it.
use super::registry::Stats;
use actix::Recipient;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::oneshot;

/// Where messages of type `M` go. Cheap to clone; stays valid over restarts of the actor.
pub struct Mailbox<M: Send + 'static> {
    inner: Arc<Inner<M>>,
}

struct Inner<M: Send + 'static> {
    path: Arc<str>,
    stats: Arc<Stats>,
    to: OnceLock<Recipient<Letter<M>>>,
}

/// A message was not taken; it comes back.
#[derive(Debug, thiserror::Error)]
pub enum SendError<M> {
    #[error("the mailbox is full")]
    Full(M),
    #[error("the actor is not running")]
    Closed(M),
}

/// A question got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    #[error("{0} is overloaded: its mailbox is full")]
    Full(Arc<str>),
    #[error("{0} is not running")]
    Closed(Arc<str>),
    #[error("{0} gave up on the question before answering it")]
    Dropped(Arc<str>),
    #[error("{0} did not answer in time")]
    Timeout(Arc<str>),
}

impl<M: Send + 'static> Clone for Mailbox<M> {
    fn clone(&self) -> Self {
        Mailbox { inner: self.inner.clone() }
    }
}

impl<M: Send + 'static> std::fmt::Debug for Mailbox<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mailbox({})", self.inner.path)
    }
}

impl<M: Send + 'static> Mailbox<M> {
    /// An address that the guardian binds to an actor later, so that actors can know each other before they start.
    pub fn new(path: impl Into<Arc<str>>) -> Self {
        Mailbox { inner: Arc::new(Inner { path: path.into(), stats: Arc::default(), to: OnceLock::new() }) }
    }

    /// The actor's path, for instance `server/kinds/pods`.
    pub fn path(&self) -> &Arc<str> {
        &self.inner.path
    }

    /// The actor's counters.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.inner.stats
    }

    pub(super) fn bind(&self, to: Recipient<Letter<M>>) {
        // A second binding would mean two actors on one path; the first one stays.
        let _ = self.inner.to.set(to);
    }

    /// Leaves a message. When the mailbox is full or the actor is gone the message comes back and is counted as dropped.
    pub fn tell(&self, message: M) -> Result<(), SendError<M>> {
        let told = self.try_tell(message);
        if told.is_err() {
            self.inner.stats.dropped.fetch_add(1, Relaxed);
        }
        told
    }

    /// Leaves a message, after waiting for room in a full mailbox. False when the actor is gone.
    ///
    /// Every letter that leaves the mailbox wakes one of those who wait. Whoever is woken puts in a letter of its own, and that one
    /// wakes the next: nobody is forgotten.
    pub async fn deliver(&self, mut message: M) -> bool {
        loop {
            match self.try_tell(message) {
                Ok(()) => return true,
                Err(SendError::Full(back)) => message = back,
                Err(SendError::Closed(_)) => {
                    self.inner.stats.dropped.fetch_add(1, Relaxed);
                    return false;
                }
            }
            self.inner.stats.room.notified().await;
        }
    }

    /// Leaves a message that must not be lost, from inside of an actor, which never waits: when there is no room a task of its own
    /// does the waiting.
    pub fn post(&self, message: M) {
        if let Err(SendError::Full(message)) = self.try_tell(message) {
            let mailbox = self.clone();
            actix_rt::spawn(async move { mailbox.deliver(message).await });
        }
    }

    /// As [`tell`](Self::tell), for who keeps a message that was not taken: nothing counts as dropped.
    pub fn try_tell(&self, message: M) -> Result<(), SendError<M>> {
        let stats = &self.inner.stats;
        let Some(to) = self.inner.to.get() else { return Err(SendError::Closed(message)) };
        stats.depth.fetch_add(1, Relaxed);
        let letter = Letter { message: Some(message), stats: stats.clone() };
        to.try_send(letter).map_err(|error| match error {
            actix::dev::SendError::Full(letter) => letter.returned().map_or_else(|| unreachable_letter(), SendError::Full),
            actix::dev::SendError::Closed(letter) => letter.returned().map_or_else(|| unreachable_letter(), SendError::Closed),
        })
    }

    /// Asks a question: `build` puts the reply channel into the message. Fails after `limit`.
    pub async fn ask<T>(&self, limit: Duration, build: impl FnOnce(oneshot::Sender<T>) -> M) -> Result<T, AskError> {
        let (reply, answer) = oneshot::channel();
        let path = || self.inner.path.clone();
        match self.tell(build(reply)) {
            Ok(()) => {}
            Err(SendError::Full(_)) => return Err(AskError::Full(path())),
            Err(SendError::Closed(_)) => return Err(AskError::Closed(path())),
        }
        match tokio::time::timeout(limit, answer).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) => Err(AskError::Dropped(path())),
            Err(_) => Err(AskError::Timeout(path())),
        }
    }
}

/// A letter always holds its message until it is opened, and one that bounces was not opened.
fn unreachable_letter<M>() -> SendError<M> {
    unreachable!("a bounced letter still holds its message")
}

/// A message on its way, counted in the depth until it is opened or thrown away.
pub(super) struct Letter<M> {
    message: Option<M>,
    stats: Arc<Stats>,
}

impl<M: Send + 'static> actix::Message for Letter<M> {
    type Result = ();
}

impl<M> Letter<M> {
    pub(super) fn open(mut self) -> Option<M> {
        self.stats.room.notify_one();
        self.message.take()
    }

    /// What a mailbox did not take. It never had a place there, so nobody is told of room.
    fn returned(mut self) -> Option<M> {
        self.message.take()
    }
}

impl<M> Drop for Letter<M> {
    fn drop(&mut self) {
        self.stats.depth.fetch_sub(1, Relaxed);
        if self.message.is_some() {
            self.stats.dropped.fetch_add(1, Relaxed);
            self.stats.room.notify_one();
        }
    }
}

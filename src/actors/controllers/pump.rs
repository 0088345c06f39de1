//! Between feeds, the clock and a mailbox: tasks that carry news to a role, one letter at a time.
use super::feed::{Feed, News};
use crate::actors::base::Mailbox;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{oneshot, watch};

/// What these tasks tell a role. `life` names the role that started the task: one that replaces it after a panic has
/// tasks of its own, and ignores what the old ones say.
pub enum Tidings {
    /// News of a shelf. The pump goes on when `taken` is answered, so a slow role slows its feeds, and nothing piles up.
    Fed { life: u64, kind: Arc<str>, news: News, taken: oneshot::Sender<()> },
    /// A feed has ended.
    Ended { life: u64, kind: Arc<str> },
    /// A deadline has passed.
    Tick { life: u64 },
}

/// Carries one feed's news into the mailbox until the feed or the role ends.
pub async fn pump<M: From<Tidings> + Send + 'static>(mut feed: Box<dyn Feed>, kind: Arc<str>, life: u64, mailbox: Mailbox<M>) {
    while let Some(news) = feed.next().await {
        let (taken, done) = oneshot::channel();
        let letter = Tidings::Fed { life, kind: kind.clone(), news, taken };
        // A dropped reply means that the role panicked; the fresh one has subscribed for itself.
        if !mailbox.deliver(letter.into()).await || done.await.is_err() {
            return;
        }
    }
    mailbox.deliver(Tidings::Ended { life, kind }.into()).await;
}

/// Wakes a role at the deadlines it names; ends with it.
pub async fn ring<M: From<Tidings> + Send + 'static>(mut deadlines: watch::Receiver<Option<Instant>>, life: u64, mailbox: Mailbox<M>) {
    let mut rung = None;
    loop {
        // One ring per deadline: the role names a new one, or none, when it has seen to what was due.
        let next = deadlines.borrow_and_update().filter(|at| Some(*at) != rung);
        let due = async {
            match next {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = deadlines.changed() => if changed.is_err() { return },
            () = due => {
                rung = next;
                if !mailbox.deliver(Tidings::Tick { life }.into()).await {
                    return;
                }
            }
        }
    }
}

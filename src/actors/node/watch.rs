//! Watches that go on over lost connections: resumed by revision, started anew when the revision is gone.
use super::control_plane::{ControlPlane, WatchOf, until_connected};
use crate::protocol::mesh::{WatchFrame, WatchKind};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// After a watch was refused, or ended although the connection stands.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// One step of a watch, in the order in which it happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// A list begins anew: what is not named before [`Seen::Listed`] no longer exists.
    Anew,
    Object {
        kind: WatchKind,
        object: Bytes,
    },
    /// All that existed has been named.
    Listed,
}

/// Watches for ever; `tell` answers `false` to end it.
pub async fn follow<F, A>(control: Arc<dyn ControlPlane>, mut of: WatchOf, mut tell: F)
where
    F: FnMut(Seen) -> A,
    A: Future<Output = bool>,
{
    let mut pause = PAUSE;
    loop {
        until_connected(&*control).await;
        let mut frames = match control.watch(of.clone()).await {
            Ok(frames) => frames,
            Err(error) => {
                tracing::warn!(resource = of.resource, %error, "cannot watch");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
        };
        if of.revision == 0 && !tell(Seen::Anew).await {
            return;
        }
        let mut listing = of.revision == 0;
        let mut reached = of.revision;
        while let Some(frame) = frames.recv().await {
            pause = PAUSE;
            let seen = match frame {
                WatchFrame::Event { kind, revision, object } => {
                    reached = reached.max(revision);
                    Seen::Object { kind, object }
                }
                WatchFrame::Bookmark { revision, initial } => {
                    reached = reached.max(revision);
                    if !initial || !std::mem::replace(&mut listing, false) {
                        of.revision = if listing { 0 } else { reached };
                        continue;
                    }
                    Seen::Listed
                }
                WatchFrame::Gone => {
                    (listing, reached) = (true, 0);
                    break;
                }
            };
            if !tell(seen).await {
                return;
            }
        }
        // A list that broke off half-way is begun anew; otherwise the watch goes on where it was.
        of.revision = if listing { 0 } else { reached };
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

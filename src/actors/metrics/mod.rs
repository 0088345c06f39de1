//! What nodes and pods use: figures for `kubectl top` and for autoscalers.
//!
//! A role, the [`Sampler`], asks every connected node for its counters, and makes rates of two answers. It does so while
//! somebody has asked within the last minutes; a cluster that nobody measures costs nothing. Whoever reads takes the figures
//! that were published last, and waits only when there are no fresh ones.
mod figures;
mod sample;
mod sampler;

pub use figures::Figures;
pub use sample::{NodeUsage, PodUsage, Usage};
pub use sampler::Nodes;

use super::base::{Guardian, Mailbox, SendError};
use super::mesh::{MeshError, MeshServer};
use crate::protocol::mesh::{Answer, Call};
use actix_rt::ArbiterHandle;
use async_trait::async_trait;
use bytes::Bytes;
use sampler::{CAPACITY, Message, Sampler};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long a reader waits for the first figures: two looks and the second between them.
const PATIENCE: Duration = Duration::from_secs(6);

/// The readers' side. Clones share the figures.
#[derive(Clone)]
pub struct Metrics {
    sampler: Mailbox<Message>,
    published: watch::Sender<Arc<Figures>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics { sampler: Mailbox::new("server/metrics"), published: watch::Sender::default() }
    }
}

impl Metrics {
    /// Starts the sampler. Until then there are no figures.
    pub fn start(&self, guardian: &Guardian, arbiter: &ArbiterHandle, nodes: Arc<dyn Nodes>) {
        let published = self.published.clone();
        guardian.start(arbiter, &self.sampler, CAPACITY, move || Sampler::new(nodes.clone(), published.clone()));
    }

    /// The newest figures. Waits a little when nobody has asked for a while.
    pub async fn figures(&self) -> Arc<Figures> {
        // A full mailbox knows already.
        if let Err(SendError::Closed(_)) = self.sampler.try_tell(Message::Wanted) {
            return self.published.borrow().clone();
        }
        let mut news = self.published.subscribe();
        let fresh = news.wait_for(|figures| figures.is_fresh(Instant::now()));
        match tokio::time::timeout(PATIENCE, fresh).await {
            Ok(Ok(figures)) => figures.clone(),
            _ => Arc::default(),
        }
    }
}

#[async_trait]
impl Nodes for MeshServer {
    fn connected(&self) -> Vec<String> {
        self.peers().into_iter().map(|peer| peer.node).collect()
    }

    async fn summary(&self, node: &str, limit: Duration) -> Result<Bytes, String> {
        let peer = self.peer(node).ok_or("not connected")?;
        match peer.call_within(limit, &format!("node/{node}"), Call::Stats).await {
            Ok(Answer::Api { body, .. }) => Ok(body),
            Ok(Answer::Error(error)) | Err(MeshError::Refused(error)) => Err(error.message),
            Ok(_) => Err("an answer to something else".into()),
            Err(other) => Err(other.to_string()),
        }
    }
}

//! Calls over one connection.
use super::error::MeshError;
use super::metrics::MeshMetrics;
use super::stream::Stream;
use crate::protocol::mesh::{Answer, Call, Envelope};
use quinn::Connection;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long a call may take when nothing else is said.
pub const CALL_LIMIT: Duration = Duration::from_secs(30);

/// Counts this process's calls: ties the log lines of both ends together.
static CORRELATION: AtomicU64 = AtomicU64::new(1);

/// An open connection, and the name under which this end calls over it.
#[derive(Clone, Debug)]
pub struct Link {
    pub(super) connection: Connection,
    from: Arc<str>,
    metrics: Arc<MeshMetrics>,
}

impl Link {
    pub(super) fn new(connection: Connection, from: &str, metrics: &Arc<MeshMetrics>) -> Link {
        Link { connection, from: from.into(), metrics: metrics.clone() }
    }

    /// Asks `to` for something and waits for the answer, at most [`CALL_LIMIT`].
    ///
    /// # Errors
    /// An `Answer::Error` comes back as [`MeshError::Refused`].
    pub async fn call(&self, to: &str, call: Call) -> Result<Answer, MeshError> {
        self.call_within(CALL_LIMIT, to, call).await
    }

    /// [`Link::call`] with another time limit.
    pub async fn call_within(&self, limit: Duration, to: &str, call: Call) -> Result<Answer, MeshError> {
        let asked = self.start(limit, to, call, true).await;
        asked.map(|(answer, _stream)| answer)
    }

    /// Asks for something that goes on: the answer (waited for at most [`CALL_LIMIT`]), and the stream for the frames.
    pub async fn open(&self, to: &str, call: Call) -> Result<(Answer, Stream), MeshError> {
        self.start(CALL_LIMIT, to, call, false).await
    }

    async fn start(&self, limit: Duration, to: &str, call: Call, only: bool) -> Result<(Answer, Stream), MeshError> {
        MeshMetrics::one(&self.metrics.calls_out_total);
        let result = self.exchange(limit, to, call, only).await;
        if result.is_err() {
            MeshMetrics::one(&self.metrics.calls_failed_total);
        }
        result
    }

    async fn exchange(&self, limit: Duration, to: &str, call: Call, only: bool) -> Result<(Answer, Stream), MeshError> {
        let deadline = Instant::now() + limit;
        let opened = timeout_at(deadline, self.connection.open_bi()).await.map_err(|_| MeshError::Busy)?;
        let (send, recv) = opened.map_err(|e| MeshError::Cut(e.to_string()))?;
        let mut stream = Stream::new(send, recv, &self.metrics);
        let correlation = CORRELATION.fetch_add(1, Ordering::Relaxed);
        let envelope = Envelope { to: to.into(), from: self.from.to_string(), correlation, body: call };
        let exchange = async {
            stream.write(&envelope).await?;
            if only {
                stream.finish()?;
            }
            stream.read::<Answer>().await?.ok_or_else(|| MeshError::Cut("the peer ended the call without an answer".into()))
        };
        match timeout_at(deadline, exchange).await.map_err(|_| MeshError::TimedOut(limit))?? {
            Answer::Error(error) => Err(MeshError::Refused(error)),
            answer => Ok((answer, stream)),
        }
    }
}

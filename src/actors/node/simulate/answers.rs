//! What a simulated node answers to servers: what its pods use, and else that there is nothing to look into.
use crate::actors::mesh::{Caller, Service, Stream};
use crate::protocol::mesh::{Answer, Call, Envelope};
use crate::protocol::status::ApiError;
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

/// Questions that may wait for one node.
pub(super) const QUESTIONS: usize = 4;
/// Where a node is asked for what it uses.
pub(super) type Ask = mpsc::Sender<oneshot::Sender<Bytes>>;

/// Serves the calls to one simulated node.
pub(super) struct Answers {
    pub node: String,
    pub usage: Ask,
}

impl Answers {
    async fn usage(&self) -> Option<Bytes> {
        let (reply, answer) = oneshot::channel();
        self.usage.send(reply).await.ok()?;
        answer.await.ok()
    }
}

#[async_trait]
impl Service for Answers {
    async fn call(&self, _caller: Caller, envelope: Envelope, stream: Stream) {
        let asked = match &envelope.body {
            Call::Stats => match self.usage().await {
                Some(body) => {
                    if let Err(error) = stream.reply(Answer::Api { code: 200, body }).await {
                        tracing::debug!(node = self.node, %error, "an answer did not reach the server");
                    }
                    return;
                }
                None => "has ended",
            },
            Call::Logs(_) => "has no logs",
            Call::Exec(_) => "cannot execute commands",
            Call::Attach(_) => "has nothing to attach to",
            Call::PortForward { .. } => "has no ports to forward to",
            _ => "does not answer that",
        };
        let error = ApiError::bad_request(format!("node {} is simulated: it starts no containers and {asked}", self.node));
        if let Err(error) = stream.refuse(error).await {
            tracing::debug!(node = self.node, %error, "a refusal did not reach the server");
        }
    }
}

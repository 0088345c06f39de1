//! What a simulated node answers to servers: that there is nothing to look into.
use crate::actors::mesh::{Caller, Service, Stream};
use crate::protocol::mesh::{Call, Envelope};
use crate::protocol::status::ApiError;
use async_trait::async_trait;

/// Serves the calls to one simulated node.
pub(super) struct Answers {
    pub node: String,
}

#[async_trait]
impl Service for Answers {
    async fn call(&self, _caller: Caller, envelope: Envelope, stream: Stream) {
        let asked = match &envelope.body {
            Call::Logs(_) => "has no logs",
            Call::Exec(_) => "cannot execute commands",
            Call::Attach(_) => "has nothing to attach to",
            Call::PortForward { .. } => "has no ports to forward to",
            Call::Stats => "measures no use of resources",
            _ => "does not answer that",
        };
        let error = ApiError::bad_request(format!("node {} is simulated: it starts no containers and {asked}", self.node));
        if let Err(error) = stream.refuse(error).await {
            tracing::debug!(node = self.node, %error, "a refusal did not reach the server");
        }
    }
}

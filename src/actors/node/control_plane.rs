//! The node's view of the control plane: API calls, watches and heartbeats; over the mesh, or a fake in tests.
use crate::actors::mesh::{MeshClient, MeshError};
use crate::protocol::mesh::{Answer, ApiCall, Call, Frame, WatchFrame};
use crate::protocol::status::ApiError;
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{mpsc, watch};

/// The actor on the server that answers a node's calls.
const SERVER: &str = "server/api";
/// Watch frames that may wait for the agent; beyond that QUIC holds the server back.
const FRAMES: usize = 256;

/// A call to the control plane failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody there, or the connection was cut half-way: worth another try once connected.
    #[error("{0}")]
    Away(String),
    /// The server said no, in the API's words.
    #[error("{0}")]
    Refused(ApiError),
    /// The answer is no JSON object.
    #[error("the server's answer makes no sense: {0}")]
    Malformed(String),
}

impl ControlError {
    /// The object that was asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, ControlError::Refused(error) if error.code == 404)
    }

    /// The same call may succeed later without anything changing.
    pub fn is_passing(&self) -> bool {
        match self {
            ControlError::Away(_) => true,
            ControlError::Refused(error) => error.code == 429 || error.code >= 500,
            ControlError::Malformed(_) => false,
        }
    }
}

impl From<MeshError> for ControlError {
    fn from(error: MeshError) -> Self {
        match error {
            MeshError::Refused(error) => ControlError::Refused(error),
            other => ControlError::Away(other.to_string()),
        }
    }
}

/// What a watch is about; see [`Call::Watch`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WatchOf {
    pub group: String,
    pub resource: String,
    pub namespace: String,
    pub label_selector: String,
    pub field_selector: String,
    /// 0: all there is, then changes; otherwise only what came after.
    pub revision: u64,
}

/// The control plane, as a node uses it.
#[async_trait]
pub trait ControlPlane: Send + Sync + 'static {
    /// A request to the API as this node's user; answers the HTTP code and the body, whatever the code.
    async fn api(&self, call: ApiCall) -> Result<(u16, Bytes), ControlError>;
    /// Begins a watch. The channel closes when the connection is lost or the server ends it.
    async fn watch(&self, of: WatchOf) -> Result<mpsc::Receiver<WatchFrame>, ControlError>;
    /// Tells the server that this node is alive.
    async fn heartbeat(&self, node: &str) -> Result<(), ControlError>;
    /// Whether there is a connection, and every change of it.
    fn connected(&self) -> watch::Receiver<bool>;
}

#[async_trait]
impl ControlPlane for MeshClient {
    async fn api(&self, call: ApiCall) -> Result<(u16, Bytes), ControlError> {
        match self.call(SERVER, Call::Api(call)).await? {
            Answer::Api { code, body } => Ok((code, body)),
            other => Err(ControlError::Malformed(format!("{other:?}"))),
        }
    }

    async fn watch(&self, of: WatchOf) -> Result<mpsc::Receiver<WatchFrame>, ControlError> {
        let WatchOf { group, resource, namespace, label_selector, field_selector, revision } = of;
        let call = Call::Watch { group, resource, namespace, label_selector, field_selector, revision };
        let (_answer, mut stream) = self.open(SERVER, call).await?;
        let (sender, receiver) = mpsc::channel(FRAMES);
        tokio::spawn(async move {
            loop {
                let frame = tokio::select! {
                    frame = stream.next_frame() => frame,
                    () = sender.closed() => return,
                };
                let Ok(Some(Frame::Watch(frame))) = frame else { return };
                if sender.send(frame).await.is_err() {
                    return;
                }
            }
        });
        Ok(receiver)
    }

    async fn heartbeat(&self, node: &str) -> Result<(), ControlError> {
        self.call("server", Call::Heartbeat { node: node.into() }).await?;
        Ok(())
    }

    fn connected(&self) -> watch::Receiver<bool> {
        MeshClient::connected(self)
    }
}

/// `application/merge-patch+json`.
pub const MERGE_PATCH: &str = "application/merge-patch+json";
/// `application/json`.
pub const JSON: &str = "application/json";

/// Makes one API call and reads the object that comes back; any code from 300 up is an error.
pub async fn request(
    control: &dyn ControlPlane,
    method: &str,
    path: &str,
    content_type: &str,
    body: Option<&Value>,
) -> Result<Value, ControlError> {
    let body = body.map(|b| Bytes::from(b.to_string())).unwrap_or_default();
    let call = ApiCall { method: method.into(), path: path.into(), content_type: content_type.into(), body };
    let (code, body) = control.api(call).await?;
    let value: Value = serde_json::from_slice(&body).map_err(|e| ControlError::Malformed(e.to_string()))?;
    if code < 300 {
        return Ok(value);
    }
    let reason = value["reason"].as_str().unwrap_or("Unknown");
    let message = value["message"].as_str().unwrap_or("the server gave no reason");
    Err(ControlError::Refused(ApiError::new(code, reason, message)))
}

/// Reads one object.
pub async fn get(control: &dyn ControlPlane, path: &str) -> Result<Value, ControlError> {
    request(control, "GET", path, "", None).await
}

/// Waits until there is a connection; at once when there is one.
pub async fn until_connected(control: &dyn ControlPlane) {
    let mut connected = control.connected();
    // When the sender is gone nobody will connect again; the caller's next call says so.
    let _ = connected.wait_for(|up| *up).await;
}

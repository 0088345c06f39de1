//! The mesh's door to the API: what nodes ask of the server, answered by the same gateway that answers HTTPS.
use super::api::{ApiRequest, Gateway, Reply};
use super::auth::User;
use super::node_keys::NodeKeys;
use crate::actors::controllers::{Heartbeats, steady};
use crate::actors::mesh::{Caller, Service, Stream};
use crate::protocol::mesh::{Answer, ApiCall, Call, Envelope, Frame, WatchFrame, WatchKind};
use crate::protocol::status::ApiError;
use crate::storage::pki::Identity;
use crate::storage::{Delivery, Entry, EventKind, Next, Start};
use std::sync::Arc;

/// Events that may wait for one node's watch before it must start anew.
const WATCH_QUEUE: usize = 16 * 1024;

/// Serves what connected nodes ask for.
pub struct MeshDoor {
    gateway: Arc<Gateway>,
    heartbeats: Heartbeats,
    keys: NodeKeys,
}

impl MeshDoor {
    pub fn new(gateway: Arc<Gateway>, heartbeats: Heartbeats) -> Self {
        let keys = NodeKeys::new(gateway.kinds.clone());
        MeshDoor { gateway, heartbeats, keys }
    }

    async fn api(&self, caller: &Caller, call: ApiCall) -> Answer {
        let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
        let request = ApiRequest {
            method: call.method,
            path: path.to_string(),
            query: query.to_string(),
            accept: "application/json".into(),
            content_type: call.content_type,
            user_agent: "kubelet".into(),
            body: call.body,
            ..Default::default()
        };
        match self.gateway.handle(&Arc::new(user_of(caller)), request).await {
            Ok(Reply::Whole(answer)) => Answer::Api { code: answer.code, body: answer.body },
            Ok(Reply::Watch(_)) => Answer::Error(ApiError::bad_request("a watch goes through Call::Watch")),
            Err(error) => Answer::Api { code: error.code, body: error.to_status().to_string().into() },
        }
    }

    /// Everything that is selected, then every change, until the node turns away.
    async fn watch(&self, caller: &Caller, call: &WatchCall<'_>, mut stream: Stream) -> Result<(), ApiError> {
        let (served, selection) = self.gateway.selected(&user_of(caller), call.group, call.resource, call.namespace, call.query())?;
        let hub = served.shelf.hub();
        let start = if call.revision == 0 { Start::Now } else { Start::After(call.revision) };
        let subscribed = hub.subscribe_within(start, selection.scope(), selection.filter.clone(), WATCH_QUEUE);
        let broken = |e| ApiError::unavailable(format!("the stream broke: {e}"));
        stream.answer(&Answer::Ok).await.map_err(broken)?;
        let Ok(mut subscription) = subscribed else {
            return stream.send_frame(&Frame::Watch(WatchFrame::Gone)).await.map_err(broken);
        };
        if let Some(snapshot) = subscription.initial.take() {
            let entries: Vec<Arc<Entry>> = snapshot.iter().filter(|e| selection.matches(e)).cloned().collect();
            for entry in entries {
                let frame = WatchFrame::Event { kind: WatchKind::Added, revision: entry.revision, object: entry.served() };
                stream.send_frame(&Frame::Watch(frame)).await.map_err(broken)?;
            }
            let end = WatchFrame::Bookmark { revision: subscription.from, initial: true };
            stream.send_frame(&Frame::Watch(end)).await.map_err(broken)?;
        }
        let (mut writer, mut reader) = stream.split();
        loop {
            let next = tokio::select! {
                next = subscription.next() => next,
                // The node says nothing on a watch; an end or an error means that it has turned away.
                _ = reader.next_frame() => return Ok(()),
            };
            match next {
                Next::Batch(deliveries) => {
                    for delivery in deliveries {
                        writer.send_frame(&Frame::Watch(frame_of(&delivery))).await.map_err(broken)?;
                    }
                }
                Next::Lagged => {
                    return writer.send_frame(&Frame::Watch(WatchFrame::Gone)).await.map_err(broken);
                }
            }
        }
    }
}

fn user_of(caller: &Caller) -> User {
    User::new(caller.identity.common_name.clone(), caller.identity.organizations.clone())
}

fn frame_of(delivery: &Delivery) -> WatchFrame {
    let kind = match delivery.kind {
        EventKind::Added => WatchKind::Added,
        EventKind::Modified => WatchKind::Modified,
        EventKind::Deleted => WatchKind::Deleted,
    };
    WatchFrame::Event { kind, revision: delivery.event.revision, object: delivery.event.entry.served() }
}

struct WatchCall<'a> {
    group: &'a str,
    resource: &'a str,
    namespace: &'a str,
    label_selector: &'a str,
    field_selector: &'a str,
    revision: u64,
}

impl WatchCall<'_> {
    fn query(&self) -> [(&str, &str); 2] {
        [("labelSelector", self.label_selector), ("fieldSelector", self.field_selector)]
    }
}

#[async_trait::async_trait]
impl Service for MeshDoor {
    async fn call(&self, caller: Caller, envelope: Envelope, stream: Stream) {
        let outcome = match envelope.body {
            Call::Api(call) => stream.reply(self.api(&caller, call).await).await,
            Call::Heartbeat { node } if caller.name == node => {
                self.heartbeats.heard(&node, steady::now());
                stream.reply(Answer::Ok).await
            }
            Call::Watch { group, resource, namespace, label_selector, field_selector, revision } => {
                let call = WatchCall {
                    group: &group,
                    resource: &resource,
                    namespace: &namespace,
                    label_selector: &label_selector,
                    field_selector: &field_selector,
                    revision,
                };
                if let Err(error) = self.watch(&caller, &call, stream).await {
                    tracing::debug!(node = caller.name, %error, "a node's watch ended");
                }
                return;
            }
            other => {
                let word = format!("{other:?}");
                let word = word.split([' ', '(', '{']).next().unwrap_or_default().to_string();
                stream.refuse(ApiError::bad_request(format!("a server does not answer {word}"))).await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(node = caller.name, %error, "an answer did not reach the node");
        }
    }

    async fn admit(&self, identity: &Identity, node: &str) -> Result<(), ApiError> {
        if identity.node() != Some(node) {
            return Err(ApiError::new(
                403,
                "Forbidden",
                format!("the certificate of {} is not good for node \"{node}\"", identity.common_name),
            ));
        }
        self.keys.pin(node, &identity.key_fingerprint).await?;
        self.heartbeats.heard(node, steady::now());
        Ok(())
    }

    async fn join_allowed(&self, node: &str, key_fingerprint: &str) -> Result<(), ApiError> {
        self.keys.pin(node, key_fingerprint).await
    }
}

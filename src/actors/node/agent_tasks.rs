//! What goes on beside the node's actor, in tasks of its thread.
use super::agent::{AgentConfig, AgentMessage};
use super::control_plane::{ControlPlane, WatchOf, until_connected};
use super::start::Surroundings;
use super::watch::follow;
use crate::actors::base::Mailbox;
use crate::runtime::api::{Container, Runtime};
use actix_rt::ArbiterHandle;
use std::sync::Arc;
use std::time::Duration;

/// How often the server hears that the node is alive.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Ends of containers, heartbeats, the watch on the node's own object.
pub(super) fn background(
    mailbox: &Mailbox<AgentMessage>,
    config: &AgentConfig,
    runtime: Arc<dyn Runtime>,
    control: Arc<dyn ControlPlane>,
    arbiter: &ArbiterHandle,
) {
    let to = mailbox.clone();
    let mut exits = runtime.exits();
    arbiter.spawn(async move {
        while let Some(exited) = exits.recv().await {
            to.deliver(AgentMessage::Exited(exited)).await;
        }
    });
    let (to, name, beating) = (mailbox.clone(), config.name.clone(), control.clone());
    arbiter.spawn(async move {
        loop {
            // After every reconnection the server is told everything anew.
            until_connected(&*beating).await;
            to.deliver(AgentMessage::WriteStatus).await;
            while *beating.connected().borrow() {
                if let Err(error) = beating.heartbeat(&name).await {
                    tracing::warn!(%error, "the server did not take the heartbeat");
                }
                let mut connected = beating.connected();
                let lost = connected.wait_for(|up| !*up);
                let _ = tokio::time::timeout(HEARTBEAT, lost).await;
            }
        }
    });
    let of = WatchOf { resource: "nodes".into(), ..Default::default() };
    let to = mailbox.clone();
    arbiter.spawn(follow(control, of, move |seen| {
        let to = to.clone();
        async move { to.deliver(AgentMessage::Nodes(seen)).await }
    }));
}

/// Ends what belongs to no pod any more.
pub(super) async fn remove_orphan(around: Arc<Surroundings>, uid: String, containers: Vec<Container>) {
    for container in containers {
        let id = &container.spec.id;
        let outcome = async {
            around.runtime.signal_container(id, 9).await?;
            around.runtime.remove_container(id).await
        };
        if let Err(error) = outcome.await {
            tracing::debug!(container = id, %error, "a left-over container was not removed; its sandbox's removal follows");
        }
    }
    match around.runtime.remove_sandbox(&uid).await {
        Ok(()) => tracing::info!(uid, "removed what was left of a pod that no longer exists"),
        Err(error) => tracing::warn!(uid, %error, "what was left of a pod could not be removed"),
    }
    if let Err(error) = super::pod_report::clean_up(around.places.pod(&uid)).await {
        tracing::warn!(uid, %error, "the volumes of a pod that no longer exists could not be removed");
    }
}

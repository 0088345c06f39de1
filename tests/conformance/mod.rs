//! The behaviours that Kubernetes' conformance suite names, against the running server. `table.yaml` says for each of them which
//! test shows it, here or elsewhere, or why none does yet.
mod accounts;
mod chunks;
mod cli;
mod crd;
mod definitions;
mod discovery;
mod events;
mod fields;
mod garbage;
mod hook;
mod namespaces;
mod openapi;
mod operations;
mod pods;
mod policies;
mod quotas;
mod reviews;
pub mod table;
mod watchers;
mod webhook_objects;
mod webhook_versions;
mod webhooks;

use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long something that follows by itself may take on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// Asks until there is an answer; panics with `what` when there is none in time.
async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begun.elapsed() < SOON, "waited {SOON:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A pod template whose pods no scheduler looks at.
fn template(app: &str) -> Value {
    json!({ "metadata": { "labels": { "app": app } }, "spec": crate::api::pod("x")["spec"] })
}

/// A Deployment without pods.
fn deployment(name: &str, replicas: u32) -> Value {
    json!({ "metadata": { "name": name }, "spec": {
        "replicas": replicas, "selector": { "matchLabels": { "app": name } }, "template": template(name),
    } })
}

/// A ReplicationController.
fn controller(name: &str, replicas: u32) -> Value {
    json!({ "metadata": { "name": name }, "spec": { "replicas": replicas, "selector": { "app": name }, "template": template(name) } })
}

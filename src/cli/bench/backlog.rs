//! What holds many pods back and lets all of them go by one write: a pod that tolerates none of them beside itself, wherever that is.
use super::CliError;
use super::client::{Call, Client, ClientError};
use super::pod_watch::follow;
use super::site::Site;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::timeout;

const NAME: &str = "gate";
/// What every node has, and mostly all have the same.
const EVERYWHERE: &str = "kubernetes.io/os";
/// The scheduler has so long to place the pod.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pod in the way.
pub(super) struct Gate {
    path: String,
}

impl Gate {
    /// Puts a pod in the way of those with these labels, and waits until it has a node.
    pub async fn before(site: &Site, labels: &Value) -> Result<Gate, CliError> {
        let pods = format!("/api/v1/namespaces/{}/pods", site.namespace);
        let refuses = json!({ "labelSelector": { "matchLabels": labels }, "topologyKey": EVERYWHERE });
        let gate = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": NAME },
            "spec": {
                "affinity": { "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [refuses] } },
                "containers": [{ "name": "app", "image": "registry.k8s.io/pause:3.10" }],
                "automountServiceAccountToken": false,
            },
        });
        call(site, Call::post(pods.clone(), gate.to_string())).await?;
        let mut placed = follow(
            Client::new(site.access.clone()),
            format!("{pods}?watch=1&timeoutSeconds=600&fieldSelector=metadata.name%3D{NAME}"),
            placed,
        )
        .await
        .map_err(refused)?;
        match timeout(PATIENCE, placed.recv()).await {
            Ok(Some(())) => Ok(Gate { path: format!("{pods}/{NAME}") }),
            _ => Err(CliError::failed(format!("the pod {NAME}, which holds the others back, got no node within {PATIENCE:?}"))),
        }
    }

    /// Takes it out of the way, at once.
    pub async fn open(self, site: &Site) -> Result<(), CliError> {
        call(site, Call::delete(format!("{}?gracePeriodSeconds=0", self.path))).await
    }
}

/// Whether a line of the watch shows the pod with a node.
fn placed(line: &[u8], _at: Instant) -> Option<()> {
    let line: Value = serde_json::from_slice(line).ok()?;
    line["object"]["spec"]["nodeName"].is_string().then_some(())
}

fn refused(error: ClientError) -> CliError {
    CliError::failed(format!("the pod that holds the others back: {error}"))
}

async fn call(site: &Site, call: Call) -> Result<(), CliError> {
    Client::new(site.access.clone()).call(call).await.map(drop).map_err(refused)
}

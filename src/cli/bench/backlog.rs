//! What holds many pods back and lets all of them go by one write: a volume in a zone where no node is.
use super::CliError;
use super::client::{Call, Client, ClientError};
use super::pod_watch::follow;
use super::site::Site;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// The claim of the pods.
pub(super) const CLAIM: &str = "gate";
const ZONE: &str = "topology.kubernetes.io/zone";
/// The cluster's volume controller has so long to bind the claim.
const PATIENCE: Duration = Duration::from_secs(60);

/// The volume that the claim is bound to.
pub(super) struct Gate {
    volume: String,
}

impl Gate {
    /// Makes the volume and the claim, and waits until they are bound.
    pub async fn before(site: &Site) -> Result<Gate, CliError> {
        let gate = Gate { volume: format!("{}-{CLAIM}", site.namespace) };
        let volume = json!({
            "apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": { "name": gate.volume, "labels": { ZONE: "nowhere" } },
            "spec": {
                "accessModes": ["ReadWriteMany"], "capacity": { "storage": "1Gi" }, "hostPath": { "path": "/tmp" }, "storageClassName": "",
                "persistentVolumeReclaimPolicy": "Retain", "claimRef": { "namespace": site.namespace, "name": CLAIM },
            },
        });
        let claim = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": CLAIM },
            "spec": {
                "accessModes": ["ReadWriteMany"], "resources": { "requests": { "storage": "1Gi" } }, "storageClassName": "",
                "volumeName": gate.volume,
            },
        });
        call(site, Call::post("/api/v1/persistentvolumes", volume.to_string())).await?;
        let claims = format!("/api/v1/namespaces/{}/persistentvolumeclaims", site.namespace);
        call(site, Call::post(claims.clone(), claim.to_string())).await?;
        let mut bound =
            follow(Client::new(site.access.clone()), format!("{claims}?watch=1&timeoutSeconds=600"), bound).await.map_err(refused)?;
        match timeout(PATIENCE, bound.recv()).await {
            Ok(Some(())) => Ok(gate),
            _ => Err(CliError::failed(format!("the claim {CLAIM} was not bound to the volume {} within {PATIENCE:?}", gate.volume))),
        }
    }

    /// Takes the volume out of its zone: every node can have it now.
    pub async fn open(&self, site: &Site) -> Result<(), CliError> {
        let patch = json!({ "metadata": { "labels": { ZONE: null } } });
        call(site, Call::merge_patch(format!("/api/v1/persistentvolumes/{}", self.volume), patch.to_string())).await
    }

    /// The volume is in no namespace, so nobody else removes it.
    pub async fn remove(self, site: &Site) -> Result<(), CliError> {
        call(site, Call::delete(format!("/api/v1/persistentvolumes/{}", self.volume))).await
    }
}

/// Whether a line of the watch on claims shows one that is bound.
fn bound(line: &[u8], _at: Instant) -> Option<()> {
    let line: Value = serde_json::from_slice(line).ok()?;
    (line["object"]["status"]["phase"] == "Bound").then_some(())
}

fn refused(error: ClientError) -> CliError {
    CliError::failed(format!("the volume that holds the pods back: {error}"))
}

async fn call(site: &Site, call: Call) -> Result<(), CliError> {
    Client::new(site.access.clone()).call(call).await.map(drop).map_err(refused)
}

//! What holds many pods back and lets all of them go by one write: a claim that they use and that is not there yet.
use super::CliError;
use super::client::{Call, Client, ClientError};
use super::site::Site;
use serde_json::json;

/// The claim of the pods.
pub(super) const CLAIM: &str = "gate";

/// A volume that waits for the claim.
pub(super) struct Gate {
    volume: String,
}

impl Gate {
    /// Makes the volume.
    pub async fn before(site: &Site) -> Result<Gate, CliError> {
        let gate = Gate { volume: format!("{}-{CLAIM}", site.namespace) };
        let volume = json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": gate.volume },
            "spec": {
                "accessModes": ["ReadWriteMany"], "capacity": { "storage": "1Gi" }, "hostPath": { "path": "/tmp" }, "storageClassName": "",
                "persistentVolumeReclaimPolicy": "Retain", "claimRef": { "namespace": site.namespace, "name": CLAIM },
            },
        });
        call(site, Call::post("/api/v1/persistentvolumes", volume.to_string())).await?;
        Ok(gate)
    }

    /// Makes the claim of that volume: as soon as the two are bound the pods can go.
    pub async fn open(&self, site: &Site) -> Result<(), CliError> {
        let claim = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": { "name": CLAIM },
            "spec": {
                "accessModes": ["ReadWriteMany"], "resources": { "requests": { "storage": "1Gi" } }, "storageClassName": "",
                "volumeName": self.volume,
            },
        });
        call(site, Call::post(format!("/api/v1/namespaces/{}/persistentvolumeclaims", site.namespace), claim.to_string())).await
    }

    /// The volume is in no namespace, so nobody else removes it.
    pub async fn remove(self, site: &Site) -> Result<(), CliError> {
        call(site, Call::delete(format!("/api/v1/persistentvolumes/{}", self.volume))).await
    }
}

async fn call(site: &Site, call: Call) -> Result<(), CliError> {
    let mut client = Client::new(site.access.clone());
    let answer: Result<_, ClientError> = client.call(call).await;
    answer.map(drop).map_err(|error| CliError::failed(format!("the volume that holds the pods back: {error}")))
}

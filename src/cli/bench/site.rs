//! The namespace that a measurement makes for itself and takes away afterwards, whatever happens in between.
use super::client::{Call, Client, ClientError, Protocol};
use super::kubeconfig::Access;
use super::{CliError, Load};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// A namespace of our own.
pub(super) struct Site {
    pub namespace: String,
    pub access: Arc<Access>,
    /// What the server says it is: `v1.36.0`.
    pub version: String,
    client: Client,
}

impl Site {
    /// Makes the namespace. Refuses one that is there already: everything in it will be removed.
    pub async fn open(common: &Load) -> Result<Site, CliError> {
        let (access, namespace) = (common.access()?, common.namespace()?);
        let mut client = Client::new(access.clone());
        let version = client.call(Call::get("/version")).await.map_err(CliError::usage)?;
        let version: Value = serde_json::from_slice(&version).unwrap_or_default();
        let version = version["gitVersion"].as_str().unwrap_or("unknown").to_string();
        let body = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
        client.call(Call::post("/api/v1/namespaces", body.to_string())).await.map_err(|error| match error {
            ClientError::Refused(409, _) => CliError::usage(format!(
                "the namespace {namespace} exists already, and it would be removed in the end; name one that does not exist"
            )),
            other => CliError::failed(format!("cannot make the namespace {namespace}: {other}")),
        })?;
        Ok(Site { namespace, access, version, client })
    }

    /// Connections, all made.
    pub async fn connections(&self, count: usize, protocol: Protocol) -> Result<Vec<Client>, CliError> {
        let mut clients = Vec::with_capacity(count);
        for _ in 0..count {
            let mut client = Client::speaking(self.access.clone(), protocol);
            client.connect().await.map_err(CliError::failed)?;
            clients.push(client);
        }
        Ok(clients)
    }

    /// Does the work, or stops when the user interrupts, and removes the namespace either way.
    pub async fn run<T>(mut self, work: impl AsyncFnOnce(&Site) -> Result<T, CliError>) -> Result<T, CliError> {
        let outcome = tokio::select! {
            outcome = work(&self) => outcome,
            () = interrupted() => Err(CliError::failed("interrupted")),
        };
        let removal = self.client.call(Call::delete(format!("/api/v1/namespaces/{}", self.namespace))).await;
        if let Err(error) = removal {
            eprintln!("impresario: the namespace {} is still there: {error}", self.namespace);
        }
        outcome
    }
}

/// Waits for an interrupt from the keyboard, or for SIGTERM.
async fn interrupted() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

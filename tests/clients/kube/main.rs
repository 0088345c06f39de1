//! What controllers written with the `kube` crate do, against the cluster of `$KUBECONFIG`: `kube-client-scenes <namespace>`.
//! Ends with 0 when every scene went as it should, and else says what was different.
mod scenes;

use futures_util::future::BoxFuture;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use std::time::Duration;

/// What may go wrong, as text: nobody handles it but a reader.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long one scene may take.
const LIMIT: Duration = Duration::from_secs(12);

type Scene = fn(Client, String) -> BoxFuture<'static, Result<(), Failure>>;

const SCENES: [(&str, Scene); 5] = [
    ("apply", |client, namespace| Box::pin(scenes::apply(client, namespace))),
    ("reflect", |client, namespace| Box::pin(scenes::reflect(client, namespace, false))),
    ("stream", |client, namespace| Box::pin(scenes::reflect(client, namespace, true))),
    ("metadata", |client, namespace| Box::pin(scenes::metadata(client, namespace))),
    ("control", |client, namespace| Box::pin(scenes::control(client, namespace))),
];

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let namespace = std::env::args().nth(1).ok_or("which namespace?")?;
    let client = Client::try_default().await?;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let own: Namespace = serde_json::from_value(json!({ "metadata": { "name": namespace } }))?;
    namespaces.create(&PostParams::default(), &own).await?;
    for (name, scene) in SCENES {
        let played = tokio::time::timeout(LIMIT, scene(client.clone(), namespace.clone())).await;
        played.map_err(|_| format!("{name} is not done after {LIMIT:?}"))?.map_err(|e| format!("{name}: {e}"))?;
        println!("{name} done");
    }
    namespaces.delete(&namespace, &DeleteParams::default()).await?;
    Ok(())
}

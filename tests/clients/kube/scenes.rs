//! The scenes: applying, keeping a copy, watching metadata, and a controller with a finalizer.
use crate::Failure;
use futures_util::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, PropagationPolicy};
use kube::core::PartialObjectMeta;
use kube::runtime::controller::Action;
use kube::runtime::finalizer::{Event, finalizer};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::{Controller, WatchStreamExt, reflector, watcher};
use kube::{Api, Client, CustomResource, CustomResourceExt, Resource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A parcel: its ConfigMap carries the label that it asks for.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "scenes.example.com", version = "v1", kind = "Parcel", namespaced, status = "ParcelStatus")]
pub struct ParcelSpec {
    /// Where it goes.
    address: String,
}

/// What became of a parcel.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
pub struct ParcelStatus {
    sent: bool,
}

const FINALIZER: &str = "scenes.example.com/post-office";

fn map(name: &str, value: &str) -> serde_json::Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "k": value } })
}

fn check(holds: bool, otherwise: impl Into<String>) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(otherwise.into().into()) }
}

/// Server-side apply: two managers, a conflict, force, and giving a field up.
pub async fn apply(client: Client, namespace: String) -> Result<(), Failure> {
    let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
    let (ann, bob) = (PatchParams::apply("ann"), PatchParams::apply("bob"));
    maps.patch("shared", &ann, &Patch::Apply(map("shared", "ann's"))).await?;
    let refused = maps.patch("shared", &bob, &Patch::Apply(map("shared", "bob's"))).await;
    let conflict = matches!(&refused, Err(kube::Error::Api(status)) if status.code == 409 && status.message.contains("\"ann\""));
    check(conflict, format!("bob was not told of ann: {refused:?}"))?;
    let taken = maps.patch("shared", &bob.clone().force(), &Patch::Apply(map("shared", "bob's"))).await?;
    check(taken.data.as_ref().is_some_and(|d| d["k"] == "bob's"), "force did not win")?;
    let nothing = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "shared" } });
    let given_up = maps.patch("shared", &bob, &Patch::Apply(nothing)).await?;
    check(given_up.data.unwrap_or_default().is_empty(), "a field that nobody applies any more is still there")?;
    let merged = maps.patch("shared", &PatchParams::default(), &Patch::Merge(json!({ "data": { "m": "1" } }))).await?;
    check(merged.data.is_some_and(|d| d["m"] == "1"), "the merge patch changed nothing")
}

/// A reflector keeps a copy, filled by a list or by a streamed one, and follows what happens.
pub async fn reflect(client: Client, namespace: String, streaming: bool) -> Result<(), Failure> {
    let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
    let label = if streaming { "scene=stream" } else { "scene=reflect" };
    let labelled = |name: &str| -> Result<ConfigMap, Failure> {
        let mut object: ConfigMap = serde_json::from_value(map(name, "1"))?;
        object.labels_mut().insert("scene".into(), label.trim_start_matches("scene=").into());
        Ok(object)
    };
    let name = |number: usize| format!("{}-{number}", label.replace('=', "-"));
    for number in 0..5 {
        maps.create(&PostParams::default(), &labelled(&name(number))?).await?;
    }
    let config = watcher::Config::default().labels(label);
    // Without streaming the list comes in pages.
    let config = if streaming { config.streaming_lists() } else { config.page_size(2) };
    let (copy, writer) = reflector::store();
    let stream = watcher(maps.clone(), config).reflect(writer).touched_objects();
    let following = tokio::spawn(stream.try_for_each(|_| async { Ok(()) }));
    copy.wait_until_ready().await?;
    check(copy.len() == 5, format!("{} of 5 are in the copy", copy.len()))?;
    maps.create(&PostParams::default(), &labelled(&name(5))?).await?;
    maps.patch(&name(0), &PatchParams::default(), &Patch::Merge(json!({ "data": { "k": "2" } }))).await?;
    maps.delete(&name(1), &DeleteParams::default()).await?;
    let expected: BTreeMap<String, String> =
        [0, 2, 3, 4, 5].into_iter().map(|n| (name(n), if n == 0 { "2" } else { "1" }.to_string())).collect();
    loop {
        let held: BTreeMap<String, String> =
            copy.state().iter().map(|m| (m.name_any(), m.data.as_ref().map(|d| d["k"].clone()).unwrap_or_default())).collect();
        if held == expected {
            break;
        }
        check(!following.is_finished(), "the watch ended")?;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    following.abort();
    let listed = maps.list(&ListParams::default().labels(label)).await?;
    check(listed.items.len() == 5, "the list and the copy differ")
}

/// Metadata only, in lists and watches.
pub async fn metadata(client: Client, namespace: String) -> Result<(), Failure> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    maps.create(&PostParams::default(), &serde_json::from_value(map("outline", "1"))?).await?;
    let config = watcher::Config::default().fields("metadata.name=outline");
    let outlines: Api<PartialObjectMeta<ConfigMap>> = Api::namespaced(client, &namespace);
    let mut stream = std::pin::pin!(watcher(outlines, config).applied_objects());
    let first = stream.try_next().await?.ok_or("the watch ended")?;
    check(first.name_any() == "outline", format!("another object came: {first:?}"))?;
    let change = json!({ "metadata": { "annotations": { "seen": "yes" } } });
    maps.patch_metadata("outline", &PatchParams::default(), &Patch::Merge(change)).await?;
    let second = stream.try_next().await?.ok_or("the watch ended")?;
    check(second.annotations().get("seen").is_some_and(|v| v == "yes"), format!("the change is not in it: {second:?}"))
}

#[derive(Debug, thiserror::Error)]
enum Mishap {
    #[error("{0}")]
    Kube(#[from] kube::Error),
    #[error("{0}")]
    Finalizer(#[source] Box<kube::runtime::finalizer::Error<Mishap>>),
    #[error("a parcel without a namespace")]
    NoNamespace,
}

/// A controller of a custom resource: it owns ConfigMaps, writes the status, and cleans up behind a finalizer.
pub async fn control(client: Client, namespace: String) -> Result<(), Failure> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let force = PatchParams::apply("scenes").force();
    let definition = definitions.patch("parcels.scenes.example.com", &force, &Patch::Apply(Parcel::crd())).await?;
    await_condition(definitions.clone(), "parcels.scenes.example.com", conditions::is_crd_established()).await?;
    let (parcels, maps): (Api<Parcel>, Api<ConfigMap>) =
        (Api::namespaced(client.clone(), &namespace), Api::namespaced(client.clone(), &namespace));
    let controller = Controller::new(parcels.clone(), watcher::Config::default()).owns(maps.clone(), watcher::Config::default()).run(
        reconcile,
        |_, _, _| Action::requeue(Duration::from_millis(100)),
        Arc::new(client),
    );
    let running = tokio::spawn(controller.for_each(|_| async {}));
    parcels.create(&PostParams::default(), &Parcel::new("gift", ParcelSpec { address: "Hameln".into() })).await?;
    let sent = |parcel: Option<&Parcel>| parcel.is_some_and(|p| p.status.as_ref().is_some_and(|s| s.sent));
    let parcel = await_condition(parcels.clone(), "gift", sent).await?.ok_or("the parcel is gone")?;
    check(parcel.finalizers() == [FINALIZER], "the finalizer is missing")?;
    // What it owns comes back, and follows its wishes.
    let first = maps.get("gift").await?.uid();
    maps.delete("gift", &DeleteParams::default()).await?;
    let other = |map: Option<&ConfigMap>| map.is_some_and(|m| m.uid() != first);
    await_condition(maps.clone(), "gift", other).await?;
    parcels.patch("gift", &PatchParams::default(), &Patch::Merge(json!({ "spec": { "address": "Bremen" } }))).await?;
    let moved = |map: Option<&ConfigMap>| map.and_then(|m| m.data.as_ref()).is_some_and(|d| d["address"] == "Bremen");
    await_condition(maps.clone(), "gift", moved).await?;
    let uid = parcel.uid().ok_or("no uid")?;
    parcels.delete("gift", &DeleteParams { propagation_policy: Some(PropagationPolicy::Background), ..Default::default() }).await?;
    await_condition(parcels.clone(), "gift", conditions::is_deleted(&uid)).await?;
    check(maps.get_opt("gift-farewell").await?.is_some(), "the clean-up did not run")?;
    running.abort();
    let gone = definition.uid().ok_or("no uid")?;
    definitions.delete("parcels.scenes.example.com", &DeleteParams::default()).await?;
    await_condition(definitions, "parcels.scenes.example.com", conditions::is_deleted(&gone)).await?;
    Ok(())
}

async fn reconcile(parcel: Arc<Parcel>, client: Arc<Client>) -> Result<Action, Mishap> {
    let namespace = parcel.namespace().ok_or(Mishap::NoNamespace)?;
    let client = Client::clone(&client);
    let parcels: Api<Parcel> = Api::namespaced(client.clone(), &namespace);
    let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
    let done = finalizer(&parcels, FINALIZER, parcel, |event| async {
        match event {
            Event::Apply(parcel) => send(&parcels, &maps, &parcel).await,
            Event::Cleanup(parcel) => {
                let name = format!("{}-farewell", parcel.name_any());
                maps.patch(&name, &PatchParams::apply("post"), &Patch::Apply(map(&name, "bye"))).await?;
                Ok(Action::await_change())
            }
        }
    });
    done.await.map_err(|e| Mishap::Finalizer(Box::new(e)))
}

async fn send(parcels: &Api<Parcel>, maps: &Api<ConfigMap>, parcel: &Parcel) -> Result<Action, Mishap> {
    let name = parcel.name_any();
    let owner = parcel.controller_owner_ref(&());
    let letter = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "ownerReferences": [owner] },
        "data": { "address": parcel.spec.address },
    });
    maps.patch(&name, &PatchParams::apply("post").force(), &Patch::Apply(letter)).await?;
    let status = json!({ "apiVersion": "scenes.example.com/v1", "kind": "Parcel", "status": { "sent": true } });
    parcels.patch_status(&name, &PatchParams::apply("post").force(), &Patch::Apply(status)).await?;
    Ok(Action::await_change())
}

//! What goes when its owner goes, and what stays.
use super::{controller, deployment, until};
use crate::api::{Place, names, pod};
use serde_json::{Value, json};

const ORPHAN: &str = "Orphan";

async fn delete(place: &Place, path: &str, policy: &str) {
    let body = json!({ "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy }).to_string();
    let answer = place.api.send("DELETE", path, &[("content-type", "application/json")], body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Waits for so many pods; their list.
async fn pods(place: &Place, count: usize) -> Value {
    let path = place.path("pods");
    until(&format!("{count} pods"), async || Some(place.api.get(&path).await.ok()).filter(|list| names(list).len() == count)).await
}

async fn gone(place: &Place, path: &str) {
    until(&format!("{path} is gone"), async || (place.api.get(path).await.status == 404).then_some(())).await;
}

/// A barrier: what was asked for earlier in this namespace has been collected once this has.
async fn collected(place: &Place) {
    let rc = place.api.post(&place.path("replicationcontrollers"), &controller("barrier", 1)).await.ok();
    let owned = async || {
        let list = place.api.get(&format!("{}?labelSelector=app%3Dbarrier", place.path("pods"))).await.ok();
        names(&list).len()
    };
    until("the barrier has its pod", async || (owned().await == 1).then_some(())).await;
    delete(
        place,
        &format!("{}/{}", place.path("replicationcontrollers"), rc["metadata"]["name"].as_str().unwrap_or_default()),
        "Background",
    )
    .await;
    until("the barrier's pod is gone", async || (owned().await == 0).then_some(())).await;
}

#[tokio::test]
async fn pods_go_when_their_controller_is_not_orphaning() {
    let place = Place::new().await;
    let path = format!("{}/simple", place.path("replicationcontrollers"));
    place.api.post(&place.path("replicationcontrollers"), &controller("simple", 2)).await.ok();
    pods(&place, 2).await;
    delete(&place, &path, "Background").await;
    gone(&place, &path).await;
    pods(&place, 0).await;
}

#[tokio::test]
async fn replica_sets_go_when_their_deployment_is_not_orphaning() {
    let place = Place::new().await;
    let apps = format!("/apis/apps/v1/namespaces/{}", place.namespace);
    place.api.post(&format!("{apps}/deployments"), &deployment("simple", 2)).await.ok();
    let sets = format!("{apps}/replicasets");
    until("the replica set", async || (names(&place.api.get(&sets).await.ok()).len() == 1).then_some(())).await;
    delete(&place, &format!("{apps}/deployments/simple"), "Background").await;
    until("all are gone", async || names(&place.api.get(&sets).await.ok()).is_empty().then_some(())).await;
    pods(&place, 0).await;
}

#[tokio::test]
async fn pods_stay_when_their_controller_orphans() {
    let place = Place::new().await;
    let path = format!("{}/simple", place.path("replicationcontrollers"));
    place.api.post(&place.path("replicationcontrollers"), &controller("simple", 10)).await.ok();
    pods(&place, 10).await;
    delete(&place, &path, ORPHAN).await;
    gone(&place, &path).await;
    let left = pods(&place, 10).await;
    for pod in left["items"].as_array().expect("items") {
        assert!(pod["metadata"].get("ownerReferences").is_none() && pod["metadata"].get("deletionTimestamp").is_none(), "{pod}");
    }
    collected(&place).await;
    pods(&place, 10).await;
}

#[tokio::test]
async fn replica_sets_stay_when_their_deployment_orphans() {
    let place = Place::new().await;
    let apps = format!("/apis/apps/v1/namespaces/{}", place.namespace);
    place.api.post(&format!("{apps}/deployments"), &deployment("simple", 2)).await.ok();
    pods(&place, 2).await;
    delete(&place, &format!("{apps}/deployments/simple"), ORPHAN).await;
    gone(&place, &format!("{apps}/deployments/simple")).await;
    collected(&place).await;
    let sets = place.api.get(&format!("{apps}/replicasets")).await.ok();
    assert_eq!(names(&sets).len(), 1);
    assert!(sets["items"][0]["metadata"].get("ownerReferences").is_none(), "{sets}");
    let pods = pods(&place, 2).await;
    assert!(pods["items"].as_array().expect("items").iter().all(|p| p["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet"));
}

/// The controller waits for its pods, marked, and goes last.
#[tokio::test]
async fn a_controller_that_waits_for_its_pods() {
    let place = Place::new().await;
    let path = format!("{}/simple", place.path("replicationcontrollers"));
    place.api.post(&place.path("replicationcontrollers"), &controller("simple", 3)).await.ok();
    let made = pods(&place, 3).await;
    // One of the pods takes its time.
    let held = format!("{}/{}", place.path("pods"), names(&made)[0]);
    place.api.patch(&held, "merge", &json!({ "metadata": { "finalizers": ["example.com/hold"] } })).await.ok();
    delete(&place, &path, "Foreground").await;
    pods(&place, 1).await;
    let waiting = place.api.get(&path).await.ok();
    assert_eq!(waiting["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    assert!(waiting["metadata"]["deletionTimestamp"].is_string(), "{waiting}");
    place.api.patch(&held, "merge", &json!({ "metadata": { "finalizers": null } })).await.ok();
    gone(&place, &path).await;
    pods(&place, 0).await;
}

/// Half of the pods have a second owner, which is there to stay.
#[tokio::test]
async fn pods_with_another_owner_stay() {
    let place = Place::new().await;
    let controllers = place.path("replicationcontrollers");
    place.api.post(&controllers, &controller("to-be-deleted", 4)).await.ok();
    let stays = place.api.post(&controllers, &controller("to-stay", 0)).await.ok();
    let made = pods(&place, 4).await;
    let owner = json!({ "apiVersion": "v1", "kind": "ReplicationController", "name": "to-stay", "uid": stays["metadata"]["uid"] });
    let shared: Vec<String> = names(&made).into_iter().take(2).collect();
    for name in &shared {
        let patch = json!({ "metadata": { "ownerReferences": [owner] } });
        place.api.patch(&format!("{}/{name}", place.path("pods")), "strategic-merge", &patch).await.ok();
    }
    let path = format!("{controllers}/to-be-deleted");
    delete(&place, &path, "Foreground").await;
    gone(&place, &path).await;
    let left = pods(&place, 2).await;
    assert_eq!(names(&left), shared);
    for pod in left["items"].as_array().expect("items") {
        assert!(pod["metadata"].get("deletionTimestamp").is_none(), "{pod}");
        assert_eq!(pod["metadata"]["ownerReferences"][0]["name"], "to-stay");
    }
}

#[tokio::test]
async fn a_circle_of_owners_goes() {
    let place = Place::new().await;
    let path = place.path("pods");
    let mut uids = Vec::new();
    for name in ["pod1", "pod2", "pod3"] {
        uids.push((name, place.api.post(&path, &pod(name)).await.ok()["metadata"]["uid"].clone()));
    }
    for (name, owner) in [("pod1", 2), ("pod2", 0), ("pod3", 1)] {
        let (of, uid) = &uids[owner];
        let owner = json!({ "apiVersion": "v1", "kind": "Pod", "name": of, "uid": uid, "controller": true, "blockOwnerDeletion": true });
        place.api.patch(&format!("{path}/{name}"), "strategic-merge", &json!({ "metadata": { "ownerReferences": [owner] } })).await.ok();
    }
    delete(&place, &format!("{path}/pod1"), "Foreground").await;
    pods(&place, 0).await;
}

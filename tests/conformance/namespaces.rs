//! Namespaces: their life, their status, what they take along.
use super::until;
use crate::api::{Place, admin, pod};
use serde_json::{Value, json};

const NAMESPACES: &str = "/api/v1/namespaces";

#[tokio::test]
async fn patched_and_updated() {
    let place = Place::new().await;
    let one = format!("{NAMESPACES}/{}", place.namespace);
    let patched = place.api.patch(&one, "strategic-merge", &json!({ "metadata": { "labels": { "testLabel": "testValue" } } })).await.ok();
    assert_eq!(patched["metadata"]["labels"]["testLabel"], "testValue");
    let mut next = patched.clone();
    next["metadata"]["labels"][&place.namespace] = "updated".into();
    let updated = place.api.put(&one, &next).await.ok();
    assert_eq!(updated["metadata"]["labels"][&place.namespace], "updated");
    assert_eq!(updated["metadata"]["labels"]["kubernetes.io/metadata.name"], place.namespace.as_str());
    assert_eq!(place.api.get(&one).await.ok(), updated);
}

#[tokio::test]
async fn a_finalizer_of_ones_own() {
    let place = Place::new().await;
    let one = format!("{NAMESPACES}/{}", place.namespace);
    let mut wanted = place.api.get(&one).await.ok();
    wanted["spec"]["finalizers"].as_array_mut().expect("finalizers").push("e2e.example.com/fakeFinalizer".into());
    place.api.put(&format!("{one}/finalize"), &wanted).await.ok();
    let held = place.api.get(&one).await.ok();
    assert_eq!(held["spec"]["finalizers"], json!(["kubernetes", "e2e.example.com/fakeFinalizer"]));
    // An ordinary update leaves them alone.
    let mut other = held.clone();
    other["spec"]["finalizers"] = json!(["kubernetes"]);
    assert_eq!(place.api.put(&one, &other).await.ok()["spec"], held["spec"]);
    let mut next = place.api.get(&one).await.ok();
    next["spec"]["finalizers"] = json!(["kubernetes"]);
    place.api.put(&format!("{one}/finalize"), &next).await.ok();
    assert_eq!(place.api.get(&one).await.ok()["spec"]["finalizers"], json!(["kubernetes"]));
}

#[tokio::test]
async fn the_status() {
    let place = Place::new().await;
    let path = format!("{NAMESPACES}/{}/status", place.namespace);
    assert_eq!(place.api.get(&path).await.ok()["status"]["phase"], "Active");
    let condition = |kind: &str| json!({ "type": kind, "status": "True", "reason": "E2E", "message": "Set by an e2e test" });
    let body = json!({ "metadata": { "annotations": { "e2e-patched-ns-status": "yes" } }, "status": { "conditions": [condition("StatusPatch")] } });
    let patched = place.api.patch(&path, "merge", &body).await.ok();
    assert_eq!(patched["metadata"]["annotations"]["e2e-patched-ns-status"], "yes");
    assert_eq!((&patched["status"]["conditions"][0]["type"], &patched["status"]["phase"]), (&json!("StatusPatch"), &json!("Active")));
    let mut next = patched.clone();
    next["status"]["conditions"].as_array_mut().expect("conditions").push(condition("StatusUpdate"));
    let updated = place.api.put(&path, &next).await.ok();
    let held = updated["status"]["conditions"].as_array().expect("conditions");
    assert!(held.len() == 2 && held.iter().any(|c| c["type"] == "StatusUpdate" && c["message"] == "Set by an e2e test"), "{updated}");
}

/// Removes the namespace, waits for its end, makes it again: there is nothing of the kind in it.
async fn takes_along(plural: &str, body: Value) {
    let place = Place::new().await;
    let one = format!("{NAMESPACES}/{}", place.namespace);
    let made = place.api.post(&place.path(plural), &body).await.ok();
    place.api.delete(&one).await.ok();
    until("the namespace is gone", async || (place.api.get(&one).await.status == 404).then_some(())).await;
    place.api.post(NAMESPACES, &json!({ "metadata": { "name": place.namespace } })).await.ok();
    let path = format!("{}/{}", place.path(plural), made["metadata"]["name"].as_str().expect("a name"));
    place.api.get(&path).await.refused(404, "NotFound");
    place.api.delete(&one).await.ok();
}

#[tokio::test]
async fn pods_go_with_it() {
    takes_along("pods", pod("test-pod")).await;
}

#[tokio::test]
async fn services_go_with_it() {
    let ports = json!([{ "port": 80, "targetPort": 80 }]);
    let service = json!({ "metadata": { "name": "test-service" }, "spec": { "selector": { "foo": "bar" }, "ports": ports } });
    takes_along("services", service).await;
}

/// As long as a pod is there, everything else stays; and the namespace says what it waits for.
#[tokio::test]
async fn pods_go_before_everything_else() {
    let place = Place::new().await;
    let one = format!("{NAMESPACES}/{}", place.namespace);
    place.map("test-configmap", "1", Value::Null).await;
    let mut held = pod("test-pod");
    held["metadata"]["finalizers"] = json!(["e2e.example.com/finalizer"]);
    place.api.post(&place.path("pods"), &held).await.ok();
    place.api.delete(&one).await.ok();
    let condition = |namespace: &Value, kind: &str| {
        let held = namespace["status"]["conditions"].as_array()?.iter().find(|c| c["type"] == kind && c["status"] == "True")?;
        held["message"].as_str().map(String::from)
    };
    let said = until("it says what it waits for", async || {
        let namespace = place.api.get(&one).await.ok();
        condition(&namespace, "NamespaceFinalizersRemaining").zip(condition(&namespace, "NamespaceContentRemaining"))
    })
    .await;
    let expected = (
        "Some content in the namespace has finalizers remaining: e2e.example.com/finalizer in 1 resource instances",
        "Some resources are remaining: pods. has 1 resource instances",
    );
    assert_eq!((said.0.as_str(), said.1.as_str()), expected);
    let waiting = place.api.get(&format!("{}/test-pod", place.path("pods"))).await.ok();
    assert!(waiting["metadata"]["deletionTimestamp"].is_string(), "{waiting}");
    let kept = place.api.get(&format!("{}/test-configmap", place.maps)).await.ok();
    assert!(kept["metadata"].get("deletionTimestamp").is_none(), "{kept}");
    place.api.patch(&format!("{}/test-pod", place.path("pods")), "merge", &json!({ "metadata": { "finalizers": null } })).await.ok();
    until("the namespace is gone", async || (place.api.get(&one).await.status == 404).then_some(())).await;
    admin().get(&format!("{}/test-configmap", place.maps)).await.refused(404, "NotFound");
}

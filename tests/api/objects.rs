//! Making, reading, changing and removing objects.
use super::client::Client;
use super::{Place, map, names, pod, server};
use serde_json::{Value, json};

#[tokio::test]
async fn an_object_from_its_creation_to_its_end_over_both_versions_of_http() {
    for protocol in ["http/1.1", "h2"] {
        let place = Place::new().await;
        let api = Client::of(&server().kubeconfig(), protocol);
        let made = api.post(&place.maps, &map("one", "1", json!({ "a": "b" }))).await;
        assert_eq!((made.status, made.header("content-type")), (201, "application/json"), "{protocol}");
        let made = made.json();
        let meta = &made["metadata"];
        assert_eq!((&made["kind"], &made["apiVersion"], &meta["namespace"]), (&json!("ConfigMap"), &json!("v1"), &json!(place.namespace)));
        assert!(meta["uid"].as_str().is_some_and(|u| u.len() == 36) && meta["creationTimestamp"].is_string(), "{made}");

        let path = format!("{}/one", place.maps);
        assert_eq!(api.get(&path).await.ok(), made);
        let mut changed = made.clone();
        changed["data"]["k"] = "2".into();
        let updated = api.put(&path, &changed).await.ok();
        assert_eq!(updated["data"]["k"], "2");
        assert_ne!(updated["metadata"]["resourceVersion"], meta["resourceVersion"]);
        assert_eq!(updated["metadata"]["uid"], meta["uid"]);
        let stale = api.put(&path, &changed).await.refused(409, "Conflict");
        assert_eq!(
            stale,
            "Operation cannot be fulfilled on configmaps \"one\": the object has been modified; please apply your changes to the latest version and try again"
        );

        let gone = api.delete(&path).await.ok();
        assert_eq!((&gone["kind"], &gone["status"], &gone["details"]["name"]), (&json!("Status"), &json!("Success"), &json!("one")));
        assert_eq!(api.get(&path).await.refused(404, "NotFound"), "configmaps \"one\" not found");
    }
}

#[tokio::test]
async fn what_changes_nothing_is_not_written() {
    let place = Place::new().await;
    let made = place.map("still", "1", Value::Null).await;
    let path = format!("{}/still", place.maps);
    let again = place.api.put(&path, &made).await.ok();
    let patched = place.api.patch(&path, "merge", &json!({ "data": { "k": "1" } })).await.ok();
    assert_eq!((&again, &patched), (&made, &made));
    // Without a version, or with 0, an update is unconditional.
    let mut free = map("still", "2", Value::Null);
    place.api.put(&path, &free).await.ok();
    free["metadata"]["resourceVersion"] = "0".into();
    free["data"]["k"] = "3".into();
    assert_eq!(place.api.put(&path, &free).await.ok()["data"]["k"], "3");
}

#[tokio::test]
async fn three_kinds_of_patches() {
    let place = Place::new().await;
    let pods = place.path("pods");
    place.api.post(&pods, &pod("p")).await.ok();
    let path = format!("{pods}/p");
    let strategic = json!({ "spec": { "containers": [{ "name": "c", "image": "i2" }] }, "metadata": { "annotations": { "a": "1" } } });
    let patched = place.api.patch(&path, "strategic-merge", &strategic).await.ok();
    assert_eq!((&patched["spec"]["containers"][0]["image"], &patched["metadata"]["generation"]), (&json!("i2"), &json!(2)));
    let patched = place.api.patch(&path, "merge", &json!({ "metadata": { "annotations": { "b": "2", "a": null } } })).await.ok();
    assert_eq!((&patched["metadata"]["annotations"], &patched["metadata"]["generation"]), (&json!({ "b": "2" }), &json!(2)));
    let json_patch = json!([
        { "op": "test", "path": "/metadata/annotations/b", "value": "2" },
        { "op": "replace", "path": "/spec/containers/0/image", "value": "i3" },
    ]);
    let patched = place.api.patch(&path, "json", &json_patch).await.ok();
    assert_eq!(patched["spec"]["containers"][0]["image"], "i3");
    let failing = json!([{ "op": "test", "path": "/metadata/annotations/b", "value": "other" }]);
    assert_eq!(place.api.patch(&path, "json", &failing).await.status, 422);
    let frozen = place.api.patch(&path, "merge", &json!({ "spec": { "nodeName": "n" } })).await.refused(422, "Invalid");
    assert!(frozen.starts_with("Pod \"p\" is invalid: spec: Forbidden: pod updates may not change fields other than"), "{frozen}");
    let stale = json!({ "metadata": { "resourceVersion": "1", "annotations": { "c": "3" } } });
    place.api.patch(&path, "merge", &stale).await.refused(409, "Conflict");
}

#[tokio::test]
async fn a_dry_run_changes_nothing_wherever_it_is_asked_for() {
    let place = Place::new().await;
    let made = place.map("kept", "1", Value::Null).await;
    let path = format!("{}/kept", place.maps);
    let dry = place.api.post(&format!("{}?dryRun=All", place.maps), &map("never", "1", Value::Null)).await;
    assert_eq!(dry.status, 201);
    assert!(dry.json()["metadata"].get("resourceVersion").is_none(), "nothing was stored, so there is no version: {}", dry.text());
    let dry = place.api.patch(&format!("{path}?dryRun=All"), "merge", &json!({ "data": { "k": "2" } })).await.ok();
    assert_eq!((&dry["data"]["k"], &dry["metadata"]["resourceVersion"]), (&json!("2"), &made["metadata"]["resourceVersion"]));
    place.api.delete(&format!("{path}?dryRun=All")).await.ok();
    // Clients say it in the body.
    let body = json!({ "kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"] }).to_string();
    place.api.send("DELETE", &path, &[("content-type", "application/json")], body.clone()).await.ok();
    place.api.send("DELETE", &place.maps, &[("content-type", "application/json")], body).await.ok();
    assert_eq!(place.api.get(&path).await.ok(), made);
    place.api.get(&format!("{}/never", place.maps)).await.refused(404, "NotFound");
    let refused = place.api.post(&format!("{}?dryRun=some", place.maps), &map("x", "1", Value::Null)).await.refused(422, "Invalid");
    assert_eq!(
        refused,
        "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: []string{\"some\"}: supported values: \"All\""
    );
}

#[tokio::test]
async fn names_are_made_up_on_request() {
    let place = Place::new().await;
    let body = json!({ "metadata": { "generateName": "gen-" }, "data": {} });
    let (one, two) = (place.api.post(&place.maps, &body).await.ok(), place.api.post(&place.maps, &body).await.ok());
    let name = |o: &Value| o["metadata"]["name"].as_str().expect("a name").to_string();
    assert!(name(&one).starts_with("gen-") && name(&one).len() == 9 && name(&one) != name(&two), "{one} {two}");
}

#[tokio::test]
async fn deletion_has_preconditions_finalizers_and_collections() {
    let place = Place::new().await;
    let made = place.map("guarded", "1", json!({ "x": "y" })).await;
    let path = format!("{}/guarded", place.maps);
    let wrong = json!({ "preconditions": { "uid": "not-this-one" } }).to_string();
    let refused = place.api.send("DELETE", &path, &[("content-type", "application/json")], wrong).await.refused(409, "Conflict");
    assert!(refused.contains("Precondition failed: UID in precondition: not-this-one, UID in object meta: "), "{refused}");
    let right = json!({ "preconditions": { "uid": made["metadata"]["uid"] } }).to_string();

    place.api.patch(&path, "merge", &json!({ "metadata": { "finalizers": ["example.com/hold"] } })).await.ok();
    let marked = place.api.send("DELETE", &path, &[("content-type", "application/json")], right).await.ok();
    assert!(marked["kind"] == "ConfigMap" && marked["metadata"]["deletionTimestamp"].is_string(), "{marked}");
    let more = json!({ "metadata": { "finalizers": ["example.com/hold", "example.com/more"] } });
    let refused = place.api.patch(&path, "merge", &more).await.refused(422, "Invalid");
    assert!(refused.contains("no new finalizers can be added if the object is being deleted"), "{refused}");
    place.api.patch(&path, "merge", &json!({ "metadata": { "finalizers": null } })).await.ok();
    place.api.get(&path).await.refused(404, "NotFound");

    for i in 0..150 {
        place.map(&format!("m{i}"), "1", json!({ "odd": (i % 2 == 1).to_string() })).await;
    }
    let deleted = place.api.delete(&format!("{}?labelSelector=odd%3Dtrue", place.maps)).await.ok();
    assert_eq!((deleted["kind"].as_str(), names(&deleted).len()), (Some("ConfigMapList"), 75));
    assert_eq!(names(&place.api.get(&format!("{}?labelSelector=odd", place.maps)).await.ok()).len(), 75);
}

#[tokio::test]
async fn a_namespace_that_goes_takes_its_content_and_admits_nothing_new() {
    let place = Place::new().await;
    place.map("held", "1", Value::Null).await;
    let held = format!("{}/held", place.maps);
    place.api.patch(&held, "merge", &json!({ "metadata": { "finalizers": ["example.com/hold"] } })).await.ok();
    let namespace = format!("/api/v1/namespaces/{}", place.namespace);
    let mut watch = place.api.watch(&format!("/api/v1/namespaces?watch=1&fieldSelector=metadata.name%3D{}", place.namespace)).await;
    let going = place.api.delete(&namespace).await.ok();
    assert_eq!(going["status"]["phase"], "Terminating");

    let late = place.api.post(&place.maps, &map("late", "1", Value::Null)).await;
    let causes = late.json()["details"]["causes"].clone();
    assert_eq!(causes[0]["reason"], "NamespaceTerminating");
    let message = late.refused(403, "Forbidden");
    let namespace_name = &place.namespace;
    assert_eq!(
        message,
        format!(
            "configmaps \"late\" is forbidden: unable to create new content in namespace {namespace_name} because it is being terminated"
        )
    );
    place.api.patch(&held, "merge", &json!({ "metadata": { "finalizers": null } })).await.ok();
    while watch.line().await != format!("DELETED {namespace_name}") {}
    place.api.get(&namespace).await.refused(404, "NotFound");
    let nowhere = place.api.post(&place.maps, &map("late", "1", Value::Null)).await.refused(404, "NotFound");
    assert_eq!(nowhere, format!("namespaces \"{namespace_name}\" not found"));
}

//! Definitions of custom resources as objects of their own: their verbs, their status, defaults that change.
use super::crd::{Custom, DEFINITIONS, anything, version};
use super::until;
use crate::api::{admin, names};
use serde_json::{Value, json};

#[tokio::test]
async fn made_and_removed() {
    let (api, custom) = (admin(), Custom::new("simple", &["v1beta1"], anything()));
    let made = custom.create(&api).await;
    assert_eq!(made["metadata"]["name"], custom.name());
    custom.remove(&api).await;
    until("the definition is gone", async || (api.get(&custom.at()).await.status == 404).then_some(())).await;
    until("so is the kind", async || (api.get(&custom.path("v1beta1")).await.status == 404).then_some(())).await;
}

#[tokio::test]
async fn listed_and_removed_by_label() {
    let api = admin();
    let selected = format!("{DEFINITIONS}?labelSelector=e2e-list-test%3Dmany");
    for i in 0..10 {
        let mut custom = Custom::new(&format!("many{i}"), &["v1beta1"], anything());
        custom.definition["metadata"]["labels"] = json!({ "e2e-list-test": "many" });
        api.post(DEFINITIONS, &custom.definition).await.ok();
    }
    let other = Custom::new("single", &["v1beta1"], anything());
    api.post(DEFINITIONS, &other.definition).await.ok();
    let list = api.get(&selected).await.ok();
    assert_eq!((names(&list).len(), &list["kind"]), (10, &json!("CustomResourceDefinitionList")));
    assert_eq!(api.delete(&selected).await.status, 200);
    until("the labelled are gone", async || names(&api.get(&selected).await.ok()).is_empty().then_some(())).await;
    assert_eq!(api.get(&other.at()).await.status, 200);
    other.remove(&api).await;
}

#[tokio::test]
async fn the_status_of_a_definition() {
    let (api, custom) = (admin(), Custom::new("statused", &["v1beta1"], anything()));
    custom.create(&api).await;
    let path = format!("{}/status", custom.at());
    let held = |object: &Value, kind: &str| object["status"]["conditions"].as_array().is_some_and(|c| c.iter().any(|c| c["type"] == kind));
    let condition = |kind: &str| json!({ "type": kind, "status": "True", "reason": "E2E", "message": "Set from an e2e test" });
    until("it is established", async || held(&api.get(&path).await.ok(), "Established").then_some(())).await;
    let updated = until("no controller is in between", async || {
        let mut wanted = api.get(&path).await.ok();
        wanted["status"]["conditions"].as_array_mut().expect("conditions").push(condition("StatusUpdate"));
        let answer = api.put(&path, &wanted).await;
        (answer.status != 409).then(|| answer.ok())
    })
    .await;
    assert!(held(&updated, "StatusUpdate"), "{updated}");
    let patch = json!({ "spec": { "scope": "Namespaced" }, "status": { "conditions": [condition("StatusPatch")] } });
    let patched = api.patch(&path, "merge", &patch).await.ok();
    assert!(held(&patched, "StatusPatch") && !held(&patched, "StatusUpdate"), "{patched}");
    let read = api.get(&custom.at()).await.ok();
    assert!(held(&read, "StatusPatch") && read["spec"]["scope"] == "Cluster", "{read}");
    custom.remove(&api).await;
}

#[tokio::test]
async fn defaults_for_requests_and_for_what_is_stored() {
    let schema = |more: Value| {
        json!({ "type": "object", "properties": {
        "a": merged(json!({ "type": "string" }), &more["a"]), "b": merged(json!({ "type": "string" }), &more["b"]),
    } })
    };
    let (api, custom) = (admin(), Custom::new("defaulter", &["v1"], schema(json!({}))));
    custom.create(&api).await;
    let path = custom.path("v1");
    let one = format!("{path}/foo");
    let made = api.post(&path, &custom.object("v1", "foo", json!({}))).await.ok();
    assert!(made.get("a").is_none() && made.get("b").is_none(), "{made}");
    let set = async |schema: Value| {
        let patch = json!([{ "op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema", "value": schema }]);
        api.patch(&custom.at(), "json", &patch).await.ok()
    };
    set(schema(json!({ "a": { "default": "A" } }))).await;
    until("what is stored has the default", async || (api.get(&one).await.ok()["a"] == "A").then_some(())).await;
    let made = api.post(&path, &custom.object("v1", "bar", json!({}))).await.ok();
    assert_eq!((&made["a"], made.get("b")), (&json!("A"), None));
    set(schema(json!({ "b": { "default": "B" } }))).await;
    let bar = format!("{path}/bar");
    until("the other default is there", async || (api.get(&bar).await.ok()["b"] == "B").then_some(())).await;
    // What a request was given is stored; what was only read with a default never was.
    let (bar, foo) = (api.get(&bar).await.ok(), api.get(&one).await.ok());
    assert_eq!((&bar["a"], &bar["b"], foo.get("a"), &foo["b"]), (&json!("A"), &json!("B"), None, &json!("B")));
    custom.remove(&api).await;
}

fn merged(mut value: Value, more: &Value) -> Value {
    for (field, more) in more.as_object().into_iter().flatten() {
        value[field] = more.clone();
    }
    value
}

#[tokio::test]
async fn objects_of_a_definition_are_watched() {
    let (api, custom) = (admin(), Custom::new("watched", &["v1beta1"], anything()));
    custom.create(&api).await;
    let path = custom.path("v1beta1");
    let mut watches = Vec::new();
    for name in ["name1", "name2"] {
        watches.push(api.watch(&format!("{path}?watch=1&fieldSelector=metadata.name%3D{name}")).await);
    }
    for (name, watch) in ["name1", "name2"].iter().zip(&mut watches) {
        api.post(&path, &custom.object("v1beta1", name, json!({ "content": { "key": "value" } }))).await.ok();
        let event = watch.next().await.expect("an event");
        assert_eq!((&event["type"], &event["object"]["metadata"]["name"]), (&json!("ADDED"), &json!(name)));
    }
    for (name, watch) in ["name1", "name2"].iter().zip(&mut watches) {
        api.patch(&format!("{path}/{name}"), "merge", &json!({ "dummy": "test" })).await.ok();
        let event = watch.next().await.expect("an event");
        assert_eq!((&event["type"], &event["object"]["dummy"]), (&json!("MODIFIED"), &json!("test")));
    }
    for (name, watch) in ["name1", "name2"].iter().zip(&mut watches) {
        api.delete(&format!("{path}/{name}")).await.ok();
        assert_eq!(watch.line().await, format!("DELETED {name}"));
    }
    custom.remove(&api).await;
}

/// The definition's own schema says which versions there are, and a version that is added is served beside the first.
#[tokio::test]
async fn a_second_version_is_stored_from_now_on() {
    let (api, custom) = (admin(), Custom::new("second", &["v1"], anything()));
    custom.create(&api).await;
    let versions = json!([version("v1", false, &anything()), version("v2", true, &anything())]);
    api.patch(&custom.at(), "merge", &json!({ "spec": { "versions": versions } })).await.ok();
    custom.served(&api, "v2").await;
    assert_eq!(api.get(&custom.at()).await.ok()["status"]["storedVersions"], json!(["v1", "v2"]));
    custom.remove(&api).await;
}

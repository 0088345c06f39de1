//! What the server's documents say of custom resources, and what kubectl makes of it.
use super::crd::{Custom, anything, version};
use super::until;
use crate::api::client::Client;
use crate::api::{admin, server};
use crate::kubectl::{Kubectl, newest};
use serde_json::{Value, json};

fn kubectl() -> Kubectl<'static> {
    server().kubectl(newest(), "default")
}

/// The model's name in the documents.
fn model(custom: &Custom, version: &str) -> String {
    let reversed: Vec<&str> = custom.group.split('.').rev().collect();
    format!("{}.{version}.{}", reversed.join("."), custom.kind)
}

/// The model as version 2 has it, if it does.
async fn in_v2(api: &Client, custom: &Custom, version: &str) -> Option<Value> {
    api.get("/openapi/v2").await.ok()["definitions"].get(model(custom, version)).cloned()
}

/// Waits until the model is in both documents, and returns it as version 3 has it.
async fn published(api: &Client, custom: &Custom, version: &str) -> Value {
    until("version 2 has the model", async || in_v2(api, custom, version).await).await;
    let path = format!("/openapi/v3/apis/{}/{version}", custom.group);
    until("version 3 has the model", async || {
        let answer = api.get(&path).await;
        (answer.status == 200).then(|| answer.json()["components"]["schemas"].get(model(custom, version)).cloned())?
    })
    .await
}

async fn unpublished(api: &Client, custom: &Custom, version: &str) {
    until("version 2 is without the model", async || in_v2(api, custom, version).await.is_none().then_some(())).await;
    let path = format!("apis/{}/{version}", custom.group);
    until("version 3 is without the model", async || api.get("/openapi/v3").await.ok()["paths"].get(&path).is_none().then_some(())).await;
}

fn bars() -> Value {
    let bar = json!({ "type": "object", "required": ["name"], "properties": {
        "name": { "type": "string", "description": "Name of Bar." }, "age": { "type": "string", "description": "Age of Bar." },
        "feeling": { "type": "string", "description": "Whether Bar is feeling great.", "enum": ["Great", "Down"] },
        "bazs": { "type": "array", "description": "List of Bazs.", "items": { "type": "string" } },
    } });
    json!({ "type": "object", "description": "Foo CRD for Testing", "properties": {
        "spec": { "type": "object", "description": "Specification of Foo", "properties": {
            "bars": { "type": "array", "description": "List of Bars and their specs.", "items": bar },
        } },
        "status": { "type": "object", "description": "Status of Foo", "properties": {
            "bars": { "type": "array", "description": "List of Bars and their statuses.", "items": { "type": "object", "properties": {
                "bar": { "type": "string", "description": "Name of Bar.", "default": "d" }, "available": { "type": "boolean" },
            } } },
        } },
    } })
}

/// `kubectl create`, `apply` and `delete` of one manifest.
fn accepted(kubectl: &Kubectl, manifest: &str) {
    kubectl.feed("create --validate=true", manifest).ok();
    kubectl.feed("delete", manifest).ok();
    kubectl.feed("apply --validate=true", manifest).ok();
    kubectl.feed("delete", manifest).ok();
}

fn refused(kubectl: &Kubectl, manifest: &str, words: &str) {
    for verb in ["create", "apply"] {
        let said = kubectl.feed(&format!("{verb} --validate=true"), manifest).refused();
        assert!(said.contains(words), "{verb}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_schema() {
    let (api, custom) = (admin(), Custom::new("pubfoo", &["v1"], bars()));
    custom.create(&api).await;
    let schema = published(&api, &custom, "v1").await;
    assert_eq!(schema["properties"]["spec"]["description"], "Specification of Foo");
    assert_eq!(schema["x-kubernetes-group-version-kind"], json!([{ "group": custom.group, "version": "v1", "kind": "Pubfoo" }]));
    let kubectl = kubectl();
    let manifest = |more: &str| format!("{{apiVersion: {}/v1, kind: Pubfoo, metadata: {{name: test-foo}}, {more}}}", custom.group);
    accepted(&kubectl, &manifest("spec: {bars: [{name: test-bar}]}"));
    accepted(&kubectl, &manifest("spec: {bars: [{name: test-bar, age: '10', bazs: [b1]}]}"));
    refused(&kubectl, &manifest("spec: {bars: [{name: test-bar, feeling: NonExistentValue}]}"), "Unsupported value: \"NonExistentValue\"");
    refused(&kubectl, &manifest("spec: {foo: bar}"), "unknown field \"spec.foo\"");
    refused(&kubectl, &manifest("spec: {bars: [{age: '10'}]}"), "spec.bars[0].name: Required value");
    let plural = custom.name();
    let told = kubectl.ok(&format!("explain {plural}"));
    for words in [
        "DESCRIPTION:",
        "Foo CRD for Testing",
        "apiVersion\t<string>",
        "kind\t<string>",
        "metadata\t<ObjectMeta>",
        "spec\t<Object>",
        "Specification of Foo",
    ] {
        assert!(told.contains(words), "no {words} in\n{told}");
    }
    assert!(kubectl.ok(&format!("explain {plural}.metadata")).contains("Standard object's metadata"));
    let told = kubectl.ok(&format!("explain {plural}.spec"));
    assert!(told.contains("bars\t<[]Object>") && told.contains("List of Bars and their specs"), "{told}");
    let told = kubectl.ok(&format!("explain {plural}.spec.bars"));
    for words in ["bazs\t<[]string>", "name\t<string> -required-", "Name of Bar", "enum: Great, Down"] {
        assert!(told.contains(words), "no {words} in\n{told}");
    }
    let said = kubectl.run(&format!("explain {plural}.spec.bars2")).refused();
    assert!(said.contains("field \"bars2\" does not exist"), "{said}");
    custom.remove(&api).await;
    unpublished(&api, &custom, "v1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_schema() {
    let (api, custom) = (admin(), Custom::new("pubany", &["v1"], anything()));
    custom.create(&api).await;
    published(&api, &custom, "v1").await;
    let kubectl = kubectl();
    accepted(&kubectl, &format!("{{apiVersion: {}/v1, kind: Pubany, metadata: {{name: c}}, a: {{b: [1, x]}}}}", custom.group));
    let told = kubectl.ok(&format!("explain {}", custom.name()));
    assert!(told.contains("KIND:       Pubany") && told.contains("DESCRIPTION:\n    <empty>"), "{told}");
    custom.remove(&api).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_fields_kept_at_the_root() {
    let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true, "description": "preserve-unknown-properties in nested field for Testing",
        "properties": { "spec": { "type": "object", "description": "Specification of Waldo", "properties": { "dummy": { "type": "string" } } } } });
    let (api, custom) = (admin(), Custom::new("pubroot", &["v1"], schema));
    custom.create(&api).await;
    assert_eq!(published(&api, &custom, "v1").await["x-kubernetes-preserve-unknown-fields"], true);
    let kubectl = kubectl();
    accepted(&kubectl, &format!("{{apiVersion: {}/v1, kind: Pubroot, metadata: {{name: c}}, a: b, spec: {{dummy: x}}}}", custom.group));
    let told = kubectl.ok(&format!("explain {}", custom.name()));
    assert!(told.contains("KIND:       Pubroot") && told.contains("spec\t<Object>"), "{told}");
    custom.remove(&api).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_fields_kept_in_an_embedded_object() {
    let nested = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true, "description": "Specification of Waldo" });
    let schema = json!({ "type": "object", "description": "preserve-unknown-properties in nested field for Testing",
        "properties": { "spec": nested, "status": { "type": "object", "properties": { "bars": { "type": "array", "items": { "type": "object" } } } } } });
    let (api, custom) = (admin(), Custom::new("pubnested", &["v1"], schema));
    custom.create(&api).await;
    assert_eq!(published(&api, &custom, "v1").await["properties"]["spec"]["x-kubernetes-preserve-unknown-fields"], true);
    let kubectl = kubectl();
    accepted(
        &kubectl,
        &format!("{{apiVersion: {}/v1, kind: Pubnested, metadata: {{name: c}}, spec: {{a: null, b: [{{c: d}}]}}}}", custom.group),
    );
    let told = kubectl.ok(&format!("explain {}", custom.name()));
    assert!(told.contains("preserve-unknown-properties in nested field for Testing") && told.contains("spec\t<Object>"), "{told}");
    custom.remove(&api).await;
}

#[tokio::test]
async fn kinds_of_several_groups() {
    let api = admin();
    let customs = [Custom::new("pubone", &["v1"], bars()), Custom::new("pubtwo", &["v1"], bars())];
    for custom in &customs {
        custom.create(&api).await;
        published(&api, custom, "v1").await;
    }
    for custom in &customs {
        custom.remove(&api).await;
        unpublished(&api, custom, "v1").await;
    }
}

#[tokio::test]
async fn versions_of_one_group() {
    let (api, custom) = (admin(), Custom::new("pubmany", &["v2", "v3"], bars()));
    custom.create(&api).await;
    for version in ["v2", "v3"] {
        published(&api, &custom, version).await;
    }
    custom.remove(&api).await;
}

#[tokio::test]
async fn kinds_of_one_version() {
    let (api, first) = (admin(), Custom::new("pubhere", &["v1"], bars()));
    let mut second = Custom::new("pubthere", &["v1"], bars());
    second.group = first.group.clone();
    second.definition["spec"]["group"] = first.group.clone().into();
    second.definition["metadata"]["name"] = second.name().into();
    for custom in [&first, &second] {
        custom.create(&api).await;
        published(&api, custom, "v1").await;
    }
    published(&api, &first, "v1").await;
    for custom in [&first, &second] {
        custom.remove(&api).await;
    }
}

#[tokio::test]
async fn a_version_is_renamed() {
    let (api, custom) = (admin(), Custom::new("pubrenamed", &["v2", "v3"], bars()));
    custom.create(&api).await;
    published(&api, &custom, "v3").await;
    let before = published(&api, &custom, "v2").await;
    let patch = json!([
        { "op": "test", "path": "/spec/versions/1/name", "value": "v3" },
        { "op": "replace", "path": "/spec/versions/1/name", "value": "v4" },
    ]);
    api.patch(&custom.at(), "json", &patch).await.ok();
    published(&api, &custom, "v4").await;
    unpublished(&api, &custom, "v3").await;
    assert_eq!(published(&api, &custom, "v2").await, before);
    custom.remove(&api).await;
}

#[tokio::test]
async fn a_version_is_served_no_more() {
    let (api, custom) = (admin(), Custom::new("pubunserved", &["v1", "v2"], bars()));
    custom.create(&api).await;
    let before = published(&api, &custom, "v1").await;
    published(&api, &custom, "v2").await;
    let mut unserved = version("v2", false, &bars());
    unserved["served"] = false.into();
    api.patch(&custom.at(), "json", &json!([{ "op": "replace", "path": "/spec/versions/1", "value": unserved }])).await.ok();
    unpublished(&api, &custom, "v2").await;
    assert_eq!(published(&api, &custom, "v1").await, before);
    assert_eq!(api.get(&custom.path("v2")).await.status, 404);
    custom.remove(&api).await;
}

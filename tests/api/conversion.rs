//! Versions of a custom kind that only a webhook can convert.
use super::admin;
use super::client::Client;
use super::extension::{Asked, Extension};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const NAME: &str = "tabs.conv.example.com";
const TABS: &str = "/apis/conv.example.com";

/// `v1` has `hostPort: "host:port"`, `v2` has both apart.
fn convert(asked: &Asked, calls: &AtomicUsize, broken: &AtomicBool, sent: &Mutex<Vec<usize>>) -> (u16, String) {
    calls.fetch_add(1, Ordering::SeqCst);
    let review: Value = serde_json::from_slice(&asked.body).expect("a review");
    let to = review["request"]["desiredAPIVersion"].as_str().expect("a version").to_string();
    let mut objects = review["request"]["objects"].as_array().cloned().expect("objects");
    sent.lock().expect("no panic").push(objects.len());
    for object in &mut objects {
        object["apiVersion"] = to.as_str().into();
        if to.ends_with("/v2") {
            let (host, port) =
                object["hostPort"].as_str().and_then(|h| h.split_once(':')).map(|(h, p)| (h.to_string(), p.to_string())).expect("v1");
            object.as_object_mut().expect("an object").remove("hostPort");
            (object["host"], object["port"]) = (host.into(), port.into());
        } else {
            let text = |field: &str| object[field].as_str().unwrap_or_default().to_string();
            let joined = format!("{}:{}", text("host"), text("port"));
            object.as_object_mut().expect("an object").retain(|k, _| k != "host" && k != "port");
            object["hostPort"] = joined.into();
        }
    }
    let result = match broken.load(Ordering::SeqCst) {
        false => json!({ "status": "Success" }),
        true => json!({ "status": "Failure", "message": "out of order" }),
    };
    let response = json!({ "uid": review["request"]["uid"], "result": result, "convertedObjects": objects });
    (200, json!({ "kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1", "response": response }).to_string())
}

fn definition(storage: &str, webhook: &Extension) -> Value {
    let version = |name: &str, selectable: &[&str]| {
        let selectable: Vec<Value> = selectable.iter().map(|field| json!({ "jsonPath": field })).collect();
        json!({
            "name": name, "served": true, "storage": name == storage, "selectableFields": selectable,
            "schema": { "openAPIV3Schema": { "type": "object", "properties": {
                "hostPort": { "type": "string" }, "host": { "type": "string" }, "port": { "type": "string" } } } },
        })
    };
    let client = json!({ "url": format!("https://localhost:{}/convert", webhook.address.port()), "caBundle": webhook.ca });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": { "name": NAME },
        "spec": {
            "group": "conv.example.com", "scope": "Namespaced", "names": { "plural": "tabs", "kind": "Tab" }, "versions": [version("v1", &[".hostPort"]), version("v2", &[".host", ".port"])],
            "conversion": { "strategy": "Webhook", "webhook": { "clientConfig": client, "conversionReviewVersions": ["v1"] } },
        },
    })
}

fn path(version: &str) -> String {
    format!("{TABS}/{version}/namespaces/default/tabs")
}

async fn served(api: &Client) {
    let begun = Instant::now();
    while api.get(&path("v2")).await.status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(10), "the definition is served");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn tab(name: &str, version: &str, fields: Value) -> Value {
    let mut object = json!({ "apiVersion": format!("conv.example.com/{version}"), "kind": "Tab", "metadata": { "name": name } });
    for (field, value) in fields.as_object().expect("fields") {
        object[field] = value.clone();
    }
    object
}

/// Each version is selected from by its own fields.
async fn selections(api: &Client) {
    let selected = [("v1", "hostPort%3Dlocalhost:81", "old"), ("v2", "host%3Dexample.com,port%3D443", "new"), ("v2", "port!%3D443", "old")];
    for (version, selector, name) in selected {
        let chosen = format!("{}?fieldSelector={selector}", path(version));
        let list = api.get(&chosen).await.ok();
        assert_eq!(
            list["items"].as_array().map(|l| l.iter().map(|o| o["metadata"]["name"].as_str().unwrap_or_default()).collect()),
            Some(vec![name])
        );
        let mut watch = api.watch(&format!("{chosen}&watch=1")).await;
        assert_eq!(watch.line().await, format!("ADDED {name}"));
    }
    api.get(&format!("{}?fieldSelector=host%3Dx", path("v1"))).await.refused(400, "BadRequest");
    let mut watch = api.watch(&format!("{}?watch=1&fieldSelector=host%3Dexample.com", path("v2"))).await;
    assert_eq!(watch.line().await, "ADDED new");
    api.patch(&format!("{}/new", path("v1")), "merge", &json!({ "hostPort": "elsewhere:443" })).await.ok();
    assert_eq!(watch.line().await, "DELETED new");
    api.patch(&format!("{}/new", path("v1")), "merge", &json!({ "hostPort": "example.com:443" })).await.ok();
    assert_eq!(watch.line().await, "ADDED new");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_shows_every_object() {
    let api = admin();
    let (calls, broken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let sent = Arc::new(Mutex::new(Vec::new()));
    let (counted, failing, noted) = (calls.clone(), broken.clone(), sent.clone());
    let webhook = Extension::start("127.0.0.1:0", &["localhost"], "", move |asked| convert(asked, &counted, &failing, &noted)).await;
    api.post(DEFINITIONS, &definition("v1", &webhook)).await.ok();
    served(&api).await;
    api.post(&path("v1"), &tab("old", "v1", json!({ "hostPort": "localhost:80" }))).await.ok();
    let seen = api.get(&format!("{}/old", path("v2"))).await.ok();
    assert_eq!((&seen["apiVersion"], &seen["host"], &seen["port"]), (&json!("conv.example.com/v2"), &json!("localhost"), &json!("80")));
    assert!(seen.get("hostPort").is_none() && seen["metadata"]["uid"].is_string(), "{seen}");
    // What comes in by the other version is stored by the stored one, and answered as it came.
    let made = api.post(&path("v2"), &tab("new", "v2", json!({ "host": "example.com", "port": "443" }))).await.ok();
    assert_eq!((&made["host"], &made["apiVersion"]), (&json!("example.com"), &json!("conv.example.com/v2")));
    assert_eq!(api.get(&format!("{}/new", path("v1"))).await.ok()["hostPort"], "example.com:443");
    let patched = api.patch(&format!("{}/old", path("v2")), "merge", &json!({ "port": "81" })).await.ok();
    assert_eq!((&patched["host"], &patched["port"]), (&json!("localhost"), &json!("81")), "{patched}");
    assert_eq!(api.get(&format!("{}/old", path("v1"))).await.ok()["hostPort"], "localhost:81");

    selections(&api).await;

    // The stored version changes; what lies there is of both, and a list asks once for those that need it.
    let held = api.get(&format!("{DEFINITIONS}/{NAME}")).await.ok();
    let mut next = definition("v2", &webhook);
    next["metadata"]["resourceVersion"] = held["metadata"]["resourceVersion"].clone();
    api.put(&format!("{DEFINITIONS}/{NAME}"), &next).await.ok();
    tokio::time::sleep(Duration::from_millis(300)).await;
    served(&api).await;
    api.post(&path("v2"), &tab("newest", "v2", json!({ "host": "h", "port": "1" }))).await.ok();
    for (version, field) in [("v1", "hostPort"), ("v2", "port")] {
        let before = calls.load(Ordering::SeqCst);
        let list = api.get(&path(version)).await.ok();
        assert_eq!(calls.load(Ordering::SeqCst), before + 1, "one question for a list in {version}");
        let items = list["items"].as_array().cloned().expect("items");
        assert_eq!(items.len(), 3);
        let good = |o: &Value| o["apiVersion"] == format!("conv.example.com/{version}") && o[field].is_string();
        assert!(items.iter().all(good), "{list}");
    }
    // A stored object of the older version can be changed by the newer one.
    let patched = api.patch(&format!("{}/old", path("v2")), "merge", &json!({ "port": "82" })).await.ok();
    assert_eq!((&patched["host"], &patched["port"]), (&json!("localhost"), &json!("82")));

    let mut watch = api.watch(&format!("{}?watch=1", path("v1"))).await;
    for _ in 0..3 {
        let event = watch.next().await.expect("an event");
        assert!(event["object"]["hostPort"].is_string() && event["object"]["apiVersion"] == "conv.example.com/v1", "{event}");
    }
    broken.store(true, Ordering::SeqCst);
    let said = api.get(&format!("{}/newest", path("v1"))).await.refused(500, "InternalError");
    assert!(said.contains("conversion webhook for conv.example.com/v2, Kind=Tab failed: out of order"), "{said}");
    api.get(&path("v1")).await.refused(500, "InternalError");
    broken.store(false, Ordering::SeqCst);
    api.delete(&format!("{DEFINITIONS}/{NAME}")).await.ok();
}

//! CustomResourceDefinitions and their objects, from the first to the last.
use super::admin;
use super::client::Client;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

fn definition(plural: &str, kind: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.test.example.com") },
        "spec": {
            "group": "test.example.com", "scope": "Namespaced", "names": { "plural": plural, "kind": kind },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object", "properties": {
                    "spec": {
                        "type": "object", "required": ["size"],
                        "properties": { "size": { "type": "integer", "minimum": 1 }, "colour": { "type": "string", "default": "red", "maxLength": 20 } },
                        "x-kubernetes-validations": [{ "rule": "self.size <= oldSelf.size + 5", "message": "grows too fast" }],
                    },
                    "status": { "type": "object", "properties": { "size": { "type": "integer" } } },
                } } },
                "subresources": { "status": {}, "scale": { "specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size" } },
                "selectableFields": [{ "jsonPath": ".spec.colour" }],
            }],
        },
    })
}

/// Waits until the definition says so; events drive it, so this takes moments.
async fn established(api: &Client, name: &str) {
    let begun = Instant::now();
    loop {
        let crd = api.get(&format!("{DEFINITIONS}/{name}")).await.ok();
        let conditions = crd["status"]["conditions"].as_array().cloned().unwrap_or_default();
        if conditions.iter().any(|c| c["type"] == "Established" && c["status"] == "True") {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{crd}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_definition_lives_and_dies_with_its_objects() {
    let api = admin();
    let name = "boxes.test.example.com";
    let bad =
        json!({ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": { "name": "x" }, "spec": {} });
    api.post(DEFINITIONS, &bad).await.refused(422, "Invalid");
    api.post(DEFINITIONS, &definition("boxes", "Box")).await.ok();
    established(&api, name).await;
    let boxes = "/apis/test.example.com/v1/namespaces/default/boxes";
    // Discovery and OpenAPI know it at once.
    let list = api.get("/apis/test.example.com/v1").await.ok();
    assert!(list["resources"].as_array().expect("resources").iter().any(|r| r["name"] == "boxes/status"), "{list}");
    let document = api.get("/openapi/v3/apis/test.example.com/v1").await.ok();
    assert!(document["components"]["schemas"].get("com.example.test.v1.Box").is_some());

    let body = |name: &str, size: i64| json!({ "apiVersion": "test.example.com/v1", "kind": "Box", "metadata": { "name": name }, "spec": { "size": size } });
    let mut watch = api.watch(&format!("{boxes}?watch=1")).await;
    let made = api.post(boxes, &body("a", 1)).await.ok();
    assert_eq!((&made["spec"]["colour"], &made["metadata"]["generation"]), (&json!("red"), &json!(1)));
    assert_eq!(watch.line().await, "ADDED a");
    let said = api.post(boxes, &body("b", 0)).await.refused(422, "Invalid");
    assert_eq!(
        said,
        "Box.test.example.com \"b\" is invalid: spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"
    );
    let said = api.patch(&format!("{boxes}/a"), "merge", &json!({ "spec": { "size": 9 } })).await.refused(422, "Invalid");
    assert!(said.contains("spec: Invalid value: \"object\": grows too fast"), "{said}");
    let said =
        api.post(&format!("{boxes}?fieldValidation=Strict"), &json!({ "metadata": { "name": "c" }, "spec": { "size": 1, "x": 1 } })).await;
    assert!(said.refused(400, "BadRequest").contains("unknown field \"spec.x\""));
    api.patch(&format!("{boxes}/a"), "merge", &json!({ "spec": { "size": 3 } })).await.ok();
    assert_eq!(watch.line().await, "MODIFIED a");
    let scaled = api.patch(&format!("{boxes}/a/scale"), "merge", &json!({ "spec": { "replicas": 4 } })).await.ok();
    assert_eq!(scaled["spec"]["replicas"], 4);
    let status = api.patch(&format!("{boxes}/a/status"), "merge", &json!({ "status": { "size": 2 }, "spec": { "size": 5 } })).await.ok();
    assert_eq!((&status["status"]["size"], &status["spec"]["size"]), (&json!(2), &json!(4)));
    let red = api.get(&format!("{boxes}?fieldSelector=spec.colour%3Dred")).await.ok();
    assert_eq!(red["items"].as_array().map(Vec::len), Some(1));

    // A second definition with the same kind waits for the name.
    api.post(DEFINITIONS, &definition("crates", "Box")).await.ok();
    let begun = Instant::now();
    loop {
        let held = api.get(&format!("{DEFINITIONS}/crates.test.example.com")).await.ok();
        let conditions = held["status"]["conditions"].to_string();
        if conditions.contains("KindConflict") && conditions.contains("already in use") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{held}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    api.delete(&format!("{DEFINITIONS}/{name}")).await.ok();
    let begun = Instant::now();
    while api.get(&format!("{DEFINITIONS}/{name}")).await.status != 404 || api.get(&format!("{boxes}/a")).await.status != 404 {
        assert!(begun.elapsed() < Duration::from_secs(10), "the definition goes");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The name is free: the other definition gets it.
    established(&api, "crates.test.example.com").await;
    api.delete(&format!("{DEFINITIONS}/crates.test.example.com")).await.ok();
    // Made again, it begins without objects.
    api.post(DEFINITIONS, &definition("boxes", "Box")).await.ok();
    established(&api, name).await;
    assert_eq!(api.get(boxes).await.ok()["items"], json!([]));
    api.delete(&format!("{DEFINITIONS}/{name}")).await.ok();
}

#[tokio::test]
async fn versions_share_their_objects_and_defaults_reach_what_is_stored() {
    let api = admin();
    let (name, group) = ("gears.test2.example.com", "/apis/test2.example.com");
    let mut crd = definition("gears", "Gear");
    crd["metadata"]["name"] = name.into();
    crd["spec"]["group"] = "test2.example.com".into();
    api.post(DEFINITIONS, &crd).await.ok();
    established(&api, name).await;
    let gears = |version: &str| format!("{group}/{version}/namespaces/default/gears");
    let old = json!({ "apiVersion": "test2.example.com/v1", "kind": "Gear", "metadata": { "name": "old" }, "spec": { "size": 1 } });
    api.post(&gears("v1"), &old).await.ok();
    // A second version becomes the one that is stored, and its schema has one more default.
    let mut second = crd["spec"]["versions"][0].clone();
    second["name"] = "v2".into();
    second["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["teeth"] = json!({ "type": "integer", "default": 12 });
    let path = format!("{DEFINITIONS}/{name}");
    let change = |next: &mut Value| {
        next["spec"]["versions"][0]["storage"] = false.into();
        next["spec"]["versions"].as_array_mut().expect("versions").push(second.clone());
    };
    let next = api.change(&path, change).await;
    assert_eq!(next["status"]["storedVersions"], json!(["v1", "v2"]));
    let begun = Instant::now();
    while api.get(&gears("v2")).await.status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(10), "v2 is served");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Defaults for readers are those of the version that an object is stored in, which is the first for this one until it is written.
    let shown = api.get(&format!("{}/old", gears("v2"))).await.ok();
    assert_eq!((&shown["apiVersion"], shown["spec"].get("teeth")), (&json!("test2.example.com/v2"), None));
    assert_eq!(api.get(&format!("{}/old", gears("v1"))).await.ok()["apiVersion"], "test2.example.com/v1");
    let patched = api.patch(&format!("{}/old", gears("v1")), "merge", &json!({ "spec": { "size": 2 } })).await.ok();
    assert_eq!((&patched["apiVersion"], &patched["spec"]["size"]), (&json!("test2.example.com/v1"), &json!(2)));
    assert!(patched["spec"].get("teeth").is_none(), "this version has none: {patched}");
    assert_eq!(api.get(&format!("{}/old", gears("v2"))).await.ok()["spec"]["teeth"], 12);
    let patched = api.patch(&format!("{}/old", gears("v2")), "merge", &json!({ "spec": { "teeth": 7 } })).await.ok();
    assert_eq!((&patched["spec"]["teeth"], &patched["spec"]["size"]), (&json!(7), &json!(2)));
    let new = json!({ "apiVersion": "test2.example.com/v1", "kind": "Gear", "metadata": { "name": "new" }, "spec": { "size": 1 } });
    assert_eq!(api.post(&gears("v1"), &new).await.ok()["apiVersion"], "test2.example.com/v1");
    let list = api.get(&gears("v2")).await.ok();
    let versions: Vec<&Value> = list["items"].as_array().expect("items").iter().map(|o| &o["apiVersion"]).collect();
    assert_eq!(versions, [&json!("test2.example.com/v2"); 2]);
    api.delete(&format!("{DEFINITIONS}/{name}")).await.ok();
}

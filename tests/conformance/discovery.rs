//! What the server says that it serves.
use super::crd::{Custom, anything};
use super::until;
use crate::api::admin;
use crate::api::client::Client;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// What an aggregated document names, as `group/version/plural`.
fn resources(document: &Value) -> BTreeSet<String> {
    assert_eq!((&document["kind"], &document["apiVersion"]), (&json!("APIGroupDiscoveryList"), &json!("apidiscovery.k8s.io/v2")));
    let mut found = BTreeSet::new();
    for group in document["items"].as_array().expect("items") {
        for version in group["versions"].as_array().expect("versions") {
            assert_eq!(version["freshness"], "Current", "{version}");
            for resource in version["resources"].as_array().expect("resources") {
                let part = |value: &Value| value.as_str().unwrap_or_default().to_string();
                found.insert(format!("{}/{}/{}", part(&group["metadata"]["name"]), part(&version["version"]), part(&resource["resource"])));
            }
        }
    }
    found
}

async fn aggregated(api: &Client) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in ["/api", "/apis"] {
        let answer = api.get_as(path, AGGREGATED).await;
        assert_eq!(answer.header("content-type"), AGGREGATED);
        found.extend(resources(&answer.json()));
    }
    found
}

const EVERYWHERE: [&str; 20] = [
    "/v1/namespaces",
    "/v1/nodes",
    "/v1/pods",
    "/v1/services",
    "/v1/serviceaccounts",
    "/v1/secrets",
    "/v1/configmaps",
    "/v1/events",
    "/v1/persistentvolumes",
    "/v1/persistentvolumeclaims",
    "apps/v1/deployments",
    "apps/v1/daemonsets",
    "apps/v1/statefulsets",
    "apps/v1/replicasets",
    "batch/v1/jobs",
    "batch/v1/cronjobs",
    "networking.k8s.io/v1/ingresses",
    "rbac.authorization.k8s.io/v1/clusterroles",
    "apiextensions.k8s.io/v1/customresourcedefinitions",
    "coordination.k8s.io/v1/leases",
];

#[tokio::test]
async fn one_document_has_every_built_in_kind() {
    let found = aggregated(&admin()).await;
    for name in EVERYWHERE {
        assert!(found.contains(name), "{name} is missing");
    }
}

/// What is asked for decides: the first of the list that the server knows, and the old form without any.
#[tokio::test]
async fn the_header_decides_the_form() {
    let api = admin();
    for (path, old) in [("/api", "APIVersions"), ("/apis", "APIGroupList")] {
        for accept in ["application/json", "*/*", "application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList,application/json"] {
            assert_eq!(api.get_as(path, accept).await.ok()["kind"], old, "{path} {accept}");
        }
        let accept = format!("{AGGREGATED},application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json");
        let answer = api.get_as(path, &accept).await;
        assert_eq!((answer.header("content-type"), answer.header("vary")), (AGGREGATED, "Accept"));
        assert!(!answer.header("etag").is_empty());
        assert!(!resources(&answer.json()).is_empty());
    }
}

#[tokio::test]
async fn definitions_come_into_the_document() {
    let (api, custom) = (admin(), Custom::new("found", &["v1"], anything()));
    custom.create(&api).await;
    let name = format!("{}/v1/{}", custom.group, custom.plural);
    until("the kind is in discovery", async || aggregated(&api).await.contains(&name).then_some(())).await;
    let list = api.get_as("/apis", AGGREGATED).await.ok();
    let group = list["items"].as_array().and_then(|i| i.iter().find(|g| g["metadata"]["name"] == custom.group)).expect("the group");
    let resource = &group["versions"][0]["resources"][0];
    assert_eq!((&resource["scope"], &resource["singularResource"]), (&json!("Cluster"), &json!("found")));
    assert_eq!(resource["responseKind"], json!({ "group": custom.group, "version": "v1", "kind": "Found" }));
    custom.remove(&api).await;
    until("it is gone from discovery", async || (!aggregated(&api).await.contains(&name)).then_some(())).await;
}

#[tokio::test]
async fn every_group_has_a_preferred_version_and_resources() {
    let api = admin();
    let list = api.get("/apis").await.ok();
    for group in list["groups"].as_array().expect("groups") {
        let name = group["name"].as_str().expect("a name");
        // Those of other tests may be on their way out.
        if name.ends_with(".example.com") {
            continue;
        }
        let one = api.get(&format!("/apis/{name}")).await.ok();
        assert_eq!(one["preferredVersion"], group["preferredVersion"], "{name}");
        let versions = group["versions"].as_array().expect("versions");
        assert!(versions.contains(&group["preferredVersion"]), "{group}");
        for version in versions {
            let version = version["groupVersion"].as_str().expect("a version");
            let resources = api.get(&format!("/apis/{version}")).await.ok();
            assert_eq!((&resources["kind"], resources["groupVersion"].as_str()), (&json!("APIResourceList"), Some(version)));
            let first = &resources["resources"][0];
            assert!(first["name"].is_string() && first["kind"].is_string() && first["verbs"].is_array(), "{version}: {resources}");
        }
    }
}

/// A group's version and its resources, all three documents agreeing.
async fn in_documents(group: &str, plurals: &[&str]) {
    let api = admin();
    let version = format!("{group}/v1");
    let has = |group: &Value| group["versions"].as_array().is_some_and(|v| v.iter().any(|v| v["groupVersion"] == version.as_str()));
    let list = api.get("/apis").await.ok();
    assert!(list["groups"].as_array().is_some_and(|g| g.iter().any(|g| g["name"] == group && has(g))), "{list}");
    assert!(has(&api.get(&format!("/apis/{group}")).await.ok()));
    let resources = api.get(&format!("/apis/{version}")).await.ok();
    for plural in plurals {
        assert!(resources["resources"].as_array().is_some_and(|r| r.iter().any(|r| r["name"] == *plural)), "{resources}");
    }
}

#[tokio::test]
async fn the_kind_of_definitions() {
    in_documents("apiextensions.k8s.io", &["customresourcedefinitions"]).await;
}

#[tokio::test]
async fn the_kinds_of_webhooks() {
    in_documents("admissionregistration.k8s.io", &["mutatingwebhookconfigurations", "validatingwebhookconfigurations"]).await;
}

#[tokio::test]
async fn the_version() {
    let version = admin().get("/version").await.ok();
    for field in ["major", "minor"] {
        let text = version[field].as_str().expect("a text");
        assert!(!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()), "{version}");
    }
    assert!(version["gitVersion"].as_str().is_some_and(|v| v.starts_with("v1.")), "{version}");
}

/// A review has no metadata that a table could be made of.
#[tokio::test]
async fn no_table_of_what_has_no_metadata() {
    let api = admin();
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io"), ("content-type", "application/json")];
    let review = json!({ "spec": { "nonResourceAttributes": { "path": "/", "verb": "get" } } }).to_string();
    for path in ["selfsubjectaccessreviews", "subjectaccessreviews"] {
        let mut review: Value = serde_json::from_str(&review).expect("JSON");
        if path == "subjectaccessreviews" {
            review["spec"]["user"] = "jane".into();
        }
        let answer = api.send("POST", &format!("/apis/authorization.k8s.io/v1/{path}"), &table, review.to_string()).await;
        answer.refused(406, "NotAcceptable");
    }
}

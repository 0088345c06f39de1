//! An extension API server behind an APIService: reached, believed in, missed.
use super::client::Client;
use super::extension::{Asked, Extension, own_address};
use super::{admin, server, until};
use crate::kubectl::newest;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
const NAME: &str = "v1alpha1.wardle.test.io";
const ROOT: &str = "/apis/wardle.test.io/v1alpha1";

/// What the extension API server has and saw.
#[derive(Default)]
struct Wardle {
    flunders: Vec<(String, String)>,
    users: Vec<String>,
    groups: Vec<String>,
    certified: String,
}

fn answer(wardle: &Mutex<Wardle>, asked: &Asked) -> (u16, String) {
    let mut wardle = wardle.lock().expect("no panic while held");
    wardle.certified = asked.certified.clone();
    let path = asked.path.split('?').next().unwrap_or_default();
    let verbs = ["create", "deletecollection", "get", "list", "watch"];
    let flunder = json!({ "name": "flunders", "singularName": "flunder", "namespaced": true, "kind": "Flunder", "verbs": verbs, "shortNames": ["flu"] });
    let body = match path {
        ROOT => json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "wardle.test.io/v1alpha1", "resources": [flunder] }),
        "/openapi/v3" => {
            json!({ "paths": { "apis/wardle.test.io/v1alpha1": { "serverRelativeURL": "/openapi/v3/apis/wardle.test.io/v1alpha1?hash=1" } } })
        }
        "/openapi/v3/apis/wardle.test.io/v1alpha1" => {
            json!({ "openapi": "3.0.0", "info": { "title": "wardle", "version": "1" }, "paths": {} })
        }
        path => {
            // Namespaces of other tests go meanwhile, and the server asks for their contents.
            if path.contains("/garden/") && asked.method == "GET" {
                wardle.users = asked.header("x-remote-user").iter().map(|s| s.to_string()).collect();
                wardle.groups = asked.header("x-remote-group").iter().map(|s| s.to_string()).collect();
            }
            let namespace = path.split("/namespaces/").nth(1).and_then(|r| r.split('/').next()).unwrap_or_default().to_string();
            if asked.method == "DELETE" {
                wardle.flunders.retain(|(space, _)| *space != namespace);
            }
            let flunder = |(space, name): &(String, String)| json!({ "apiVersion": "wardle.test.io/v1alpha1", "kind": "Flunder", "metadata": { "name": name, "namespace": space, "creationTimestamp": "2026-01-01T00:00:00Z" } });
            if asked.path.contains("watch=1") {
                return (200, format!("{}\n", json!({ "type": "ADDED", "object": flunder(&(namespace, "seen".into())) })));
            }
            let items: Vec<Value> = wardle.flunders.iter().filter(|(space, _)| *space == namespace).map(flunder).collect();
            json!({ "apiVersion": "wardle.test.io/v1alpha1", "kind": "FlunderList", "metadata": {}, "items": items })
        }
    };
    (200, body.to_string())
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.find(|c| c["type"] == kind).unwrap_or(&Value::Null)
}

fn is(kind: &'static str, status: &'static str, reason: &'static str) -> impl Fn(&Value) -> Option<()> {
    move |object| {
        let condition = condition(object, kind);
        (condition["status"] == status && condition["reason"] == reason).then_some(())
    }
}

/// The way to an extension API server, in a namespace of its own: a Service without a selector and a slice made by hand.
async fn lead_to(api: &Client, extension: &Extension) {
    let namespace = "wardle-system";
    let service = json!({ "metadata": { "name": "api" }, "spec": { "ports": [{ "name": "https", "port": 443 }] } });
    api.post(&format!("/api/v1/namespaces/{namespace}/services"), &service).await.ok();
    let slice = json!({
        "metadata": { "name": "api-1", "labels": { "kubernetes.io/service-name": "api" } }, "addressType": "IPv4",
        "endpoints": [{ "addresses": [extension.address.ip().to_string()] }],
        "ports": [{ "name": "https", "port": extension.address.port(), "protocol": "TCP" }],
    });
    api.post(&format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"), &slice).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_api_server_is_reached_and_missed() {
    let api = admin();
    let space = |name: &str| json!({ "metadata": { "name": name } });
    for name in ["wardle-system", "garden", "desert"] {
        api.post("/api/v1/namespaces", &space(name)).await.ok();
    }
    let path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";
    let ours = until(&api, path, "how we are recognised", |o| o["data"].is_object().then(|| o.clone())).await;
    assert_eq!(ours["data"]["requestheader-allowed-names"], "[\"front-proxy-client\"]");
    assert!(ours["data"]["client-ca-file"].as_str().is_some_and(|pem| pem.contains("BEGIN CERTIFICATE")));
    let believed = ours["data"]["requestheader-client-ca-file"].as_str().expect("a CA").to_string();

    let registration = |ca: &str| {
        json!({
            "metadata": { "name": NAME },
            "spec": { "group": "wardle.test.io", "version": "v1alpha1", "groupPriorityMinimum": 2000, "versionPriority": 200, "caBundle": ca,
                "service": { "name": "api", "namespace": "wardle-system" } },
        })
    };
    let wardle = Arc::new(Mutex::new(Wardle::default()));
    let state = wardle.clone();
    let place = format!("{}:0", own_address());
    let extension = Extension::start(&place, &["api.wardle-system.svc"], &believed, move |asked| answer(&state, asked)).await;
    wardle.lock().expect("no panic").flunders = vec![("garden".into(), "tulip".into()), ("garden".into(), "rose".into())];

    api.post(SERVICES, &registration(&extension.ca)).await.ok();
    let path = format!("{SERVICES}/{NAME}");
    until(&api, &path, "no service yet", is("Available", "False", "ServiceNotFound")).await;
    assert_eq!(api.get(&format!("{ROOT}/namespaces/garden/flunders")).await.status, 503);
    lead_to(&api, &extension).await;
    until(&api, &path, "it answers", is("Available", "True", "Passed")).await;

    everybodys_way_to_it(&api, &wardle).await;
    nobody_lies(&api, &wardle).await;

    // A namespace takes with it what the others keep there.
    gone(&api, "garden").await;
    assert!(wardle.lock().expect("no panic").flunders.is_empty());

    // It goes away.
    drop(extension);
    missed(&api, &path).await;
}

/// Discovery, schemas, kubectl; and what the server behind hears.
async fn everybodys_way_to_it(api: &Client, wardle: &Mutex<Wardle>) {
    let groups = api.get("/apis").await.ok();
    let group = groups["groups"].as_array().expect("groups").iter().find(|g| g["name"] == "wardle.test.io").cloned().expect("the group");
    assert_eq!(group["preferredVersion"]["groupVersion"], "wardle.test.io/v1alpha1");
    assert_eq!(api.get("/apis/wardle.test.io").await.ok()["kind"], "APIGroup");
    let aggregated = api.get_as("/apis", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList").await.ok();
    let found = aggregated["items"].as_array().expect("items").iter().find(|g| g["metadata"]["name"] == "wardle.test.io").cloned();
    let version = found.expect("the group")["versions"][0].clone();
    assert_eq!((&version["freshness"], &version["resources"][0]["resource"]), (&json!("Current"), &json!("flunders")));
    assert!(api.get("/openapi/v3").await.ok()["paths"].get("apis/wardle.test.io/v1alpha1").is_some());
    assert_eq!(api.get("/openapi/v3/apis/wardle.test.io/v1alpha1?hash=1").await.ok()["info"]["title"], "wardle");
    let shown = tokio::task::spawn_blocking(|| server().kubectl(newest(), "garden").ok("get flu")).await.expect("no panic");
    assert!(shown.contains("tulip") && shown.contains("rose"), "{shown}");
    {
        let seen = wardle.lock().expect("no panic");
        assert_eq!((seen.users.as_slice(), seen.certified.as_str()), (["kubernetes-admin".to_string()].as_slice(), "front-proxy-client"));
        assert!(seen.groups.contains(&"system:masters".to_string()), "{:?}", seen.groups);
    }
}

async fn nobody_lies(api: &Client, wardle: &Mutex<Wardle>) {
    // Nobody says by himself who he is, or gets past our own rights.
    let forged = [("x-remote-user", "root"), ("x-remote-group", "gods")];
    assert_eq!(api.send("GET", &format!("{ROOT}/namespaces/garden/flunders"), &forged, "").await.status, 200);
    assert_eq!(wardle.lock().expect("no panic").users, ["kubernetes-admin"]);
    let jane = Client::bearer(&server().kubeconfig(), "token-of-jane-0123456789abcdef");
    jane.get(&format!("{ROOT}/namespaces/garden/flunders")).await.refused(403, "Forbidden");
    let mut watch = api.watch(&format!("{ROOT}/namespaces/garden/flunders?watch=1")).await;
    assert_eq!(watch.line().await, "ADDED seen");
}

/// Deletes a namespace and waits until it is gone.
async fn gone(api: &Client, namespace: &str) {
    let path = format!("/api/v1/namespaces/{namespace}");
    api.delete(&path).await;
    let begun = Instant::now();
    while api.get(&path).await.status != 404 {
        assert!(begun.elapsed() < Duration::from_secs(30), "{namespace} goes");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Nobody answers any more.
async fn missed(api: &Client, path: &str) {
    let refused = api.get(&format!("{ROOT}/namespaces/desert/flunders")).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    until(api, path, "it is missed", is("Available", "False", "FailedDiscoveryCheck")).await;
    api.delete("/api/v1/namespaces/desert").await.ok();
    let why = until(api, "/api/v1/namespaces/desert", "the namespace waits", |n| {
        let condition = condition(n, "NamespaceDeletionDiscoveryFailure");
        (condition["status"] == "True").then(|| condition["message"].as_str().unwrap_or_default().to_string())
    });
    let words = "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: wardle.test.io/v1alpha1: stale GroupVersion discovery: wardle.test.io/v1alpha1";
    assert_eq!(why.await, words);
    api.delete(path).await.ok();
    gone(api, "desert").await;
    api.get(&format!("{ROOT}/namespaces/desert/flunders")).await.refused(404, "NotFound");
}

#[tokio::test]
async fn what_the_server_answers_itself_is_registered() {
    let api = admin();
    for (name, priority) in [("v1.", 18000), ("v1.apps", 17800), ("v2.autoscaling", 17500), ("v1.authentication.k8s.io", 17700)] {
        let path = format!("{SERVICES}/{name}");
        let managed =
            |s: &Value| s["metadata"]["labels"]["kube-aggregator.kubernetes.io/automanaged"].as_str().map(|m| (m.to_string(), s.clone()));
        let (managed, service) = until(&api, &path, "registered", managed).await;
        assert_eq!((managed.as_str(), &service["spec"]["groupPriorityMinimum"]), ("onstart", &json!(priority)));
        assert_eq!(condition(&service, "Available")["reason"], "Local");
    }
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let crd = json!({
        "metadata": { "name": "nuts.registered.example.com" },
        "spec": {
            "group": "registered.example.com", "scope": "Cluster", "names": { "plural": "nuts", "kind": "Nut" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": { "type": "object" } } }],
        },
    });
    api.post(definitions, &crd).await.ok();
    let path = format!("{SERVICES}/v1.registered.example.com");
    until(&api, &path, "registered", |s| (s["spec"]["versionPriority"] == 100).then_some(())).await;
    api.delete(&path).await.ok();
    until(&api, &path, "registered again", |s| (s["spec"]["groupPriorityMinimum"] == 1000).then_some(())).await;
    api.delete(&format!("{definitions}/nuts.registered.example.com")).await.ok();
    until(&api, &path, "gone with its definition", |s| (s["code"] == 404).then_some(())).await;
}

//! Requests that no well-behaved client sends. Each gets a `Status` with upstream's code, reason and words.
use crate::cluster::shared;
use crate::https::{Answer, Client};
use serde_json::{Value, json};

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// Checks code and reason of a refusal, and returns its message.
#[track_caller]
fn refused(answer: &Answer, code: u16, reason: &str) -> String {
    assert_eq!(answer.status, code, "{}", answer.text());
    let status = answer.json();
    assert_eq!(
        (&status["kind"], &status["apiVersion"], &status["status"]),
        (&json!("Status"), &json!("v1"), &json!("Failure")),
        "{status}"
    );
    assert_eq!((&status["code"], &status["reason"]), (&json!(code), &json!(reason)), "{status}");
    status["message"].as_str().unwrap_or_default().to_string()
}

fn post(client: &mut Client, path: &str, content_type: &str, body: &[u8]) -> Answer {
    client.request("POST", path, content_type, body).expect("an answer")
}

fn config_map(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name } })
}

#[test]
fn bodies_that_cannot_be_read() {
    let mut client = shared().client();
    for broken in [&b"{\"kind\": "[..], b"", b"\xff\xfe\x00", b"[]", b"null", b"\"text\""] {
        let message = refused(&post(&mut client, CONFIG_MAPS, "application/json", broken), 400, "BadRequest");
        assert!(!message.is_empty() && !message.contains("panicked"), "{message}");
    }
    refused(&post(&mut client, CONFIG_MAPS, "application/yaml", b"a: [b"), 400, "BadRequest");
    let deep = "[".repeat(200_000);
    refused(&post(&mut client, CONFIG_MAPS, "application/json", deep.as_bytes()), 400, "BadRequest");
    let yaml = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: from-yaml}\n";
    assert_eq!(post(&mut client, CONFIG_MAPS, "application/yaml", yaml).status, 201);
    assert_eq!(client.delete(&format!("{CONFIG_MAPS}/from-yaml")).expect("an answer").status, 200);
}

#[test]
fn bodies_of_the_wrong_kind() {
    let mut client = shared().client();
    let other = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "x" } });
    refused(&client.post(CONFIG_MAPS, &other).expect("an answer"), 400, "BadRequest");
    let wrong = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": 5 } });
    refused(&client.post(CONFIG_MAPS, &wrong).expect("an answer"), 400, "BadRequest");
    let wrong = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "x" }, "data": ["a"] });
    refused(&client.post(CONFIG_MAPS, &wrong).expect("an answer"), 400, "BadRequest");
    let message = refused(&post(&mut client, CONFIG_MAPS, "text/plain", b"hello"), 415, "UnsupportedMediaType");
    assert!(message.contains("application/json"), "{message}");
    let path = format!("{CONFIG_MAPS}/x");
    let patch = client.request("PATCH", &path, "application/json", b"{}").expect("an answer");
    refused(&patch, 415, "UnsupportedMediaType");
    refused(&client.get("/api/v1/namespaces/default/unicorns").expect("an answer"), 404, "NotFound");
    refused(&client.get("/apis/nobody.example/v1/things").expect("an answer"), 404, "NotFound");
    refused(&client.request("PUT", CONFIG_MAPS, "application/json", b"{}").expect("an answer"), 405, "MethodNotAllowed");
}

#[test]
fn bodies_that_are_too_big() {
    let mut client = shared().client();
    let mut big = config_map("big");
    big["data"] = json!({ "a": "x".repeat(3 * 1024 * 1024) });
    let message = refused(&client.post(CONFIG_MAPS, &big).expect("an answer"), 413, "RequestEntityTooLarge");
    assert!(message.contains("limit is 3145728"), "{message}");
    // Upstream allows a ConfigMap one mebibyte, well under what a request may have.
    big["data"] = json!({ "a": "x".repeat(1024 * 1024 + 1) });
    refused(&client.post(CONFIG_MAPS, &big).expect("an answer"), 422, "Invalid");
    refused(&client.get(&format!("{CONFIG_MAPS}/big")).expect("an answer"), 404, "NotFound");
}

#[test]
fn names_that_break_the_rules() {
    let mut client = shared().client();
    for name in ["UPPER", "under_score", "-dash", "a..b", &"x".repeat(254)] {
        let message = refused(&client.post(CONFIG_MAPS, &config_map(name)).expect("an answer"), 422, "Invalid");
        assert!(message.contains("metadata.name: Invalid value"), "{message}");
    }
    let message = refused(&client.post(CONFIG_MAPS, &json!({ "metadata": {} })).expect("an answer"), 422, "Invalid");
    assert!(message.contains("metadata.name: Required value: name or generateName is required"), "{message}");
    let mut labelled = config_map("labelled");
    labelled["metadata"]["labels"] = json!({ "a b": "c" });
    let answer = client.post(CONFIG_MAPS, &labelled).expect("an answer");
    assert!(refused(&answer, 422, "Invalid").contains("metadata.labels: Invalid value: \"a b\""));
    assert_eq!(answer.json()["details"]["causes"][0]["field"], "metadata.labels");
    let elsewhere = "/api/v1/namespaces/nowhere/configmaps";
    assert_eq!(refused(&client.post(elsewhere, &config_map("x")).expect("an answer"), 404, "NotFound"), "namespaces \"nowhere\" not found");
}

#[test]
fn writes_that_come_too_late() {
    let mut client = shared().client();
    let path = format!("{CONFIG_MAPS}/contended");
    let first = client.post(CONFIG_MAPS, &config_map("contended")).expect("an answer").json();
    let mut second = first.clone();
    second["data"] = json!({ "a": "b" });
    assert_eq!(client.put(&path, &second).expect("an answer").status, 200);
    let message = refused(&client.put(&path, &first).expect("an answer"), 409, "Conflict");
    assert!(message.contains("the object has been modified; please apply your changes to the latest version and try again"), "{message}");
    refused(&client.post(CONFIG_MAPS, &config_map("contended")).expect("an answer"), 409, "AlreadyExists");
    let precondition = json!({ "preconditions": { "uid": "somebody-else" } }).to_string();
    let answer = client.request("DELETE", &path, "application/json", precondition.as_bytes()).expect("an answer");
    refused(&answer, 409, "Conflict");
    let mut renamed = second.clone();
    renamed["metadata"]["name"] = "other".into();
    refused(&client.put(&path, &renamed).expect("an answer"), 400, "BadRequest");
    assert_eq!(client.get(&path).expect("an answer").json()["data"], json!({ "a": "b" }));
    assert_eq!(client.delete(&path).expect("an answer").status, 200);
}

#[test]
fn questions_that_make_no_sense() {
    let mut client = shared().client();
    for query in ["labelSelector=a%20in", "fieldSelector=spec.colour%3Dred", "limit=many", "continue=rubbish", "resourceVersion=abc"] {
        refused(&client.get(&format!("{CONFIG_MAPS}?{query}")).expect("an answer"), 400, "BadRequest");
    }
    let answer = client.get(&format!("{CONFIG_MAPS}?watch=true&resourceVersion=1&timeoutSeconds=1")).expect("an answer");
    let text = answer.text();
    let expired = answer.status == 410 || text.contains("\"code\":410");
    assert!(expired || answer.status == 200, "a watch from long ago: {} {text}", answer.status);
}

#[test]
fn strangers() {
    let mut client = Client::stranger(&shared().kubeconfig());
    assert_eq!(client.get("/readyz").expect("an answer").text(), "ok");
    for path in [CONFIG_MAPS, "/api/v1/nodes", "/openapi/v3", "/metrics"] {
        let answer = client.get(path).expect("an answer");
        assert!(matches!(answer.status, 401 | 403), "{path} answers a stranger with {}", answer.status);
    }
    client.bearer = "not-a-token".into();
    refused(&client.get(CONFIG_MAPS).expect("an answer"), 401, "Unauthorized");
}

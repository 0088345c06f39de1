//! Servers outside that know users and rights, hear of everything, and have a say in connections.
use super::client::Client;
use super::extension::{Asked, Extension};
use crate::cluster::{Cluster, Options};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const HOOKS: &str = "/apis/admissionregistration.k8s.io/v1";
const POLICY: &str = "{apiVersion: audit.k8s.io/v1, kind: Policy, omitStages: [RequestReceived], rules: [{level: Metadata}]}";

/// What came in.
#[derive(Default)]
struct Heard {
    tokens: usize,
    reviews: Vec<Value>,
    events: Vec<Value>,
    connections: Vec<Value>,
}

fn answer(heard: &Mutex<Heard>, asked: &Asked) -> (u16, String) {
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let mut heard = heard.lock().expect("no panic while held");
    let answer = match asked.path.split('?').next().unwrap_or_default() {
        "/authn" => {
            heard.tokens += 1;
            let known = body["spec"]["token"] == "secret-of-ann-0123456789";
            json!({ "status": { "authenticated": known, "user": { "username": "ann", "uid": "7", "groups": ["ops"] } } })
        }
        "/authz" => {
            let spec = &body["spec"];
            let may = match spec["user"].as_str() {
                Some("ann") => {
                    spec["resourceAttributes"]["resource"] == "configmaps" && spec["resourceAttributes"]["namespace"] == "default"
                }
                Some("joe") => spec["resourceAttributes"]["subresource"] == "exec",
                _ => false,
            };
            heard.reviews.push(body.clone());
            json!({ "status": { "allowed": may, "reason": if may { "" } else { "ask your boss" } } })
        }
        "/audit" => {
            heard.events.extend(body["items"].as_array().cloned().unwrap_or_default());
            json!({})
        }
        _ => {
            heard.connections.push(body["request"].clone());
            let response = json!({
                "uid": body["request"]["uid"], "allowed": false, "status": { "code": 403, "message": "nobody goes in" }, "auditAnnotations": { "why": "closed" },
            });
            json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response })
        }
    };
    (200, answer.to_string())
}

/// A kubeconfig for one path of the server.
fn kubeconfig(folder: &Path, extension: &Extension, path: &str) -> String {
    let server = format!("https://localhost:{}/{path}", extension.address.port());
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{ "name": "c", "context": { "cluster": "k", "user": "u" } }],
        "clusters": [{ "name": "k", "cluster": { "server": server, "certificate-authority-data": extension.ca } }], "users": [{ "name": "u", "user": {} }],
    });
    let file = folder.join(format!("{path}.kubeconfig"));
    std::fs::write(&file, config.to_string()).expect("written");
    file.display().to_string()
}

async fn event(heard: &Mutex<Heard>, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        if let Some(found) = heard.lock().expect("no panic").events.iter().find(|e| is(e)) {
            return found.clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(15), "no event: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn others_know_users_decide_and_hear_of_it() {
    let heard = Arc::new(Mutex::new(Heard::default()));
    let state = heard.clone();
    let extension = Extension::start("127.0.0.1:0", &["localhost"], "", move |asked| answer(&state, asked)).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = |path: &str| kubeconfig(folder.path(), &extension, path);
    let policy = folder.path().join("policy.yaml");
    std::fs::write(&policy, POLICY).expect("written");
    let config = format!(
        "api:\n  authenticationWebhook: {{ kubeconfig: {} }}\n  authorizationWebhook: {{ kubeconfig: {} }}\n  audit: {{ policy: {}, webhook: {} }}\n",
        file("authn"),
        file("authz"),
        policy.display(),
        file("audit")
    );
    let options = Options { name: "outside", no_node: true, config, ..Options::default() };
    let cluster = tokio::task::spawn_blocking(|| Cluster::start(options)).await.expect("a cluster");
    let (api, ann) = (Client::of(&cluster.kubeconfig(), "http/1.1"), Client::bearer(&cluster.kubeconfig(), "secret-of-ann-0123456789"));

    users_and_rights(&cluster, &api, &ann, &heard).await;
    a_connection(&api, &heard, &extension).await;
    what_is_told(&api, &heard).await;
    tokio::task::spawn_blocking(move || drop(cluster)).await.expect("stopped");
}

async fn users_and_rights(cluster: &Cluster, api: &Client, ann: &Client, heard: &Mutex<Heard>) {
    for _ in 0..3 {
        assert_eq!(ann.get("/api/v1/namespaces/default/configmaps").await.status, 200);
    }
    assert_eq!(heard.lock().expect("no panic").tokens, 1, "an answer is kept");
    let review = heard.lock().expect("no panic").reviews[0]["spec"].clone();
    let wanted = json!({ "verb": "list", "version": "v1", "resource": "configmaps", "namespace": "default" });
    assert_eq!((&review["user"], &review["uid"], &review["resourceAttributes"]), (&json!("ann"), &json!("7"), &wanted));
    let said = ann.get("/api/v1/namespaces/kube-system/secrets").await.refused(403, "Forbidden");
    assert!(said.ends_with("in the namespace \"kube-system\": ask your boss"), "{said}");
    Client::bearer(&cluster.kubeconfig(), "nobody-knows-this-one").get("/api").await.refused(401, "Unauthorized");
    let may = json!({ "spec": { "resourceAttributes": { "verb": "get", "resource": "configmaps", "namespace": "default", "name": "x", "version": "v1" } } });
    let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    assert_eq!(api.post(reviews, &may).await.ok()["status"]["allowed"], true);
    let token = json!({ "spec": { "token": "secret-of-ann-0123456789" } });
    let known = api.post("/apis/authentication.k8s.io/v1/tokenreviews", &token).await.ok();
    assert_eq!((&known["status"]["authenticated"], &known["status"]["user"]["username"]), (&json!(true), &json!("ann")));
}

/// A connection that somebody has something against.
async fn a_connection(api: &Client, heard: &Mutex<Heard>, extension: &Extension) {
    let hook = json!({
        "metadata": { "name": "doors" },
        "webhooks": [{
            "name": "doors.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "clientConfig": { "url": format!("https://localhost:{}/connect", extension.address.port()), "caBundle": extension.ca },
            "rules": [{ "operations": ["CONNECT"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods/exec"] }],
        }],
    });
    api.post(&format!("{HOOKS}/validatingwebhookconfigurations"), &hook).await.ok();
    let begun = Instant::now();
    while api.post("/api/v1/namespaces/default/pods", &super::pod("p")).await.status == 403 {
        assert!(begun.elapsed() < Duration::from_secs(10), "the namespace gets its account");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let exec = "/api/v1/namespaces/default/pods/p/exec?command=ls&command=-l&stdout=true&container=c";
    let refused = api.send("POST", exec, &[("impersonate-user", "joe")], "").await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(
        refused.text().contains("admission webhook \\\"doors.example.com\\\" denied the request: nobody goes in"),
        "{}",
        refused.text()
    );
    let request = heard.lock().expect("no panic").connections[0].clone();
    assert_eq!((&request["operation"], &request["subResource"], &request["options"]), (&json!("CONNECT"), &json!("exec"), &Value::Null));
    assert_eq!(request["kind"], json!({ "group": "", "version": "v1", "kind": "PodExecOptions" }));
    assert_eq!((&request["object"]["kind"], &request["object"]["command"]), (&json!("PodExecOptions"), &json!(["ls", "-l"])));
}

/// What admission notes, and who it was.
async fn what_is_told(api: &Client, heard: &Mutex<Heard>) {
    let told = event(heard, "the exec", |e| e["objectRef"]["subresource"] == "exec" && e["stage"] == "ResponseComplete").await;
    assert_eq!((&told["user"]["username"], &told["impersonatedUser"]["username"]), (&json!("kubernetes-admin"), &json!("joe")));
    assert_eq!((&told["annotations"]["doors.example.com/why"], &told["responseStatus"]["code"]), (&json!("closed"), &json!(403)));
    let refused = event(heard, "a stranger", |e| e["responseStatus"]["code"] == 401).await;
    assert_eq!((&refused["stage"], &refused["responseStatus"]["status"]), (&json!("ResponseStarted"), &json!("Failure")));
    let forbidden = event(heard, "the secrets", |e| e["annotations"]["authorization.k8s.io/decision"] == "forbid").await;
    assert_eq!(forbidden["annotations"]["authorization.k8s.io/reason"], "ask your boss");
    let named = api.send("GET", "/api/v1/namespaces/default", &[("audit-id", "my-own-name")], "").await;
    assert_eq!(named.header("audit-id"), "my-own-name");
    let named = event(heard, "the named request", |e| e["auditID"] == "my-own-name").await;
    assert_eq!(named["annotations"], json!({ "authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": "" }));
    let rule = json!({ "operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"] });
    let policy = json!({
        "metadata": { "name": "colours" },
        "spec": {
            "matchConstraints": { "resourceRules": [rule] },
            "validations": [{ "expression": "object.data.k != 'red'", "message": "no red" }],
            "auditAnnotations": [{ "key": "colour", "valueExpression": "'it is ' + object.data.k" }],
        },
    });
    api.post(&format!("{HOOKS}/validatingadmissionpolicies"), &policy).await.ok();
    let binding = json!({ "metadata": { "name": "colours" }, "spec": { "policyName": "colours", "validationActions": ["Audit"] } });
    api.post(&format!("{HOOKS}/validatingadmissionpolicybindings"), &binding).await.ok();
    let map = json!({ "metadata": { "name": "red" }, "data": { "k": "red" } });
    api.post("/api/v1/namespaces/default/configmaps", &map).await.ok();
    let told = event(heard, "the map", |e| {
        e["verb"] == "create" && e["objectRef"]["resource"] == "configmaps" && e["annotations"]["colours/colour"].is_string()
    });
    let told = told.await;
    assert_eq!(told["annotations"]["colours/colour"], "it is red");
    let failure = told["annotations"]["validation.policy.admission.k8s.io/validation_failure"].as_str().expect("a failure");
    let failure: Value = serde_json::from_str(failure).expect("JSON");
    assert_eq!(
        (&failure[0]["message"], &failure[0]["policy"], &failure[0]["expressionIndex"]),
        (&json!("no red"), &json!("colours"), &json!(0))
    );
}

#[tokio::test]
async fn a_node_that_is_not_there_is_told_apart_from_what_it_does_not_have() {
    let api = super::admin();
    api.post("/api/v1/nodes", &json!({ "metadata": { "name": "ghost" } })).await.ok();
    let proxy = "/api/v1/nodes/ghost/proxy";
    assert_eq!(api.get(&format!("{proxy}/pods")).await.ok()["kind"], "PodList");
    assert_eq!(api.get(&format!("{proxy}/configz")).await.ok()["kubeletconfig"]["kind"], "KubeletConfiguration");
    let said = api.get(&format!("{proxy}/stats/summary")).await.refused(500, "InternalError");
    assert!(said.contains("error dialing backend: node \"ghost\" is not connected"), "{said}");
    assert_eq!(api.get(&format!("{proxy}/logs/")).await.status, 404);
    assert!(api.get(&format!("{proxy}/nothing")).await.text().contains("404 page not found"));
    api.get("/api/v1/nodes/nobody/proxy/pods").await.refused(404, "NotFound");
    let jane = Client::bearer(&super::server().kubeconfig(), "token-of-jane-0123456789abcdef");
    let said = jane.get(&format!("{proxy}/pods")).await.refused(403, "Forbidden");
    assert!(said.contains("cannot get resource \"nodes/proxy\""), "{said}");
    api.delete("/api/v1/nodes/ghost").await.ok();
}

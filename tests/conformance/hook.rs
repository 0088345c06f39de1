//! A webhook server of the test, and configurations that lead to it.
use crate::api::client::{Answer, Client};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

pub const MUTATING: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
pub const VALIDATING: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";

/// How long `/slow` waits: longer than the shortest timeout there is, shorter than the default one.
const DELAY: Duration = Duration::from_secs(2);

/// Answers `/slow` late and everything else at once; what it answers depends on the path.
pub struct Hook {
    port: u16,
    ca: String,
}

impl Hook {
    /// Starts it; it ends with the test.
    pub async fn start() -> Hook {
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|b| b.with_no_client_auth().with_single_cert(vec![certified.cert.der().clone()], key))
            .expect("TLS settings");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(acceptor.clone(), stream));
            }
        });
        Hook { port, ca: STANDARD.encode(certified.cert.pem()) }
    }

    /// A webhook at one of the paths that is asked about things in one namespace, or cluster-wide ones.
    pub fn at(&self, path: &str, namespace: &str, rule: Value) -> Value {
        let name = path.trim_matches('/').replace('/', "-");
        let mut hook = json!({
            "name": format!("{name}.conf.example.com"), "rules": [rule], "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "clientConfig": { "url": format!("https://localhost:{}{path}", self.port), "caBundle": self.ca }, "timeoutSeconds": 10,
        });
        if !namespace.is_empty() {
            hook["namespaceSelector"] = json!({ "matchLabels": { "kubernetes.io/metadata.name": namespace } });
        }
        hook
    }
}

/// A rule for one plural of one group in all versions.
pub fn rule(operations: &[&str], group: &str, plural: &str) -> Value {
    json!({ "operations": operations, "apiGroups": [group], "apiVersions": ["*"], "resources": [plural], "scope": "*" })
}

/// Makes a configuration of some webhooks; from the answer on they are asked.
pub async fn configure(api: &Client, sort: &str, name: &str, hooks: &[Value]) -> Answer {
    api.post(sort, &json!({ "metadata": { "name": name }, "webhooks": hooks })).await
}

/// What a webhook's refusal says. One that gave neither code nor reason is a 400 without any reason.
pub trait Denied {
    fn denied(self) -> String;
}

impl Denied for Answer {
    #[track_caller]
    fn denied(self) -> String {
        let status = self.json();
        assert_eq!((self.status, &status["kind"], status.get("reason")), (400, &json!("Status"), None), "{status}");
        status["message"].as_str().expect("a message").to_string()
    }
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let mut stream = BufReader::new(stream);
    while let Some((path, review)) = request(&mut stream).await {
        if path == "/slow" {
            tokio::time::sleep(DELAY).await;
        }
        let mut response = verdict(&path, &review["request"]);
        response["uid"] = review["request"]["uid"].clone();
        let text = json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response }).to_string();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", text.len());
        // Whoever has not waited is gone.
        if stream.write_all((head + &text).as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

/// The next request's path and body; `None` at the end of the connection.
async fn request(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Option<(String, Value)> {
    let (mut path, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return None;
        }
        if let Some(rest) = line.strip_prefix("POST ") {
            let target = rest.split_whitespace().next().unwrap_or_default();
            path = target.split('?').next().unwrap_or_default().to_string();
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((path, serde_json::from_slice(&body).expect("a review")))
}

fn denied(why: &str) -> Value {
    json!({ "allowed": false, "status": { "message": why } })
}

fn patch(operations: Value) -> Value {
    json!({ "allowed": true, "patchType": "JSONPatch", "patch": STANDARD.encode(operations.to_string()) })
}

/// What each path says to a request.
fn verdict(path: &str, request: &Value) -> Value {
    let object = &request["object"];
    let data = |key: &str| object["data"][key].as_str().unwrap_or_default();
    let set = |key: &str| patch(json!([{ "op": "add", "path": format!("/data/{key}"), "value": "yes" }]));
    let allowed = json!({ "allowed": true });
    match path {
        "/deny" => denied("this webhook denies all requests"),
        "/label" if object["metadata"].get("labels").is_none() => {
            patch(json!([{ "op": "add", "path": "/metadata/labels", "value": { "added-label": "yes" } }]))
        }
        "/label" => patch(json!([{ "op": "add", "path": "/metadata/labels/added-label", "value": "yes" }])),
        "/bad-data" if data("webhook-e2e-test") == "webhook-disallow" => denied("the configmap contains unwanted key and value"),
        "/bad-data" if request["operation"] == "DELETE" && request["oldObject"]["data"]["webhook-e2e-test"] == "webhook-nondeletable" => {
            denied("the configmap cannot be deleted because it contains unwanted key and value")
        }
        "/versions" => denied(&versions(request)),
        "/set" => patch(json!([{ "op": "add", "path": "/spec/port", "value": "81" }])),
        "/most" => patch(json!([{ "op": "replace", "path": "/spec/metrics/0/resource/target/averageUtilization", "value": 33 }])),
        "/bad-pods" => pod(object),
        "/attach" => denied(&format!("attaching to pod '{}' is not allowed", request["name"].as_str().unwrap_or_default())),
        "/stage-one" if data("mutation-start") == "yes" => set("mutation-stage-1"),
        "/stage-two" if data("mutation-stage-1") == "yes" => set("mutation-stage-2"),
        "/init-container" => patch(json!([
            { "op": "add", "path": "/spec/initContainers", "value": [{ "image": "webhook-added-image", "name": "webhook-added-init-container", "resources": {} }] }
        ])),
        _ => allowed,
    }
}

/// Which versions a request is in: the objects', those that the webhook is asked about, those of the request itself.
fn versions(request: &Value) -> String {
    let of = |object: &Value| object["apiVersion"].as_str().and_then(|v| v.rsplit('/').next()).unwrap_or("none").to_string();
    let named = |field: &str| request[field]["version"].as_str().unwrap_or("none").to_string();
    let asked = ["kind", "resource", "requestKind", "requestResource"].map(named).join(" ");
    format!("{} {}; {asked}; {}", of(&request["object"]), of(&request["oldObject"]), request["subResource"].as_str().unwrap_or("main"))
}

fn pod(object: &Value) -> Value {
    let named = object["spec"]["containers"]
        .as_array()
        .is_some_and(|c| c.iter().any(|c| c["name"].as_str().is_some_and(|n| n.contains("webhook-disallow"))));
    let labelled = object["metadata"]["labels"]["webhook-e2e-test"] == "disallow";
    match (named, labelled) {
        (true, true) => denied("the pod contains unwanted container name; the pod contains unwanted label"),
        (true, false) => denied("the pod contains unwanted container name"),
        (false, true) => denied("the pod contains unwanted label"),
        (false, false) => json!({ "allowed": true }),
    }
}

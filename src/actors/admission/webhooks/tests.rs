//! Webhooks against a TLS server of this process.
use crate::actors::admission::ClusterServices;
use crate::actors::admission::Plugins;
use crate::actors::admission::notes::noting;
use crate::actors::admission::tests::{Rig, pod};
use crate::actors::aggregation::{Dial, Duplex};
use crate::actors::kinds::{Admission, Attributes, Operation};
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A webhook that answers every review with what a function makes of its request.
struct Server {
    url: String,
    /// PEM, as a configuration carries it.
    ca: String,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn start(answer: fn(&Value) -> Value) -> Server {
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|b| b.with_no_client_auth().with_single_cert(vec![certified.cert.der().clone()], key))
            .expect("TLS settings");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (acceptor, counted) = (TlsAcceptor::from(Arc::new(config)), connections.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    serve(BufReader::new(stream), answer).await;
                });
            }
        });
        Server { url: format!("https://localhost:{port}/review"), ca: STANDARD.encode(certified.cert.pem()), connections }
    }
}

async fn serve(mut stream: BufReader<tokio_rustls::server::TlsStream<tokio::net::TcpStream>>, answer: fn(&Value) -> Value) {
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.expect("the body");
        let review: Value = serde_json::from_slice(&body).expect("a review");
        let mut response = answer(&review["request"]);
        if response.get("uid").is_none() {
            response["uid"] = review["request"]["uid"].clone();
        }
        let text = json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response }).to_string();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", text.len());
        stream.write_all((head + &text).as_bytes()).await.expect("written");
        stream.flush().await.expect("written");
    }
}

fn configure(rig: &Rig, sort: &str, server: &Server, change: impl FnOnce(&mut Value)) {
    let rules = json!([{ "apiGroups": [""], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["pods"], "scope": "*" }]);
    let mut hook = json!({
        "name": "w.example.com", "clientConfig": { "url": server.url, "caBundle": server.ca }, "rules": rules,
        "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 5,
    });
    change(&mut hook);
    let kind = if sort == "mutating" { "MutatingWebhookConfiguration" } else { "ValidatingWebhookConfiguration" };
    let shelf = format!("{sort}webhookconfigurations.admissionregistration.k8s.io");
    rig.put(&shelf, json!({ "kind": kind, "metadata": { "name": "c" }, "webhooks": [hook] }));
}

async fn validate(rig: &Rig, dry_run: bool) -> Result<Vec<String>, ApiError> {
    let key = ObjectKey::new("ns", "p");
    let a = Attributes { dry_run, ..rig.attributes("pods", Operation::Create, &key) };
    Ok(Admission::ask_validating(&rig.chain, a, Some(&pod(|_| {})), None).await?.1)
}

#[tokio::test]
async fn a_validating_webhook_is_asked_and_its_word_passed_on() {
    let server = Server::start(|request| {
        assert_eq!((&request["operation"], &request["name"], &request["namespace"]), (&json!("CREATE"), &json!("p"), &json!("ns")));
        assert_eq!(request["kind"], json!({ "group": "", "version": "v1", "kind": "Pod" }));
        assert_eq!((&request["userInfo"]["username"], &request["oldObject"]), (&json!("jane"), &Value::Null));
        let status = json!({ "message": "no pods today", "code": 403, "reason": "Forbidden" });
        let allowed = request["dryRun"] == true;
        json!({ "allowed": allowed, "status": status, "warnings": ["be careful"] })
    })
    .await;
    let rig = Rig::new(Plugins::default());
    assert!(!rig.chain.asks(&rig.attributes("pods", Operation::Create, &ObjectKey::new("ns", "p"))));
    configure(&rig, "validating", &server, |_| {});
    assert!(rig.chain.asks(&rig.attributes("pods", Operation::Create, &ObjectKey::new("ns", "p"))));
    assert!(!rig.chain.asks(&rig.attributes("configmaps", Operation::Create, &ObjectKey::new("ns", "p"))));
    let refused = validate(&rig, false).await.expect_err("a refusal");
    let words = "admission webhook \"w.example.com\" denied the request: no pods today";
    assert_eq!((refused.code, refused.reason.as_str(), refused.message.as_str()), (403, "Forbidden", words));
    assert_eq!(validate(&rig, true).await, Ok(vec!["be careful".to_string()]));
    assert_eq!(server.connections.load(Ordering::SeqCst), 1, "the connection is used again");
    configure(&rig, "validating", &server, |hook| hook["sideEffects"] = "Some".into());
    let refused = validate(&rig, true).await.expect_err("a refusal");
    assert_eq!((refused.code, refused.message.as_str()), (400, "admission webhook \"w.example.com\" does not support dry run"));
    // Who is not selected is not asked.
    let elsewhere = [
        ("namespaceSelector", json!({ "matchLabels": { "a": "b" } })),
        ("objectSelector", json!({ "matchLabels": { "a": "b" } })),
        ("matchConditions", json!([{ "name": "x", "expression": "object.metadata.name != 'p'" }])),
    ];
    for (field, value) in elsewhere {
        configure(&rig, "validating", &server, |hook| hook[field] = value);
        assert_eq!(validate(&rig, false).await, Ok(Vec::new()), "{field}");
    }
}

#[tokio::test]
async fn a_mutating_webhook_patches() {
    let server = Server::start(|_| {
        let patch = STANDARD.encode(json!([{ "op": "add", "path": "/spec/hostname", "value": "h" }]).to_string());
        json!({ "allowed": true, "patchType": "JSONPatch", "patch": patch })
    })
    .await;
    let rig = Rig::new(Plugins::default());
    configure(&rig, "mutating", &server, |_| {});
    let key = ObjectKey::new("ns", "p");
    let asked = Admission::ask_mutating(&rig.chain, rig.attributes("pods", Operation::Create, &key), pod(|_| {}), None).await;
    assert_eq!(asked.expect("granted").0["spec"]["hostname"], "h");
}

#[tokio::test]
async fn a_webhook_that_fails_counts_by_its_policy() {
    let server = Server::start(|_| json!({ "uid": "another", "allowed": true })).await;
    let rig = Rig::new(Plugins::default());
    configure(&rig, "validating", &server, |_| {});
    let failed = validate(&rig, false).await.expect_err("a failure");
    let words = "Internal error occurred: failed calling webhook \"w.example.com\": expected response.uid=\"";
    assert!(failed.code == 500 && failed.message.starts_with(words), "{failed}");
    configure(&rig, "validating", &server, |hook| hook["clientConfig"]["caBundle"] = Value::Null);
    let failed = validate(&rig, false).await.expect_err("a failure");
    assert!(failed.message.contains("failed to call webhook: Post \"https://localhost:"), "{failed}");
    configure(&rig, "validating", &server, |hook| {
        hook["clientConfig"] = json!({ "service": { "namespace": "ns", "name": "hook" } });
    });
    let failed = validate(&rig, false).await.expect_err("a failure");
    assert!(failed.message.ends_with("Post \"https://hook.ns.svc:443/?timeout=5s\": service \"hook\" not found"), "{failed}");
    configure(&rig, "validating", &server, |hook| hook["failurePolicy"] = "Ignore".into());
    assert_eq!(validate(&rig, false).await, Ok(Vec::new()));
}

#[tokio::test]
async fn what_a_webhook_brings_in_gets_what_everything_gets() {
    let server = Server::start(|request| {
        let sidecar = json!({ "name": "sidecar", "image": "i" });
        let has = request["object"]["spec"]["containers"].as_array().expect("containers").iter().any(|c| c["name"] == "sidecar");
        let patch = json!([{ "op": "add", "path": "/spec/containers/-", "value": sidecar }]);
        let patch = if has { json!([{ "op": "add", "path": "/spec/hostname", "value": "again" }]) } else { patch };
        json!({ "allowed": true, "patchType": "JSONPatch", "patch": STANDARD.encode(patch.to_string()) })
    })
    .await;
    let rig = Rig::new(Plugins::choose(&["AlwaysPullImages".into()], &[]).expect("plugins"));
    let limits = json!([{ "type": "Container", "default": { "cpu": "500m" } }]);
    rig.put("limitranges", json!({ "metadata": { "name": "l", "namespace": "ns" }, "spec": { "limits": limits } }));
    let key = ObjectKey::new("ns", "p");
    for (policy, hostname) in [("Never", Value::Null), ("IfNeeded", json!("again"))] {
        configure(&rig, "mutating", &server, |hook| hook["reinvocationPolicy"] = policy.into());
        let (made, _) = rig.create("pods", pod(|_| {})).expect("a good pod");
        let asked = Admission::ask_mutating(&rig.chain, rig.attributes("pods", Operation::Create, &key), made, None);
        let (asked, notes) = noting(asked).await;
        let spec = &asked.expect("granted").0["spec"];
        let sidecar = &spec["containers"][1];
        assert_eq!((&sidecar["resources"]["limits"], &sidecar["imagePullPolicy"]), (&json!({ "cpu": "500m" }), &json!("Always")));
        assert_eq!(sidecar["volumeMounts"], spec["containers"][0]["volumeMounts"], "the token, once");
        assert_eq!((spec["volumes"].as_array().map(Vec::len), &spec["hostname"]), (Some(1), &hostname), "{policy}");
        let noted = &notes["mutation.webhook.admission.k8s.io/round_0_index_0"];
        assert_eq!(noted, r#"{"configuration":"c","mutated":true,"webhook":"w.example.com"}"#);
        assert_eq!(notes.contains_key("mutation.webhook.admission.k8s.io/round_1_index_0"), policy == "IfNeeded");
    }
}

#[tokio::test]
async fn mutating_webhooks_hear_of_deletions_too() {
    let server = Server::start(|request| {
        assert_eq!((&request["operation"], &request["object"]), (&json!("DELETE"), &Value::Null));
        let options = json!({ "kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1", "gracePeriodSeconds": 7 });
        assert_eq!((&request["options"], &request["oldObject"]["metadata"]["name"]), (&options, &json!("p")));
        match request["dryRun"] == true {
            true => {
                json!({ "allowed": true, "patchType": "JSONPatch", "patch": STANDARD.encode(r#"[{"op":"add","path":"/a","value":1}]"#) })
            }
            false => json!({ "allowed": false, "status": { "message": "it stays" } }),
        }
    })
    .await;
    let rig = Rig::new(Plugins::default());
    configure(&rig, "mutating", &server, |hook| hook["rules"][0]["operations"] = json!(["DELETE"]));
    let (key, options) = (ObjectKey::new("ns", "p"), json!({ "gracePeriodSeconds": 7 }));
    for (dry_run, words) in [
        (false, "admission webhook \"w.example.com\" denied the request: it stays"),
        (true, "admission webhook \"w.example.com\" attempted to modify the object, which is not supported for this operation"),
    ] {
        let a = Attributes { dry_run, options: &options, ..rig.attributes("pods", Operation::Delete, &key) };
        assert!(rig.chain.asks(&a));
        let said = Admission::ask_validating(&rig.chain, a, None, Some(&pod(|_| {}))).await.expect_err("a refusal").message;
        assert!(said.ends_with(words), "{said}");
    }
}

/// Knows one way, wherever it is asked to go.
struct OneWay(u16);

#[async_trait]
impl Dial for OneWay {
    async fn dial(&self, _: &str, _: &str, _: u16) -> Result<Box<dyn Duplex>, String> {
        Ok(Box::new(TcpStream::connect(("127.0.0.1", self.0)).await.map_err(|e| e.to_string())?))
    }
}

#[tokio::test]
async fn services_are_reached_through_nodes_or_by_the_name_outside() {
    let rig = Rig::new(Plugins::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    rig.put("services", json!({ "metadata": { "name": "hook", "namespace": "ns" }, "spec": { "ports": [{ "port": 443 }] } }));
    let outside = json!({ "type": "ExternalName", "externalName": "localhost" });
    rig.put("services", json!({ "metadata": { "name": "outside", "namespace": "ns" }, "spec": outside }));
    // Nothing here leads to the pod's address.
    let slice = json!({
        "metadata": { "name": "hook-1", "namespace": "ns", "labels": { "kubernetes.io/service-name": "hook" } },
        "ports": [{ "name": "", "port": port }], "endpoints": [{ "addresses": ["127.255.255.1"], "conditions": { "ready": true } }],
    });
    rig.put("endpointslices.discovery.k8s.io", slice);
    let services = ClusterServices::new(rig.shelves.clone());
    assert!(services.dial("ns", "outside", port).await.is_ok());
    assert!(services.dial("ns", "hook", 443).await.is_err());
    services.dial_by(Arc::new(OneWay(port)));
    assert!(services.dial("ns", "hook", 443).await.is_ok());
    assert_eq!(services.dial("ns", "other", 443).await.err().as_deref(), Some("service \"other\" not found"));
    assert_eq!(services.dial("ns", "hook", 80).await.err().as_deref(), Some("no service port 80 found for service \"hook\""));
}

//! Requests for certificates, and questions about rights.
use crate::api::{Place, admin, names, server};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const SIGNING: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

fn request() -> String {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "e2e-example");
    STANDARD.encode(params.serialize_request(&key).expect("a request").pem().expect("PEM"))
}

fn condition(kind: &str) -> Value {
    json!({ "type": kind, "status": "True", "reason": "E2E", "message": "Set from an e2e test" })
}

#[tokio::test]
async fn every_verb_on_requests_for_certificates() {
    let api = admin();
    let resources = api.get("/apis/certificates.k8s.io/v1").await.ok();
    for name in ["certificatesigningrequests", "certificatesigningrequests/approval", "certificatesigningrequests/status"] {
        assert!(resources["resources"].as_array().is_some_and(|r| r.iter().any(|r| r["name"] == name)), "{resources}");
    }
    let selected = format!("{SIGNING}?labelSelector=e2e%3Dsigning");
    let body = json!({
        "metadata": { "generateName": "e2e-example-csr-", "labels": { "e2e": "signing" } },
        "spec": { "request": request(), "signerName": "example.com/e2e", "expirationSeconds": 3600, "usages": ["digital signature", "key encipherment", "server auth"] },
    });
    for _ in 0..2 {
        api.post(SIGNING, &body).await.ok();
    }
    let made = api.post(SIGNING, &body).await.ok();
    let one = format!("{SIGNING}/{}", made["metadata"]["name"].as_str().expect("a name"));
    let read = api.get(&one).await.ok();
    assert_eq!((&read["metadata"]["uid"], &read["spec"]["expirationSeconds"]), (&made["metadata"]["uid"], &json!(3600)));
    let list = api.get(&selected).await.ok();
    assert_eq!(names(&list).len(), 3);
    let from = list["metadata"]["resourceVersion"].as_str().expect("a version");
    let mut watch = api.watch(&format!("{selected}&watch=1&resourceVersion={from}")).await;
    let patched = api.patch(&one, "merge", &json!({ "metadata": { "annotations": { "patched": "true" } } })).await.ok();
    let mut next = patched.clone();
    next["metadata"]["annotations"]["updated"] = "true".into();
    api.put(&one, &next).await.ok();
    for annotation in ["patched", "updated"] {
        let event = watch.next().await.expect("an event");
        assert_eq!((&event["type"], &event["object"]["metadata"]["annotations"][annotation]), (&json!("MODIFIED"), &json!("true")));
    }
    approved(&one).await;
    signed(&one).await;
    api.delete(&one).await.ok();
    api.get(&one).await.refused(404, "NotFound");
    assert_eq!(names(&api.get(&selected).await.ok()).len(), 2);
    assert_eq!(api.delete(&selected).await.status, 200);
    assert!(names(&api.get(&selected).await.ok()).is_empty());
}

async fn approved(one: &str) {
    let (api, path) = (admin(), format!("{one}/approval"));
    assert!(api.get(&path).await.ok()["status"].get("conditions").is_none());
    let patch =
        json!({ "metadata": { "annotations": { "patchedapproval": "true" } }, "status": { "conditions": [condition("ApprovalPatch")] } });
    let patched = api.patch(&path, "merge", &patch).await.ok();
    assert_eq!(
        (&patched["status"]["conditions"][0]["type"], &patched["metadata"]["annotations"]["patchedapproval"]),
        (&json!("ApprovalPatch"), &json!("true"))
    );
    let mut next = patched.clone();
    next["status"]["conditions"].as_array_mut().expect("conditions").push(condition("Approved"));
    let updated = api.put(&path, &next).await.ok();
    assert_eq!(updated["status"]["conditions"].as_array().map(Vec::len), Some(2));
    // Approved is approved.
    let mut back = updated.clone();
    back["status"]["conditions"] = json!([condition("ApprovalPatch")]);
    api.put(&path, &back).await.refused(422, "Invalid");
}

async fn signed(one: &str) {
    let (api, path) = (admin(), format!("{one}/status"));
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate").cert.pem();
    let patch =
        json!({ "metadata": { "annotations": { "patchedstatus": "true" } }, "status": { "certificate": STANDARD.encode(certificate) } });
    let patched = api.patch(&path, "merge", &patch).await.ok();
    assert_eq!(
        (&patched["status"]["certificate"], &patched["metadata"]["annotations"]["patchedstatus"]),
        (&patch["status"]["certificate"], &json!("true"))
    );
    let mut next = patched.clone();
    next["status"]["conditions"].as_array_mut().expect("conditions").push(condition("StatusUpdate"));
    let updated = api.put(&path, &next).await.ok();
    assert_eq!(updated["status"]["conditions"].as_array().map(Vec::len), Some(3));
}

/// The answer about somebody agrees with what happens when one is that somebody.
#[tokio::test]
async fn answers_about_a_service_account_come_true() {
    let place = Place::new().await;
    let ns = &place.namespace;
    place.api.post(&place.path("serviceaccounts"), &json!({ "metadata": { "name": "e2e" } })).await.ok();
    let user = format!("system:serviceaccount:{ns}:e2e");
    let impersonated = async || place.api.send("GET", &place.maps, &[("impersonate-user", &user)], "").await.status == 200;
    let attributes = json!({ "verb": "list", "resource": "configmaps", "version": "v1", "namespace": ns });
    let answers = async || {
        let spec = json!({ "resourceAttributes": attributes, "user": user });
        let group = "/apis/authorization.k8s.io/v1";
        let anywhere = place.api.post(&format!("{group}/subjectaccessreviews"), &json!({ "spec": spec })).await;
        assert_eq!(anywhere.status, 201);
        let body = json!({ "metadata": { "namespace": ns }, "spec": spec });
        let here = place.api.post(&format!("{group}/namespaces/{ns}/localsubjectaccessreviews"), &body).await;
        assert_eq!(here.status, 201);
        (anywhere.json()["status"]["allowed"] == true, here.json()["status"]["allowed"] == true)
    };
    assert_eq!((answers().await, impersonated().await), ((false, false), false));
    let binding = json!({
        "metadata": { "name": "e2e" }, "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view" },
        "subjects": [{ "kind": "ServiceAccount", "name": "e2e", "namespace": ns }],
    });
    place.api.post(&format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/rolebindings"), &binding).await.ok();
    super::until("the binding counts", async || impersonated().await.then_some(())).await;
    assert_eq!(answers().await, (true, true));
    assert!(server().pid().is_some());
}

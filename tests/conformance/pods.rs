//! What pods that run are given of their service account.
use crate::busybox::IMAGE;
use crate::cluster::shared;
use crate::kubectl::{Kubectl, newest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

fn sleeper(volumes: &str, mounts: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: sleeper}}, spec: {{terminationGracePeriodSeconds: 1, volumes: [{volumes}], \
         containers: [{{name: c, image: '{IMAGE}', imagePullPolicy: IfNotPresent, command: [sleep, '1000'], volumeMounts: [{mounts}]}}]}}}}"
    )
}

/// The pod runs in a namespace of its own while `look` looks at it.
fn with_pod(name: &str, manifest: &str, look: impl Fn(&Kubectl)) {
    let kubectl = shared().kubectl(newest(), &format!("accounts-{name}"));
    kubectl.make_namespace();
    kubectl.feed("create", manifest).ok();
    kubectl.ok("wait --for=condition=Ready pod/sleeper --timeout=60s");
    look(&kubectl);
    kubectl.drop_namespace();
}

/// Who the token's bearer is, and what it is bound to.
fn reviewed(kubectl: &Kubectl, token: &str, audience: Option<&str>) -> Value {
    let spec = match audience {
        Some(audience) => json!({ "token": token.trim(), "audiences": [audience] }),
        None => json!({ "token": token.trim() }),
    };
    let review = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec });
    let said = kubectl.feed("create -o json", &review.to_string()).ok();
    serde_json::from_str::<Value>(&said).expect("JSON")["status"].clone()
}

#[test]
fn token_certificate_and_namespace_are_mounted() {
    with_pod("mounted", &sleeper("", ""), |kubectl| {
        let read = |file: &str| kubectl.ok(&format!("exec sleeper -- cat /var/run/secrets/kubernetes.io/serviceaccount/{file}"));
        assert_eq!(read("namespace"), kubectl.namespace);
        assert_eq!(read("ca.crt"), kubectl.json("get configmap kube-root-ca.crt")["data"]["ca.crt"].as_str().unwrap_or_default());
        let status = reviewed(kubectl, &read("token"), None);
        assert_eq!(status["user"]["username"], format!("system:serviceaccount:{}:default", kubectl.namespace), "{status}");
        assert_eq!(status["user"]["extra"]["authentication.kubernetes.io/pod-name"], json!(["sleeper"]));
    });
}

#[test]
fn a_projected_token_is_mounted() {
    let volume = "{name: t, projected: {sources: [{serviceAccountToken: {path: test-token, expirationSeconds: 7200, audience: oidc-discovery-test}}]}}";
    with_pod("projected", &sleeper(volume, "{name: t, mountPath: /tokens}"), |kubectl| {
        let token = kubectl.ok("exec sleeper -- cat /tokens/test-token");
        let claims = URL_SAFE_NO_PAD.decode(token.trim().split('.').nth(1).expect("three parts")).expect("base64");
        let claims: Value = serde_json::from_slice(&claims).expect("JSON");
        assert_eq!((&claims["aud"], &claims["kubernetes.io"]["pod"]["name"]), (&json!(["oidc-discovery-test"]), &json!("sleeper")));
        assert_eq!(claims["exp"].as_i64().zip(claims["iat"].as_i64()).map(|(e, i)| e - i), Some(7200));
        assert_eq!(reviewed(kubectl, &token, Some("oidc-discovery-test"))["authenticated"], true);
        assert_ne!(reviewed(kubectl, &token, None)["authenticated"], true, "the server is not whom it is for");
    });
}

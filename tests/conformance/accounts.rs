//! Service accounts: their life, their tokens, what pods are given of them, and the root certificate in every namespace.
use super::until;
use crate::api::client::Client;
use crate::api::{Place, admin, names, pod, server};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

const MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

#[tokio::test]
async fn the_life_of_a_service_account() {
    let place = Place::new().await;
    let accounts = place.path("serviceaccounts");
    let selected = format!("{accounts}?labelSelector=test-serviceaccount-static%3Dtrue");
    let mut watch = place.api.watch(&format!("{selected}&watch=1")).await;
    let body = json!({ "metadata": { "name": "testserviceaccount", "labels": { "test-serviceaccount-static": "true" } } });
    place.api.post(&accounts, &body).await.ok();
    assert_eq!(watch.line().await, "ADDED testserviceaccount");
    let patch = json!({ "automountServiceAccountToken": false });
    place.api.patch(&format!("{accounts}/testserviceaccount"), "strategic-merge", &patch).await.ok();
    assert_eq!(watch.next().await.expect("an event")["object"]["automountServiceAccountToken"], false);
    let everywhere = place.api.get("/api/v1/serviceaccounts?labelSelector=test-serviceaccount-static%3Dtrue").await.ok();
    let found = everywhere["items"].as_array().and_then(|i| i.iter().find(|a| a["metadata"]["namespace"] == place.namespace.as_str()));
    assert_eq!(found.expect("the account")["automountServiceAccountToken"], false);
    assert_eq!(place.api.delete(&selected).await.status, 200);
    assert_eq!(watch.line().await, "DELETED testserviceaccount");
}

#[tokio::test]
async fn an_account_is_updated() {
    let place = Place::new().await;
    let accounts = place.path("serviceaccounts");
    let made = place.api.post(&accounts, &json!({ "metadata": { "name": "e2e-sa" } })).await.ok();
    assert!(made.get("automountServiceAccountToken").is_none());
    let mut next = made.clone();
    next["automountServiceAccountToken"] = true.into();
    let updated = place.api.put(&format!("{accounts}/e2e-sa"), &next).await.ok();
    assert_eq!((&updated["automountServiceAccountToken"], &updated["metadata"]["uid"]), (&json!(true), &made["metadata"]["uid"]));
}

async fn token(place: &Place, account: &str, spec: Value) -> String {
    let path = format!("{}/{account}/token", place.path("serviceaccounts"));
    let answer = place.api.post(&path, &json!({ "spec": spec })).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["status"]["token"].as_str().expect("a token").to_string()
}

#[tokio::test]
async fn a_token_is_reviewed() {
    let place = Place::new().await;
    let accounts = place.path("serviceaccounts");
    let made = place.api.post(&accounts, &json!({ "metadata": { "name": "e2e-sa" } })).await.ok();
    let token = token(&place, "e2e-sa", json!({})).await;
    let review = json!({ "spec": { "token": token } });
    let answer = place.api.post("/apis/authentication.k8s.io/v1/tokenreviews", &review).await.ok();
    let status = &answer["status"];
    assert_eq!((&status["authenticated"], status.get("error")), (&json!(true), None), "{answer}");
    assert_eq!(status["user"]["username"], format!("system:serviceaccount:{}:e2e-sa", place.namespace));
    assert_eq!(status["user"]["uid"], made["metadata"]["uid"]);
    place.api.delete(&format!("{accounts}/e2e-sa")).await.ok();
    let after = place.api.post("/apis/authentication.k8s.io/v1/tokenreviews", &review).await.ok();
    assert_ne!(after["status"]["authenticated"], true, "{after}");
}

/// The token's issuer says where its keys are, and the token is signed with one of them.
#[tokio::test]
async fn an_account_checks_its_token_by_the_issuers_documents() {
    let place = Place::new().await;
    place.api.post(&place.path("serviceaccounts"), &json!({ "metadata": { "name": "oidc" } })).await.ok();
    let token = token(&place, "oidc", json!({ "audiences": ["oidc-discovery-test"], "expirationSeconds": 600 })).await;
    let own = self::token(&place, "oidc", json!({})).await;
    let account = Client::bearer(&server().kubeconfig(), &own);
    let configuration = account.get("/.well-known/openid-configuration").await.ok();
    let part = |i: usize| -> Value {
        let text = token.split('.').nth(i).expect("three parts");
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).expect("base64")).expect("JSON")
    };
    let (header, claims) = (part(0), part(1));
    assert_eq!((&claims["iss"], &claims["aud"]), (&configuration["issuer"], &json!(["oidc-discovery-test"])));
    assert!(configuration["response_types_supported"].is_array() && configuration["subject_types_supported"].is_array());
    let algorithms = &configuration["id_token_signing_alg_values_supported"];
    assert!(algorithms.as_array().is_some_and(|a| a.contains(&header["alg"])), "{configuration} {header}");
    let keys = account.get("/openid/v1/jwks").await;
    assert_eq!(keys.header("content-type"), "application/jwk-set+json");
    assert!(configuration["jwks_uri"].as_str().is_some_and(|u| u.starts_with("https://") && u.ends_with("/openid/v1/jwks")));
    let keys = keys.json();
    let key = keys["keys"].as_array().and_then(|k| k.iter().find(|k| k["kid"] == header["kid"])).expect("the key of the token");
    let number = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().expect("a number")).expect("base64");
    let point = [vec![4], number("x"), number("y")].concat();
    let (signed, signature) = token.rsplit_once('.').expect("a signature");
    let public = ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_FIXED, point);
    public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).expect("base64")).expect("signed by the issuer's key");
}

/// Pod and account both have a say; the pod's counts more.
#[tokio::test]
async fn the_token_can_be_left_out() {
    let place = Place::new().await;
    let accounts = place.path("serviceaccounts");
    let wishes = [("default", None), ("mount", Some(true)), ("nomount", Some(false))];
    for (account, wish) in wishes {
        if account != "default" {
            let body = json!({ "metadata": { "name": account }, "automountServiceAccountToken": wish });
            place.api.post(&accounts, &body).await.ok();
        }
        for (suffix, of_pod) in wishes {
            let mut body = pod(&format!("pod-{account}-{suffix}"));
            body["spec"]["serviceAccountName"] = account.into();
            if let Some(wish) = of_pod {
                body["spec"]["automountServiceAccountToken"] = wish.into();
            }
            let made = place.api.post(&place.path("pods"), &body).await.ok();
            let mounts = made["spec"]["containers"][0]["volumeMounts"].as_array().cloned().unwrap_or_default();
            let mounted = mounts.iter().any(|m| m["mountPath"] == MOUNT);
            assert_eq!(mounted, of_pod.or(wish).unwrap_or(true), "{account} {suffix}");
        }
    }
}

#[tokio::test]
async fn every_namespace_has_the_root_certificate() {
    let place = Place::new().await;
    let path = format!("{}/kube-root-ca.crt", place.maps);
    let made = place.api.get(&path).await.ok();
    assert!(made["data"]["ca.crt"].as_str().is_some_and(|c| c.starts_with("-----BEGIN CERTIFICATE-----")), "{made}");
    place.api.delete(&path).await.ok();
    let back = until("it is there again", async || Some(place.api.get(&path).await).filter(|a| a.status == 200)).await.ok();
    assert_eq!(back["data"], made["data"]);
    assert_ne!(back["metadata"]["uid"], made["metadata"]["uid"]);
    place.api.patch(&path, "merge", &json!({ "data": { "ca.crt": "", "more": "x" } })).await.ok();
    until("it is as it was", async || (place.api.get(&path).await.ok()["data"] == made["data"]).then_some(())).await;
    assert!(names(&admin().get(&place.maps).await.ok()).contains(&"kube-root-ca.crt".to_string()));
}

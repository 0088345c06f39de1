//! Tokens there and back, and what ends them.
use super::*;
use crate::actors::authority::testing::entry;
use crate::protocol::meta::ObjectKey;
use crate::storage::Entry;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

const NOW: i64 = 1_800_000_000;
const API: &str = "https://kubernetes.default.svc.cluster.local";

fn keys() -> TokenKeys {
    TokenKeys::new(&rcgen::KeyPair::generate().expect("a key").serialize_pem(), API).expect("a P-256 key")
}

fn object(kind: &str, name: &str, uid: &str) -> Arc<Entry> {
    entry(&json!({ "kind": kind, "metadata": { "name": name, "namespace": "ns", "uid": uid } }), 1)
}

/// A look-up over a few objects.
fn world(objects: &[(&'static str, Arc<Entry>)]) -> impl Fn(&str, &ObjectKey) -> Option<Arc<Entry>> + use<> {
    let map: HashMap<(String, ObjectKey), Arc<Entry>> =
        objects.iter().map(|(shelf, e)| ((shelf.to_string(), e.key.clone()), e.clone())).collect();
    move |shelf, key| map.get(&(shelf.to_string(), key.clone())).cloned()
}

fn order(account: &Entry, bound: BoundTo) -> Order<'_> {
    Order { account, audiences: vec![API.into()], seconds: 3600, bound, for_api: true, id: "id-1".into() }
}

#[test]
fn there_and_back() {
    let (keys, account, pod) = (keys(), object("ServiceAccount", "bot", "sa-1"), object("Pod", "p", "pod-1"));
    let bound = BoundTo::Pod { pod: Reference::to(&pod), node: Some(Reference { name: "n1".into(), uid: "node-1".into() }) };
    let token = keys.sign(&Claims::new(order(&account, bound), API, NOW)).expect("a token");
    let claims = keys.read(&token).expect("our signature");
    let api = [API.to_string()];
    let there = world(&[("serviceaccounts", account.clone()), ("pods", pod.clone())]);
    let (user, audiences) = claims.judge(&token, &api, NOW + 5, &there).expect("good");
    assert_eq!((user.name.as_str(), user.uid.as_str()), ("system:serviceaccount:ns:bot", "sa-1"));
    assert_eq!(user.groups, ["system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"]);
    let extra =
        |key: &str| user.extra.get(&format!("authentication.kubernetes.io/{key}")).and_then(|v| v.first()).cloned().unwrap_or_default();
    assert_eq!(["pod-name", "pod-uid", "node-name", "node-uid", "credential-id"].map(extra), ["p", "pod-1", "n1", "node-1", "JTI=id-1"]);
    assert_eq!(audiences, api);

    assert_eq!(claims.judge(&token, &api, NOW + 3600, &there), Err(TokenError::Expired));
    assert!(matches!(claims.judge(&token, &["vault".to_string()], NOW, &there), Err(TokenError::Audience { .. })));
    let gone = Err(TokenError::Invalidated);
    assert_eq!(claims.judge(&token, &api, NOW, world(&[("serviceaccounts", account.clone())])), gone, "the pod is gone");
    assert_eq!(claims.judge(&token, &api, NOW, world(&[("pods", pod.clone())])), gone, "the account is gone");
    let anew = object("ServiceAccount", "bot", "sa-2");
    assert_eq!(claims.judge(&token, &api, NOW, world(&[("serviceaccounts", anew), ("pods", pod)])), gone, "another of the same name");
    let leaving = |since: i64| {
        let mut entry = Entry { meta: account.meta.clone(), ..copy(&account) };
        entry.meta.deleting = Some(since);
        world(&[("serviceaccounts", Arc::new(entry)), ("pods", object("Pod", "p", "pod-1"))])
    };
    assert!(claims.judge(&token, &api, NOW, leaving(NOW - 10)).is_ok(), "it still vouches for a minute");
    assert_eq!(claims.judge(&token, &api, NOW, leaving(NOW - 61)), gone);
    assert_eq!(self::keys().read(&token), Err(TokenError::Malformed), "another cluster's key");
    assert_eq!(keys.read(&format!("{token}x")), Err(TokenError::Malformed));
}

fn copy(entry: &Entry) -> Entry {
    Entry {
        key: entry.key.clone(),
        body: entry.body.clone(),
        splice: entry.splice,
        revision: entry.revision,
        token: entry.token,
        meta: entry.meta.clone(),
        light: entry.light.clone(),
    }
}

#[test]
fn an_agents_token_lives_longer_than_it_says() {
    let (account, pod) = (object("ServiceAccount", "bot", "sa-1"), object("Pod", "p", "pod-1"));
    let bound = || BoundTo::Pod { pod: Reference::to(&pod), node: None };
    let claims = Claims::new(Order { seconds: 3607, ..order(&account, bound()) }, API, NOW);
    assert_eq!(claims.exp, Some(NOW + 365 * 24 * 3600));
    assert_eq!(claims.bound.and_then(|b| b.warnafter), Some(NOW + 3607));
    let other = Claims::new(Order { seconds: 3607, for_api: false, ..order(&account, bound()) }, API, NOW);
    assert_eq!(other.exp, Some(NOW + 3607));
}

#[test]
fn tokens_that_lie_in_secrets() {
    let (keys, account) = (keys(), object("ServiceAccount", "bot", "sa-1"));
    let token = keys.sign(&Claims::legacy(&account, "s")).expect("a token");
    let claims = keys.read(&token).expect("our signature");
    let secret = |held: &str| {
        use base64::Engine;
        let held = base64::engine::general_purpose::STANDARD.encode(held);
        entry(&json!({ "kind": "Secret", "metadata": { "name": "s", "namespace": "ns" }, "data": { "token": held } }), 1)
    };
    let api = [API.to_string()];
    let judge = |secret| claims.judge(&token, &api, NOW, world(&[("serviceaccounts", account.clone()), ("secrets", secret)]));
    assert_eq!(judge(secret(&token)).expect("good").0.name, "system:serviceaccount:ns:bot");
    assert_eq!(judge(secret("other")), Err(TokenError::Invalidated), "it was replaced");
}

#[test]
fn others_can_check() {
    let keys = keys();
    let jwks = keys.jwks();
    assert_eq!((jwks["keys"][0]["crv"].as_str(), jwks["keys"][0]["alg"].as_str()), (Some("P-256"), Some("ES256")));
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(jwks).expect("a key set");
    let account = object("ServiceAccount", "bot", "sa-1");
    let token = keys.sign(&Claims::new(order(&account, BoundTo::Account), API, NOW)).expect("a token");
    let header = jsonwebtoken::decode_header(&token).expect("a header");
    let key = set.find(&header.kid.expect("a key id")).expect("our key");
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    validation.set_audience(&[API]);
    let checking = jsonwebtoken::DecodingKey::from_jwk(key).expect("a key");
    assert!(jsonwebtoken::decode::<serde_json::Value>(&token, &checking, &validation).is_ok());
    assert_eq!(keys.discovery("h:1")["jwks_uri"], "https://h:1/openid/v1/jwks");
}

//! Claims, prefixes and signatures.
use super::*;
use crate::actors::authority::tokens::TokenKeys;
use serde_json::json;

const NOW: i64 = 1_000_000;

fn settings() -> Oidc {
    Oidc { issuer: "https://id.example".into(), audiences: vec!["kube".into()], groups_claim: "groups".into(), ..Default::default() }
}

fn claims(change: Value) -> Value {
    let mut claims = json!({ "iss": "https://id.example", "aud": "kube", "exp": NOW + 60, "sub": "jane", "groups": ["dev"] });
    for (key, value) in change.as_object().into_iter().flatten() {
        claims[key] = value.clone();
    }
    claims
}

#[test]
fn claims_make_a_user() {
    let user = user_of(&settings(), &claims(json!({})), NOW).expect("good claims");
    assert_eq!(
        (user.name.as_str(), user.groups.as_slice()),
        ("https://id.example#jane", ["dev".into(), "system:authenticated".into()].as_slice())
    );
    let by_email = Oidc { username_claim: "email".into(), groups_prefix: "oidc:".into(), ..settings() };
    let user = user_of(&by_email, &claims(json!({ "email": "j@x", "groups": "ops" })), NOW).expect("good claims");
    assert_eq!((user.name.as_str(), user.groups[0].as_str()), ("j@x", "oidc:ops"));
    for (wrong, settings) in [
        (json!({ "exp": NOW }), settings()),
        (json!({ "aud": ["other"] }), settings()),
        (json!({ "sub": "" }), settings()),
        (json!({ "email": "j@x", "email_verified": false }), by_email),
        (json!({}), Oidc { required_claims: [("hd".to_string(), "example".to_string())].into(), ..settings() }),
    ] {
        assert!(user_of(&settings, &claims(wrong.clone()), NOW).is_err(), "{wrong}");
    }
}

#[test]
fn signatures_are_checked() {
    let pem = rcgen::KeyPair::generate().expect("a key").serialize_pem();
    let keys = TokenKeys::new(&pem, "https://id.example").expect("a P-256 key");
    let provider = Provider::new(Oidc { signing_algorithms: vec!["ES256".into()], ..settings() });
    let header = jsonwebtoken::Header { alg: Algorithm::ES256, ..Default::default() };
    let sign = |claims: &Value, pem: &str| {
        jsonwebtoken::encode(&header, claims, &jsonwebtoken::EncodingKey::from_ec_pem(pem.as_bytes()).expect("a key")).expect("a token")
    };
    let token = sign(&claims(json!({})), &pem);
    assert!(matches!(provider.recognise(&token, NOW), Some(Err(OidcError::NoKeys))));
    provider.set_keys(serde_json::from_value(keys.jwks()).expect("keys"));
    assert_eq!(provider.recognise(&token, NOW).expect("ours").expect("good").name, "https://id.example#jane");
    let forged = sign(&claims(json!({})), &rcgen::KeyPair::generate().expect("a key").serialize_pem());
    assert!(provider.recognise(&forged, NOW).expect("claims to be ours").is_err());
    assert!(provider.recognise(&sign(&claims(json!({ "iss": "https://other" })), &pem), NOW).is_none());
    assert!(provider.recognise("no token", NOW).is_none());
}

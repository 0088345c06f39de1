//! Who gets in, what is served to anyone, and what a browser is told.
use super::view::View;
use super::*;
use crate::actors::base::ActorReport;
use crate::actors::kinds;
use crate::http::auth::MASTERS;
use crate::protocol::light::Light;
use crate::protocol::meta::{Meta, ObjectKey};
use crate::storage::Entry;
use actix_web::test::TestRequest;
use serde_json::Value;

fn upgrade(protocols: &str) -> HeaderMap {
    let request = TestRequest::get().insert_header(("Upgrade", "websocket")).insert_header(("Sec-WebSocket-Protocol", protocols));
    request.to_http_request().headers().clone()
}

#[test]
fn the_token_of_a_websocket() {
    // "s3cret+/" in base64url.
    let bearer = "base64url.bearer.authorization.k8s.io.czNjcmV0Ky8";
    assert_eq!(token_of(&upgrade(&format!("{PROTOCOL}, {bearer}"))).as_deref(), Some("s3cret+/"));
    assert_eq!(token_of(&upgrade(PROTOCOL)), None);
    assert_eq!(token_of(&upgrade(&format!("{bearer}, {bearer}"))), None, "given twice");
    assert_eq!(token_of(&upgrade("base64url.bearer.authorization.k8s.io.%%%")), None);
    assert_eq!(token_of(&upgrade("base64url.bearer.authorization.k8s.io._w")), None, "not UTF-8");
    let plain = TestRequest::get().insert_header(("Sec-WebSocket-Protocol", bearer)).to_http_request();
    assert_eq!(token_of(plain.headers()), None, "no websocket");
}

#[test]
fn only_masters_and_only_from_our_own_page() {
    let access = crate::actors::authority::testing::authorizer();
    assert!(door::admit(&access, &User::new("admin", [MASTERS.to_string()])).is_ok());
    assert_eq!(door::admit(&access, &User::anonymous()).unwrap_err().code, 401);
    assert_eq!(door::admit(&access, &User::new("jane", [])).unwrap_err().code, 403);
    let from = |origin: &str| {
        let request = TestRequest::get().insert_header(("Host", "10.0.0.1:6443")).insert_header(("Origin", origin.to_string()));
        door::same_origin(&request.to_http_request())
    };
    assert!(from("https://10.0.0.1:6443").is_ok());
    assert_eq!(from("https://evil.example").unwrap_err().code, 403);
    assert_eq!(from("null").unwrap_err().code, 403);
}

#[test]
fn paths() {
    assert!(Dashboard::owns("/dashboard") && Dashboard::owns("/dashboard/") && Dashboard::owns("/dashboard/live"));
    assert!(!Dashboard::owns("/dashboards") && !Dashboard::owns("/api"));
}

#[test]
fn the_page_is_self_contained() {
    let request = TestRequest::get().to_http_request();
    let page = assets::answer("/", &request).unwrap();
    let policy = page.headers().get(header::CONTENT_SECURITY_POLICY).unwrap().to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
    let tag = page.headers().get(header::ETAG).unwrap().clone();
    let again = TestRequest::get().insert_header((header::IF_NONE_MATCH, tag)).to_http_request();
    assert_eq!(assets::answer("/", &again).unwrap().status(), 304);
    assert_eq!(assets::answer("/../Cargo.toml", &request).unwrap_err().code, 404);
    let html = include_str!("../../../dashboard/index.html");
    assert!(!html.contains("style=") && !html.contains("onclick"), "the policy forbids inline styles and handlers");
}

#[test]
fn a_row_has_the_cells_of_kubectl() {
    let kind = kinds::all().into_iter().find(|k| k.resource.plural == "pods").unwrap();
    let body = json!({
        "metadata": { "name": "web", "namespace": "default" },
        "spec": { "nodeName": "n1", "containers": [{ "name": "c" }] },
        "status": { "phase": "Running", "containerStatuses": [
            { "name": "c", "ready": false, "restartCount": 3, "state": { "waiting": { "reason": "CrashLoopBackOff" } } }
        ] },
    });
    let entry = Entry {
        key: ObjectKey::new("default", "web"),
        body: body.to_string().into(),
        splice: 0,
        revision: 7,
        token: 1,
        meta: Meta { created: 100, ..Default::default() },
        light: (kind.rules.light)(&body),
    };
    assert!(matches!(entry.light, Light::Pod(_)));
    let row = rows::row(kind, &entry, 160);
    assert_eq!((&row["key"], &row["created"], &row["more"]["phase"]), (&json!("default/web"), &json!(100), &json!("Running")));
    let columns = rows::columns(kind);
    let cell = |name: &str| columns.as_array().unwrap().iter().position(|c| c == name).map(|i| row["cells"][i].clone());
    assert_eq!((cell("Ready"), cell("Status")), (Some(json!("0/1")), Some(json!("CrashLoopBackOff"))));
}

#[test]
fn only_what_changed_is_told() {
    let actor = |path: &str, handled| ActorReport {
        path: path.into(),
        depth: 0,
        handled,
        dropped: 0,
        restarts: 0,
        last_handled_ms: 0,
        last_error: String::new(),
        last_decision: String::new(),
    };
    let mut view = View::default();
    let first = view.vital(json!({ "revision": 1 }), json!({}), Some(vec![actor("a", 1), actor("b", 1)])).unwrap();
    assert_eq!(first["actors"]["put"].as_array().map(Vec::len), Some(2));
    assert_eq!(view.vital(json!({ "revision": 1 }), json!({}), Some(vec![actor("a", 1), actor("b", 1)])), None);
    let next = view.vital(json!({ "revision": 1 }), json!({}), Some(vec![actor("a", 2)])).unwrap();
    assert_eq!(next.get("summary"), None);
    assert_eq!((&next["actors"]["put"][0]["path"], &next["actors"]["drop"]), (&json!("a"), &json!(["b"])));
    let none: Option<Value> = view.vital(json!({ "revision": 1 }), json!({}), None);
    assert_eq!(none, None);
}

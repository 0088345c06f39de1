//! Answers are asked for once, kept, and read from memory.
use super::*;
use crate::actors::authority::Elsewhere;
use crate::protocol::authority::Attributes;
use crate::protocol::user::User;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A server over plain HTTP that answers every review alike, and counts them.
async fn server(answer: Value) -> (Caller, Arc<AtomicUsize>, tempfile::TempDir) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut buffer = [0u8; 16 * 1024];
            let _ = stream.read(&mut buffer).await;
            let body = answer.to_string();
            let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes()).await;
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    let config = json!({
        "current-context": "c", "contexts": [{ "name": "c", "context": { "cluster": "k", "user": "u" } }],
        "clusters": [{ "name": "k", "cluster": { "server": format!("http://{address}/review") } }], "users": [],
    });
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, config.to_string()).expect("written");
    (Caller::from_kubeconfig(&path).expect("a kubeconfig"), asked, folder)
}

#[tokio::test]
async fn a_token_is_asked_about_once() {
    let status = json!({ "authenticated": true, "user": { "username": "ann", "groups": ["ops"], "extra": { "k": ["v"] } } });
    let (caller, asked, _folder) = server(json!({ "status": status })).await;
    let tokens = Arc::new(TokenWebhook::new(caller, "v1", Duration::from_secs(60)));
    let webhooks = Webhooks { tokens: Some(tokens.clone()), access: None };
    for _ in 0..3 {
        let decide = || tokens.known("t", &["api".into()]).ok().flatten().ok_or_else(ApiError::unauthorized);
        let found = webhooks.deciding(decide).await.expect("known");
        assert_eq!((found.user.name.as_str(), found.audiences.as_slice()), ("ann", ["api".to_string()].as_slice()));
        assert!(found.user.is_in("ops") && found.user.is_in("system:authenticated"));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn refusals_are_kept_as_long_as_they_may() {
    let (caller, asked, _folder) = server(json!({ "status": { "allowed": false, "reason": "not today" } })).await;
    let life = Lifetimes { authorized: Duration::from_secs(60), unauthorized: Duration::ZERO };
    let access = Arc::new(AccessWebhook::new(caller, "v1", life));
    let webhooks = Webhooks { tokens: None, access: Some(access.clone()) };
    let (jane, wanted) = (User::new("jane", []), Attributes { verb: "get", version: "v1", resource: "pods", ..Default::default() });
    let outcome = webhooks.deciding(|| match access.known(&jane, &wanted) {
        Some(Ok(())) => Ok(()),
        _ => Err(ApiError::unauthorized()),
    });
    assert!(outcome.await.is_err());
    assert!(asked.load(Ordering::SeqCst) > 1, "an answer that may not be kept is asked for anew");
}

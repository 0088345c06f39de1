//! Bodies and paths that no friend would send: a clear refusal each, and the server goes on.
use super::{Place, map};
use serde_json::{Value, json};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

#[tokio::test]
async fn bodies_that_break_parsers() {
    let place = Place::new().await;
    place.map("m", "1", Value::Null).await;
    let deep = |open: &str, close: &str| format!("{{\"metadata\":{}{}}}", open.repeat(100_000), close.repeat(100_000));
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("deep arrays", deep("[", "]").into()),
        ("deep objects", deep("{\"a\":", "}").into()),
        ("never closed", "[".repeat(1_000_000).into()),
        ("nothing", Vec::new()),
        ("no object", b"42".to_vec()),
        ("null", b"null".to_vec()),
        ("an array", b"[]".to_vec()),
        ("invalid UTF-8", b"{\"metadata\":{\"name\":\"\xff\xfe\"}}".to_vec()),
        ("a lone surrogate", br#"{"metadata":{"name":"\ud800"}}"#.to_vec()),
        ("a NUL in the name", br#"{"metadata":{"name":"a\u0000b"}}"#.to_vec()),
        ("bare NULs", vec![0; 64]),
        ("a huge number", b"{\"metadata\":{\"name\":\"x\",\"generation\":1e999}}".to_vec()),
        ("trailing words", b"{\"metadata\":{\"name\":\"x\"}} and more".to_vec()),
    ];
    for (what, body) in bodies {
        let answer = place.api.send("POST", &place.maps, &JSON, body.clone()).await;
        assert!(matches!(answer.status, 400 | 422), "{what}: {} {}", answer.status, answer.text());
        assert!(answer.body.len() < 4096, "{what}: the refusal does not echo the body");
        assert_eq!(answer.json()["kind"], "Status", "{what}");
        for kind in ["application/merge-patch+json", "application/strategic-merge-patch+json", "application/json-patch+json"] {
            let answer = place.api.send("PATCH", &format!("{}/m", place.maps), &[("content-type", kind)], body.clone()).await;
            assert!(answer.status < 500, "{what} as {kind}: {} {}", answer.status, answer.text());
        }
        let answer = place.api.send("POST", &place.maps, &[("content-type", "application/yaml")], body).await;
        assert!(matches!(answer.status, 400 | 422), "{what} as YAML: {} {}", answer.status, answer.text());
    }
    let bomb = (0..30).fold("a0: &a0 [x,x]\n".to_string(), |text, i| format!("{text}a{}: &a{} [*a{i},*a{i}]\n", i + 1, i + 1));
    place.api.send("POST", &place.maps, &[("content-type", "application/yaml")], bomb).await.refused(400, "BadRequest");
    assert_eq!(place.api.get("/readyz").await.text(), "ok");
}

#[tokio::test]
async fn sizes() {
    let place = Place::new().await;
    let limit = 3 * 1024 * 1024;
    let padded = |size: usize| {
        let mut body = map("big", "1", Value::Null).to_string().into_bytes();
        body.resize(size, b' ');
        body
    };
    let said = place.api.send("POST", &place.maps, &JSON, padded(limit + 1)).await.refused(413, "RequestEntityTooLarge");
    assert!(said.starts_with("Request entity too large: limit is 3145728"), "{said}");
    // Just within the limit, and in many pieces: all of it counts.
    assert_eq!(place.api.send("POST", &place.maps, &JSON, padded(limit)).await.status, 201);
    let mut late = map("late", "1", Value::Null);
    late["data"] = json!({ "a": "x".repeat(900_000), "z": "the end" });
    assert_eq!(place.api.post(&place.maps, &late).await.ok()["data"]["z"], "the end");
    late["data"]["a"] = "x".repeat(1_100_000).into();
    late["metadata"]["name"] = "later".into();
    let said = place.api.post(&place.maps, &late).await.refused(422, "Invalid");
    assert!(said.contains("Too long: may not be more than 1048576 bytes"), "{}", &said[..200.min(said.len())]);

    let many: serde_json::Map<String, Value> = (0..20_000).map(|i| (format!("label-{i}"), "v".into())).collect();
    assert_eq!(place.api.post(&place.maps, &map("labels", "1", many.into())).await.status, 201);
    let bad: serde_json::Map<String, Value> = (0..5_000).map(|i| (format!("bad label {i}"), "v".into())).collect();
    let answer = place.api.post(&place.maps, &map("labels2", "1", bad.into())).await;
    assert_eq!(answer.status, 422);
    let unknown: serde_json::Map<String, Value> = (0..5_000).map(|i| (format!("{}{i}", "u".repeat(300)), 1.into())).collect();
    let mut body: Value = unknown.into();
    body["metadata"] = json!({ "name": "unknown" });
    let warned = place.api.post(&place.maps, &body).await;
    let total: usize = warned.headers.get_all("warning").iter().map(|v| v.len()).sum();
    assert!(warned.status == 201 && total > 0 && total < 8192, "{} with {total} bytes of warnings", warned.status);
}

#[tokio::test]
async fn paths_and_queries() {
    let place = Place::new().await;
    let many = (0..1000).map(|i| format!("a{i}=1")).collect::<Vec<_>>().join("&");
    for path in [
        "/api/v1/namespaces/%00/configmaps".to_string(),
        "/api/v1/namespaces/..%2f..%2fetc/configmaps/passwd".to_string(),
        "/api/v1/namespaces/default/configmaps/%zz".to_string(),
        "/api/v1/namespaces/default/configmaps/%ff%fe".to_string(),
        format!("/api/v1/namespaces/default/configmaps/{}", "x".repeat(10_000)),
        format!("{}?{many}", place.maps),
        format!("{}?labelSelector={}", place.maps, "(".repeat(5_000)),
        format!("{}?fieldSelector={}", place.maps, "%5C".repeat(1_000)),
        format!("{}?limit=-9223372036854775809", place.maps),
        format!("{}?continue={}", place.maps, "A".repeat(5_000)),
    ] {
        let answer = place.api.get(&path).await;
        let shown: String = path.chars().take(80).collect();
        assert!(answer.status < 500, "{shown}: {} {}", answer.status, answer.text());
    }
    assert_eq!(place.api.get("/readyz").await.text(), "ok");
}

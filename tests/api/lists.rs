//! Lists: selectors, pages, versions.
use super::client::Answer;
use super::{Place, names, pod};
use serde_json::{Value, json};

/// Leases: no controller puts any into a new namespace.
struct Leases {
    place: Place,
    path: String,
}

impl Leases {
    async fn new() -> Leases {
        let place = Place::new().await;
        let path = format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", place.namespace);
        Leases { place, path }
    }

    async fn make(&self, name: &str, holder: &str, labels: Value) -> Value {
        self.place.api.post(&self.path, &lease(name, holder, labels)).await.ok()
    }

    async fn ask(&self, query: &str) -> Answer {
        self.place.api.get(&format!("{}?{query}", self.path)).await
    }
}

fn lease(name: &str, holder: &str, labels: Value) -> Value {
    json!({ "metadata": { "name": name, "labels": labels }, "spec": { "holderIdentity": holder } })
}

#[tokio::test]
async fn selectors_choose() {
    let leases = Leases::new().await;
    let place = &leases.place;
    for (name, labels) in [("a", json!({ "t": "x", "n": "1" })), ("b", json!({ "t": "y" })), ("c", json!({}))] {
        leases.make(name, "1", labels).await;
    }
    let table: [(&str, &[&str]); 10] = [
        ("labelSelector=t%3Dx", &["a"]),
        ("labelSelector=t%21%3Dx", &["b", "c"]),
        ("labelSelector=t+in+(x,y)", &["a", "b"]),
        ("labelSelector=t%20notin%20(x)", &["b", "c"]),
        ("labelSelector=t", &["a", "b"]),
        ("labelSelector=%21t", &["c"]),
        ("labelSelector=t,n%3D1", &["a"]),
        ("fieldSelector=metadata.name%3Db", &["b"]),
        ("fieldSelector=metadata.name%21%3Db", &["a", "c"]),
        ("fieldSelector=metadata.name%3Da&labelSelector=t%3Dy", &[]),
    ];
    for (query, expected) in table {
        let list = leases.ask(query).await.ok();
        assert_eq!(names(&list), expected, "{query}");
        assert!(list["items"].is_array() && list["kind"] == "LeaseList");
    }
    let all = place.api.get("/apis/coordination.k8s.io/v1/leases?fieldSelector=metadata.name%3Db").await.ok();
    assert!(names(&all).contains(&"b".to_string()));
    let pods = place.path("pods");
    place.api.post(&pods, &pod("p")).await.ok();
    for (query, count) in
        [("spec.nodeName%3D", 1), ("status.phase%3DPending", 1), ("status.phase%21%3DPending", 0), ("spec.hostNetwork%3Dfalse", 1)]
    {
        assert_eq!(names(&place.api.get(&format!("{pods}?fieldSelector={query}")).await.ok()).len(), count, "{query}");
    }
    let refused = leases.ask("fieldSelector=spec.nonsense%3D1").await.refused(400, "BadRequest");
    assert_eq!(refused, "field label not supported: spec.nonsense");
    let refused = leases.ask("labelSelector=a%3D%3D%3Db").await.refused(400, "BadRequest");
    assert!(refused.starts_with("unable to parse requirement: ") && refused.matches("unable to parse").count() == 1, "{refused}");
}

#[tokio::test]
async fn pages_show_one_moment_while_writes_go_on() {
    let leases = Leases::new().await;
    let place = &leases.place;
    for i in 0..25 {
        leases.make(&format!("m{i:02}"), "old", Value::Null).await;
    }
    let first = leases.ask("limit=10").await.ok();
    assert_eq!((names(&first).len(), &first["metadata"]["remainingItemCount"]), (10, &json!(15)));
    place.api.delete(&format!("{}/m12", leases.path)).await.ok();
    leases.make("m11a", "new", Value::Null).await;
    place.api.patch(&format!("{}/m15", leases.path), "merge", &json!({ "spec": { "holderIdentity": "new" } })).await.ok();

    let (mut seen, mut list) = (names(&first), first.clone());
    let mut values = Vec::new();
    while let Some(token) = list["metadata"]["continue"].as_str().map(str::to_string) {
        list = leases.ask(&format!("limit=10&continue={token}")).await.ok();
        assert_eq!(list["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
        seen.extend(names(&list));
        values.extend(list["items"].as_array().expect("items").iter().map(|i| i["spec"]["holderIdentity"].clone()));
    }
    assert_eq!(seen, (0..25).map(|i| format!("m{i:02}")).collect::<Vec<_>>());
    assert!(values.iter().all(|v| v == "old"), "{values:?}");
    assert_eq!(names(&leases.ask("resourceVersion=0").await.ok()).len(), 25);

    let filtered = leases.ask("limit=2&labelSelector=%21none").await.ok();
    assert!(filtered["metadata"]["continue"].is_string() && filtered["metadata"].get("remainingItemCount").is_none(), "{filtered}");
    let token = filtered["metadata"]["continue"].as_str().unwrap_or_default();
    let both = format!("continue={token}&resourceVersion=5");
    assert_eq!(leases.ask(&both).await.refused(400, "BadRequest"), "specifying resource version is not allowed when using continue");
    leases.ask("continue=nonsense").await.refused(400, "BadRequest");
}

#[tokio::test]
async fn an_old_token_expires() {
    let leases = Leases::new().await;
    let place = &leases.place;
    for i in 0..3 {
        leases.make(&format!("m{i}"), "1", Value::Null).await;
    }
    let first = leases.ask("limit=1").await.ok();
    let token = first["metadata"]["continue"].as_str().expect("a token").to_string();
    // More pagings than are remembered, each of its own moment.
    for i in 0..70 {
        place.api.patch(&format!("{}/m0", leases.path), "merge", &json!({ "spec": { "holderIdentity": format!("v{i}") } })).await.ok();
        leases.ask("limit=1").await.ok();
    }
    let refused = leases.ask(&format!("limit=1&continue={token}")).await.refused(410, "Expired");
    assert!(refused.starts_with("The provided continue parameter is too old to display a consistent list result."), "{refused}");
}

#[tokio::test]
async fn versions_say_how_new_a_list_must_be() {
    let leases = Leases::new().await;
    let made = leases.make("m", "1", Value::Null).await;
    let version: u64 = made["metadata"]["resourceVersion"].as_str().expect("a version").parse().expect("a number");
    let ask = async |query: String| leases.ask(&query).await;
    for query in ["resourceVersion=0".to_string(), format!("resourceVersion={version}&resourceVersionMatch=NotOlderThan")] {
        assert_eq!(names(&ask(query).await.ok()), ["m"]);
    }
    let now = leases.ask("limit=1").await.ok()["metadata"]["resourceVersion"].as_str().expect("a revision").to_string();
    let exact = ask(format!("resourceVersion={now}&resourceVersionMatch=Exact")).await.ok();
    assert_eq!((exact["metadata"]["resourceVersion"].as_str(), names(&exact)), (Some(now.as_str()), vec!["m".to_string()]));
    let future = ask(format!("resourceVersion={}", version + 1_000_000)).await;
    assert_eq!(future.json()["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    assert!(future.refused(504, "Timeout").starts_with("Too large resource version: "));
    assert_eq!(ask("resourceVersion=1&resourceVersionMatch=Exact".into()).await.status, 410);
    let invalid = "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: ";
    let refused = ask("resourceVersionMatch=Exact".into()).await.refused(422, "Invalid");
    assert_eq!(refused, format!("{invalid}Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"));
    let refused = ask("resourceVersion=0&resourceVersionMatch=Exact".into()).await.refused(422, "Invalid");
    assert_eq!(refused, format!("{invalid}Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""));
    let refused = ask("resourceVersion=5&resourceVersionMatch=Newish".into()).await.refused(422, "Invalid");
    assert_eq!(refused, format!("{invalid}Unsupported value: \"Newish\": supported values: \"Exact\", \"NotOlderThan\", \"\""));
    ask("resourceVersion=abc".into()).await.refused(400, "BadRequest");
    ask("limit=many".into()).await.refused(400, "BadRequest");
}

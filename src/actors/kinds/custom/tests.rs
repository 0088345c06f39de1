//! Kinds of definitions, apart from the actors.
use super::*;
use crate::actors::kinds::{Part, begin_create, prepare_create, prepare_update, scale_of};
use async_trait::async_trait;
use serde_json::json;

struct Nowhere;

#[async_trait]
impl ServiceConnector for Nowhere {
    async fn connect(&self, _: &str, name: &str, _: u16) -> Result<Box<dyn Connection>, String> {
        Err(format!("service \"{name}\" not found"))
    }
}

fn crd() -> Value {
    let schema = json!({ "type": "object", "properties": {
        "spec": { "type": "object", "required": ["cron"], "properties": {
            "cron": { "type": "string", "pattern": "^[*0-9 ]+$" },
            "replicas": { "type": "integer", "minimum": 1, "default": 1 },
        }, "x-kubernetes-validations": [{ "rule": "self.replicas <= 10", "message": "no more than ten" }] },
        "status": { "type": "object", "properties": { "replicas": { "type": "integer" }, "ready": { "type": "boolean" } } },
    } });
    let version = |name: &str, storage: bool| {
        json!({
            "name": name, "served": true, "storage": storage, "schema": { "openAPIV3Schema": schema },
            "subresources": { "status": {}, "scale": { "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas" } },
            "additionalPrinterColumns": [
                { "name": "Spec", "type": "string", "jsonPath": ".spec.cron" },
                { "name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas" },
                { "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp" },
            ],
            "selectableFields": [{ "jsonPath": ".spec.cron" }],
        })
    };
    json!({
        "metadata": { "name": "crontabs.stable.example.com" },
        "spec": {
            "group": "stable.example.com", "scope": "Namespaced",
            "names": { "plural": "crontabs", "singular": "crontab", "kind": "CronTab", "listKind": "CronTabList", "shortNames": ["ct"], "categories": ["all"] },
            "versions": [version("v1", false), version("v2", true)],
        },
    })
}

fn kinds() -> Vec<(Arc<Kind>, bool)> {
    let resolver: Arc<dyn ServiceConnector> = Arc::new(Nowhere);
    kinds_of(&crd(), &resolver).expect("a good definition")
}

fn create(kind: &Kind, body: &str) -> Result<Value, String> {
    let mut value = kind.check(body.as_bytes()).map_err(|e| e.to_string())?.value;
    begin_create(kind, "ns", &mut value).map_err(|e| e.message)?;
    prepare_create(kind, value, "2026-01-01T00:00:00Z", "u", *b"abcde").map_err(|e| e.message)
}

#[test]
fn objects_are_pruned_completed_and_judged() {
    let kinds = kinds();
    let kind = &kinds[0].0;
    assert_eq!(
        (kind.resource.version, kind.resource.short_names, kind.shelf().as_str()),
        ("v2", &["ct"][..], "crontabs.stable.example.com")
    );
    let body = r#"{"apiVersion":"stable.example.com/v2","kind":"CronTab","metadata":{"name":"a","junk":1},"spec":{"cron":"* *","cron":"* 1","extra":1}}"#;
    let checked = kind.check(body.as_bytes()).expect("a body");
    assert_eq!(checked.unknown, ["metadata.junk", "spec.extra"]);
    assert_eq!(checked.duplicate, ["spec.cron"]);
    let object = create(kind, body).expect("a good object");
    assert_eq!(object["spec"], json!({ "cron": "* 1", "replicas": 1 }));
    assert_eq!(object["metadata"]["generation"], 1);
    for (body, words) in [
        (r#"{"metadata":{"name":"a"},"spec":{}}"#, "spec.cron: Required value"),
        (
            r#"{"metadata":{"name":"a"},"spec":{"cron":"x"}}"#,
            r#"spec.cron: Invalid value: "x": spec.cron in body should match '^[*0-9 ]+$'"#,
        ),
        (r#"{"metadata":{"name":"a"},"spec":{"cron":"*","replicas":11}}"#, r#"spec: Invalid value: "object": no more than ten"#),
        (r#"{"metadata":{"name":"A"},"spec":{"cron":"*"}}"#, "a lowercase RFC 1123 subdomain"),
        (r#"{"apiVersion":"stable.example.com/v1","metadata":{"name":"a"}}"#, "does not match the expected API version"),
        (r#"{"metadata":{"name":"a","labels":{"x":1}},"spec":{"cron":"*"}}"#, "json: cannot unmarshal"),
        ("[1]", "cannot unmarshal"),
    ] {
        let said = create(kind, body).expect_err(words);
        assert!(said.contains(words), "wanted {words}\n   got {said}");
    }
    assert!(kind.check(&[b'['; 100_000]).is_err());
}

#[test]
fn subresources_and_columns() {
    let kinds = kinds();
    let kind = &kinds[0].0;
    let mut old =
        create(kind, r#"{"metadata":{"name":"a"},"spec":{"cron":"*","replicas":3},"status":{"ready":true}}"#).expect("a good object");
    assert!(old.get("status").is_none(), "a creator sets no status");
    old["metadata"]["resourceVersion"] = "5".into();
    let mut body = old.clone();
    body["status"] = json!({ "replicas": 2, "ready": true });
    body["spec"]["replicas"] = 9.into();
    let new = prepare_update(kind, Part::Status, &old, body).expect("a good status");
    assert_eq!((&new["status"]["replicas"], &new["spec"]["replicas"], &new["metadata"]["generation"]), (&json!(2), &json!(3), &json!(1)));
    let scale = scale_of(kind, &new);
    assert_eq!((&scale["spec"]["replicas"], &scale["status"]["replicas"]), (&json!(3), &json!(2)));
    let names: Vec<&str> = kind.columns().iter().map(|c| c.name.as_ref()).collect();
    assert_eq!(names, ["Name", "Spec", "Replicas", "Age"]);
    let now = crate::protocol::time::parse_seconds("2026-01-01T00:05:00Z").expect("a time");
    assert_eq!(kind.row(&new, now), [json!("a"), json!("*"), json!(3), json!("5m")]);
    assert!(kind.fields().contains(&"spec.cron"));
}

#[tokio::test]
async fn versions_are_shown_and_stored() {
    let kinds = kinds();
    let (v2, v1) = (kinds[0].0.reading().expect("a custom kind"), kinds[1].0.reading().expect("a custom kind"));
    let stored = json!({ "apiVersion": "stable.example.com/v2", "kind": "CronTab", "metadata": { "name": "a" }, "spec": { "cron": "*" } });
    let shown = v1.show(vec![stored.clone()]).await.expect("the same shape");
    assert_eq!((&shown[0]["apiVersion"], &shown[0]["spec"]["replicas"]), (&json!("stable.example.com/v1"), &json!(1)));
    assert_eq!(v1.store(shown[0].clone()).await.expect("the same shape")["apiVersion"], "stable.example.com/v2");
    assert!(!v2.is_plain(stored.to_string().as_bytes()), "its schema has defaults");
    let webhook = json!({ "clientConfig": { "service": { "namespace": "x", "name": "y" } }, "conversionReviewVersions": ["v1"] });
    let converter = WebhookConverter::new(&webhook, Arc::new(Nowhere));
    let error = converter.convert(vec![stored], "stable.example.com/v1").await.expect_err("no such service");
    assert_eq!(error.to_string(), "conversion webhook for stable.example.com/v2, Kind=CronTab failed: service \"y\" not found");
}

#[test]
fn what_blocks_rules_and_what_was_wrong_before() {
    let mut crd = crd();
    for version in crd["spec"]["versions"].as_array_mut().expect("versions") {
        let properties = &mut version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
        properties["mode"] = json!({ "type": "string", "enum": ["a", "b"] });
        properties["tags"] = json!({ "type": "array", "items": { "type": "string" }, "x-kubernetes-list-type": "set" });
    }
    let resolver: Arc<dyn ServiceConnector> = Arc::new(Nowhere);
    let kind = &kinds_of(&crd, &resolver).expect("a good definition")[0].0;
    // Rules are not tried on a value that the enumeration does not know.
    let said = create(kind, r#"{"metadata":{"name":"a"},"spec":{"cron":"*","replicas":11,"mode":"c"}}"#).expect_err("no such mode");
    assert!(said.contains("some validation rules were not checked") && !said.contains("no more than ten"), "{said}");
    // A list that held something twice may go on doing so; a good one may not begin.
    let object = |tags: Value| json!({ "metadata": { "name": "a" }, "spec": { "cron": "*", "replicas": 1, "tags": tags } });
    let (good, bad) = (object(json!(["x"])), object(json!(["x", "x"])));
    let mut worse = object(json!(["x", "x", "x"]));
    worse["spec"]["replicas"] = 2.into();
    assert_eq!(kind.validate_update(&bad, &good).len(), 1);
    assert_eq!(kind.validate_update(&worse, &bad), []);
}

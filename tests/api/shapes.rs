//! The same objects in other clothes: tables, bare metadata, YAML, no body at all.
use super::{Place, map, pod};
use serde_json::{Value, json};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const PARTIAL: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
const PARTIAL_LIST: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";

#[tokio::test]
async fn every_kind_prints_as_a_table_whose_rows_fit_its_columns() {
    let place = Place::new().await;
    let ns = &place.namespace;
    place.api.post(&place.path("pods"), &pod("p")).await.ok();
    place.map("m", "1", Value::Null).await;
    let objects = [
        ("secrets", json!({ "metadata": { "name": "s" }, "stringData": { "a": "b" } })),
        ("serviceaccounts", json!({ "metadata": { "name": "sa" } })),
        ("services", json!({ "metadata": { "name": "svc" }, "spec": { "ports": [{ "port": 80 }] } })),
        (
            "events",
            json!({ "metadata": { "name": "e" }, "involvedObject": { "kind": "Pod", "name": "p", "namespace": ns }, "message": "m" }),
        ),
        (
            "replicationcontrollers",
            json!({ "metadata": { "name": "rc" }, "spec": { "replicas": 0, "template": { "metadata": { "labels": { "q": "r" } }, "spec": pod("x")["spec"] } } }),
        ),
    ];
    for (plural, body) in objects {
        place.api.post(&place.path(plural), &body).await.ok();
    }
    let replica_set = json!({ "metadata": { "name": "rs" }, "spec": {
        "replicas": 0, "selector": { "matchLabels": { "q": "s" } },
        "template": { "metadata": { "labels": { "q": "s" } }, "spec": pod("x")["spec"] },
    }});
    place.api.post(&format!("/apis/apps/v1/namespaces/{ns}/replicasets"), &replica_set).await.ok();
    place.api.post(&format!("/apis/coordination.k8s.io/v1/namespaces/{ns}/leases"), &json!({ "metadata": { "name": "l" } })).await.ok();
    place.api.post("/api/v1/nodes", &json!({ "metadata": { "name": format!("node-{ns}") } })).await.ok();

    for group in ["api/v1", "apis/apps/v1", "apis/coordination.k8s.io/v1"] {
        let resources = place.api.get(&format!("/{group}")).await.ok();
        for resource in resources["resources"].as_array().expect("resources") {
            let name = resource["name"].as_str().expect("a name");
            let listed = resource["verbs"].as_array().is_some_and(|verbs| verbs.iter().any(|v| v == "list"));
            if name.contains('/') || !listed {
                continue;
            }
            let table = place.api.get_as(&format!("/{group}/{name}"), TABLE).await.ok();
            assert_eq!(table["kind"], "Table", "{name}");
            let columns = table["columnDefinitions"].as_array().expect("columns").len();
            let rows = table["rows"].as_array().expect("rows");
            let made = ["configmaps", "pods", "replicationcontrollers", "replicasets", "leases", "nodes", "services"];
            assert!(!rows.is_empty() || !made.contains(&name), "there is one of {name}");
            for row in rows {
                assert_eq!(row["cells"].as_array().expect("cells").len(), columns, "{name}: {row}");
                let object = &row["object"];
                assert_eq!(object["kind"], "PartialObjectMetadata", "{name}");
                assert!(object["metadata"]["resourceVersion"].is_string() && object["metadata"]["name"].is_string(), "{name}: {object}");
            }
        }
    }
    let one = place.api.get_as(&format!("{}/p", place.path("pods")), TABLE).await.ok();
    let cells = one["rows"][0]["cells"].as_array().expect("cells");
    assert_eq!(cells[..4], [json!("p"), json!("0/1"), json!("Pending"), json!("0")]);
    let with = place.api.get_as(&format!("{}?includeObject=Object", place.maps), TABLE).await.ok();
    assert!(with["rows"].as_array().expect("rows").iter().any(|r| r["object"]["data"]["k"] == "1"), "{with}");
    let without = place.api.get_as(&format!("{}?includeObject=None", place.maps), TABLE).await.ok();
    assert!(without["rows"][0]["object"].is_null());
    let refused = place.api.get_as(&format!("{}?includeObject=Some", place.maps), TABLE).await;
    assert_eq!(refused.status, 422);
}

#[tokio::test]
async fn metadata_alone_is_the_metadata_of_the_whole() {
    let place = Place::new().await;
    let made = place.map("m", "1", json!({ "a": "b" })).await;
    let path = format!("{}/m", place.maps);
    let partial = place.api.get_as(&path, PARTIAL).await.ok();
    assert_eq!(partial, json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": made["metadata"] }));
    let list = place.api.get_as(&place.maps, PARTIAL_LIST).await.ok();
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert!(list["items"].as_array().is_some_and(|items| items.contains(&partial)), "{list}");
}

#[tokio::test]
async fn yaml_in_and_out() {
    let place = Place::new().await;
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: y\ndata:\n  number: \"1\"\n";
    let made = place.api.send("POST", &place.maps, &[("content-type", "application/yaml"), ("accept", "application/yaml")], yaml).await;
    assert_eq!((made.status, made.header("content-type")), (201, "application/yaml"));
    let back: Value = serde_yaml::from_slice(&made.body).expect("YAML");
    assert_eq!(back["data"]["number"], "1");
    let again = place.api.get_as(&format!("{}/y", place.maps), "application/yaml").await;
    assert_eq!(again.body, made.body);
    let broken =
        place.api.send("POST", &place.maps, &[("content-type", "application/yaml")], "a: [1\nb: }").await.refused(400, "BadRequest");
    assert!(broken.contains("yaml: line"), "{broken}");
    let refused = place.api.get_as(&place.maps, "image/png").await.refused(406, "NotAcceptable");
    assert!(refused.starts_with("only the following media types are accepted: application/json"), "{refused}");
    let pretty = place.api.get_as(&format!("{}/y", place.maps), "application/json;pretty=1").await;
    assert!(pretty.text().contains("\n  \"kind\""), "{}", pretty.text());
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let place = Place::new().await;
    place.map("m", "1", Value::Null).await;
    let path = format!("{}/m", place.maps);
    let whole = place.api.get(&path).await;
    let head = place.api.send("HEAD", &path, &[], "").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), whole.body.len().to_string());
    assert_eq!(place.api.send("HEAD", "/api/v1/namespaces/none", &[], "").await.status, 404);
    assert_eq!(place.api.send("HEAD", "/readyz", &[], "").await.status, 200);
}

#[tokio::test]
async fn fields_nobody_knows_are_refused_warned_of_or_ignored() {
    let place = Place::new().await;
    let mut body = map("strict", "1", Value::Null);
    body["spec"] = json!({ "mystery": 1 });
    body["metadata"]["surprise\"ü"] = "x".into();
    let refused = place.api.post(&format!("{}?fieldValidation=Strict", place.maps), &body).await.refused(400, "BadRequest");
    assert!(refused.contains("strict decoding error: ") && refused.contains("unknown field \"spec\""), "{refused}");
    let warned = place.api.post(&place.maps, &body).await;
    let warnings: Vec<String> =
        warned.headers.get_all("warning").iter().map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned()).collect();
    assert_eq!(warned.status, 201);
    assert!(warnings.contains(&"299 - \"unknown field \\\"spec\\\"\"".to_string()), "{warnings:?}");
    assert!(warnings.iter().any(|w| w.contains("ü")), "{warnings:?}");
    let path = format!("{}/strict", place.maps);
    let quiet = place.api.put(&format!("{path}?fieldValidation=Ignore"), &body).await;
    assert!(quiet.status == 200 && quiet.headers.get("warning").is_none());
    let patch = json!({ "nonsense": { "a": 1 } });
    let warned = place.api.patch(&path, "merge", &patch).await;
    assert_eq!((warned.status, warned.header("warning")), (200, "299 - \"unknown field \\\"nonsense\\\"\""));
    place.api.patch(&format!("{path}?fieldValidation=Strict"), "merge", &patch).await.refused(422, "Invalid");
    let twice = r#"{"metadata":{"name":"twice"},"data":{"a":"1"},"data":{"b":"2"}}"#;
    let warned = place.api.send("POST", &place.maps, &[("content-type", "application/json")], twice).await;
    assert_eq!(warned.header("warning"), "299 - \"duplicate field \\\"data\\\"\"", "{}", warned.text());
    let unknown = place.api.post(&format!("{}?fieldValidation=Hard", place.maps), &body).await.refused(422, "Invalid");
    assert!(unknown.contains("fieldValidation: Unsupported value: \"Hard\""), "{unknown}");
}

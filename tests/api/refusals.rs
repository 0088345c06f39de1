//! What is refused, and in which words.
use super::{Place, map};
use serde_json::{Value, json};

#[tokio::test]
async fn bodies_that_are_something_else() {
    let place = Place::new().await;
    place.map("m", "1", Value::Null).await;
    let path = format!("{}/m", place.maps);
    let twice = place.api.post(&place.maps, &map("m", "1", Value::Null)).await.refused(409, "AlreadyExists");
    assert_eq!(twice, "configmaps \"m\" already exists");
    let form = place.api.send("POST", &place.maps, &[("content-type", "application/x-www-form-urlencoded")], "a=b").await;
    let said = form.refused(415, "UnsupportedMediaType");
    assert!(said.starts_with(
        "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml"
    ));
    let plain = place.api.send("PATCH", &path, &[("content-type", "application/json")], "{}").await;
    assert!(plain.refused(415, "UnsupportedMediaType").contains("application/json-patch+json, application/merge-patch+json"));
    let mut pod = map("p", "1", Value::Null);
    pod["kind"] = "Pod".into();
    let said = place.api.post(&place.maps, &pod).await.refused(400, "BadRequest");
    assert!(said.starts_with("Pod in version \"v1\" cannot be handled as a ConfigMap: "), "{said}");
    pod["kind"] = "ConfigMap".into();
    pod["apiVersion"] = "apps/v1".into();
    let said = place.api.post(&place.maps, &pod).await.refused(400, "BadRequest");
    assert_eq!(said, "the API version in the data (apps/v1) does not match the expected API version (v1)");
    let wrong = json!({ "metadata": { "name": "x" }, "data": { "k": 5 } });
    let said = place.api.post(&place.maps, &wrong).await.refused(400, "BadRequest");
    assert!(said.contains("cannot unmarshal number") && said.contains("ConfigMap.data.k of type string"), "{said}");
}

#[tokio::test]
async fn names_and_places_must_agree() {
    let place = Place::new().await;
    let made = place.map("m", "1", Value::Null).await;
    let path = format!("{}/m", place.maps);
    let said = place.api.put(&path, &map("other", "1", Value::Null)).await.refused(400, "BadRequest");
    assert_eq!(said, "the name of the object (other) does not match the name on the URL (m)");
    let said = place.api.put(&path, &json!({ "data": {} })).await.refused(400, "BadRequest");
    assert_eq!(said, "the name of the object (based on URL) was undeterminable: name must be provided");
    let mut elsewhere = map("m", "1", Value::Null);
    elsewhere["metadata"]["namespace"] = "elsewhere".into();
    let said = place.api.put(&path, &elsewhere).await.refused(400, "BadRequest");
    assert!(said.starts_with("the namespace of the object (elsewhere) does not match the namespace on the request ("), "{said}");
    let said = place.api.post(&place.maps, &elsewhere).await.refused(400, "BadRequest");
    assert_eq!(said, "the namespace of the provided object does not match the namespace sent on the request");
    let mut versioned = map("new", "1", Value::Null);
    versioned["metadata"]["resourceVersion"] = "7".into();
    let said = place.api.post(&place.maps, &versioned).await.refused(400, "BadRequest");
    assert_eq!(said, "resourceVersion should not be set on objects to be created");
    let mut impostor = made.clone();
    impostor["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000".into();
    let said = place.api.put(&path, &impostor).await.refused(409, "Conflict");
    assert!(said.contains("Precondition failed: UID in precondition: 00000000-"), "{said}");
    place.api.put(&format!("{}/absent", place.maps), &map("absent", "1", Value::Null)).await.refused(404, "NotFound");
    place.api.patch(&format!("{}/absent", place.maps), "merge", &json!({})).await.refused(404, "NotFound");
    place.api.delete(&format!("{}/absent", place.maps)).await.refused(404, "NotFound");
}

#[tokio::test]
async fn what_validation_finds_is_listed_with_its_causes() {
    let place = Place::new().await;
    let bad = json!({ "metadata": { "name": "Not_A_Name", "labels": { "a": "b c" } }, "data": { "no way": "x" } });
    let answer = place.api.post(&place.maps, &bad).await;
    let causes = answer.json()["details"]["causes"].clone();
    let fields: Vec<&str> = causes.as_array().expect("causes").iter().filter_map(|c| c["field"].as_str()).collect();
    assert_eq!(fields, ["metadata.name", "metadata.labels", "data[no way]"]);
    let said = answer.refused(422, "Invalid");
    assert!(said.starts_with("ConfigMap \"Not_A_Name\" is invalid: [metadata.name: Invalid value: \"Not_A_Name\": "), "{said}");
    let nameless = place.api.post(&place.maps, &json!({ "data": {} })).await.refused(422, "Invalid");
    assert_eq!(nameless, "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required");
    let pod = json!({ "metadata": { "name": "p" }, "spec": { "containers": [] } });
    let said = place.api.post(&place.path("pods"), &pod).await.refused(422, "Invalid");
    assert!(said.contains("spec.containers: Required value"), "{said}");
    let frozen = json!({ "metadata": { "name": "frozen" }, "immutable": true, "data": { "a": "1" } });
    place.api.post(&place.maps, &frozen).await.ok();
    let path = format!("{}/frozen", place.maps);
    let said = place.api.patch(&path, "merge", &json!({ "data": { "a": "2" } })).await.refused(422, "Invalid");
    assert_eq!(said, "ConfigMap \"frozen\" is invalid: data: Forbidden: field is immutable when `immutable` is set");
}

#[tokio::test]
async fn options_of_a_deletion_are_read_strictly() {
    let place = Place::new().await;
    let path = format!("{}/m", place.maps);
    place.map("m", "1", Value::Null).await;
    let kind = [("content-type", "application/json")];
    for body in [r#"{"gracePeriodSeconds":"soon"}"#, r#"{"dryRun":"All"}"#, "[1]", "{", "\"x\""] {
        place.api.send("DELETE", &path, &kind, body).await.refused(400, "BadRequest");
    }
    let said = place.api.delete(&format!("{path}?propagationPolicy=Sideways")).await.refused(422, "Invalid");
    assert_eq!(
        said,
        "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"Sideways\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
    );
    let both = r#"{"propagationPolicy":"Orphan","orphanDependents":true}"#;
    let said = place.api.send("DELETE", &path, &kind, both).await.refused(422, "Invalid");
    assert!(said.contains("orphanDependents and deletionPropagation cannot be both set"), "{said}");
    place.api.get(&path).await.ok();
    let foreground = place.api.send("DELETE", &path, &kind, r#"{"propagationPolicy":"Foreground"}"#).await.ok();
    assert_eq!(foreground["metadata"]["finalizers"], json!(["foregroundDeletion"]));
}

/// A parameter that is there is true, unless it says 0 or false.
#[tokio::test]
async fn booleans_of_queries() {
    let place = Place::new().await;
    for value in ["0", "false", "False"] {
        assert_eq!(place.api.get(&format!("{}?watch={value}", place.maps)).await.ok()["kind"], "ConfigMapList", "{value}");
    }
    for value in ["", "=", "=1", "=true", "=yes"] {
        let mut watch = place.api.watch(&format!("{}?timeoutSeconds=1&watch{value}", place.maps)).await;
        assert_ne!(watch.line().await, "", "{value:?}: an event or the end, not a list");
    }
    place.map("m", "1", Value::Null).await;
    // Somebody who asks for one object gets it, whatever else the query says.
    assert_eq!(place.api.get(&format!("{}/m?watch=1", place.maps)).await.ok()["kind"], "ConfigMap");
}

#[tokio::test]
async fn some_kinds_are_only_replaced_by_who_names_the_version() {
    let place = Place::new().await;
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", place.namespace);
    let path = format!("{leases}/l");
    let lease = json!({ "metadata": { "name": "l" }, "spec": { "holderIdentity": "a" } });
    let made = place.api.put(&path, &lease).await;
    assert_eq!(made.status, 201, "a lease is made by an update: {}", made.text());
    let said = place.api.put(&path, &lease).await.refused(422, "Invalid");
    assert_eq!(
        said,
        "leases.coordination.k8s.io \"l\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update"
    );
    let mut versioned = made.json();
    versioned["spec"]["holderIdentity"] = "b".into();
    assert_eq!(place.api.put(&path, &versioned).await.ok()["spec"]["holderIdentity"], "b");
    place.api.patch(&path, "merge", &json!({ "spec": { "holderIdentity": "c" } })).await.ok();
    // Some deletions are answered with what is gone, others with a word.
    assert_eq!(place.api.delete(&path).await.ok()["kind"], "Status");
    let quotas = format!("/api/v1/namespaces/{}/resourcequotas", place.namespace);
    place.api.post(&quotas, &json!({ "metadata": { "name": "q" } })).await.ok();
    assert_eq!(place.api.delete(&format!("{quotas}/q")).await.ok()["kind"], "ResourceQuota");
}

#[tokio::test]
async fn fields_given_twice_are_told_ignored_or_refused() {
    let place = Place::new().await;
    let yaml = "kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: twice\ndata:\n  k: a\n  k: b\n";
    let strictly = |path: &str| format!("{path}?fieldValidation=Strict");
    let line = "line 7: key \"k\" already set in map";
    let refused = place.api.send("POST", &strictly(&place.maps), &[("content-type", "application/yaml")], yaml).await;
    let words =
        format!("ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: yaml: unmarshal errors:\n  {line}");
    assert_eq!(refused.refused(400, "BadRequest"), words);
    let quoted = format!("299 - \"{}\"", line.replace('"', "\\\""));
    let made = place.api.send("POST", &place.maps, &[("content-type", "application/yaml")], yaml).await;
    assert_eq!((made.header("warning"), &made.json()["data"]["k"]), (quoted.as_str(), &json!("b")));
    let path = format!("{}/twice", place.maps);
    for (media, patch, finding) in [
        ("application/merge-patch+json", r#"{"data":{"k":"c","k":"d"}}"#, r#"duplicate field "data.k""#),
        ("application/strategic-merge-patch+json", r#"{"data":{"k":"c","k":"d"}}"#, r#"duplicate field "data.k""#),
        (
            "application/json-patch+json",
            r#"[{"op":"add","op":"add","path":"/data/k","value":"d"}]"#,
            r#"json patch duplicate field "[0].op""#,
        ),
    ] {
        let said = place.api.send("PATCH", &strictly(&path), &[("content-type", media)], patch).await.refused(422, "Invalid");
        assert!(said.contains("patch: Invalid value: ") && said.ends_with(&format!("strict decoding error: {finding}")), "{said}");
        let quoted = format!("299 - \"{}\"", finding.replace('"', "\\\""));
        let warned = place.api.send("PATCH", &path, &[("content-type", media)], patch).await;
        assert_eq!((warned.status, warned.header("warning")), (200, quoted.as_str()), "{media}");
        let quiet = place.api.send("PATCH", &format!("{path}?fieldValidation=Ignore"), &[("content-type", media)], patch).await;
        assert_eq!((quiet.status, quiet.header("warning")), (200, ""), "{media}");
    }
    let apply = format!("{path}?fieldManager=m&force=true");
    let media = [("content-type", "application/apply-patch+yaml")];
    let said = place.api.send("PATCH", &format!("{apply}&fieldValidation=Strict"), &media, yaml).await.refused(400, "BadRequest");
    assert_eq!(said, format!("error strict decoding patch: error converting YAML to JSON: yaml: unmarshal errors:\n  {line}"));
    let warned = place.api.send("PATCH", &apply, &media, yaml).await;
    assert_eq!((warned.header("warning"), &warned.json()["data"]["k"]), (quoted.as_str(), &json!("b")));
}

#[tokio::test]
async fn requests_have_names_and_deadlines() {
    let place = Place::new().await;
    let said = place.api.get(&format!("{}?timeout=10", place.maps)).await.refused(400, "BadRequest");
    assert_eq!(said, "invalid timeout specified in the request URL - time: missing unit in duration \"10\"");
    let late = place.api.get(&format!("{}?timeout=1ns", place.maps)).await;
    assert!(late.status == 200 || late.refused(504, "Timeout") == "Timeout: request did not complete within the allotted timeout");
    let (one, other) = (place.api.get(&place.maps).await, place.api.get("/no/such/path").await);
    assert!(one.header("audit-id").len() == 36 && one.header("audit-id") != other.header("audit-id"), "{}", one.header("audit-id"));
    // A large body comes in pieces, and says beforehand how large it is.
    let value = "x".repeat(700_000);
    place.map("large", &value, Value::Null).await;
    let large = place.api.get(&format!("{}/large", place.maps)).await;
    assert_eq!(large.header("content-length"), large.body.len().to_string());
    assert!(large.json()["data"]["k"] == value.as_str());
}

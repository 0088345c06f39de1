//! What becomes of fields that nobody knows or that come twice.
use super::crd::{Custom, anything};
use crate::api::{Place, admin};
use serde_json::{Value, json};

async fn strict(body: &str) -> String {
    let place = Place::new().await;
    let path = format!("/apis/apps/v1/namespaces/{}/deployments?fieldManager=test&fieldValidation=Strict", place.namespace);
    place.api.send("POST", &path, &[("content-type", "application/json")], body.to_string()).await.refused(400, "BadRequest")
}

fn deployment(meta: &str, spec: &str) -> String {
    format!(
        r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"my-dep",{meta}"labels":{{"app":"nginx"}}}},
        "spec":{{{spec}"selector":{{"matchLabels":{{"app":"nginx"}}}},"template":{{"metadata":{{"labels":{{"app":"nginx"}}}},
        "spec":{{"containers":[{{"name":"nginx","image":"nginx:latest"}}]}}}}}}}}"#
    )
}

#[tokio::test]
async fn unknown_and_double_fields_of_a_typed_object() {
    let refused = strict(&deployment("", r#""unknownField":"foo","replicas":2,"replicas":3,"#)).await;
    assert!(refused.contains("strict decoding error: unknown field \"spec.unknownField\", duplicate field \"spec.replicas\""), "{refused}");
}

#[tokio::test]
async fn unknown_metadata_of_a_typed_object() {
    let refused = strict(&deployment(r#""unknownMeta":"foo","#, "")).await;
    assert!(refused.contains("strict decoding error: unknown field \"metadata.unknownMeta\""), "{refused}");
}

/// A spec as a timer has it; `more` goes into the schema of the spec.
fn timer(more: Value) -> Value {
    let mut spec = json!({ "type": "object", "properties": {
        "foo": { "type": "string" },
        "cronSpec": { "type": "string", "pattern": r"^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$" },
        "ports": {
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["containerPort", "protocol"],
            "items": { "type": "object", "required": ["containerPort", "protocol"], "properties": {
                "containerPort": { "type": "integer", "format": "int32" }, "protocol": { "type": "string" }, "name": { "type": "string" },
            } },
        },
    } });
    for (field, value) in more.as_object().into_iter().flatten() {
        if let (Some(held), Some(added)) = (spec[field].as_object_mut(), value.as_object()) {
            held.extend(added.clone());
        } else {
            spec[field] = value.clone();
        }
    }
    json!({ "type": "object", "properties": { "spec": spec } })
}

const SPEC: &str = "  cronSpec: \"* * * * */5\"\n  ports:\n  - name: x\n    containerPort: 80\n    protocol: TCP\n";

/// Applies the YAML strictly to a new kind and returns status and body.
async fn applied(word: &str, schema: Value, yaml: &str) -> (u16, String) {
    let (api, custom) = (admin(), Custom::new(word, &["v1beta1"], schema));
    custom.create(&api).await;
    let answer = custom.apply(&api, "v1beta1", "mytest", "&fieldValidation=Strict", yaml).await;
    custom.remove(&api).await;
    (answer.status, answer.text())
}

#[tokio::test]
async fn a_good_custom_resource_with_a_schema() {
    let (status, said) = applied("gooder", timer(json!({})), &format!("metadata:\n  name: mytest\nspec:\n  foo: foo1\n{SPEC}")).await;
    assert_eq!(status, 201, "{said}");
}

#[tokio::test]
async fn unknown_fields_without_a_schema() {
    let (status, said) = applied("schemaless", anything(), &format!("metadata:\n  name: mytest\nspec:\n  unknown: uk1\n{SPEC}")).await;
    assert_eq!(status, 201, "{said}");
    assert!(said.contains("\"unknown\":\"uk1\""), "{said}");
}

#[tokio::test]
async fn extra_properties_with_a_schema() {
    let yaml = format!("metadata:\n  name: mytest\nunknownField: unknown\nspec:\n  foo: foo1\n{SPEC}");
    let (_, said) = applied("extra", timer(json!({})), &yaml).await;
    assert!(said.contains(".unknownField: field not declared in schema"), "{said}");
}

#[tokio::test]
async fn unknown_metadata_of_a_custom_resource_and_of_what_is_embedded() {
    let embedded = json!({ "type": "object", "x-kubernetes-embedded-resource": true, "properties": {
        "metadata": { "type": "object", "properties": { "name": { "type": "string" } } }, "spec": { "type": "object" },
    } });
    let more = json!({ "x-kubernetes-preserve-unknown-fields": true, "properties": { "template": embedded } });
    let yaml = |meta: &str, inner: &str| {
        let template = format!("  template:\n    apiVersion: foo/v1\n    kind: Sub\n    metadata:\n{inner}      name: subobject\n");
        format!("metadata:\n  name: mytest\n{meta}spec:\n{template}  foo: foo1\n{SPEC}")
    };
    let (status, said) =
        applied("embedder", timer(more.clone()), &yaml("  unknownMeta: unknown\n", "      unknownSubMeta: unknown\n")).await;
    assert!(status >= 400, "{said}");
    assert!(said.contains("metadata.unknownMeta: field not declared in schema"), "{said}");
    let (_, said) = applied("subembedder", timer(more), &yaml("", "      unknownSubMeta: unknown\n")).await;
    assert!(said.contains(".spec.template.metadata.unknownSubMeta: field not declared in schema"), "{said}");
}

#[tokio::test]
async fn double_fields_where_unknown_ones_are_kept() {
    let schema = timer(json!({ "x-kubernetes-preserve-unknown-fields": true }));
    let yaml =
        format!("metadata:\n  name: mytest\n  finalizers:\n  - test-finalizer\nspec:\n  unknown: uk1\n  foo: foo1\n  foo: foo2\n{SPEC}");
    let (status, said) = applied("doubler", schema, &yaml).await;
    assert_eq!(status, 400, "{said}");
    // Lines are counted from the first of the body, which has apiVersion and kind before the metadata.
    assert!(said.contains(r#"line 10: key \"foo\" already set in map"#), "{said}");
}

//! Definitions: what is filled in, and what is refused, by table.
use super::crd::KIND;
use crate::actors::kinds::{Part, begin_create, prepare_create, prepare_update};
use serde_json::{Value, json};

fn body() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": { "name": "crontabs.stable.example.com" },
        "spec": {
            "group": "stable.example.com", "scope": "Namespaced",
            "names": { "plural": "crontabs", "kind": "CronTab", "shortNames": ["ct"] },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object", "properties": {
                    "spec": { "type": "object", "properties": { "replicas": { "type": "integer" }, "name": { "type": "string" } } },
                    "status": { "type": "object", "properties": { "replicas": { "type": "integer" } } },
                } } },
                "subresources": { "status": {}, "scale": { "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas" } },
            }],
        },
    })
}

fn create(change: impl FnOnce(&mut Value)) -> Result<Value, String> {
    let mut body = body();
    change(&mut body);
    let mut value = KIND.check(body.to_string().as_bytes()).map_err(|e| e.to_string())?.value;
    begin_create(&KIND, "", &mut value).map_err(|e| e.message)?;
    prepare_create(&KIND, value, "2026-01-01T00:00:00Z", "u", *b"abcde").map_err(|e| e.message)
}

#[test]
fn a_definition_is_completed() {
    let object = create(|_| {}).expect("a good definition");
    assert_eq!(object["spec"]["names"]["listKind"], "CronTabList");
    assert_eq!(object["spec"]["names"]["singular"], "crontab");
    assert_eq!(object["spec"]["conversion"], json!({ "strategy": "None" }));
    assert_eq!(object["status"]["storedVersions"], json!(["v1"]));
}

type Change = fn(&mut Value);

fn assert_refused(cases: impl IntoIterator<Item = (Change, &'static str)>) {
    for (change, words) in cases {
        let said = create(change).expect_err(words);
        assert!(said.contains(words), "wanted {words}\n   got {said}");
    }
}

#[test]
fn bad_definitions_are_refused_in_upstream_s_words() {
    let cases: Vec<(Change, &str)> = vec![
        (|b| b["metadata"]["name"] = "x.y.z".into(), "metadata.name: Invalid value: \"x.y.z\": must be spec.names.plural+\".\"+spec.group"),
        (
            |b| b["spec"]["scope"] = "World".into(),
            "spec.scope: Unsupported value: \"World\": supported values: \"Cluster\", \"Namespaced\"",
        ),
        (|b| b["spec"]["versions"][0]["storage"] = false.into(), "must have exactly one version marked as storage version"),
        (
            |b| b["spec"]["versions"][0]["schema"] = json!({}),
            "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required",
        ),
        (
            |b| b["spec"]["preserveUnknownFields"] = true.into(),
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
        ),
        (|b| b["spec"]["names"]["listKind"] = "CronTab".into(), "kind and listKind may not be the same"),
        (
            |b| b["spec"]["conversion"] = json!({"strategy": "Webhook"}),
            "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook",
        ),
        (
            |b| {
                b["spec"]["conversion"] =
                    json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v7"], "clientConfig": {"url": "http://x"}}})
            },
            "'https' is the only allowed URL scheme",
        ),
    ];
    assert_refused(cases);
}

#[test]
fn bad_schemas_are_refused_in_upstream_s_words() {
    let cases: Vec<(Change, &str)> = vec![
        (
            |b| b["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = json!({}),
            "spec.versions[0].schema.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields",
        ),
        (
            |b| b["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["type"] = "widget".into(),
            "Unsupported value: \"widget\": supported values: \"array\", \"boolean\", \"integer\", \"number\", \"object\", \"string\"",
        ),
        (
            |b| b["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["name"]["default"] = 5.into(),
            "properties[name].default: Invalid value: \"integer\"",
        ),
        (
            |b| b["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-list-type"] = "map".into(),
            "type: Invalid value: \"object\": must be array if x-kubernetes-list-type is specified",
        ),
        (
            |b| b["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["allOf"] = json!([{"required": ["spec"]}]),
            "fields are allowed at the root of the schema if the status subresource is enabled",
        ),
        (
            |b| {
                b["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-validations"] =
                    json!([{"rule": "self.nosuch == 1"}])
            },
            "undefined field 'nosuch'",
        ),
        (
            |b| b["spec"]["versions"][0]["subresources"]["scale"]["specReplicasPath"] = ".status.x".into(),
            "should be a json path under .spec",
        ),
        (|b| b["spec"]["versions"][0]["subresources"]["status"] = "x".into(), "spec.versions[0].subresources.status: Invalid value"),
        (
            |b| b["spec"]["versions"][0]["additionalPrinterColumns"] = json!([{"name": "x", "type": "text", "jsonPath": ".spec"}]),
            "must be one of boolean,date,integer,number,string",
        ),
        (
            |b| b["spec"]["versions"][0]["selectableFields"] = json!([{"jsonPath": ".spec.nosuch"}]),
            "is an invalid path: does not refer to a valid field",
        ),
        (
            |b| b["spec"]["versions"][0]["selectableFields"] = json!([{"jsonPath": ".metadata.name"}]),
            "must not point to fields in metadata",
        ),
        (
            |b| {
                b["spec"]["group"] = "x.k8s.io".into();
                b["metadata"]["name"] = "crontabs.x.k8s.io".into();
            },
            "protected groups must have approval annotation",
        ),
    ];
    assert_refused(cases);
}

#[test]
fn an_update_keeps_what_is_stored_readable() {
    let mut old = create(|_| {}).expect("a good definition");
    old["metadata"]["resourceVersion"] = "5".into();
    old["status"]["conditions"] = json!([{ "type": "Established", "status": "True" }]);
    let update = |change: fn(&mut Value)| {
        let mut new = old.clone();
        change(&mut new);
        prepare_update(&KIND, Part::Main, &old, new).map_err(|e| e.message)
    };
    assert!(
        update(|o| o["spec"]["scope"] = "Cluster".into())
            .expect_err("immutable")
            .contains("spec.scope: Invalid value: \"Cluster\": field is immutable")
    );
    let next = update(|o| {
        let mut second = o["spec"]["versions"][0].clone();
        second["name"] = "v2".into();
        o["spec"]["versions"][0]["storage"] = false.into();
        o["spec"]["versions"].as_array_mut().unwrap().push(second);
    })
    .expect("a good update");
    assert_eq!((&next["status"]["storedVersions"], &next["metadata"]["generation"]), (&json!(["v1", "v2"]), &json!(2)));
    let said = update(|o| o["spec"]["versions"][0]["name"] = "v3".into()).expect_err("v1 is stored");
    assert!(said.contains("status.storedVersions[0]: Invalid value: \"v1\": missing from spec.versions"), "{said}");
}

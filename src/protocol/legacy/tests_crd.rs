use super::*;
use crate::codec::codec;
use serde_json::json;

fn upgraded(spec: Value) -> Value {
    let legacy = find("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition").unwrap();
    let body = json!({"apiVersion": legacy.api_version, "kind": legacy.kind, "metadata": {"name": "a"}, "spec": spec}).to_string();
    let checked = legacy.check(codec(legacy.today, legacy.kind).unwrap(), body.as_bytes()).unwrap();
    assert_eq!(checked.findings(), Vec::<String>::new());
    checked.value
}

#[test]
fn what_was_shared_goes_to_each_version() {
    let spec = json!({
        "group": "example.com", "version": "v1", "scope": "Namespaced", "names": {"plural": "as", "kind": "A"},
        "preserveUnknownFields": false, "subresources": {"status": {}},
        "additionalPrinterColumns": [{"name": "N", "type": "string", "JSONPath": ".spec.n"}],
        "validation": {"openAPIV3Schema": {"properties": {"spec": {"properties": {
            "n": {"type": "string"}, "port": {"anyOf": [{"type": "integer"}, {"type": "string"}]}, "any": {}, "list": {"items": {"type": "string"}}}}}}},
        "conversion": {"strategy": "Webhook", "webhookClientConfig": {"url": "https://a"}},
    });
    let today = upgraded(spec)["spec"].clone();
    let version = &today["versions"][0];
    assert_eq!((&version["name"], &version["served"], &version["storage"]), (&json!("v1"), &json!(true), &json!(true)));
    assert_eq!(version["subresources"], json!({"status": {}}));
    assert_eq!(version["additionalPrinterColumns"][0]["jsonPath"], ".spec.n");
    assert_eq!(
        version["schema"]["openAPIV3Schema"],
        json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "n": {"type": "string"}, "port": {"x-kubernetes-int-or-string": true}, "any": {"x-kubernetes-preserve-unknown-fields": true},
            "list": {"type": "array", "items": {"type": "string"}}}}}})
    );
    assert_eq!(today["conversion"]["webhook"], json!({"clientConfig": {"url": "https://a"}, "conversionReviewVersions": ["v1beta1"]}));
    assert!(today.get("version").is_none() && today.get("preserveUnknownFields").is_none());
}

#[test]
fn unknown_fields_are_kept_as_they_were() {
    let names = json!({"plural": "as", "kind": "A"});
    let bare = upgraded(json!({"group": "a.k8s.io", "version": "v1", "scope": "Cluster", "names": names}));
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    assert_eq!(bare["spec"]["versions"][0]["schema"]["openAPIV3Schema"], schema);
    assert!(bare["metadata"]["annotations"]["api-approved.kubernetes.io"].as_str().unwrap().starts_with("unapproved"));
    let nested = json!({"group": "a.b", "scope": "Cluster", "names": names, "versions": [{"name": "v1", "served": true, "storage": true}],
        "validation": {"openAPIV3Schema": {"type": "object", "properties": {"metadata": {"type": "object"}, "spec": {"type": "object"}}}}});
    let properties = upgraded(nested)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"].clone();
    assert_eq!(properties, json!({"metadata": {"type": "object"}, "spec": schema}));
}

#[test]
fn and_back() {
    let legacy = find("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition").unwrap();
    let mut definition = json!({"spec": {"versions": [
        {"name": "v1", "schema": {"openAPIV3Schema": {"type": "object"}}, "additionalPrinterColumns": [{"jsonPath": ".a"}]},
        {"name": "v2", "schema": {"openAPIV3Schema": {"type": "object"}}}],
        "conversion": {"strategy": "Webhook", "webhook": {"clientConfig": {}, "conversionReviewVersions": ["v1"]}}}});
    legacy.downgrade(&mut definition);
    assert_eq!(
        definition["spec"],
        json!({"version": "v1", "validation": {"openAPIV3Schema": {"type": "object"}}, "preserveUnknownFields": false,
            "versions": [{"name": "v1", "additionalPrinterColumns": [{"JSONPath": ".a"}]}, {"name": "v2"}],
            "conversion": {"strategy": "Webhook", "webhookClientConfig": {}, "conversionReviewVersions": ["v1"]}})
    );
}

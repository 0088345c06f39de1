use super::proto::Document as Proto;
use super::*;
use crate::resource::{ALL_VERBS, Subresource};
use prost::Message;

static POD_SUBRESOURCES: &[Subresource] = &[
    Subresource { name: "status", group: "", version: "v1", kind: "Pod", verbs: &["get", "patch", "update"] },
    Subresource { name: "log", group: "", version: "v1", kind: "Pod", verbs: &["get"] },
    Subresource { name: "exec", group: "", version: "v1", kind: "PodExecOptions", verbs: &["create", "get"] },
    Subresource { name: "eviction", group: "policy", version: "v1", kind: "Eviction", verbs: &["create"] },
];
static SCALE: &[Subresource] =
    &[Subresource { name: "scale", group: "autoscaling", version: "v1", kind: "Scale", verbs: &["get", "patch", "update"] }];

const fn resource(group: &'static str, kind: &'static str, plural: &'static str, subresources: &'static [Subresource]) -> Resource {
    Resource {
        group,
        version: "v1",
        kind,
        plural,
        singular: "",
        namespaced: true,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources,
    }
}

fn open_api() -> OpenApi {
    let served = [
        resource("", "Pod", "pods", POD_SUBRESOURCES),
        resource("apps", "Deployment", "deployments", SCALE),
        resource("policy", "PodDisruptionBudget", "poddisruptionbudgets", &[]),
        resource("stable.example.com", "CronTab", "crontabs", &[]),
    ];
    let schema = json!({
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {
            "at": {"type": "string", "nullable": true},
            "port": {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": true},
        }}},
    });
    let custom = CustomModel { group: "stable.example.com".into(), version: "v1".into(), kind: "CronTab".into(), schema };
    let rules = |model: &str, field: &str| match (model, field) {
        ("io.k8s.api.core.v1.PodSpec", "containers") => {
            let merge = ListRule { patch_strategy: "merge", merge_key: "name", list_type: "map", map_keys: &["name"], map_type: "" };
            Some(merge)
        }
        _ => None,
    };
    OpenApi::new(&served, vec![custom], Box::new(rules), "test")
}

fn parse(document: &Document) -> Value {
    serde_json::from_slice(&document.plain().unwrap()).unwrap()
}

/// Every reference in the document leads to a definition.
fn assert_closed(json: &Value, definitions: &Map<String, Value>, prefix: &str) {
    match json {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                let model = reference.strip_prefix(prefix).unwrap_or_else(|| panic!("{reference}"));
                assert!(definitions.contains_key(model), "{model} is referred to and not defined");
            }
            map.values().for_each(|value| assert_closed(value, definitions, prefix));
        }
        Value::Array(list) => list.iter().for_each(|value| assert_closed(value, definitions, prefix)),
        _ => {}
    }
}

#[test]
fn the_index_names_every_version_and_its_hash_follows_the_resources() {
    let api = open_api();
    let url = api.v3_index()["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap().to_string();
    assert_eq!(url, format!("/openapi/v3/apis/apps/v1?hash={}", api.v3_hash("apis/apps/v1").unwrap()));
    assert_ne!(api.v3_hash("apis/apps/v1"), api.v3_hash("api/v1"));
    assert!(api.v3("apis/apps/v7").is_none());
}

#[test]
fn v3_describes_pods_as_upstream_does() {
    let api = open_api();
    let doc = parse(api.v3("api/v1").unwrap());
    let schemas = doc["components"]["schemas"].as_object().unwrap();
    assert_closed(&doc, schemas, "#/components/schemas/");
    let pod = &schemas["io.k8s.api.core.v1.Pod"];
    assert_eq!(pod["x-kubernetes-group-version-kind"], json!([{"group": "", "version": "v1", "kind": "Pod"}]));
    assert!(pod.get("required").is_none());
    assert_eq!(pod["properties"]["spec"]["allOf"][0]["$ref"], "#/components/schemas/io.k8s.api.core.v1.PodSpec");
    assert!(pod["properties"]["spec"]["description"].as_str().unwrap().starts_with("Specification of the desired behavior"));
    let containers = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
    assert_eq!(schemas["io.k8s.apimachinery.pkg.api.resource.Quantity"]["oneOf"][0]["type"], "string");
    assert_eq!(schemas["io.k8s.apimachinery.pkg.apis.meta.v1.Time"]["format"], "date-time");
    assert_eq!(schemas["io.k8s.api.core.v1.SecretKeySelector"]["required"], json!(["key"]));
    let eviction = &schemas["io.k8s.api.policy.v1.Eviction"];
    assert_eq!(eviction["x-kubernetes-group-version-kind"][0]["group"], "policy");
    assert!(eviction.get("required").is_none());
    assert_eq!(schemas["io.k8s.api.core.v1.PodList"]["x-kubernetes-group-version-kind"][0]["kind"], "PodList");
}

#[test]
fn every_patch_says_that_it_validates_fields_and_which_patches_it_takes() {
    let api = open_api();
    for path in ["api/v1", "apis/apps/v1", "apis/stable.example.com/v1"] {
        let doc = parse(api.v3(path).unwrap());
        let mut ids = std::collections::BTreeSet::new();
        for (path, item) in doc["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap().iter().filter(|(method, _)| *method != "parameters") {
                assert!(ids.insert(operation["operationId"].to_string()), "{path} {method}: {}", operation["operationId"]);
            }
            let Some(patch) = item.get("patch") else { continue };
            let names: Vec<&str> = patch["parameters"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
            assert_eq!(names, ["dryRun", "fieldManager", "fieldValidation", "force"], "{path}");
            assert_eq!(patch["x-kubernetes-action"], "patch");
            let strategic = patch["requestBody"]["content"].get("application/strategic-merge-patch+json").is_some();
            assert_eq!(strategic, !path.contains("example.com"));
        }
    }
    let doc = parse(api.v3("api/v1").unwrap());
    let exec = &doc["paths"]["/api/v1/namespaces/{namespace}/pods/{name}/exec"]["get"];
    assert_eq!(
        (&exec["x-kubernetes-action"], &exec["x-kubernetes-group-version-kind"]["kind"]),
        (&json!("connect"), &json!("PodExecOptions"))
    );
    let list = &doc["paths"]["/api/v1/pods"]["get"];
    assert_eq!((&list["x-kubernetes-action"], &list["operationId"]), (&json!("list"), &json!("listCoreV1PodForAllNamespaces")));
}

#[test]
fn v2_keeps_to_swagger_and_its_protobuf_form_says_the_same() {
    let api = open_api();
    let doc = parse(api.v2_json());
    let definitions = doc["definitions"].as_object().unwrap();
    assert_closed(&doc, definitions, "#/definitions/");
    assert!(!doc.to_string().contains("\"allOf\":[{\"$ref"));
    assert_eq!(definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]["type"], "string");
    let spec = &definitions["com.example.stable.v1.CronTab"]["properties"]["spec"];
    assert!(spec["properties"]["at"].get("type").is_none() && spec["properties"]["port"].get("anyOf").is_none());

    let proto = Proto::decode(&*api.v2_proto().plain().unwrap()).unwrap();
    let named = proto.definitions.unwrap().entries;
    assert_eq!(named.len(), definitions.len());
    let pod_spec = named.iter().find(|s| s.name == "io.k8s.api.core.v1.PodSpec").and_then(|s| s.value.clone()).unwrap();
    let containers = pod_spec.properties.unwrap().entries.into_iter().find(|s| s.name == "containers").and_then(|s| s.value).unwrap();
    assert_eq!(containers.kind.unwrap().value, ["array"]);
    assert_eq!(containers.items.unwrap().schema[0].reference, "#/definitions/io.k8s.api.core.v1.Container");
    let key = containers.vendor_extension.iter().find(|e| e.name == "x-kubernetes-patch-merge-key").and_then(|e| e.value.clone());
    assert_eq!(key.unwrap().yaml, "\"name\"");
    let paths = proto.paths.unwrap().path;
    assert_eq!(paths.len(), doc["paths"].as_object().unwrap().len());
    let item = paths.iter().find(|p| p.name.ends_with("/deployments/{name}")).and_then(|p| p.value.clone()).unwrap();
    let patch = item.patch.unwrap();
    assert!(patch.consumes.iter().any(|m| m == "application/strategic-merge-patch+json"));
    let queries = patch.parameters.iter().filter_map(|p| p.parameter.as_ref()?.non_body.as_ref()?.query.as_ref());
    assert!(queries.into_iter().any(|q| q.name == "fieldValidation" && q.place == "query"));
}

#[test]
fn words_stand_with_the_fields_that_take_them() {
    let (mut generator, mut models) = (schemars::SchemaGenerator::default(), std::collections::BTreeSet::new());
    kinds::KINDS.iter().for_each(|kind| kind.define(&mut generator));
    for (model, raw) in generator.definitions() {
        let schema = schema::definition(model, raw.clone(), schema::Form::V3, &|_, _| None);
        for (field, _) in enums::words(model) {
            let property = &schema["properties"][field];
            let one = if property["items"].is_object() { &property["items"] } else { property };
            assert!(one["type"] == "string" && one["enum"].as_array().is_some_and(|w| w.len() > 1), "{model}.{field}: {property}");
            models.insert(model.clone());
        }
    }
    assert!(models.len() > 50, "{models:?}");
}

#[test]
fn every_built_in_kind_has_a_definition_under_its_own_name() {
    let mut generator = schemars::SchemaGenerator::default();
    for kind in kinds::KINDS {
        kind.define(&mut generator);
        assert!(generator.definitions().contains_key(kind.model().as_ref()), "{}", kind.model());
        assert!(kinds::find(kind.group, kind.version, kind.kind).is_some());
    }
    assert_eq!(model_name("", "v1", "Pod"), "io.k8s.api.core.v1.Pod");
    assert_eq!(model_name("metrics.k8s.io", "v1beta1", "PodMetrics"), "io.k8s.metrics.pkg.apis.metrics.v1beta1.PodMetrics");
}

//! Several versions of a kind: each write is judged, completed, merged and owned in the version that it comes in.
use super::Place;
use super::client::{Answer, Client};
use super::extension::{Asked, Extension};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// A kind `Plug` in a group of one's own. Objects are stored as `v1`; `v2` wants more of them.
pub struct Plugs {
    api: Client,
    pub group: String,
    namespace: String,
}

impl Plugs {
    /// Both versions have `spec.size`. Without a webhook `v2` also knows a colour; with one, `v1` has `spec.hostPort` for which `v2` has
    /// `host` and `port`.
    pub async fn new(place: &Place, webhook: Option<&Extension>) -> Plugs {
        let group = format!("{}.versions.example.com", place.namespace);
        let versions = json!([
            version(
                "v1",
                json!({
                    "type": "object",
                    "properties": { "size": { "type": "integer", "default": 1 }, "hostPort": { "type": "string" } },
                }),
                json!({ "type": "string" })
            ),
            version(
                "v2",
                json!({
                    "type": "object", "required": [if webhook.is_some() { "host" } else { "colour" }],
                    "properties": {
                        "size": { "type": "integer", "default": 2, "maximum": 5 }, "colour": { "type": "string", "enum": ["red", "blue"] },
                        "host": { "type": "string" }, "port": { "type": "string", "default": "443" },
                    },
                    "x-kubernetes-validations": [{ "rule": "self.size >= oldSelf.size", "message": "must not shrink" }],
                }),
                json!({ "type": "string", "enum": ["Ready"] })
            ),
        ]);
        let mut definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": { "name": format!("plugs.{group}") },
            "spec": { "group": group, "scope": "Namespaced", "names": { "plural": "plugs", "kind": "Plug" }, "versions": versions },
        });
        if let Some(webhook) = webhook {
            let client = json!({ "url": format!("https://localhost:{}/convert", webhook.address.port()), "caBundle": webhook.ca });
            definition["spec"]["conversion"] =
                json!({ "strategy": "Webhook", "webhook": { "clientConfig": client, "conversionReviewVersions": ["v1"] } });
        }
        let plugs = Plugs { api: super::admin(), group, namespace: place.namespace.clone() };
        plugs.api.post(DEFINITIONS, &definition).await.ok();
        let begun = Instant::now();
        while plugs.api.get(&plugs.path("v2", "")).await.status != 200 {
            assert!(begun.elapsed() < Duration::from_secs(10), "the definition is served");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        plugs
    }

    pub fn path(&self, version: &str, rest: &str) -> String {
        format!("/apis/{}/{version}/namespaces/{}/plugs{rest}", self.group, self.namespace)
    }

    pub fn plug(&self, version: &str, name: &str, spec: Value) -> Value {
        json!({ "apiVersion": format!("{}/{version}", self.group), "kind": "Plug", "metadata": { "name": name }, "spec": spec })
    }

    async fn apply(&self, version: &str, manager: &str, spec: Value, force: bool) -> Answer {
        let path = self.path(version, &format!("/p?fieldManager={manager}&force={force}"));
        apply(&self.api, &path, &self.plug(version, "p", spec)).await
    }

    pub async fn gone(self) {
        self.api.delete(&format!("{DEFINITIONS}/plugs.{}", self.group)).await.ok();
    }
}

async fn apply(api: &Client, path: &str, config: &Value) -> Answer {
    api.send("PATCH", path, &[("content-type", "application/apply-patch+yaml")], config.to_string()).await
}

fn version(name: &str, spec: Value, phase: Value) -> Value {
    let status = json!({ "type": "object", "properties": { "phase": phase, "size": { "type": "integer" } } });
    json!({
        "name": name, "served": true, "storage": name == "v1",
        "schema": { "openAPIV3Schema": { "type": "object", "properties": { "spec": spec, "status": status } } },
        "subresources": { "status": {}, "scale": { "specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size" } },
    })
}

/// What a conversion webhook was sent: the version that was wanted, and the objects.
pub type Sent = Arc<Mutex<Vec<(String, Vec<Value>)>>>;

/// A webhook that converts plugs.
pub async fn converter() -> (Extension, Sent) {
    let sent = Sent::default();
    let noted = sent.clone();
    (Extension::start("127.0.0.1:0", &["localhost"], "", move |asked| convert(asked, &noted)).await, sent)
}

fn convert(asked: &Asked, sent: &Sent) -> (u16, String) {
    let review: Value = serde_json::from_slice(&asked.body).expect("a review");
    let to = review["request"]["desiredAPIVersion"].as_str().expect("a version").to_string();
    let mut objects = review["request"]["objects"].as_array().cloned().expect("objects");
    sent.lock().expect("no panic").push((to.clone(), objects.clone()));
    for object in &mut objects {
        object["apiVersion"] = to.as_str().into();
        let Some(spec) = object["spec"].as_object_mut() else { continue };
        let text = |value: Option<Value>| value.and_then(|v| v.as_str().map(String::from)).unwrap_or_default();
        if to.ends_with("/v2") {
            let joined = text(spec.remove("hostPort"));
            let (host, port) = joined.split_once(':').unwrap_or((&joined, ""));
            spec.extend([("host".to_string(), host.into()), ("port".to_string(), port.into())]);
        } else {
            let joined = format!("{}:{}", text(spec.remove("host")), text(spec.remove("port")));
            spec.insert("hostPort".into(), joined.into());
        }
    }
    let response = json!({ "uid": review["request"]["uid"], "result": { "status": "Success" }, "convertedObjects": objects });
    (200, json!({ "kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1", "response": response }).to_string())
}

/// Who manages what: `manager` → version and fields.
fn managed(object: &Value, manager: &str) -> (String, Value) {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let found = entries.iter().find(|entry| entry["manager"] == manager);
    let found = found.unwrap_or_else(|| panic!("{manager} manages nothing: {entries:?}"));
    let version = found["apiVersion"].as_str().and_then(|v| v.rsplit('/').next()).unwrap_or_default();
    (version.to_string(), found["fieldsV1"]["f:spec"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_of_the_request_counts() {
    let place = Place::new().await;
    let plugs = Plugs::new(&place, None).await;
    let api = &place.api;
    let said = api.post(&plugs.path("v2", ""), &plugs.plug("v2", "p", json!({}))).await.refused(422, "Invalid");
    assert!(said.contains("spec.colour: Required value"), "{said}");
    let said = api.post(&plugs.path("v2", ""), &plugs.plug("v2", "p", json!({ "colour": "green" }))).await.refused(422, "Invalid");
    assert!(said.contains("spec.colour: Unsupported value"), "{said}");
    // Completed by its own version, stored without what the stored version doesn't know, and not completed again when it is read.
    let made = api.post(&plugs.path("v2", "?fieldManager=m"), &plugs.plug("v2", "p", json!({ "colour": "red" }))).await.ok();
    assert_eq!((&made["spec"], managed(&made, "m").0.as_str()), (&json!({ "size": 2 }), "v2"));
    let plain = api.post(&plugs.path("v1", ""), &plugs.plug("v1", "plain", json!({}))).await.ok();
    assert_eq!(plain["spec"], json!({ "size": 1 }));
    assert_eq!(api.get(&plugs.path("v2", "/plain")).await.ok()["spec"], json!({ "size": 1 }));

    // Patches and updates, by the rules of either version.
    let patch = |version: &str, size: i64| {
        let path = plugs.path(version, "/p");
        async move { api.patch(&path, "merge", &json!({ "spec": { "size": size, "colour": "red" } })).await }
    };
    let said = patch("v2", 6).await.refused(422, "Invalid");
    assert!(said.contains("spec.size: Invalid value: 6: spec.size in body should be less than or equal to 5"), "{said}");
    let said = patch("v2", 1).await.refused(422, "Invalid");
    assert!(said.contains("must not shrink"), "{said}");
    assert_eq!(patch("v2", 4).await.ok()["metadata"]["generation"], 2);
    assert_eq!(patch("v1", 3).await.ok()["spec"]["size"], 3);
    let mut body = api.get(&plugs.path("v2", "/p")).await.ok();
    body["spec"] = json!({ "colour": "blue", "size": 2 });
    api.put(&plugs.path("v2", "/p"), &body).await.refused(422, "Invalid");
    body["spec"]["size"] = 3.into();
    api.put(&plugs.path("v2", "/p"), &body).await.ok();

    // The parts have the rules of their version, too.
    let ready = |phase: &str| json!({ "status": { "phase": phase } });
    api.patch(&plugs.path("v1", "/p/status"), "merge", &ready("Going")).await.ok();
    let said = api.patch(&plugs.path("v2", "/p/status"), "merge", &ready("Coming")).await.refused(422, "Invalid");
    assert!(said.contains("status.phase: Unsupported value"), "{said}");
    // An object of this version that lacks what it must have cannot be scaled in it.
    let scale = json!({ "spec": { "replicas": 4 } });
    api.patch(&plugs.path("v2", "/p/scale"), "merge", &scale).await.refused(422, "Invalid");
    assert_eq!(api.patch(&plugs.path("v1", "/p/scale"), "merge", &scale).await.ok()["spec"]["replicas"], 4);
    plugs.gone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_convert_what_is_complete() {
    let place = Place::new().await;
    let (webhook, sent) = converter().await;
    let plugs = Plugs::new(&place, Some(&webhook)).await;
    let api = &place.api;
    api.post(&plugs.path("v2", ""), &plugs.plug("v2", "p", json!({ "port": "1" }))).await.refused(422, "Invalid");
    assert!(sent.lock().expect("no panic").is_empty(), "what is refused is not converted");
    let made = api.post(&plugs.path("v2", ""), &plugs.plug("v2", "p", json!({ "host": "h" }))).await.ok();
    assert_eq!(made["spec"], json!({ "host": "h", "port": "443", "size": 2 }));
    let first = sent.lock().expect("no panic").first().cloned().expect("a question");
    assert_eq!((first.0, &first.1[0]["spec"]), (format!("{}/v1", plugs.group), &json!({ "host": "h", "port": "443", "size": 2 })));
    assert_eq!(api.get(&plugs.path("v1", "/p")).await.ok()["spec"], json!({ "hostPort": "h:443", "size": 2 }));
    // An update is completed before it is converted, and compared with what was in its own version.
    let mut body = made.clone();
    body["spec"] = json!({ "host": "h", "size": 3 });
    assert_eq!(api.put(&plugs.path("v2", "/p"), &body).await.ok()["spec"]["port"], "443");
    let shrunk = api.patch(&plugs.path("v2", "/p"), "merge", &json!({ "spec": { "size": 2 } })).await;
    assert!(shrunk.refused(422, "Invalid").contains("must not shrink"));
    let patched = api.patch(&plugs.path("v2", "/p"), "json", &json!([{ "op": "replace", "path": "/spec/port", "value": "80" }])).await.ok();
    assert_eq!((&patched["spec"]["port"], &patched["spec"]["host"]), (&json!("80"), &json!("h")));
    assert_eq!(api.patch(&plugs.path("v2", "/p/scale"), "merge", &json!({ "spec": { "replicas": 5 } })).await.ok()["spec"]["replicas"], 5);
    // Those who write in the stored version ask nobody, as long as nobody manages fields in the other.
    api.post(&plugs.path("v1", ""), &plugs.plug("v1", "own", json!({ "hostPort": "a:1" }))).await.ok();
    let before = sent.lock().expect("no panic").len();
    api.patch(&plugs.path("v1", "/own"), "merge", &json!({ "spec": { "hostPort": "a:2" } })).await.ok();
    assert_eq!(sent.lock().expect("no panic").len(), before);
    plugs.gone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_are_owned_in_the_version_that_they_were_set_in() {
    let place = Place::new().await;
    let (webhook, _) = converter().await;
    let plugs = Plugs::new(&place, Some(&webhook)).await;
    let made = plugs.apply("v2", "a", json!({ "host": "h", "port": "1" }), false).await.ok();
    assert_eq!(managed(&made, "a"), ("v2".into(), json!({ "f:host": {}, "f:port": {} })));
    // The same, said in the other version: both own it.
    plugs.apply("v1", "b", json!({ "hostPort": "h:1", "size": 4 }), false).await.ok();
    let said = plugs.apply("v1", "b", json!({ "hostPort": "h:2", "size": 4 }), false).await.refused(409, "Conflict");
    assert!(said.contains("conflict with \"a\": .spec.port"), "{said}");
    let taken = plugs.apply("v1", "b", json!({ "hostPort": "h:2" }), true).await.ok();
    assert_eq!(taken["spec"], json!({ "hostPort": "h:2", "size": 1 }), "what is not applied any more goes, back to the default");
    assert_eq!(managed(&taken, "a"), ("v2".into(), json!({ "f:host": {} })));
    assert_eq!(managed(&taken, "b"), ("v1".into(), json!({ "f:hostPort": {} })));
    // Others change by an update what is managed in the other version.
    let path = plugs.path("v2", "/p?fieldManager=c");
    let updated = place.api.patch(&path, "merge", &json!({ "spec": { "host": "i" } })).await.ok();
    assert_eq!(managed(&updated, "c"), ("v2".into(), json!({ "f:host": {} })));
    let entries = updated["metadata"]["managedFields"].to_string();
    assert!(!entries.contains("f:hostPort") && !entries.contains("\"a\""), "{entries}");
    // Without the webhook nobody can tell what an apply would take from whom. Other writes in the stored version go on.
    drop(webhook);
    plugs.apply("v1", "b", json!({ "hostPort": "h:3" }), true).await.refused(500, "InternalError");
    let path = plugs.path("v1", "/p?fieldManager=d");
    let updated = place.api.patch(&path, "merge", &json!({ "spec": { "size": 3 } })).await.ok();
    assert_eq!((managed(&updated, "d").0.as_str(), managed(&updated, "c").0.as_str()), ("v1", "v2"));
    plugs.gone().await;
}

/// Events of the newer group are stored as those of the older one, and owned in the one that they came in.
#[tokio::test]
async fn events_are_owned_in_their_group() {
    let place = Place::new().await;
    let event = json!({
        "metadata": { "name": "e" }, "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "example.com/c", "action": "Did",
        "reportingInstance": "c-1", "reason": "Because", "type": "Normal", "note": "n",
        "regarding": { "kind": "Pod", "name": "p", "namespace": place.namespace },
    });
    let newer = format!("/apis/events.k8s.io/v1/namespaces/{}/events", place.namespace);
    let made = place.api.post(&newer, &event).await.ok();
    let owned = |object: &Value, at: usize| {
        let entry = object["metadata"]["managedFields"][at].clone();
        let fields: Vec<String> = entry["fieldsV1"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        (
            entry["apiVersion"].as_str().unwrap_or_default().to_string(),
            fields.contains(&"f:note".into()),
            fields.contains(&"f:message".into()),
        )
    };
    assert_eq!(owned(&made, 0), ("events.k8s.io/v1".into(), true, false));
    let older = format!("{}/e?fieldManager=older", place.path("events"));
    let changed = place.api.patch(&older, "merge", &json!({ "message": "m" })).await.ok();
    assert_eq!(owned(&changed, 0), ("events.k8s.io/v1".into(), false, false));
    assert_eq!(owned(&changed, 1), ("v1".into(), false, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn autoscalers_are_owned_in_both_versions() {
    let place = Place::new().await;
    let api = &place.api;
    let path =
        |version: &str, rest: &str| format!("/apis/autoscaling/{version}/namespaces/{}/horizontalpodautoscalers{rest}", place.namespace);
    let hpa = |version: &str, more: Value| {
        let mut object = json!({
            "apiVersion": format!("autoscaling/{version}"), "kind": "HorizontalPodAutoscaler", "metadata": { "name": "h" },
            "spec": { "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "nobody" }, "maxReplicas": 5 },
        });
        object["spec"].as_object_mut().expect("a spec").extend(more.as_object().cloned().expect("fields"));
        object
    };
    let cpu = |percent: i64| json!([{ "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": percent } } }]);
    let apply = |version: &'static str, manager: &str, more: Value| {
        let (path, body) = (path(version, &format!("/h?fieldManager={manager}")), hpa(version, more));
        async move { apply(api, &path, &body).await }
    };
    apply("v2", "a", json!({ "metrics": cpu(50) })).await.ok();
    let changed = json!({ "spec": { "targetCPUUtilizationPercentage": 60 } });
    let changed = api.patch(&path("v1", "/h?fieldManager=b"), "merge", &changed).await.ok();
    assert_eq!(managed(&changed, "b"), ("v1".into(), json!({ "f:targetCPUUtilizationPercentage": {} })));
    assert!(managed(&changed, "a").1.get("f:metrics").is_none(), "{changed}");
    let said = apply("v2", "a", json!({ "metrics": cpu(50) })).await.refused(409, "Conflict");
    assert!(said.contains("conflict with \"b\" using autoscaling/v1: .spec.targetCPUUtilizationPercentage"), "{said}");
    let agreed = apply("v2", "a", json!({ "metrics": cpu(60) })).await.ok();
    assert_eq!(agreed["spec"]["metrics"], cpu(60));
    // Made through the older version, by an update this time.
    api.delete(&path("v1", "/h")).await.ok();
    let made = api.post(&path("v1", "?fieldManager=c"), &hpa("v1", json!({ "targetCPUUtilizationPercentage": 70 }))).await.ok();
    assert_eq!((made["spec"]["targetCPUUtilizationPercentage"].clone(), managed(&made, "c").0.as_str()), (json!(70), "v1"));
    // What changes nothing is no write, though the versions spell it differently. The controller may come in between.
    let begun = Instant::now();
    loop {
        let held = api.get(&path("v1", "/h")).await.ok();
        let answer = api.put(&path("v1", "/h?fieldManager=d"), &held).await;
        if answer.status != 409 {
            let same = answer.ok();
            break assert_eq!(same["metadata"], held["metadata"]);
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "a quiet moment");
    }
}

//! Every verb on a cluster-wide kind, from its place in discovery to the end of the last object.
use super::until;
use crate::api::client::Client;
use crate::api::{admin, names};
use serde_json::{Value, json};

/// A kind and what is done to it.
pub struct Kind {
    pub group: &'static str,
    /// All under v1.
    pub plural: &'static str,
    /// `status` and whatever else there is.
    pub subresources: &'static [&'static str],
    pub spec: Value,
    /// A field of the spec with a value to patch in and one to update to; none when the spec cannot be changed.
    pub change: Option<(&'static str, Value, Value)>,
}

impl Kind {
    fn path(&self) -> String {
        format!("/apis/{}/v1/{}", self.group, self.plural)
    }
}

/// Plays every verb.
pub async fn every_verb(kind: Kind) {
    let api = admin();
    discovered(&api, &kind).await;
    let (path, label) = (kind.path(), format!("operations-{}", kind.plural));
    let selected = format!("{path}?labelSelector=e2e%3D{label}");
    let body = json!({ "metadata": { "generateName": "e2e-", "labels": { "e2e": label } }, "spec": kind.spec });
    for _ in 0..2 {
        assert_eq!(api.post(&path, &body).await.status, 201);
    }
    let made = api.post(&path, &body).await.ok();
    let one = format!("{path}/{}", made["metadata"]["name"].as_str().expect("a name"));
    assert_eq!(api.get(&one).await.ok()["metadata"]["uid"], made["metadata"]["uid"]);
    assert!(names(&api.get(&path).await.ok()).len() >= 3);
    let list = api.get(&selected).await.ok();
    assert_eq!(names(&list).len(), 3);
    let from = list["metadata"]["resourceVersion"].as_str().expect("a version");
    let mut watch = api.watch(&format!("{selected}&watch=1&resourceVersion={from}")).await;

    changed(&api, &kind, &one).await;
    for annotation in ["patched", "updated"] {
        loop {
            let event = watch.next().await.expect("the watch stays open");
            assert_eq!(event["type"], "MODIFIED");
            if event["object"]["metadata"]["annotations"][annotation] == "true" {
                break;
            }
        }
    }
    if kind.subresources.contains(&"status") {
        status(&api, &one).await;
    }

    assert_eq!(api.delete(&one).await.status, 200);
    api.get(&one).await.refused(404, "NotFound");
    assert_eq!(names(&api.get(&selected).await.ok()).len(), 2);
    assert_eq!(api.delete(&selected).await.status, 200);
    until("the collection is gone", async || names(&api.get(&selected).await.ok()).is_empty().then_some(())).await;
}

async fn discovered(api: &Client, kind: &Kind) {
    let has_v1 = |group: &Value| group["versions"].as_array().is_some_and(|v| v.iter().any(|v| v["version"] == "v1"));
    let groups = api.get("/apis").await.ok();
    let group = groups["groups"].as_array().and_then(|g| g.iter().find(|g| g["name"] == kind.group));
    assert!(group.is_some_and(has_v1), "{groups}");
    assert!(has_v1(&api.get(&format!("/apis/{}", kind.group)).await.ok()));
    let resources = api.get(&format!("/apis/{}/v1", kind.group)).await.ok();
    let find = |name: &str| resources["resources"].as_array().and_then(|r| r.iter().find(|r| r["name"] == name));
    let verbs = &find(kind.plural).unwrap_or_else(|| panic!("no {} in {resources}", kind.plural))["verbs"];
    for verb in ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"] {
        assert!(verbs.as_array().is_some_and(|v| v.contains(&verb.into())), "{verb}: {verbs}");
    }
    for name in kind.subresources {
        let verbs = &find(&format!("{}/{name}", kind.plural)).expect("the subresource")["verbs"];
        assert_eq!(verbs, &json!(["get", "patch", "update"]), "{name}");
    }
}

/// A merge patch, then an update of what it left.
async fn changed(api: &Client, kind: &Kind, one: &str) {
    let mut patch = json!({ "metadata": { "annotations": { "patched": "true" } } });
    if let Some((field, value, _)) = &kind.change {
        patch["spec"] = json!({ *field: value });
    }
    let patched = api.patch(one, "merge", &patch).await.ok();
    assert_eq!(patched["metadata"]["annotations"]["patched"], "true");
    let mut wanted = patched.clone();
    wanted["metadata"]["annotations"]["updated"] = "true".into();
    if let Some((field, value, next)) = &kind.change {
        assert_eq!(&patched["spec"][field], value);
        wanted["spec"][field] = next.clone();
    }
    let updated = until("no controller is in between", async || {
        wanted["metadata"]["resourceVersion"] = api.get(one).await.ok()["metadata"]["resourceVersion"].clone();
        let answer = api.put(one, &wanted).await;
        (answer.status != 409).then(|| answer.ok())
    })
    .await;
    assert_eq!(updated["metadata"]["annotations"]["updated"], "true");
    if let Some((field, _, next)) = &kind.change {
        assert_eq!(&updated["spec"][field], next);
        assert_ne!(updated["metadata"]["generation"], json!(1), "{updated}");
    }
}

/// Conditions come and go through the status alone.
async fn status(api: &Client, one: &str) {
    let path = format!("{one}/status");
    let condition = |kind: &str| {
        json!({ "type": kind, "status": "False", "reason": "E2E", "message": "Set by a test",
                "lastTransitionTime": "2026-01-01T00:00:00Z" })
    };
    let patch = json!({ "metadata": { "annotations": { "patchedstatus": "true" } }, "status": { "conditions": [condition("Patched")] } });
    let patched = api.patch(&path, "merge", &patch).await.ok();
    assert_eq!(patched["metadata"]["annotations"]["patchedstatus"], "true");
    let held = |object: &Value, kind: &str| object["status"]["conditions"].as_array().is_some_and(|c| c.iter().any(|c| c["type"] == kind));
    assert!(held(&patched, "Patched"), "{patched}");
    let updated = until("no controller is in between", async || {
        let mut wanted = api.get(&path).await.ok();
        wanted["status"]["conditions"] = json!([condition("Updated")]);
        let answer = api.put(&path, &wanted).await;
        (answer.status != 409).then(|| answer.ok())
    })
    .await;
    assert!(held(&updated, "Updated") && !held(&updated, "Patched"), "{updated}");
    assert_eq!(updated["spec"], api.get(one).await.ok()["spec"]);
}

#[tokio::test]
async fn flow_schemas() {
    let subject = json!({ "kind": "User", "user": { "name": "example-e2e-non-existent-user" } });
    every_verb(Kind {
        group: "flowcontrol.apiserver.k8s.io",
        plural: "flowschemas",
        subresources: &["status"],
        spec: json!({
            "matchingPrecedence": 10000, "priorityLevelConfiguration": { "name": "global-default" },
            "distinguisherMethod": { "type": "ByUser" },
            "rules": [{ "subjects": [subject], "nonResourceRules": [{ "verbs": ["*"], "nonResourceURLs": ["*"] }] }],
        }),
        change: Some(("matchingPrecedence", json!(9999), json!(9998))),
    })
    .await;
}

#[tokio::test]
async fn priority_levels() {
    let limited = |shares: u32| json!({ "nominalConcurrencyShares": shares, "limitResponse": { "type": "Reject" }, "lendablePercent": 0 });
    every_verb(Kind {
        group: "flowcontrol.apiserver.k8s.io",
        plural: "prioritylevelconfigurations",
        subresources: &["status"],
        spec: json!({ "type": "Limited", "limited": limited(2) }),
        change: Some(("limited", limited(4), limited(8))),
    })
    .await;
}

const ADMISSION: &str = "admissionregistration.k8s.io";

fn on_deployments() -> Value {
    let rule = json!({ "operations": ["CREATE"], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"] });
    json!({ "resourceRules": [rule], "namespaceSelector": { "matchLabels": { "nobody": "has-this" } } })
}

#[tokio::test]
async fn validating_policies() {
    every_verb(Kind {
        group: ADMISSION,
        plural: "validatingadmissionpolicies",
        subresources: &["status"],
        spec: json!({ "validations": [{ "expression": "object.spec.replicas <= 100" }], "matchConstraints": on_deployments() }),
        change: Some(("failurePolicy", "Ignore".into(), "Fail".into())),
    })
    .await;
}

#[tokio::test]
async fn bindings_of_validating_policies() {
    every_verb(Kind {
        group: ADMISSION,
        plural: "validatingadmissionpolicybindings",
        subresources: &[],
        spec: json!({ "policyName": "replicalimit-policy.example.com", "validationActions": ["Deny"] }),
        change: None,
    })
    .await;
}

#[tokio::test]
async fn mutating_policies() {
    let expression = r#"Object{metadata: Object.metadata{annotations: {"my-foo-annotation": "myAnnotationValue"}}}"#;
    every_verb(Kind {
        group: ADMISSION,
        plural: "mutatingadmissionpolicies",
        subresources: &[],
        spec: json!({
            "reinvocationPolicy": "Never", "matchConstraints": on_deployments(),
            "mutations": [{ "patchType": "ApplyConfiguration", "applyConfiguration": { "expression": expression } }],
        }),
        change: Some(("failurePolicy", "Ignore".into(), "Fail".into())),
    })
    .await;
}

#[tokio::test]
async fn bindings_of_mutating_policies() {
    every_verb(Kind {
        group: ADMISSION,
        plural: "mutatingadmissionpolicybindings",
        subresources: &[],
        spec: json!({ "policyName": "replicalimit-policy.example.com" }),
        change: None,
    })
    .await;
}

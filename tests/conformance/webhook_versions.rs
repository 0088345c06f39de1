//! Webhooks and policies that are about another version than the request's.
use super::hook::{Denied, Hook, MUTATING, VALIDATING, configure, rule};
use crate::api::Place;
use crate::api::versions::{Plugs, converter};
use serde_json::{Value, json};

const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";

/// A rule for one version of one plural and its parts.
fn about(operations: &[&str], group: &str, version: &str, plural: &str) -> Value {
    let mut rule = rule(operations, group, plural);
    rule["apiVersions"] = json!([version]);
    rule["resources"] = json!([plural, format!("{plural}/*")]);
    rule
}

/// Asks a webhook that refuses everything, and tells what it saw; then takes it away.
async fn seen(place: &Place, hook: &Hook, rule: Value, policy: &str, request: impl AsyncFn() -> crate::api::client::Answer) -> String {
    let mut guard = hook.at("/versions", &place.namespace, rule);
    guard["matchPolicy"] = policy.into();
    let name = format!("seen-{}", place.namespace);
    configure(&place.api, VALIDATING, &name, &[guard]).await.ok();
    let answer = request().await;
    let said = if answer.status < 300 { "nobody was asked".into() } else { answer.denied() };
    place.api.delete(&format!("{VALIDATING}/{name}")).await.ok();
    said.rsplit("denied the request: ").next().unwrap_or_default().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_see_the_version_of_their_rule() {
    let (place, hook) = (Place::new().await, Hook::start().await);
    let (webhook, _) = converter().await;
    let plugs = Plugs::new(&place, Some(&webhook)).await;
    let (api, group) = (&place.api, &plugs.group);
    api.post(&plugs.path("v1", ""), &plugs.plug("v1", "p", json!({ "hostPort": "h:1" }))).await.ok();
    let create = |version: &'static str| {
        let (path, body) = (plugs.path(version, ""), plugs.plug(version, "n", json!({ "host": "h", "hostPort": "h:1" })));
        async move || api.post(&format!("{path}?dryRun=All"), &body).await
    };
    let rule = |version: &str| about(&["*"], group, version, "plugs");
    // Stored is v1. Whoever asks for the request's version gets it as it came.
    assert_eq!(seen(&place, &hook, rule("v2"), "Exact", create("v2")).await, "v2 none; v2 v2 v2 v2; main");
    assert_eq!(seen(&place, &hook, rule("v1"), "Exact", create("v2")).await, "nobody was asked");
    assert_eq!(seen(&place, &hook, rule("v1"), "Equivalent", create("v2")).await, "v1 none; v1 v1 v2 v2; main");
    assert_eq!(seen(&place, &hook, rule("v2"), "Equivalent", create("v1")).await, "v2 none; v2 v2 v1 v1; main");
    let change = async |part: &str, body: Value| api.patch(&plugs.path("v1", &format!("/p{part}?dryRun=All")), "merge", &body).await;
    let status = async || change("/status", json!({ "status": { "size": 1 } })).await;
    assert_eq!(seen(&place, &hook, rule("v2"), "Equivalent", status).await, "v2 v2; v2 v2 v1 v1; status");
    let scale = async || change("/scale", json!({ "spec": { "replicas": 3 } })).await;
    assert_eq!(seen(&place, &hook, rule("v2"), "Equivalent", scale).await, "v1 v1; v1 v2 v1 v1; scale");
    let delete = async || api.delete(&plugs.path("v2", "/p?dryRun=All")).await;
    assert_eq!(seen(&place, &hook, rule("v2"), "Exact", delete).await, "none v2; v2 v2 v2 v2; main");
    assert_eq!(seen(&place, &hook, rule("v1"), "Equivalent", delete).await, "none v1; v1 v1 v2 v2; main");

    // A patch is one of the version that the webhook saw.
    let name = format!("set-{}", place.namespace);
    configure(api, MUTATING, &name, &[hook.at("/set", &place.namespace, about(&["CREATE", "UPDATE"], group, "v2", "plugs"))]).await.ok();
    let made = api.post(&plugs.path("v1", ""), &plugs.plug("v1", "changed", json!({ "hostPort": "h:1" }))).await.ok();
    assert_eq!(made["spec"], json!({ "hostPort": "h:81", "size": 1 }));
    let changed = api.patch(&plugs.path("v1", "/p"), "merge", &json!({ "spec": { "hostPort": "i:5" } })).await.ok();
    assert_eq!(changed["spec"]["hostPort"], "i:81");
    let made = api.post(&plugs.path("v2", ""), &plugs.plug("v2", "other", json!({ "host": "k" }))).await.ok();
    assert_eq!(made["spec"], json!({ "host": "k", "port": "81", "size": 2 }));
    api.delete(&format!("{MUTATING}/{name}")).await.ok();
    plugs.gone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_see_the_version_of_their_rule() {
    let place = Place::new().await;
    let plugs = Plugs::new(&place, None).await;
    let api = &place.api;
    let name = format!("versions-{}", place.namespace);
    let mine = json!({ "matchLabels": { "kubernetes.io/metadata.name": place.namespace } });
    let constraints = json!({
        "resourceRules": [about(&["CREATE", "UPDATE"], &plugs.group, "v1", "plugs")], "namespaceSelector": mine, "matchPolicy": "Equivalent",
    });
    let message = "object.apiVersion + ' ' + request.resource.version + ' ' + request.requestResource.version";
    let validations = json!([{ "expression": "!has(object.spec.colour)", "message": "coloured", "messageExpression": message }]);
    let policy = json!({ "metadata": { "name": name }, "spec": { "matchConstraints": constraints, "validations": validations } });
    api.post(&format!("{GROUP}/validatingadmissionpolicies"), &policy).await.ok();
    let binding = json!({ "metadata": { "name": name }, "spec": { "policyName": name, "validationActions": ["Deny"] } });
    api.post(&format!("{GROUP}/validatingadmissionpolicybindings"), &binding).await.ok();
    let said = api.post(&plugs.path("v2", ""), &plugs.plug("v2", "p", json!({ "colour": "red" }))).await.refused(422, "Invalid");
    assert!(said.ends_with(&format!("denied request: {}/v1 v1 v2", plugs.group)), "{said}");
    api.post(&plugs.path("v1", ""), &plugs.plug("v1", "p", json!({}))).await.ok();
    for plural in ["validatingadmissionpolicybindings", "validatingadmissionpolicies"] {
        api.delete(&format!("{GROUP}/{plural}/{name}")).await.ok();
    }
    plugs.gone().await;
}

/// The versions of a built-in kind are equivalent as well, and the request's stays the request's.
#[tokio::test]
async fn autoscalers_are_shown_in_either_version() {
    let (place, hook) = (Place::new().await, Hook::start().await);
    let path = |version: &str| format!("/apis/autoscaling/{version}/namespaces/{}/horizontalpodautoscalers", place.namespace);
    let target = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "nobody" });
    let body = json!({ "metadata": { "name": "h" }, "spec": { "scaleTargetRef": target, "maxReplicas": 5 } });
    let create = |version: &'static str| {
        let (path, body, api) = (path(version), body.clone(), &place.api);
        async move || api.post(&format!("{path}?dryRun=All"), &body).await
    };
    let rule = |version: &str| about(&["*"], "autoscaling", version, "horizontalpodautoscalers");
    assert_eq!(seen(&place, &hook, rule("v1"), "Exact", create("v1")).await, "v1 none; v1 v1 v1 v1; main");
    assert_eq!(seen(&place, &hook, rule("v2"), "Exact", create("v1")).await, "nobody was asked");
    assert_eq!(seen(&place, &hook, rule("v2"), "Equivalent", create("v1")).await, "v2 none; v2 v2 v1 v1; main");
    assert_eq!(seen(&place, &hook, rule("v1"), "Equivalent", create("v2")).await, "v1 none; v1 v1 v2 v2; main");
    let name = format!("most-{}", place.namespace);
    configure(
        &place.api,
        MUTATING,
        &name,
        &[hook.at("/most", &place.namespace, about(&["CREATE"], "autoscaling", "v2", "horizontalpodautoscalers"))],
    )
    .await
    .ok();
    let made = place.api.post(&path("v1"), &body).await.ok();
    assert_eq!(made["spec"]["targetCPUUtilizationPercentage"], 33);
    place.api.delete(&format!("{MUTATING}/{name}")).await.ok();
}

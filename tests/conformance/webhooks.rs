//! Webhooks that change and refuse what is written.
use super::crd::{Custom, DEFINITIONS, anything, version};
use super::hook::{Denied, Hook, MUTATING, VALIDATING, configure, rule};
use crate::api::{Place, admin, map, pod};
use serde_json::{Value, json};

#[tokio::test]
async fn pods_and_maps_are_denied() {
    let (place, hook) = (Place::new().await, Hook::start().await);
    let (ns, api) = (&place.namespace, &place.api);
    let mut slow = hook.at("/slow", ns, rule(&["CREATE"], "", "pods"));
    slow["timeoutSeconds"] = 1.into();
    slow["objectSelector"] = json!({ "matchLabels": { "hang": "yes" } });
    let hooks = [
        hook.at("/bad-pods", ns, rule(&["CREATE"], "", "pods")),
        hook.at("/bad-data", ns, rule(&["CREATE", "UPDATE", "DELETE"], "", "configmaps")),
        slow,
    ];
    let name = format!("deny-{ns}");
    configure(api, VALIDATING, &name, &hooks).await.ok();
    let mut bad = pod("disallowed-pod");
    bad["spec"]["containers"][0]["name"] = "webhook-disallow".into();
    bad["metadata"]["labels"]["webhook-e2e-test"] = "disallow".into();
    let pods = place.path("pods");
    // The webhook said no more than a message; what is missing is filled in.
    let said = api.post(&pods, &bad).await.denied();
    let words = "admission webhook \"bad-pods.conf.example.com\" denied the request: the pod contains unwanted container name; the pod contains unwanted label";
    assert_eq!(said, words);
    let mut hanging = pod("hanging-pod");
    hanging["metadata"]["labels"]["hang"] = "yes".into();
    let said = api.post(&pods, &hanging).await.refused(500, "InternalError");
    assert!(said.contains("failed calling webhook \"slow.conf.example.com\"") && said.contains("deadline exceeded"), "{said}");
    api.post(&pods, &pod("fine")).await.ok();

    let words = "the configmap contains unwanted key and value";
    let data = json!({ "webhook-e2e-test": "webhook-disallow" });
    let mut bad = map("disallowed", "1", Value::Null);
    bad["data"] = data.clone();
    assert!(api.post(&place.maps, &bad).await.denied().contains(words));
    place.map("allowed", "1", Value::Null).await;
    let one = format!("{}/allowed", place.maps);
    bad["metadata"]["name"] = "allowed".into();
    assert!(api.put(&one, &bad).await.denied().contains(words));
    assert!(api.patch(&one, "merge", &json!({ "data": data })).await.denied().contains(words));
    // What may not go stays until it is changed.
    api.patch(&one, "merge", &json!({ "data": { "webhook-e2e-test": "webhook-nondeletable" } })).await.ok();
    assert!(api.delete(&one).await.denied().contains("cannot be deleted because"));
    // A namespace that the selector leaves out.
    let free = Place::new().await;
    bad["metadata"]["name"] = "disallowed".into();
    free.api.post(&free.maps, &bad).await.ok();
    api.patch(&one, "merge", &json!({ "data": null })).await.ok();
    api.delete(&one).await.ok();
    api.delete(&format!("{VALIDATING}/{name}")).await.ok();
}

#[tokio::test]
async fn attaching_is_denied() {
    let (place, hook) = (Place::new().await, Hook::start().await);
    let api = &place.api;
    let name = format!("attach-{}", place.namespace);
    let hooks = [hook.at("/attach", &place.namespace, rule(&["CONNECT"], "", "pods/attach"))];
    configure(api, VALIDATING, &name, &hooks).await.ok();
    let pods = place.path("pods");
    api.post(&pods, &pod("to-be-attached-pod")).await.ok();
    let path = format!("{pods}/to-be-attached-pod/attach?container=c&stdin=true&stdout=true");
    let said = api.send("POST", &path, &[("connection", "Upgrade"), ("upgrade", "SPDY/3.1")], "").await.denied();
    assert!(said.contains("attaching to pod 'to-be-attached-pod' is not allowed"), "{said}");
    api.delete(&format!("{VALIDATING}/{name}")).await.ok();
}

#[tokio::test]
async fn custom_resources_are_denied() {
    let (api, hook) = (admin(), Hook::start().await);
    let custom = Custom::new("denied", &["v1"], anything());
    custom.create(&api).await;
    let deny = hook.at("/bad-data", "", rule(&["CREATE", "UPDATE", "DELETE"], &custom.group, &custom.plural));
    configure(&api, VALIDATING, "deny-custom", &[deny]).await.ok();
    let path = custom.path("v1");
    let object = |data: &str| custom.object("v1", "cr-instance-1", json!({ "data": { "webhook-e2e-test": data } }));
    let words = "denied the request: the configmap contains unwanted key and value";
    assert!(api.post(&path, &object("webhook-disallow")).await.denied().contains(words));
    api.post(&path, &object("webhook-nondeletable")).await.ok();
    let one = format!("{path}/cr-instance-1");
    let merge = json!({ "data": { "webhook-e2e-test": "webhook-disallow" } });
    assert!(api.patch(&one, "merge", &merge).await.denied().contains(words));
    assert!(api.delete(&one).await.denied().contains("cannot be deleted because"));
    api.patch(&one, "merge", &json!({ "data": { "webhook-e2e-test": "webhook-allow" } })).await.ok();
    api.delete(&one).await.ok();
    api.delete(&format!("{VALIDATING}/deny-custom")).await.ok();
    custom.remove(&api).await;
}

#[tokio::test]
async fn definitions_are_denied() {
    let (api, hook) = (admin(), Hook::start().await);
    let mut deny = hook.at("/deny", "", rule(&["CREATE"], "apiextensions.k8s.io", "customresourcedefinitions"));
    deny["objectSelector"] = json!({ "matchLabels": { "webhook-e2e-test": "webhook-disallow" } });
    configure(&api, VALIDATING, "deny-definitions", &[deny]).await.ok();
    let mut custom = Custom::new("unwanted", &["v1"], anything());
    custom.definition["metadata"]["labels"] = json!({ "webhook-e2e-test": "webhook-disallow" });
    let said = api.post(DEFINITIONS, &custom.definition).await.denied();
    assert!(said.contains("denied the request: this webhook denies all requests"), "{said}");
    api.delete(&format!("{VALIDATING}/deny-definitions")).await.ok();
}

#[tokio::test]
async fn a_webhook_that_cannot_be_called_and_fails_closed() {
    let (place, hook) = (Place::new().await, Hook::start().await);
    let mut closed = hook.at("/allow", &place.namespace, rule(&["CREATE"], "", "configmaps"));
    // Nobody trusts a certificate that its own signer signed.
    closed["clientConfig"].as_object_mut().expect("a map").remove("caBundle");
    closed["failurePolicy"] = "Fail".into();
    let name = format!("closed-{}", place.namespace);
    configure(&place.api, VALIDATING, &name, &[closed]).await.ok();
    let said = place.api.post(&place.maps, &map("foo", "1", Value::Null)).await.refused(500, "InternalError");
    assert!(
        said.starts_with("Internal error occurred: failed calling webhook \"allow.conf.example.com\": failed to call webhook: Post"),
        "{said}"
    );
    place.api.delete(&format!("{VALIDATING}/{name}")).await.ok();
}

/// Timeout and failure policy in every combination, all at once.
#[tokio::test]
async fn timeouts_count_by_the_failure_policy() {
    let (place, hook) = (Place::new().await, Hook::start().await);
    let combinations =
        [("fail-1", 1, "Fail", 500), ("ignore-1", 1, "Ignore", 201), ("fail-10", 10, "Fail", 201), ("fail-default", 0, "Fail", 201)];
    let mut hooks = Vec::new();
    for (case, seconds, policy, _) in combinations {
        let mut slow = hook.at("/slow", &place.namespace, rule(&["CREATE"], "", "configmaps"));
        slow["name"] = format!("{case}.conf.example.com").into();
        slow["objectSelector"] = json!({ "matchLabels": { "case": case } });
        slow["failurePolicy"] = policy.into();
        slow["timeoutSeconds"] = if seconds == 0 { Value::Null } else { seconds.into() };
        hooks.push(slow);
    }
    let name = format!("slow-{}", place.namespace);
    let made = configure(&place.api, VALIDATING, &name, &hooks).await.ok();
    assert_eq!(made["webhooks"][3]["timeoutSeconds"], 10);
    let asked = combinations.map(|(case, _, _, status)| {
        let maps = place.maps.clone();
        tokio::spawn(async move {
            let answer = admin().post(&maps, &map(case, "1", json!({ "case": case }))).await;
            assert_eq!(answer.status, status, "{case}: {}", answer.text());
            if status == 500 {
                let said = answer.refused(500, "InternalError");
                assert!(said.contains("context deadline exceeded") && said.contains("timeout=1s"), "{said}");
            }
        })
    });
    for one in asked {
        one.await.expect("as it should be");
    }
    place.api.delete(&format!("{VALIDATING}/{name}")).await.ok();
}

#[tokio::test]
async fn maps_are_mutated_in_two_stages() {
    let (place, hook) = (Place::new().await, Hook::start().await);
    let on_maps = || rule(&["CREATE"], "", "configmaps");
    let hooks = [hook.at("/stage-one", &place.namespace, on_maps()), hook.at("/stage-two", &place.namespace, on_maps())];
    let name = format!("stages-{}", place.namespace);
    configure(&place.api, MUTATING, &name, &hooks).await.ok();
    let mut body = map("to-be-mutated", "1", Value::Null);
    body["data"] = json!({ "mutation-start": "yes" });
    let made = place.api.post(&place.maps, &body).await.ok();
    assert_eq!(made["data"], json!({ "mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes" }));
    place.api.delete(&format!("{MUTATING}/{name}")).await.ok();
}

#[tokio::test]
async fn pods_are_mutated_and_then_defaulted() {
    let (place, hook) = (Place::new().await, Hook::start().await);
    let name = format!("pods-{}", place.namespace);
    configure(&place.api, MUTATING, &name, &[hook.at("/init-container", &place.namespace, rule(&["CREATE"], "", "pods"))]).await.ok();
    let made = place.api.post(&place.path("pods"), &pod("webhook-to-be-mutated")).await.ok();
    let init = &made["spec"]["initContainers"];
    assert_eq!((init.as_array().map(Vec::len), &init[0]["name"]), (Some(1), &json!("webhook-added-init-container")));
    assert_eq!(
        (&init[0]["terminationMessagePolicy"], &init[0]["terminationMessagePath"]),
        (&json!("File"), &json!("/dev/termination-log"))
    );
    place.api.delete(&format!("{MUTATING}/{name}")).await.ok();
}

#[tokio::test]
async fn custom_resources_are_mutated() {
    let (api, hook) = (admin(), Hook::start().await);
    let custom = Custom::new("mutated", &["v1"], anything());
    custom.create(&api).await;
    let on_custom = || rule(&["CREATE", "UPDATE"], &custom.group, &custom.plural);
    configure(&api, MUTATING, "mutate-custom", &[hook.at("/stage-one", "", on_custom()), hook.at("/stage-two", "", on_custom())])
        .await
        .ok();
    let object = custom.object("v1", "cr", json!({ "data": { "mutation-start": "yes" } }));
    let made = api.post(&custom.path("v1"), &object).await.ok();
    assert_eq!(made["data"], json!({ "mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes" }));
    // Another version becomes the stored one; what is stored under the first is still changed and mutated.
    let versions = json!([version("v1", false, &anything()), version("v2", true, &anything())]);
    api.change(&custom.at(), |definition| definition["spec"]["versions"] = versions.clone()).await;
    custom.served(&api, "v2").await;
    let one = format!("{}/cr", custom.path("v1"));
    let patched = api.patch(&one, "merge", &json!({ "data": { "mutation-stage-2": null, "more": "yes" } })).await.ok();
    let expected = json!({ "mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes", "more": "yes" });
    assert_eq!((&patched["data"], &patched["apiVersion"]), (&expected, &json!(format!("{}/v1", custom.group))));
    assert_eq!(api.get(&format!("{}/cr", custom.path("v2"))).await.ok()["data"], expected);
    api.delete(&format!("{MUTATING}/mutate-custom")).await.ok();
    custom.remove(&api).await;
}

/// The second stage's key is in no schema: it is cut off like anybody else's.
#[tokio::test]
async fn what_a_webhook_adds_is_pruned() {
    let (api, hook) = (admin(), Hook::start().await);
    let text = json!({ "type": "string" });
    let data = json!({ "type": "object", "properties": { "mutation-start": text, "mutation-stage-1": text } });
    let custom = Custom::new("pruned", &["v1"], json!({ "type": "object", "properties": { "data": data } }));
    custom.create(&api).await;
    let on_custom = || rule(&["CREATE"], &custom.group, &custom.plural);
    configure(&api, MUTATING, "mutate-pruned", &[hook.at("/stage-one", "", on_custom()), hook.at("/stage-two", "", on_custom())])
        .await
        .ok();
    let made = api.post(&custom.path("v1"), &custom.object("v1", "cr", json!({ "data": { "mutation-start": "yes" } }))).await.ok();
    assert_eq!(made["data"], json!({ "mutation-start": "yes", "mutation-stage-1": "yes" }));
    api.delete(&format!("{MUTATING}/mutate-pruned")).await.ok();
    custom.remove(&api).await;
}

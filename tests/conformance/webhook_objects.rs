//! Configurations of webhooks: changed, listed, removed, with match conditions.
use super::hook::{Denied, Hook, MUTATING, VALIDATING, configure, rule};
use crate::api::{Place, admin, map, names};
use serde_json::{Value, json};

/// Ten configurations with a label, then none.
async fn ten(sort: &str) {
    let (place, hook) = (Place::new().await, Hook::start().await);
    let (ns, api) = (&place.namespace, &place.api);
    for i in 0..10 {
        let path = if sort == MUTATING { "/label" } else { "/deny" };
        let hooks = [hook.at(path, ns, rule(&["CREATE"], "", "configmaps"))];
        let body = json!({ "metadata": { "name": format!("ten-{ns}-{i}"), "labels": { "e2e-list-test": ns } }, "webhooks": hooks });
        api.post(sort, &body).await.ok();
    }
    let selected = format!("{sort}?labelSelector=e2e-list-test%3D{ns}");
    assert_eq!(names(&api.get(&selected).await.ok()).len(), 10);
    let during = api.post(&place.maps, &map("during", "1", Value::Null)).await;
    if sort == MUTATING {
        assert_eq!(during.ok()["metadata"]["labels"]["added-label"], "yes");
    } else {
        assert!(during.denied().contains("denied the request"));
    }
    assert_eq!(api.delete(&selected).await.status, 200);
    assert!(names(&api.get(&selected).await.ok()).is_empty());
    let after = api.post(&place.maps, &map("after", "1", Value::Null)).await.ok();
    assert!(after["metadata"]["labels"].get("added-label").is_none(), "{after}");
}

#[tokio::test]
async fn ten_mutating_ones() {
    ten(MUTATING).await;
}

#[tokio::test]
async fn ten_validating_ones() {
    ten(VALIDATING).await;
}

/// Updated not to be asked about creations, then patched to be asked again.
async fn updated_and_patched(sort: &str) {
    let (place, hook) = (Place::new().await, Hook::start().await);
    let api = &place.api;
    let (name, path) = (format!("upd-{}", place.namespace), if sort == MUTATING { "/label" } else { "/deny" });
    let made = configure(api, sort, &name, &[hook.at(path, &place.namespace, rule(&["CREATE"], "", "configmaps"))]).await.ok();
    let counts = async |name: &str| {
        let answer = api.post(&place.maps, &map(name, "1", Value::Null)).await;
        answer.status == 400 || answer.json()["metadata"]["labels"].get("added-label").is_some()
    };
    assert!(counts("one").await);
    let mut next = made.clone();
    next["webhooks"][0]["rules"][0]["operations"] = json!(["UPDATE"]);
    let one = format!("{sort}/{name}");
    let updated = api.put(&one, &next).await.ok();
    assert_eq!(updated["metadata"]["generation"], 2);
    assert!(!counts("two").await);
    let patch = json!([{ "op": "replace", "path": "/webhooks/0/rules/0/operations/0", "value": "CREATE" }]);
    api.patch(&one, "json", &patch).await.ok();
    assert!(counts("three").await);
    api.delete(&one).await.ok();
    assert!(!counts("four").await);
}

#[tokio::test]
async fn a_mutating_one_is_updated_and_patched() {
    updated_and_patched(MUTATING).await;
}

#[tokio::test]
async fn a_validating_one_is_updated_and_patched() {
    updated_and_patched(VALIDATING).await;
}

/// Webhooks for webhooks are never asked.
#[tokio::test]
async fn configurations_cannot_be_guarded() {
    let (api, hook) = (admin(), Hook::start().await);
    let group = "admissionregistration.k8s.io";
    let selector = json!({ "matchLabels": { "guarded": "configurations" } });
    for (sort, path, operations) in [(VALIDATING, "/deny", "DELETE"), (MUTATING, "/label", "CREATE")] {
        let mut guard = hook.at(path, "", rule(&[operations], group, "*"));
        guard["objectSelector"] = selector.clone();
        configure(&api, sort, "guard", &[guard]).await.ok();
    }
    for sort in [VALIDATING, MUTATING] {
        let mut idle = hook.at("/deny", "", rule(&["CREATE"], "", "invalid"));
        idle["failurePolicy"] = "Ignore".into();
        let body = json!({ "metadata": { "name": "dummy", "labels": { "guarded": "configurations" } }, "webhooks": [idle] });
        let made = api.post(sort, &body).await.ok();
        assert_eq!(made["metadata"]["labels"], json!({ "guarded": "configurations" }));
        api.delete(&format!("{sort}/dummy")).await.ok();
    }
    for sort in [VALIDATING, MUTATING] {
        api.delete(&format!("{sort}/guard")).await.ok();
    }
}

/// Conditions are stored as they were given, and again when changed.
async fn conditions(sort: &str) {
    let (api, hook) = (admin(), Hook::start().await);
    let mut idle = hook.at("/deny", "", rule(&["CREATE"], "nobody.example.com", "things"));
    idle["matchConditions"] = json!([{ "name": "expression-1", "expression": "object.metadata.namespace == 'production'" }]);
    let made = configure(&api, sort, "conditions", std::slice::from_ref(&idle)).await.ok();
    assert_eq!(made["webhooks"][0]["matchConditions"], idle["matchConditions"]);
    let mut next = made.clone();
    next["webhooks"][0]["matchConditions"] = json!([
        { "name": "expression-1", "expression": "object.metadata.namespace == 'production'" },
        { "name": "expression-2", "expression": "object.metadata.namespace == 'staging'" },
    ]);
    let one = format!("{sort}/conditions");
    api.put(&one, &next).await.ok();
    assert_eq!(api.get(&one).await.ok()["webhooks"][0]["matchConditions"], next["webhooks"][0]["matchConditions"]);
    api.delete(&one).await.ok();

    idle["matchConditions"] = json!([{ "name": "invalid-expression-1", "expression": "... [] bad expression" }]);
    let said = configure(&api, sort, "conditions", &[idle]).await.refused(422, "Invalid");
    assert!(said.contains("webhooks[0].matchConditions[0].expression: Invalid value") && said.contains("compilation failed"), "{said}");
}

#[tokio::test]
async fn match_conditions_of_mutating_ones() {
    conditions(MUTATING).await;
}

#[tokio::test]
async fn match_conditions_of_validating_ones() {
    conditions(VALIDATING).await;
}

#[tokio::test]
async fn a_match_condition_leaves_one_name_out() {
    let (place, hook) = (Place::new().await, Hook::start().await);
    let mut skipping = hook.at("/label", &place.namespace, rule(&["CREATE"], "", "configmaps"));
    skipping["matchConditions"] = json!([{ "name": "skip-me", "expression": "object.metadata.name != 'skip-me'" }]);
    let name = format!("skip-{}", place.namespace);
    configure(&place.api, MUTATING, &name, &[skipping]).await.ok();
    let label = async |name: &str| place.map(name, "1", json!({ "a": "b" })).await["metadata"]["labels"].get("added-label").cloned();
    assert_eq!((label("skip-me").await, label("other").await), (None, Some("yes".into())));
    place.api.delete(&format!("{MUTATING}/{name}")).await.ok();
}

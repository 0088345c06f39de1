//! Events, under both of their groups.
use crate::api::{Place, names};
use serde_json::{Value, json};

fn core(name: &str, set: &str, namespace: &str) -> Value {
    json!({
        "metadata": { "name": name, "labels": { "testevent-set": set } }, "message": "This is a test event", "reason": "Test", "type": "Normal", "count": 1,
        "involvedObject": { "namespace": namespace }, "reportingComponent": "e2e", "source": { "component": "e2e" },
    })
}

#[tokio::test]
async fn the_life_of_an_event() {
    let place = Place::new().await;
    let (events, set) = (place.path("events"), &place.namespace);
    place.api.post(&events, &core("event-test", set, set)).await.ok();
    let everywhere = format!("/api/v1/events?labelSelector=testevent-set%3D{set}");
    let list = place.api.get(&everywhere).await.ok();
    assert_eq!((names(&list), &list["items"][0]["message"]), (vec!["event-test".to_string()], &json!("This is a test event")));
    let one = format!("{events}/event-test");
    place.api.patch(&one, "strategic-merge", &json!({ "message": "This is a test event - patched" })).await.ok();
    let read = place.api.get(&one).await.ok();
    assert_eq!(read["message"], "This is a test event - patched");
    let mut next = read.clone();
    next["series"] = json!({ "count": 100, "lastObservedTime": "2026-01-01T12:00:00.000001Z" });
    assert_eq!(place.api.put(&one, &next).await.ok()["series"], next["series"]);
    assert_eq!(place.api.get(&one).await.ok()["series"], next["series"]);
    place.api.delete(&one).await.ok();
    assert!(names(&place.api.get(&everywhere).await.ok()).is_empty());
}

#[tokio::test]
async fn a_collection_of_events_goes() {
    let place = Place::new().await;
    let (events, set) = (place.path("events"), &place.namespace);
    for name in ["test-event-1", "test-event-2", "test-event-3"] {
        place.api.post(&events, &core(name, set, set)).await.ok();
    }
    let other = core("stays", "other", set);
    place.api.post(&events, &other).await.ok();
    let selected = format!("{events}?labelSelector=testevent-set%3D{set}");
    assert_eq!(names(&place.api.get(&selected).await.ok()).len(), 3);
    assert_eq!(place.api.delete(&selected).await.status, 200);
    assert!(names(&place.api.get(&selected).await.ok()).is_empty());
    assert_eq!(names(&place.api.get(&events).await.ok()), ["stays"]);
}

fn newer(name: &str, set: &str, namespace: &str) -> Value {
    json!({
        "metadata": { "name": name, "labels": { "testevent-set": set } }, "note": "This is a test event", "reason": "Test", "type": "Normal", "action": "Do",
        "regarding": { "namespace": namespace, "kind": "Pod", "name": "p" }, "eventTime": "2026-01-01T12:00:00.000000Z",
        "reportingController": "test-controller", "reportingInstance": "test-node",
    })
}

#[tokio::test]
async fn the_life_of_an_event_of_the_newer_group() {
    let place = Place::new().await;
    let set = &place.namespace;
    let events = format!("/apis/events.k8s.io/v1/namespaces/{set}/events");
    let everywhere = format!("/apis/events.k8s.io/v1/events?labelSelector=testevent-set%3D{set}");
    let made = place.api.post(&events, &newer("event-test", set, set)).await.ok();
    assert_eq!(names(&place.api.get(&everywhere).await.ok()), ["event-test"]);
    let one = format!("{events}/event-test");
    let read = place.api.get(&one).await.ok();
    assert_eq!((&read["note"], &read["metadata"]["uid"]), (&made["note"], &made["metadata"]["uid"]));
    // The other group shows the same event in its own words.
    assert_eq!(place.api.get(&format!("{}/event-test", place.path("events"))).await.ok()["message"], "This is a test event");

    place
        .api
        .patch(&one, "strategic-merge", &json!({ "series": { "count": 2, "lastObservedTime": "2026-01-01T12:00:01.000000Z" } }))
        .await
        .ok();
    let mut next = place.api.get(&one).await.ok();
    assert_eq!(next["series"]["count"], 2);
    next["series"]["count"] = 100.into();
    place.api.put(&one, &next).await.ok();
    assert_eq!(place.api.get(&one).await.ok()["series"], json!({ "count": 100, "lastObservedTime": "2026-01-01T12:00:01.000000Z" }));
    let renoted = json!({ "note": "another note" });
    let refused = place.api.patch(&one, "strategic-merge", &renoted).await.refused(422, "Invalid");
    assert!(refused.contains("message: Invalid value: \"another note\": field is immutable"), "{refused}");
    place.api.delete(&one).await.ok();
    assert!(names(&place.api.get(&everywhere).await.ok()).is_empty());
}

#[tokio::test]
async fn a_collection_of_events_of_the_newer_group_goes() {
    let place = Place::new().await;
    let set = &place.namespace;
    let events = format!("/apis/events.k8s.io/v1/namespaces/{set}/events");
    for name in ["test-event-1", "test-event-2", "test-event-3"] {
        place.api.post(&events, &newer(name, set, set)).await.ok();
    }
    let selected = format!("{events}?labelSelector=testevent-set%3D{set}");
    assert_eq!(names(&place.api.get(&selected).await.ok()).len(), 3);
    assert_eq!(place.api.delete(&selected).await.status, 200);
    assert!(names(&place.api.get(&selected).await.ok()).is_empty());
}

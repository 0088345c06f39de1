//! Several watchers of the same things.
use crate::api::client::Watch;
use crate::api::{Place, admin};
use serde_json::{Value, json};

fn version(event: &Value) -> String {
    event["object"]["metadata"]["resourceVersion"].as_str().expect("a version").to_string()
}

async fn told(watches: &mut [&mut Watch], line: &str) {
    for watch in watches {
        assert_eq!(watch.line().await, line);
    }
}

/// One watcher of A, one of B, one of both: each hears what is its own, and nothing else.
#[tokio::test]
async fn each_hears_what_it_selects() {
    let place = Place::new().await;
    let watch = async |selector: &str| place.api.watch(&format!("{}?watch=1&labelSelector=w+{selector}", place.maps)).await;
    let (mut a, mut b, mut both) = (watch("in+(A)").await, watch("in+(B)").await, watch("in+(A,B)").await);
    let change = async |name: &str, value: &str| {
        place.api.patch(&format!("{}/{name}", place.maps), "merge", &json!({ "data": { "mutation": value } })).await.ok();
    };
    place.map("for-a", "0", json!({ "w": "A" })).await;
    told(&mut [&mut a, &mut both], "ADDED for-a").await;
    for value in ["1", "2"] {
        change("for-a", value).await;
        told(&mut [&mut a, &mut both], "MODIFIED for-a").await;
    }
    place.api.delete(&format!("{}/for-a", place.maps)).await.ok();
    told(&mut [&mut a, &mut both], "DELETED for-a").await;
    place.map("for-b", "0", json!({ "w": "B" })).await;
    told(&mut [&mut b, &mut both], "ADDED for-b").await;
    place.api.delete(&format!("{}/for-b", place.maps)).await.ok();
    told(&mut [&mut b, &mut both], "DELETED for-b").await;
    // The next that A hears is its own again, so it heard nothing of B.
    place.map("again-a", "0", json!({ "w": "A" })).await;
    told(&mut [&mut a], "ADDED again-a").await;
}

#[tokio::test]
async fn from_a_version_on() {
    let place = Place::new().await;
    let path = format!("{}/one", place.maps);
    let change = async |value: &str| place.api.patch(&path, "merge", &json!({ "data": { "mutation": value } })).await.ok();
    place.map("one", "0", Value::Null).await;
    let first = change("1").await;
    change("2").await;
    place.api.delete(&path).await.ok();
    let from = first["metadata"]["resourceVersion"].as_str().expect("a version");
    let mut watch = place.api.watch(&format!("{}?watch=1&resourceVersion={from}", place.maps)).await;
    let event = watch.next().await.expect("an event");
    assert_eq!((&event["type"], &event["object"]["data"]["mutation"]), (&json!("MODIFIED"), &json!("2")));
    assert_eq!(watch.line().await, "DELETED one");
}

#[tokio::test]
async fn again_from_where_the_last_one_was() {
    let place = Place::new().await;
    let path = format!("{}/one", place.maps);
    let change = async |value: &str| place.api.patch(&path, "merge", &json!({ "data": { "mutation": value } })).await.ok();
    let mut first = place.api.watch(&format!("{}?watch=1&labelSelector=w", place.maps)).await;
    place.map("one", "0", json!({ "w": "restarted" })).await;
    change("1").await;
    assert_eq!(first.line().await, "ADDED one");
    let last = version(&first.next().await.expect("an event"));
    drop(first);
    change("2").await;
    place.api.delete(&path).await.ok();
    let mut second = place.api.watch(&format!("{}?watch=1&labelSelector=w&resourceVersion={last}", place.maps)).await;
    let event = second.next().await.expect("an event");
    assert_eq!((&event["type"], &event["object"]["data"]["mutation"]), (&json!("MODIFIED"), &json!("2")));
    assert_eq!(second.line().await, "DELETED one");
}

/// Leaving the selector is an end, coming back a beginning; what happens in between is not told.
#[tokio::test]
async fn leaving_a_selector_and_coming_back() {
    let place = Place::new().await;
    let path = format!("{}/one", place.maps);
    let change = async |label: &str, value: &str| {
        let body = json!({ "metadata": { "labels": { "w": label } }, "data": { "mutation": value } });
        place.api.patch(&path, "merge", &body).await.ok();
    };
    let mut watch = place.api.watch(&format!("{}?watch=1&labelSelector=w%3Dmine", place.maps)).await;
    place.map("one", "0", json!({ "w": "mine" })).await;
    for (label, value) in [("mine", "1"), ("another", "1"), ("another", "2"), ("mine", "2"), ("mine", "3")] {
        change(label, value).await;
    }
    place.api.delete(&path).await.ok();
    assert_eq!(watch.lines(3).await, ["ADDED one", "MODIFIED one", "DELETED one"]);
    let back = watch.next().await.expect("an event");
    assert_eq!((&back["type"], &back["object"]["data"]["mutation"]), (&json!("ADDED"), &json!("2")));
    let last = watch.next().await.expect("an event");
    assert_eq!((&last["type"], &last["object"]["data"]["mutation"]), (&json!("MODIFIED"), &json!("3")));
    assert_eq!(watch.line().await, "DELETED one");
}

/// Every event of a first watch opens another from its version; all of them tell the same from there on.
#[tokio::test]
async fn all_in_the_same_order() {
    const EVENTS: usize = 60;
    let place = Place::new().await;
    let from = place.revision().await;
    let maps = place.maps.clone();
    let writer = tokio::spawn(async move {
        let api = admin();
        for i in 0..EVENTS / 3 {
            let path = format!("{maps}/m{}", i % 7);
            api.post(&maps, &crate::api::map(&format!("m{}", i % 7), "0", Value::Null)).await.ok();
            api.patch(&path, "merge", &json!({ "data": { "k": format!("changed-{i}") } })).await.ok();
            api.delete(&path).await.ok();
        }
    });
    let open = async |from: &str| place.api.watch(&format!("{}?watch=1&resourceVersion={from}", place.maps)).await;
    let mut watches = vec![open(&from).await];
    for _ in 0..EVENTS {
        let mut versions = Vec::new();
        for watch in &mut watches {
            versions.push(version(&watch.next().await.expect("an event")));
        }
        assert!(versions.iter().all(|v| *v == versions[0]), "{versions:?}");
        watches.push(open(&versions[0]).await);
    }
    writer.await.expect("all written");
}

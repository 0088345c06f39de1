//! Watches: resuming, first events, selectors, bookmarks, ends, slow and many readers.
use super::client::Watch;
use super::{Place, map, pod};
use serde_json::{Value, json};

#[tokio::test]
async fn a_watch_resumes_exactly_where_it_is_told_to() {
    let place = Place::new().await;
    place.map("before", "1", Value::Null).await;
    let from = place.revision().await;
    place.map("one", "1", Value::Null).await;
    place.api.patch(&format!("{}/one", place.maps), "merge", &json!({ "data": { "k": "2" } })).await.ok();
    place.api.delete(&format!("{}/one", place.maps)).await.ok();
    let mut watch = place.api.watch(&format!("{}?watch=1&resourceVersion={from}", place.maps)).await;
    let mut events = Vec::new();
    for _ in 0..3 {
        events.push(watch.next().await.expect("an event"));
    }
    let types: Vec<&str> = events.iter().filter_map(|e| e["type"].as_str()).collect();
    assert_eq!(types, ["ADDED", "MODIFIED", "DELETED"]);
    let version = |e: &Value| e["object"]["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse::<u64>().ok()).expect("a version");
    assert!(version(&events[0]) < version(&events[1]) && version(&events[1]) < version(&events[2]));
    assert_eq!(events[2]["object"]["data"]["k"], "2", "the last state");
    let resumed = format!("{}?watch=1&resourceVersion={}", place.maps, version(&events[1]));
    assert_eq!(place.api.watch(&resumed).await.line().await, "DELETED one");
    place.map("live", "1", Value::Null).await;
    assert_eq!(watch.line().await, "ADDED live");
    let deprecated = format!("/api/v1/watch/namespaces/{}/configmaps/live", place.namespace);
    assert_eq!(place.api.watch(&deprecated).await.line().await, "ADDED live");
}

#[tokio::test]
async fn first_events_and_the_bookmark_that_ends_them() {
    let place = Place::new().await;
    let pods = place.path("pods");
    place.api.post(&pods, &pod("a")).await.ok();
    place.api.post(&pods, &pod("b")).await.ok();
    let mut plain = place.api.watch(&format!("{pods}?watch=1")).await;
    assert_eq!(plain.lines(2).await, ["ADDED a", "ADDED b"]);
    let query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut streamed = place.api.watch(&format!("{pods}?{query}")).await;
    assert_eq!(streamed.lines(2).await, ["ADDED a", "ADDED b"]);
    let bookmark = streamed.next().await.expect("a bookmark");
    assert_eq!((&bookmark["type"], &bookmark["object"]["kind"]), (&json!("BOOKMARK"), &json!("Pod")));
    assert_eq!(bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    let from = bookmark["object"]["metadata"]["resourceVersion"].as_str().expect("a version").to_string();
    place.api.delete(&format!("{pods}/a")).await.ok();
    assert_eq!(streamed.line().await, "DELETED a");
    assert_eq!(place.api.watch(&format!("{pods}?watch=1&resourceVersion={from}")).await.line().await, "DELETED a");
    let mut later =
        place.api.watch(&format!("{pods}?watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&timeoutSeconds=1")).await;
    assert_eq!(later.line().await, "end", "only what comes");
    let refused = place.api.get(&format!("{pods}?watch=1&sendInitialEvents=true")).await.refused(422, "Invalid");
    assert!(refused.contains("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"), "{refused}");
}

#[tokio::test]
async fn entering_and_leaving_a_selector() {
    let place = Place::new().await;
    let from = place.revision().await;
    let by_label = format!("{}?watch=1&resourceVersion={from}&labelSelector=color%3Dred", place.maps);
    let mut watch = place.api.watch(&by_label).await;
    place.map("m", "1", json!({ "color": "blue" })).await;
    let path = format!("{}/m", place.maps);
    let paint = async |color: &str| place.api.patch(&path, "merge", &json!({ "metadata": { "labels": { "color": color } } })).await.ok();
    paint("red").await;
    place.api.patch(&path, "merge", &json!({ "data": { "k": "2" } })).await.ok();
    let left = paint("green").await;
    let events = [watch.next().await, watch.next().await, watch.next().await].map(|e| e.expect("an event"));
    assert_eq!(events.each_ref().map(|e| e["type"].as_str().unwrap_or_default()), ["ADDED", "MODIFIED", "DELETED"]);
    let gone = &events[2]["object"]["metadata"];
    assert_eq!((&gone["labels"]["color"], &gone["resourceVersion"]), (&json!("red"), &left["metadata"]["resourceVersion"]));
    // Resuming tells the same story.
    assert_eq!(place.api.watch(&by_label).await.lines(3).await, ["ADDED m", "MODIFIED m", "DELETED m"]);

    let pods = place.path("pods");
    let mut pending = place.api.watch(&format!("{pods}?watch=1&fieldSelector=status.phase%3DPending")).await;
    let mut named = place.api.watch(&format!("{pods}?watch=1&fieldSelector=metadata.name%3Dp2")).await;
    for name in ["p1", "p2"] {
        place.api.post(&pods, &pod(name)).await.ok();
    }
    place.api.patch(&format!("{pods}/p1/status"), "merge", &json!({ "status": { "phase": "Running" } })).await.ok();
    assert_eq!(pending.lines(3).await, ["ADDED p1", "ADDED p2", "DELETED p1"]);
    place.api.delete(&format!("{pods}/p2")).await.ok();
    assert_eq!(named.lines(2).await, ["ADDED p2", "DELETED p2"]);
}

#[tokio::test]
async fn watches_end_in_time_even_when_busy() {
    let place = Place::new().await;
    let mut watch = place.api.watch(&format!("{}?watch=1&timeoutSeconds=2&allowWatchBookmarks=1", place.maps)).await;
    let busy = async {
        for i in 0.. {
            place.map(&format!("m{i}"), "1", Value::Null).await;
        }
    };
    let read = async {
        let mut last = String::new();
        loop {
            match watch.line().await {
                line if line == "end" => return last,
                line => last = line,
            }
        }
    };
    let begin = std::time::Instant::now();
    tokio::select! {
        () = busy => unreachable!("it goes on for ever"),
        last = read => assert!(last.starts_with("BOOKMARK") || last.starts_with("ADDED"), "{last}"),
    }
    assert!(begin.elapsed().as_secs_f64() < 6.0, "{:?}", begin.elapsed());
    // A quiet one says at its end from where to go on.
    let mut quiet = place.api.watch(&format!("{}?watch=1&timeoutSeconds=1&allowWatchBookmarks=1", place.path("secrets"))).await;
    assert_eq!(quiet.lines(2).await, ["BOOKMARK", "end"]);
}

#[tokio::test]
async fn too_old_a_version_is_told_within_the_stream() {
    let place = Place::new().await;
    let mut watch = place.api.watch(&format!("{}?watch=1&resourceVersion=1", place.maps)).await;
    // Version 1 is within what is remembered for as long as the history is; what is older never is.
    let big = "x".repeat(800_000);
    for i in 0..14 {
        place.map(&format!("big{i}"), &format!("{i}{big}"), Value::Null).await;
    }
    let _ = watch.line().await;
    let mut late = place.api.watch(&format!("{}?watch=1&resourceVersion=1", place.maps)).await;
    expect_gone(&mut late, "too old resource version: 1 (").await;
    place.api.get(&format!("{}?watch=1&resourceVersion=abc", place.maps)).await.refused(400, "BadRequest");
}

async fn expect_gone(watch: &mut Watch, words: &str) {
    let event = watch.next().await.expect("an event");
    let status = &event["object"];
    assert_eq!(
        (&event["type"], &status["kind"], &status["code"], &status["reason"]),
        (&json!("ERROR"), &json!("Status"), &json!(410), &json!("Expired"))
    );
    assert!(status["message"].as_str().is_some_and(|m| m.starts_with(words)), "{status}");
    assert_eq!(watch.line().await, "end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stops_is_cut_off_and_the_others_miss_nothing() {
    let place = Place::new().await;
    let from = place.revision().await;
    let path = format!("{}?watch=1&resourceVersion={from}", place.maps);
    let mut slow = place.api.watch(&path).await;
    let mut others = Vec::new();
    for _ in 0..50 {
        others.push(place.api.watch(&path).await);
    }
    let readers: Vec<_> = others
        .into_iter()
        .map(|mut watch| {
            tokio::spawn(async move {
                let mut last = String::new();
                for _ in 0..1600 {
                    last = watch.line().await;
                    assert!(last.starts_with("ADDED") || last.starts_with("MODIFIED"), "{last}");
                }
                last
            })
        })
        .collect();
    place.map("m", "0", Value::Null).await;
    let filling = "y".repeat(4000);
    let writers = (0..16).map(|w| {
        let (path, filling) = (format!("{}/m", place.maps), filling.clone());
        tokio::spawn(async move {
            let api = super::admin();
            for i in 0..100 {
                api.put(&path, &map("m", &format!("{w}-{i}-{filling}"), Value::Null)).await.ok();
            }
        })
    });
    futures_util::future::join_all(writers).await.into_iter().for_each(|w| w.expect("a writer"));
    for reader in readers {
        assert_eq!(reader.await.expect("a reader"), "MODIFIED m");
    }
    let mut seen = 0;
    let error = loop {
        let event = slow.next().await.expect("an error before the end");
        if event["type"] == "ERROR" {
            break event;
        }
        seen += 1;
    };
    assert!(seen < 1600 && error["object"]["code"] == 410, "{seen} {error}");
    assert_eq!(slow.line().await, "end");
}

#[tokio::test]
async fn tables_and_metadata_can_be_watched() {
    let place = Place::new().await;
    let pods = place.path("pods");
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let mut tables = place.api.watch_as(&format!("{pods}?watch=1"), table).await;
    let mut partial = place.api.watch_as(&format!("{pods}?watch=1"), "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io").await;
    let made = place.api.post(&pods, &pod("p")).await.ok();
    let first = tables.next().await.expect("an event");
    assert_eq!(
        (&first["type"], &first["object"]["kind"], &first["object"]["rows"][0]["cells"][0]),
        (&json!("ADDED"), &json!("Table"), &json!("p"))
    );
    assert!(first["object"]["columnDefinitions"].is_array());
    assert_eq!(partial.next().await.expect("an event")["object"]["metadata"], made["metadata"]);
    place.api.delete(&format!("{pods}/p")).await.ok();
    let last = tables.next().await.expect("an event");
    assert!(last["type"] == "DELETED" && last["object"]["columnDefinitions"].is_null(), "{last}");
}

#[tokio::test]
async fn leaving_a_selector_is_a_deletion_in_every_form() {
    let place = Place::new().await;
    let from = place.revision().await;
    let path = format!("{}?watch=1&resourceVersion={from}&labelSelector=color%3Dred", place.maps);
    let accept = |form: &str| format!("application/json;as={form};v=v1;g=meta.k8s.io");
    let mut tables = place.api.watch_as(&path, &accept("Table")).await;
    let mut partial = place.api.watch_as(&path, &accept("PartialObjectMetadata")).await;
    let mut again = place.api.watch_as(&path, &accept("PartialObjectMetadata")).await;
    place.map("m", "1", json!({ "color": "red" })).await;
    let green = json!({ "metadata": { "labels": { "color": "green" } }, "data": { "more": "2" } });
    let left = place.api.patch(&format!("{}/m", place.maps), "merge", &green).await.ok();
    let revision = &left["metadata"]["resourceVersion"];

    // The state before, with the new revision.
    for watch in [&mut partial, &mut again] {
        let [added, gone] = [watch.next().await, watch.next().await].map(|e| e.expect("an event"));
        assert_eq!(
            (&added["type"], &gone["type"], &gone["object"]["kind"]),
            (&json!("ADDED"), &json!("DELETED"), &json!("PartialObjectMetadata"))
        );
        assert_eq!(
            (&gone["object"]["metadata"]["labels"]["color"], &gone["object"]["metadata"]["resourceVersion"]),
            (&json!("red"), revision)
        );
    }
    let [added, gone] = [tables.next().await, tables.next().await].map(|e| e.expect("an event"));
    assert_eq!((&added["type"], &gone["type"], &gone["object"]["kind"]), (&json!("ADDED"), &json!("DELETED"), &json!("Table")));
    let row = &gone["object"]["rows"][0];
    assert_eq!((&row["cells"][1], &row["object"]["metadata"]["labels"]["color"]), (&json!(1), &json!("red")), "{row}");
    assert_eq!((&row["object"]["metadata"]["resourceVersion"], &gone["object"]["metadata"]["resourceVersion"]), (revision, revision));
}

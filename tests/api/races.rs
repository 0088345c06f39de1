//! Many writers at once.
use super::{Place, admin, map, names};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_writers_count_without_losing_one() {
    const WRITERS: usize = 16;
    const EACH: usize = 10;
    let place = Arc::new(Place::new().await);
    place.map("counter", "0", Value::Null).await;
    let path = Arc::new(format!("{}/counter", place.maps));
    let writers = (0..WRITERS).map(|_| {
        let path = path.clone();
        tokio::spawn(async move {
            let api = admin();
            let mut conflicts = 0;
            for _ in 0..EACH {
                loop {
                    let mut object = api.get(&path).await.ok();
                    let count: usize = object["data"]["k"].as_str().and_then(|t| t.parse().ok()).expect("a number");
                    object["data"]["k"] = (count + 1).to_string().into();
                    let answer = api.put(&path, &object).await;
                    if answer.status == 200 {
                        // What was acknowledged is what is read.
                        assert_eq!(answer.json()["data"]["k"], (count + 1).to_string());
                        break;
                    }
                    answer.refused(409, "Conflict");
                    conflicts += 1;
                }
            }
            conflicts
        })
    });
    let conflicts: usize = join_all(writers).await.into_iter().map(|c| c.expect("a writer")).sum();
    let end = place.api.get(&path).await.ok();
    assert_eq!(end["data"]["k"], (WRITERS * EACH).to_string(), "after {conflicts} conflicts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_patches_lose_no_field() {
    let place = Arc::new(Place::new().await);
    place.map("shared", "0", Value::Null).await;
    let path = Arc::new(format!("{}/shared", place.maps));
    let writers = (0..16).map(|writer| {
        let path = path.clone();
        tokio::spawn(async move {
            let api = admin();
            for i in 0..20 {
                let how = if i % 2 == 0 { "merge" } else { "strategic-merge" };
                let patched = api.patch(&path, how, &json!({ "data": { format!("w{writer}-{i}"): "here" } })).await.ok();
                assert_eq!(patched["data"][format!("w{writer}-{i}")], "here");
                assert_ne!(patched["metadata"]["resourceVersion"], "0");
            }
        })
    });
    join_all(writers).await.into_iter().for_each(|w| w.expect("a writer"));
    let end = place.api.get(&path).await.ok();
    assert_eq!(end["data"].as_object().map(|d| d.len()), Some(16 * 20 + 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_change_by_many_is_durable_for_each_of_them() {
    let place = Arc::new(Place::new().await);
    place.map("same", "0", Value::Null).await;
    let path = Arc::new(format!("{}/same", place.maps));
    for round in 0..10 {
        let writers = (0..16).map(|_| {
            let path = path.clone();
            tokio::spawn(async move {
                let patched = admin().patch(&path, "merge", &json!({ "data": { "k": format!("r{round}") } })).await.ok();
                patched["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse::<u64>().ok()).expect("a version")
            })
        });
        let versions: Vec<u64> = join_all(writers).await.into_iter().map(|w| w.expect("a writer")).collect();
        assert!(versions.iter().all(|v| *v > 0 && *v == versions[0]), "one write, the others changed nothing: {versions:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_creators_wins_and_a_watcher_sees_one_birth() {
    let place = Arc::new(Place::new().await);
    let from = place.revision().await;
    for round in 0..5 {
        let creators = (0..8).map(|i| {
            let place = place.clone();
            tokio::spawn(async move { admin().post(&place.maps, &map(&format!("r{round}"), &i.to_string(), Value::Null)).await.status })
        });
        let mut codes: Vec<u16> = join_all(creators).await.into_iter().map(|c| c.expect("a creator")).collect();
        codes.sort_unstable();
        assert_eq!((codes[0], &codes[1..]), (201, &[409; 7][..]));
    }
    let mut watch = place.api.watch(&format!("{}?watch=1&resourceVersion={from}", place.maps)).await;
    assert_eq!(watch.lines(5).await, ["ADDED r0", "ADDED r1", "ADDED r2", "ADDED r3", "ADDED r4"]);
    assert!(names(&place.api.get(&place.maps).await.ok()).len() == 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_is_edited_while_sixteen_clients_use_it_up() {
    const HARD: u64 = 60;
    let place = Arc::new(Place::new().await);
    let quotas = format!("/api/v1/namespaces/{}/resourcequotas", place.namespace);
    let quota = json!({ "metadata": { "name": "q" }, "spec": { "hard": { "configmaps": HARD.to_string() } } });
    place.api.post(&quotas, &quota).await.ok();
    let mut watch = place.api.watch(&format!("{quotas}?watch=1")).await;
    while watch.next().await.expect("an event")["object"]["status"]["hard"].is_null() {}
    let path = Arc::new(format!("{quotas}/q"));
    let used = |quota: &Value| quota["status"]["used"]["configmaps"].as_str().and_then(|t| t.parse::<u64>().ok()).expect("a number");
    let creators = (0..16).map(|client| {
        let place = place.clone();
        tokio::spawn(async move {
            let (api, mut made) = (admin(), 0);
            for i in 0..8 {
                let name = format!("c{client}-{i}");
                let answer = api.post(&place.maps, &map(&name, "0", Value::Null)).await;
                if answer.status == 201 {
                    made += 1;
                    if i % 4 == 3 {
                        api.delete(&format!("{}/{name}", place.maps)).await.ok();
                        made -= 1;
                    }
                } else {
                    let said = answer.refused(403, "Forbidden");
                    assert!(said.contains("exceeded quota: q, requested: configmaps=1, used: configmaps="), "{said}");
                }
            }
            made
        })
    });
    let creators: Vec<_> = creators.collect();
    let editors = (0..2).map(|client| {
        let path = path.clone();
        tokio::spawn(async move {
            let api = admin();
            for i in 0..30 {
                let note = json!({ "metadata": { "annotations": { format!("by-{client}"): i.to_string() } } });
                let patched = api.patch(&path, if i % 2 == 0 { "merge" } else { "strategic-merge" }, &note).await.ok();
                assert!(used(&patched) <= HARD, "{patched}");
                let mut whole = json!({ "metadata": { "name": "q" }, "spec": { "hard": { "configmaps": HARD.to_string() } } });
                whole["metadata"]["annotations"] = patched["metadata"]["annotations"].clone();
                assert!(used(&api.put(&path, &whole).await.ok()) <= HARD);
            }
        })
    });
    let editors: Vec<_> = editors.collect();
    let made: u64 = join_all(creators).await.into_iter().map(|c| c.expect("a creator")).sum();
    join_all(editors).await.into_iter().for_each(|e| e.expect("an editor"));
    let there = names(&place.api.get(&place.maps).await.ok()).len() as u64;
    let end = place.api.get(&path).await.ok();
    // The namespace's own map of certificates is counted, too.
    assert_eq!((there, used(&end)), (made + 1, there), "{end}");
    place.api.delete(&path).await.ok();
}

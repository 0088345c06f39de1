//! What is written is found again, by object and in order; the oldest make room.
use super::*;

fn decision(name: &str, n: i64) -> Decision {
    let subject = |shelf: &str, name: &str| Subject { shelf: shelf.into(), namespace: "default".into(), name: name.into() };
    Decision {
        at: n,
        by: "replicaset".into(),
        about: subject("replicasets.apps", "web"),
        why: format!("wants {n}"),
        cause: None,
        deeds: vec![Deed { verb: Verb::Create, object: subject("pods", name) }],
        failure: None,
    }
}

async fn written(log: &DecisionLog, count: u64) {
    log.newest().wait_for(|newest| *newest >= count).await.unwrap();
}

fn all(involves: Option<Subject>) -> Query {
    Query { involves, namespace: None, before: u64::MAX, limit: 1_000 }
}

#[tokio::test]
async fn decisions_are_found_by_the_objects_they_touched_also_after_a_restart() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("decisions.redb");
    let log = DecisionLog::open(&path).unwrap();
    for n in 0..10 {
        log.record(decision(if n % 2 == 0 { "web-a" } else { "web-ab" }, n));
    }
    drop(log);
    let log = DecisionLog::open(&path).unwrap();
    let pod = Subject { shelf: "pods".into(), namespace: "default".into(), name: "web-a".into() };
    let found = log.read(&all(Some(pod.clone()))).unwrap();
    assert_eq!(found.iter().map(|(_, d)| d.at).collect::<Vec<_>>(), [0, 2, 4, 6, 8], "not those of web-ab");
    let newest = log.read(&Query { limit: 2, ..all(Some(pod)) }).unwrap();
    assert_eq!(newest.iter().map(|(_, d)| d.at).collect::<Vec<_>>(), [6, 8], "the newest, in order");
    assert_eq!(log.read(&Query { namespace: Some("other".into()), ..all(None) }).unwrap(), []);
    log.record(decision("web-a", 10));
    written(&log, 11).await;
    assert_eq!(log.get(11).unwrap().unwrap().at, 10, "numbers go on where they ended");
}

#[tokio::test]
async fn the_oldest_make_room_and_leave_nothing_in_the_index() {
    let place = tempfile::tempdir().unwrap();
    let log = DecisionLog::bounded(&place.path().join("decisions.redb"), 50).unwrap();
    for n in 0..200 {
        log.record(decision(&format!("web-{n}"), n));
    }
    written(&log, 200).await;
    let kept = log.read(&all(None)).unwrap();
    assert!((50..=55).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept.last().unwrap().1.at, 199);
    let gone = Subject { shelf: "pods".into(), namespace: "default".into(), name: "web-0".into() };
    assert_eq!(log.read(&all(Some(gone))).unwrap(), []);
    assert_eq!(log.lost(), 0);
}

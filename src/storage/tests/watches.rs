//! Watch: exactness under concurrency, selectors, resuming, lagging, bookmarks.
use super::super::hub::{EventKind, Scope};
use super::*;
use crate::protocol::light::PodLight;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

#[test]
fn selectors_see_objects_come_and_go() {
    let rig = Rig::memory();
    let a = key("n", "a");
    let mut all = rig.watch(Start::Now, None);
    let mut red = rig.watch(Start::Now, having("red"));
    for value in ["blue", "red", "red", "blue", "red"] {
        rig.write(&a, value);
    }
    rig.remove(&a);
    rig.write(&a, "blue");
    rig.remove(&a);
    rig.settled();
    let Some(Next::Batch(seen)) = red.try_next() else { panic!("nothing") };
    let lines: Vec<_> = seen.iter().map(|d| String::from_utf8(d.line().to_vec()).unwrap()).collect();
    let line = |kind: &str, revision: u64, value: &str| {
        format!(
            "{{\"type\":\"{kind}\",\"object\":{{\"data\":{{}},\"metadata\":{{\"resourceVersion\":\"{revision}\",\"labels\":{{\"v\":\"{value}\"}},\
             \"name\":\"a\",\"namespace\":\"n\",\"uid\":\"u\"}}}}}}\n"
        )
    };
    // On leaving, the previous state with the new revision; when deleted, the final state.
    let expected = [("ADDED", 2, "red"), ("MODIFIED", 3, "red"), ("DELETED", 4, "red"), ("ADDED", 5, "red"), ("DELETED", 6, "gone")];
    assert_eq!(lines, expected.map(|(kind, revision, value)| line(kind, revision, value)));
    let Some(Next::Batch(seen)) = all.try_next() else { panic!("nothing") };
    assert_eq!(seen.len(), 8);
    assert_eq!(seen[0].line().as_ptr(), seen[0].event.line().as_ptr(), "serialised once");
    // The same through the history.
    let mut resumed = rig.watch(Start::After(3), having("red"));
    assert_eq!(taken(&mut resumed), ["DELETED a@4", "ADDED a@5", "DELETED a@6"]);
}

#[test]
fn watchers_are_found_by_namespace_and_name() {
    let rig = Rig::memory();
    let count = Arc::new(AtomicUsize::new(0));
    let counting = count.clone();
    let filter: Filter = Arc::new(move |_| {
        counting.fetch_add(1, Ordering::Relaxed);
        true
    });
    let watch = |namespace: Option<&str>, name: Option<&str>| {
        rig.shelf().hub().subscribe(Start::Now, namespace.map(Into::into), name.map(Into::into), Some(filter.clone()), 9).unwrap()
    };
    let mut watches = [watch(Some("m"), None), watch(None, Some("a")), watch(Some("n"), Some("a")), watch(Some("n"), None)];
    rig.write(&key("n", "a"), "1");
    rig.write(&key("m", "b"), "1");
    rig.settled();
    assert_eq!(watches.each_mut().map(taken), [vec!["ADDED b@2"], vec!["ADDED a@1"], vec!["ADDED a@1"], vec!["ADDED a@1"]]);
    assert_eq!(count.load(Ordering::Relaxed), 4, "nobody else was asked");
    assert_eq!(rig.shelf().hub().len(), 4);
    drop(watches);
    assert!(rig.shelf().hub().is_empty());
}

#[test]
fn watchers_of_a_nodes_pods_are_found_by_the_node() {
    let rig = Rig::memory();
    let asked = Arc::new(AtomicUsize::new(0));
    let watch = |namespace: Option<&str>, node: &'static str| {
        let counting = asked.clone();
        let filter: Filter = Arc::new(move |entry| {
            counting.fetch_add(1, Ordering::Relaxed);
            matches!(&entry.light, Light::Pod(pod) if &*pod.node == node)
        });
        let scope = Scope { namespace: namespace.map(Into::into), name: None, node: Some(node.into()) };
        rig.shelf().hub().subscribe_within(Start::Now, scope, Some(filter), 9).unwrap()
    };
    let place = |name: &str, node: &str| {
        let (key, light) = (key("n", name), PodLight { node: node.into(), ..PodLight::default() });
        let draft = Draft { light: Light::Pod(Box::new(light)), ..draft(&key, "1") };
        rig.commit(vec![rig.change(&key, Expect::Any, Op::Put(draft))]).unwrap();
    };
    let mut watches = [watch(None, "x"), watch(Some("n"), "x"), watch(Some("m"), "x"), watch(None, "y")];
    place("a", "");
    place("a", "x");
    place("a", "x");
    place("b", "z");
    rig.remove(&key("n", "a"));
    rig.settled();
    let all = vec!["ADDED a@2", "MODIFIED a@3", "DELETED a@5"];
    assert_eq!(watches.each_mut().map(taken), [all.clone(), all, vec![], vec![]]);
    assert_eq!(asked.load(Ordering::Relaxed), 10, "two watchers were asked, about what was and what is");
}

#[test]
fn the_slow_are_cut_off_and_the_late_are_told() {
    let rig = Rig::memory();
    let a = key("n", "a");
    let mut slow = rig.shelf().hub().subscribe(Start::Now, None, None, None, 3).unwrap();
    let mut faulty = rig.watch(Start::Now, Some(Arc::new(|_| panic!("a filter's bug"))));
    for _ in 0..3 {
        rig.write(&a, "1");
    }
    rig.settled();
    assert_eq!(taken(&mut slow).len(), 3);
    for _ in 0..4 {
        rig.write(&a, "1");
    }
    rig.settled();
    assert_eq!((taken(&mut slow), taken(&mut slow), slow.bookmark()), (vec!["LAGGED".to_string()], vec!["LAGGED".to_string()], None));
    assert_eq!(taken(&mut faulty), ["LAGGED"]);
    assert!(rig.shelf().hub().is_empty());

    // A queue is bounded by bytes too; one large object always has room.
    let mut full = rig.watch(Start::Now, None);
    let large = "z".repeat(9 << 20);
    for last in [false, true] {
        let body = format!("{{\"metadata\":{{\"x\":\"{large}\"}}}}");
        rig.commit(vec![rig.change(&a, Expect::Any, Op::Put(Draft { body: body.into(), splice: 13, ..draft(&a, "1") }))]).unwrap();
        rig.settled();
        assert_eq!(full.bookmark().is_none() && rig.shelf().hub().is_empty(), last);
    }
    assert_eq!(taken(&mut full), ["LAGGED"]);

    // More than the history keeps: old revisions expire, newer ones resume without limit.
    let filler = "z".repeat(1 << 20);
    let big = |i: u64| Draft { body: format!("{{\"metadata\":{{\"x\":\"{filler}{i}\"}}}}").into(), splice: 13, ..draft(&a, "1") };
    for i in 0..12 {
        rig.commit(vec![rig.change(&a, Expect::Any, Op::Put(big(i)))]).unwrap();
    }
    let last = rig.shelves.committed();
    rig.settled();
    let expired = rig.shelf().hub().subscribe(Start::After(7), None, None, None, 9).map(|_| ()).unwrap_err();
    assert_eq!(expired.to_string(), format!("too old resource version: 7 ({})", expired.oldest));
    let mut resumed = rig.shelf().hub().subscribe(Start::After(expired.oldest), None, None, None, 1).unwrap();
    assert_eq!(resumed.bookmark(), None, "there is a backlog");
    assert_eq!(taken(&mut resumed).len() as u64, last - expired.oldest, "the queue's bound is for live events");
    assert_eq!(resumed.bookmark(), Some(last));
}

#[tokio::test(start_paused = true)]
async fn events_gather_for_a_while_or_until_there_are_many() {
    let rig = Rig::memory();
    let a = key("n", "a");
    let mut watch = rig.shelf().hub().subscribe(Start::Now, None, None, None, 10).unwrap();
    let begun = tokio::time::Instant::now();
    let soon = begun + Duration::from_millis(20);
    rig.write(&a, "1");
    rig.settled();
    watch.gather(soon).await;
    assert_eq!((begun.elapsed(), taken(&mut watch)), (Duration::from_millis(20), vec!["ADDED a@1".to_string()]));
    // Half of the room is taken: no more waiting, whether that happens before or meanwhile.
    for _ in 0..5 {
        rig.write(&a, "1");
    }
    rig.settled();
    let hour = begun + Duration::from_secs(3600);
    watch.gather(hour).await;
    assert_eq!(taken(&mut watch).len(), 5);
    let writing = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        (0..5).for_each(|_| drop(rig.write(&a, "1")));
        rig.settled();
    };
    tokio::join!(watch.gather(hour), writing);
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert_eq!(taken(&mut watch).len(), 5);
    // A gathering that is given up doesn't keep the next event from waking.
    assert!(tokio::time::timeout(Duration::from_secs(1), watch.gather(hour)).await.is_err());
    let (next, ()) = tokio::join!(watch.next(), async {
        tokio::task::yield_now().await;
        rig.write(&a, "1");
        rig.settled();
    });
    assert!(matches!(next, Next::Batch(batch) if batch.len() == 1));
    // Who is cut off meanwhile is told at once.
    let cutting = async {
        tokio::task::yield_now().await;
        rig.shelf().hub().end_all();
    };
    tokio::join!(watch.gather(hour), cutting);
    assert!(matches!(watch.next().await, Next::Lagged) && begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn bookmarks_move_with_the_cluster_not_the_kind() {
    let rig = Rig::memory();
    let idle = rig.shelves.shelf("idle").hub().subscribe(Start::Now, None, None, None, 9).unwrap();
    let mut busy = rig.watch(Start::Now, None);
    rig.write(&key("n", "a"), "1");
    rig.settled();
    assert_eq!((idle.bookmark(), busy.bookmark()), (Some(1), None));
    taken(&mut busy);
    assert_eq!(busy.bookmark(), Some(1));
}

/// What one watcher knows, kept by applying its events: it must never see a step twice, or miss one.
#[derive(Default)]
struct Replica {
    states: std::collections::BTreeMap<ObjectKey, u64>,
    last: u64,
}

impl Replica {
    fn apply(&mut self, batch: Vec<super::super::subscription::Delivery>) {
        for delivery in batch {
            let event = &delivery.event;
            assert!(event.revision > self.last, "in order and once: {} after {}", event.revision, self.last);
            self.last = event.revision;
            let at = event.entry.key.clone();
            let before = event.previous.as_ref().map(|entry| entry.revision);
            assert_eq!(self.states.get(&at).copied(), before, "{at} at {}: nothing was missed", event.revision);
            match delivery.kind {
                EventKind::Deleted => drop(self.states.remove(&at)),
                _ => drop(self.states.insert(at, event.revision)),
            }
        }
    }
}

/// One watcher's life: starts from a list, a snapshot or its last bookmark, reads for a while, breaks off, resumes.
async fn follow(rig: Arc<Rig>, seed: u64, end: Arc<AtomicBool>) -> usize {
    let mut random = seed;
    let mut chance = move |n: u64| {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (random >> 33) % n
    };
    let shelf = rig.shelf();
    let of = |snapshot: &crate::storage::Snapshot| snapshot.iter().map(|e| (e.key.clone(), e.revision)).collect();
    let (mut replica, mut events) = (Replica::default(), 0);
    let (revision, snapshot) = rig.shelves.read(&shelf);
    (replica.states, replica.last) = (of(&snapshot), revision);
    loop {
        let start = if chance(3) == 0 { Start::Now } else { Start::After(replica.last) };
        let mut watch = shelf.hub().subscribe(start, None, None, None, 100_000).unwrap();
        if let Some(snapshot) = watch.initial.take() {
            (replica.states, replica.last) = (of(&snapshot), watch.from);
        }
        for _ in 0..chance(50) {
            match tokio::time::timeout(Duration::from_millis(5), watch.next()).await {
                Ok(Next::Batch(batch)) => {
                    events += batch.len();
                    replica.apply(batch);
                }
                Ok(Next::Lagged) => panic!("the queue was large enough"),
                Err(_) => {}
            }
            if let Some(bookmark) = watch.bookmark() {
                assert!(bookmark >= replica.last);
                replica.last = bookmark;
            }
        }
        if end.load(Ordering::SeqCst) {
            while replica.last < rig.shelves.committed() {
                match watch.try_next() {
                    Some(Next::Batch(batch)) => replica.apply(batch),
                    Some(Next::Lagged) => panic!("the queue was large enough"),
                    None => replica.last = watch.bookmark().map_or(replica.last, |b| b.max(replica.last)),
                }
            }
            assert_eq!(replica.states, of(&shelf.snapshot()));
            return events;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_watcher_sees_every_change_once_whenever_it_joins() {
    let rig = Arc::new(Rig::memory());
    let end = Arc::new(AtomicBool::new(false));
    let watchers: Vec<_> = (1..=12).map(|seed| tokio::spawn(follow(rig.clone(), seed, end.clone()))).collect();
    let mut lazy = rig.shelf().hub().subscribe(Start::Now, None, None, None, 50).unwrap();
    let writers: Vec<_> = (0..3u64)
        .map(|writer| {
            let rig = rig.clone();
            std::thread::spawn(move || {
                for i in 0..700u64 {
                    let at = key("n", &((i * 7 + writer * 3) % 23).to_string());
                    let change = if i % 3 == 2 { rig.delete(&at, Expect::Any) } else { rig.put(&at, Expect::Any, "1") };
                    // Deleting what another writer deleted first is refused, and that is fine.
                    let other = rig.put(&key("m", &writer.to_string()), Expect::Any, "2");
                    drop(rig.commit(if i % 5 == 0 { vec![change, other] } else { vec![change] }));
                }
            })
        })
        .collect();
    tokio::task::spawn_blocking(move || writers.into_iter().for_each(|writer| writer.join().unwrap())).await.unwrap();
    end.store(true, Ordering::SeqCst);
    let mut events = 0;
    for watcher in watchers {
        events += watcher.await.unwrap();
    }
    assert!(events > 5_000, "{events}");
    assert!(matches!(lazy.next().await, Next::Lagged));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_watchers_hear_at_once() {
    let rig = Arc::new(Rig::memory());
    let (send, mut heard) = tokio::sync::mpsc::channel(100);
    for _ in 0..100 {
        let (mut watch, send) = (rig.watch(Start::Now, None), send.clone());
        tokio::spawn(async move {
            while let Next::Batch(batch) = watch.next().await {
                assert_eq!(batch.len(), 1);
                if send.send(Instant::now()).await.is_err() {
                    return;
                }
            }
        });
    }
    let mut delays = Vec::new();
    for _ in 0..20 {
        let start = Instant::now();
        rig.write(&key("n", "a"), "1");
        for _ in 0..100 {
            delays.push(heard.recv().await.unwrap() - start);
        }
    }
    delays.sort();
    println!("p50 {:?}, p99 {:?}", delays[delays.len() / 2], delays[delays.len() * 99 / 100]);
    assert!(delays[delays.len() / 2] < Duration::from_millis(5), "{:?}", delays[delays.len() / 2]);
}

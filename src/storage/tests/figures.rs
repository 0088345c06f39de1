//! Costs, to be read: `cargo nextest run storage::tests::figures --run-ignored all --no-capture`.
use super::super::redb_store::RedbStore;
use super::*;
use std::time::{Duration, Instant};

/// CPU used by the process so far.
fn cpu() -> Duration {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).unwrap();
    let micros = |t: nix::sys::time::TimeVal| (t.tv_sec() * 1_000_000 + t.tv_usec()) as u64;
    Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
}

fn body(name: &str) -> (u32, bytes::Bytes) {
    let filler = "x".repeat(420);
    let head = format!(r#"{{"apiVersion":"v1","data":{{"filler":"{filler}"}},"kind":"ConfigMap","metadata":{{"#);
    let rest = format!(
        r#""creationTimestamp":"2026-11-21T04:00:00Z","labels":{{"app":"web","tier":"front"}},"name":"{name}","namespace":"default","uid":"0b1c2d3e-0000-0000-0000-000000000000"}}}}"#
    );
    (head.len() as u32, format!("{head}{rest}").into())
}

#[test]
#[ignore = "prints figures"]
fn put_and_load() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = RedbStore::open(directory.path()).unwrap();
    for chunk in 0..100 {
        let write = |i: usize| StoreWrite {
            shelf: "configmaps".into(),
            key: key("default", &format!("c{chunk}-{i}")),
            record: Some(body(&format!("c{chunk}-{i}"))),
        };
        store.commit(&(0..1000).map(write).collect::<Vec<_>>()).unwrap();
    }
    drop(store);
    let (start, before) = (Instant::now(), cpu());
    let mut store = RedbStore::open(directory.path()).unwrap();
    println!("open: {:?}, {:?} CPU", start.elapsed(), cpu() - before);
    for what in ["reading 100,000 records, perhaps compacting", "reading them again"] {
        let (start, before) = (Instant::now(), cpu());
        store.load(&mut |_, _, _| ()).unwrap();
        println!("{what}: {:?}, {:?} CPU", start.elapsed(), cpu() - before);
    }
    let (start, before) = (Instant::now(), cpu());
    let rig = Rig::new(store);
    println!("loading 100,000 objects: {:?}, {:?} CPU", start.elapsed(), cpu() - before);
    let shelf = rig.shelves.shelf("configmaps");
    assert_eq!(shelf.snapshot().len(), 100_000);
    for size in [1, 16, 64] {
        let (rounds, start, before) = (100, Instant::now(), cpu());
        for round in 0..rounds {
            let changes = (0..size).map(|i| {
                let at = key("default", &format!("c{round}-{i}"));
                let (splice, body) = body(&at.name);
                let op = Op::Put(Draft { body, splice, meta: Meta::default(), light: Light::None });
                Change { shelf: shelf.clone(), key: at, expect: Expect::Any, op, token: rig.committer.next_token() }
            });
            rig.commit(changes.collect()).unwrap();
        }
        let writes = rounds * size as u32;
        println!("puts in batches of {size}: {:?} CPU, {:?} wall per put", (cpu() - before) / writes, start.elapsed() / writes);
    }
    rig.stop();
}

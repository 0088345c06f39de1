//! The stores: both behave alike, and the durable one keeps what it promised.
use super::super::redb_store::RedbStore;
use super::*;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::fs;
use std::time::{Duration, Instant};
use tempfile::tempdir;

fn write(shelf: &str, at: &ObjectKey, body: Option<&str>) -> StoreWrite {
    StoreWrite { shelf: shelf.into(), key: at.clone(), record: body.map(|b| (0, bytes::Bytes::copy_from_slice(b.as_bytes()))) }
}

fn contents(store: &mut dyn Store) -> (u64, Vec<String>) {
    let mut all = Vec::new();
    let mut each = |shelf: &str, key: ObjectKey, record: Record| {
        all.push(format!("{shelf} {key} {} {}", record.revision, String::from_utf8_lossy(&record.body)));
    };
    let revision = store.load(&mut each).unwrap();
    (revision, all)
}

#[test]
fn both_stores_behave_alike() {
    let directory = tempdir().unwrap();
    let (a, b) = (key("n", "a"), key("m", "b"));
    let run = |store: &mut dyn Store| {
        assert_eq!(store.last_revision().unwrap(), 0);
        assert_eq!(
            store.commit(&[write("pods", &a, Some("1")), write("nodes", &b, Some("2")), write("pods", &a, Some("3"))]).unwrap(),
            [1, 2, 3]
        );
        assert_eq!(store.commit(&[write("pods", &b, Some("4")), write("pods", &key("no", "such"), None)]).unwrap(), [4, 5]);
        store.reopen().unwrap();
        assert_eq!(store.last_revision().unwrap(), 5);
        assert_eq!(store.read("pods", &a).unwrap().map(|r| (r.revision, r.body)), Some((3, "3".into())));
        assert_eq!(store.read("nodes", &a).unwrap(), None);
        assert_eq!(contents(store), (5, vec!["nodes m/b 2 2".into(), "pods m/b 4 4".into(), "pods n/a 3 3".into()]));
        assert_eq!(store.commit(&[write("pods", &b, None), write("pods", &a, None), write("nodes", &b, None)]).unwrap(), [6, 7, 8]);
        assert_eq!(contents(store), (8, vec![]));
    };
    run(&mut MemoryStore::new());
    run(&mut RedbStore::open(directory.path()).unwrap());
    let mut again = RedbStore::open(directory.path()).unwrap();
    assert_eq!(again.commit(&[write("pods", &a, Some("9"))]).unwrap(), [9], "an empty store still knows its number line");
}

#[test]
fn a_cluster_goes_on_where_it_stopped() {
    let directory = tempdir().unwrap();
    let (a, b) = (key("n", "a"), key("n", "b"));
    let rig = Rig::new(RedbStore::open(directory.path()).unwrap());
    let old = rig.write(&a, "1");
    rig.write(&b, "1");
    rig.remove(&b);
    rig.stop();
    let start = Instant::now();
    let rig = Rig::new(RedbStore::open(directory.path()).unwrap());
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    let loaded = rig.shelf().snapshot().get(&a).cloned().unwrap();
    assert_eq!((&loaded.meta, loaded.revision, loaded.served()), (&old.meta, 1, old.served()));
    assert_eq!((rig.shelves.committed(), rig.shelves.fanned_out(), rig.shelf().snapshot().len()), (3, 3, 1));
    assert!(rig.shelf().hub().subscribe(Start::After(2), None, None, None, 9).is_err(), "history starts with the process");
    let update = rig.commit(vec![rig.put(&a, Expect::Token(loaded.token), "2")]).unwrap();
    assert_eq!(update[0].revision, 4);
    assert!(update[0].token > loaded.token);
    rig.stop();
}

#[test]
fn what_is_not_ours_is_left_alone_and_named() {
    let refusal = |directory: &Path| RedbStore::open(directory).map(|_| ()).unwrap_err().to_string();
    let directory = tempdir().unwrap();
    let store = RedbStore::open(directory.path()).unwrap();
    assert_eq!(store.cluster_id().len(), 32);
    assert!(refusal(directory.path()).starts_with("another impresario uses this data directory"));
    drop(store);

    let file = directory.path().join("store.redb");
    let database = redb::Database::open(&file).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(redb::TableDefinition::<&str, u64>::new("impresario")).unwrap().insert("format", 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert!(refusal(directory.path()).contains("newer Impresario (store format 2; this one knows 1)"));

    for garbage in [&b"not a database at all"[..], &[0u8; 70_000][..], b""] {
        fs::write(&file, garbage).unwrap();
        let text = refusal(directory.path());
        assert!(text.contains("is not an Impresario store") && text.contains("move it away"), "{text}");
        assert_eq!(fs::read(&file).unwrap(), garbage, "left as it was");
    }
    fs::remove_file(&file).unwrap();
    let foreign = redb::Database::create(&file).unwrap();
    drop(foreign);
    assert!(refusal(directory.path()).contains("another program's redb file"));
    assert!(refusal(&file).contains("not a directory"));
}

#[test]
fn a_backup_is_a_store() {
    let (directory, restored) = (tempdir().unwrap(), tempdir().unwrap());
    let to = restored.path().join("store.redb");
    let rig = Rig::new(RedbStore::open(directory.path()).unwrap());
    for i in 0..300 {
        rig.write(&key("n", &format!("{i:03}")), "1");
    }
    let (send, receive) = channel();
    assert!(rig.committer.backup(to.clone(), Box::new(move |job| drop(send.send(job)))));
    let job = receive.recv().unwrap().unwrap();
    rig.write(&key("n", "000"), "later");
    job().unwrap();
    rig.stop();
    let mut original = RedbStore::open(directory.path()).unwrap();
    let mut copy = RedbStore::open(restored.path()).unwrap();
    assert_eq!(copy.cluster_id(), original.cluster_id());
    let (revision, objects) = contents(&mut copy);
    assert_eq!((revision, objects.len(), &objects[1..]), (300, 300, &contents(&mut original).1[1..]), "the moment it was asked for");
    assert!(matches!(original.backup(&to).unwrap()(), Err(StoreError::Exists(_))));
}

/// Needs root: mounts a small disk, in a mount namespace of this thread's own.
#[test]
fn a_full_disk_refuses_writes_and_heals() {
    let directory = tempdir().unwrap();
    unshare(CloneFlags::CLONE_NEWNS).expect("this test needs root");
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
    mount(Some("tmpfs"), directory.path(), Some("tmpfs"), MsFlags::empty(), Some("size=48m")).unwrap();
    let (ballast, a) = (directory.path().join("ballast"), key("n", "a"));
    // First with the reserve, which keeps the engine from ever seeing the full disk, then without.
    for reserve in [32 << 20, 0] {
        let rig = Rig::new(RedbStore::open(directory.path()).unwrap().with_reserve(reserve));
        rig.write(&a, "before");
        let _ = fs::write(&ballast, vec![1u8; 64 << 20]);
        let big = format!("{{\"metadata\":{{\"x\":\"{}\"}}}}", "y".repeat(4 << 20));
        let put = || {
            let draft = Draft { body: big.clone().into(), splice: 13, ..draft(&a, "big") };
            rig.commit(vec![rig.change(&key("n", "big"), Expect::Any, Op::Put(draft))])
        };
        let refused = put().map(|_| ()).unwrap_err();
        assert!(matches!(refused, CommitError::Refused(_)), "{refused:?}");
        assert_eq!(rig.published(&a).as_deref(), Some("before"), "reads go on");
        let before = rig.shelves.committed();
        fs::remove_file(&ballast).unwrap();
        if reserve == 0 {
            assert_eq!(put().unwrap()[0].revision, before + 1, "no revision was used up");
            assert_eq!(rig.remove(&key("n", "big")).revision, before + 2);
        }
        rig.stop();
    }
}

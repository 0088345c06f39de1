//! Snapshots: pages, bookkeeping, retained ones, revisions of lists.
use super::*;

#[test]
fn pages_follow_each_other_exactly() {
    let rig = Rig::memory();
    let names = ["a", "a-b", "b", "c"];
    for namespace in ["", "m", "m-x", "z"] {
        for name in names {
            rig.write(&key(namespace, name), "1");
        }
    }
    let snapshot = rig.shelf().snapshot();
    let all: Vec<ObjectKey> = snapshot.iter().map(|e| e.key.clone()).collect();
    assert!(all.is_sorted() && all.len() == 16 && snapshot.len() == 16);
    let mut starts: Vec<Option<ObjectKey>> = all.iter().cloned().map(Some).collect();
    starts.extend([None, Some(key("m", "")), Some(key("m", "aa")), Some(key("mm", "b")), Some(key("zz", ""))]);
    for namespace in [None, Some(""), Some("m"), Some("m-x"), Some("none")] {
        for after in &starts {
            let inside = |k: &&ObjectKey| namespace.is_none_or(|n| n == &*k.namespace) && after.as_ref().is_none_or(|after| *k > after);
            let expected: Vec<_> = all.iter().filter(inside).collect();
            let page: Vec<_> = snapshot.iter_after(namespace, after.as_ref()).map(|e| &e.key).collect();
            assert_eq!(page, expected, "{namespace:?} after {after:?}");
        }
    }
    assert_eq!(snapshot.iter_namespace("m").count(), snapshot.namespace_len("m"));
    for at in &all {
        rig.remove(at);
    }
    let empty = rig.shelf().snapshot();
    assert_eq!((empty.len(), empty.bytes(), empty.iter().count(), snapshot.iter().count()), (0, 0, 0, 16), "the old one is as it was");
}

#[test]
fn lists_say_the_clusters_revision_and_old_ones_stay_for_their_pages() {
    let rig = Rig::memory();
    let (a, idle) = (key("n", "a"), rig.shelves.shelf("idle.example.com"));
    rig.write(&a, "1");
    assert_eq!(rig.shelves.read(&idle).0, 1, "an idle kind is as new as the cluster");
    let (revision, snapshot) = rig.shelves.read(&rig.shelf());
    rig.shelf().retain(snapshot, revision);
    rig.write(&a, "2");
    let old = rig.shelf().retained(revision).unwrap();
    assert_eq!(old.get(&a).map(|e| value(e).to_string()).as_deref(), Some("1"));
    assert!(rig.shelf().retained(2).is_none());
    assert!(Arc::ptr_eq(&rig.shelves.shelf("idle.example.com"), &idle));
    assert_eq!(
        rig.shelf().snapshot().get(&a).unwrap().served()[..],
        br#"{"data":{},"metadata":{"resourceVersion":"2","labels":{"v":"2"},"name":"a","namespace":"n","uid":"u"}}"#[..]
    );
}

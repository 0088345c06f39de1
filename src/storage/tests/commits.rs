//! Group commit: order of effects, expectations on top of pending writes, and every way to fail.
use super::super::change::Guard;
use super::*;
use crate::protocol::status::ApiError;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// A rig whose store commits once per message.
fn gated() -> (Rig, Sender<()>) {
    let (open, gate) = channel();
    (Rig::new(Faulty { gate: Some(gate), ..Faulty::new(&Faults::default()) }), open)
}

#[test]
fn nothing_is_visible_before_it_is_durable_and_everything_is_when_answered() {
    let (rig, open) = gated();
    let (a, shelf) = (key("n", "a"), rig.shelf());
    let mut watch = rig.watch(Start::Now, None);
    let (send, receive) = channel();
    let shelves = rig.shelves.clone();
    let (at, seen_by) = (a.clone(), shelf.clone());
    let reply = Box::new(move |outcome: Outcome| {
        let visible = seen_by.snapshot().get(&at).is_some();
        let _ = send.send((outcome.unwrap()[0].revision, visible, shelves.committed(), shelves.fanned_out()));
    });
    rig.committer.submit(Commit { changes: vec![rig.put(&a, Expect::Absent, "1")], reply }).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    assert!(shelf.snapshot().is_empty() && rig.shelves.committed() == 0 && receive.try_recv().is_err() && taken(&mut watch).is_empty());
    open.send(()).unwrap();
    assert_eq!(receive.recv().unwrap(), (1, true, 1, 0), "published and advanced before the answer, fanned out after it");
    rig.settled();
    assert_eq!(taken(&mut watch), ["ADDED a@1"]);
}

#[test]
fn later_commits_build_on_pending_ones_of_their_batch() {
    let (rig, open) = gated();
    let (a, b) = (key("n", "a"), key("n", "b"));
    let mut watch = rig.watch(Start::Now, None);
    // The first commit occupies the store, so that the others wait together.
    let first = rig.submit(vec![rig.put(&key("n", "first"), Expect::Any, "0")]);
    while rig.committer.stats().waiting > 0 {
        std::thread::yield_now();
    }
    let create = rig.put(&a, Expect::Absent, "1");
    let pending = create.token;
    let created = rig.submit(vec![create]);
    let exists = rig.submit(vec![rig.put(&a, Expect::Absent, "x")]);
    let updated = rig.submit(vec![rig.put(&a, Expect::Token(pending), "2")]);
    // All or nothing: the second change fails, so the first must leave no trace.
    let torn = rig.submit(vec![rig.put(&b, Expect::Absent, "x"), rig.put(&a, Expect::Token(pending), "3")]);
    let guarded = rig.submit(vec![rig.change(&a, Expect::Any, Op::Check(Guard::Live)), rig.put(&b, Expect::Absent, "1")]);
    let deleted = rig.submit(vec![rig.delete(&a, Expect::Any)]);
    let missing = rig.submit(vec![rig.delete(&a, Expect::Any)]);
    let again = rig.submit(vec![rig.put(&a, Expect::Absent, "4"), rig.put(&a, Expect::Any, "5")]);
    open.send(()).unwrap();
    first.recv().unwrap().unwrap();
    open.send(()).unwrap();

    assert_eq!(created.recv().unwrap().unwrap()[0].revision, 2);
    let found = |outcome: Outcome| match outcome {
        Err(CommitError::Expectation { found, .. }) => found.map(|e| (value(&e).to_string(), e.revision)),
        other => panic!("{other:?}"),
    };
    assert_eq!(found(exists.recv().unwrap()), Some(("1".into(), 2)), "what is found has its revision");
    assert_eq!(updated.recv().unwrap().unwrap()[0].revision, 3);
    assert_eq!(found(torn.recv().unwrap()), Some(("2".into(), 3)));
    assert_eq!(guarded.recv().unwrap().unwrap().len(), 1);
    assert_eq!(deleted.recv().unwrap().unwrap()[0].revision, 5);
    assert_eq!(found(missing.recv().unwrap()), None);
    assert_eq!(again.recv().unwrap().unwrap().iter().map(|e| e.revision).collect::<Vec<_>>(), [6, 7]);
    rig.settled();
    let events = ["ADDED first@1", "ADDED a@2", "MODIFIED a@3", "ADDED b@4", "DELETED a@5", "ADDED a@6", "MODIFIED a@7"];
    assert_eq!(taken(&mut watch), events);
    assert_eq!(rig.published(&a).as_deref(), Some("5"));
    assert_eq!(rig.committer.stats().transactions, 2, "eight commits, one sync");
}

#[test]
fn guards_refuse_in_their_own_words() {
    let rig = Rig::memory();
    let (gone, dying) = (key("", "gone"), key("", "dying"));
    let shelf = rig.shelves.shelf("namespaces");
    let mut draft = draft(&dying, "1");
    draft.meta.deleting = Some(1);
    let on =
        |key: &ObjectKey, op| Change { shelf: shelf.clone(), key: key.clone(), expect: Expect::Any, op, token: rig.committer.next_token() };
    rig.commit(vec![on(&dying, Op::Put(draft))]).unwrap();
    let refusal = |key: &ObjectKey, guard: Guard| match rig.commit(vec![on(key, Op::Check(guard)), rig.put(&key.clone(), Expect::Any, "x")])
    {
        Err(CommitError::Guard(error)) => (error.code, error.message),
        other => panic!("{other:?}"),
    };
    assert_eq!(refusal(&gone, Guard::Exists), (404, "namespaces \"gone\" not found".into()));
    assert_eq!(refusal(&dying, Guard::Live), (403, "namespaces \"dying\" is forbidden: it is being deleted".into()));
    assert_eq!(refusal(&dying, Guard::Custom(Arc::new(|_| Err(ApiError::bad_request("no"))))), (400, "no".into()));
    assert_eq!(refusal(&dying, Guard::Custom(Arc::new(|_| panic!("a guard's bug")))).0, 500);
    assert!(rig.shelf().snapshot().is_empty());
    assert!(rig.commit(vec![on(&dying, Op::Check(Guard::Exists))]).unwrap().is_empty(), "nothing to write, nothing written");
    assert_eq!(rig.shelves.committed(), 1);
}

#[test]
fn a_failed_commit_is_looked_up_and_told_as_it_is() {
    let faults = Faults::default();
    let rig = Rig::new(Faulty::new(&faults));
    let a = key("n", "a");
    let mut watch = rig.watch(Start::Now, None);
    rig.write(&a, "1");
    let attempt = |fault: Fault, value: &str| {
        faults.inject(fault);
        rig.commit(vec![rig.put(&a, Expect::Any, value)]).map(|entries| entries[0].revision).map_err(|e| e.to_string())
    };
    assert_eq!(attempt(Fault::Lost, "x").unwrap_err(), "the write was refused: the test's disk: broken");
    assert_eq!(attempt(Fault::Landed, "2"), Ok(2));
    assert!(attempt(Fault::Full, "x").unwrap_err().contains("the disk of /data is full (7 bytes left)"));
    assert!(attempt(Fault::Panic, "x").unwrap_err().contains("panicked"));
    assert_eq!(rig.published(&a).as_deref(), Some("2"), "reads go on");
    rig.write(&a, "3");
    rig.settled();
    assert_eq!(taken(&mut watch), ["ADDED a@1", "MODIFIED a@2", "MODIFIED a@3"]);
    assert_eq!(rig.committer.stats().failures, 4);

    assert!(matches!(attempt(Fault::Foreign, "x"), Err(e) if e.contains("not known")));
    assert!(matches!(rig.commit(vec![rig.put(&a, Expect::Any, "x")]), Err(CommitError::Refused(e)) if e.contains("restart")));
    assert_eq!(rig.published(&a).as_deref(), Some("3"));
}

#[test]
fn an_unreadable_store_leaves_the_outcome_unknown_until_it_is_back() {
    for (fault, landed) in [(Fault::Landed, true), (Fault::Lost, false)] {
        let faults = Faults::default();
        let rig = Rig::new(Faulty::new(&faults));
        let (a, b) = (key("n", "a"), key("n", "b"));
        let mut watch = rig.watch(Start::Now, None);
        faults.dead.store(true, Ordering::SeqCst);
        faults.inject(fault);
        assert!(matches!(rig.commit(vec![rig.put(&a, Expect::Any, "1")]), Err(CommitError::Unknown(_))));
        assert!(matches!(rig.commit(vec![rig.put(&b, Expect::Any, "1")]), Err(CommitError::Refused(_))), "nothing new meanwhile");
        assert_eq!(rig.published(&a), None);
        faults.dead.store(false, Ordering::SeqCst);
        let outcome = rig.commit(vec![rig.put(&a, Expect::Absent, "2")]);
        assert_eq!(outcome.is_err(), landed, "judged against what had in fact happened");
        rig.settled();
        assert_eq!(
            (rig.published(&a).as_deref(), taken(&mut watch)),
            (Some(if landed { "1" } else { "2" }), vec!["ADDED a@1".to_string()])
        );
    }
}

#[test]
fn a_store_that_comes_back_is_noticed_without_writes() {
    let faults = Faults::default();
    let rig = Rig::new(Faulty::new(&faults));
    faults.dead.store(true, Ordering::SeqCst);
    faults.inject(Fault::Landed);
    let a = key("n", "a");
    assert!(matches!(rig.commit(vec![rig.put(&a, Expect::Any, "1")]), Err(CommitError::Unknown(_))));
    faults.dead.store(false, Ordering::SeqCst);
    let start = Instant::now();
    while rig.published(&a).is_none() {
        assert!(start.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn stopping_carries_out_what_waits_and_takes_no_more() {
    let (rig, open) = gated();
    let waiting: Vec<_> = (0..20).map(|i| rig.submit(vec![rig.put(&key("n", &i.to_string()), Expect::Any, "1")])).collect();
    rig.committer.stop();
    let late = Commit { changes: vec![rig.put(&key("n", "late"), Expect::Any, "1")], reply: Box::new(|_| ()) };
    assert!(rig.committer.submit(late).is_err() && rig.committer.is_closed());
    drop(open);
    for outcome in waiting {
        outcome.recv().unwrap().unwrap();
    }
    rig.stop();
}

#[test]
fn the_queue_is_bounded_and_a_panicking_reply_hurts_nobody() {
    let (rig, open) = gated();
    let a = key("n", "a");
    let commit = |reply| Commit { changes: vec![rig.put(&a, Expect::Any, "1")], reply };
    rig.committer.submit(commit(Box::new(|_| panic!("a reply's bug")))).unwrap();
    let accepted = (0..10_000).take_while(|_| rig.committer.submit(commit(Box::new(|_| ()))).is_ok()).count();
    assert!((4095..=4096 + 512).contains(&accepted), "{accepted}");
    drop(open);
    while rig.committer.stats().waiting > 0 {
        std::thread::yield_now();
    }
    rig.write(&a, "2");
    assert_eq!(rig.published(&a).as_deref(), Some("2"));
}

//! The base under stress: panics on purpose, full mailboxes, escalation.
use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::oneshot;

/// Adds numbers; 13 is its bad luck.
struct Adder {
    durable: Arc<AtomicU64>,
}

enum Add {
    Number(u64, oneshot::Sender<u64>),
    Hold(std::sync::mpsc::Receiver<()>),
}

impl Role for Adder {
    type Message = Add;
    fn handle(&mut self, message: Add, scope: &mut Scope<'_, Self>) {
        match message {
            Add::Number(13, _) => panic!("unlucky"),
            Add::Number(n, reply) => {
                let sum = self.durable.fetch_add(n, SeqCst) + n;
                scope.decided(format!("added {n}"));
                let _ = reply.send(sum);
            }
            Add::Hold(gate) => {
                let _ = gate.recv();
            }
        }
    }
}

fn start(capacity: usize, intensity: usize) -> (Mailbox<Add>, Arc<AtomicU64>, Arc<AtomicU64>, Registry, actix_rt::Arbiter) {
    let (durable, escalations) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let seen = escalations.clone();
    let policy =
        RestartPolicy { intensity, first_pause: Duration::from_millis(1), longest_pause: Duration::from_millis(4), ..Default::default() };
    let registry = Registry::default();
    let guardian = Guardian::new(registry.clone(), policy, move |_, _| {
        seen.fetch_add(1, SeqCst);
    });
    let arbiter = actix_rt::Arbiter::new();
    let mailbox = Mailbox::new("test/adder");
    let state = durable.clone();
    guardian.start(&arbiter.handle(), &mailbox, capacity, move || Adder { durable: state.clone() });
    (mailbox, durable, escalations, registry, arbiter)
}

const LIMIT: Duration = Duration::from_secs(5);

#[actix_rt::test]
async fn a_panic_loses_nothing_that_was_acknowledged_and_service_resumes() {
    let (mailbox, durable, escalations, registry, _arbiter) = start(4096, 100);
    let mut acknowledged = 0;
    let asks = (0..1000u64).map(|i| {
        let mailbox = mailbox.clone();
        let n = if i % 50 == 7 { 13 } else { 1 };
        async move { mailbox.ask(LIMIT, |reply| Add::Number(n, reply)).await }
    });
    for answer in futures_util::future::join_all(asks).await {
        match answer {
            Ok(_) => acknowledged += 1,
            Err(e) => assert_eq!(e, AskError::Dropped("test/adder".into())),
        }
    }
    assert_eq!(acknowledged, 980);
    assert_eq!(durable.load(SeqCst), 980);
    assert_eq!(escalations.load(SeqCst), 0);
    let report = registry.report();
    assert_eq!((report[0].restarts, report[0].depth), (20, 0));
    assert_eq!(report[0].last_error, "unlucky");
    assert_eq!(report[0].last_decision, "added 1");
}

#[actix_rt::test]
async fn too_many_panics_escalate() {
    let (mailbox, _, escalations, _, _arbiter) = start(16, 2);
    for _ in 0..3 {
        let _ = mailbox.ask(LIMIT, |reply| Add::Number(13, reply)).await;
    }
    mailbox.ask(LIMIT, |reply| Add::Number(1, reply)).await.unwrap();
    assert_eq!(escalations.load(SeqCst), 1);
}

#[actix_rt::test]
async fn a_full_mailbox_refuses_and_counts() {
    let (mailbox, durable, _, registry, _arbiter) = start(4, 2);
    mailbox.ask(LIMIT, |reply| Add::Number(1, reply)).await.unwrap();
    let (open, gate) = std::sync::mpsc::channel();
    assert!(mailbox.tell(Add::Hold(gate)).is_ok());
    let mut refused = 0;
    for _ in 0..100 {
        if matches!(mailbox.tell(Add::Number(1, oneshot::channel().0)), Err(SendError::Full(_))) {
            refused += 1;
        }
    }
    assert!(refused >= 90, "a mailbox of 4 took {} letters", 100 - refused);
    open.send(()).unwrap();
    while let Err(error) = mailbox.ask(LIMIT, |reply| Add::Number(1, reply)).await {
        assert_eq!(error, AskError::Full("test/adder".into()));
        tokio::task::yield_now().await;
    }
    assert_eq!(durable.load(SeqCst), 2 + (100 - refused));
    assert!(registry.report()[0].dropped >= refused);
}

#[actix_rt::test]
async fn who_delivers_waits_for_room_and_nothing_is_lost() {
    let (mailbox, durable, _, registry, _arbiter) = start(1, 2);
    mailbox.ask(LIMIT, |reply| Add::Number(1, reply)).await.unwrap();
    let (open, gate) = std::sync::mpsc::channel();
    assert!(mailbox.deliver(Add::Hold(gate)).await);
    let letters: Vec<_> = (0..200)
        .map(|_| {
            let to = mailbox.clone();
            actix_rt::spawn(async move { to.deliver(Add::Number(1, oneshot::channel().0)).await })
        })
        .collect();
    mailbox.post(Add::Number(1, oneshot::channel().0));
    tokio::task::yield_now().await;
    open.send(()).unwrap();
    for letter in letters {
        assert!(tokio::time::timeout(LIMIT, letter).await.unwrap().unwrap());
    }
    let (reply, last) = oneshot::channel();
    assert!(mailbox.deliver(Add::Number(0, reply)).await);
    assert_eq!(last.await.unwrap(), 202);
    assert_eq!(durable.load(SeqCst), 202);
    assert_eq!(registry.report()[0].dropped, 0, "a letter that waited was not dropped");
}

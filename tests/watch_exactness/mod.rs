//! Watch exactness: many watchers, writers as fast as the server takes them, connections that break at random, readers that stop for a
//! while, and a server that is killed again and again. Every watcher sees each revision of each object once and in order, or is told
//! that it is too late (410) and lists again; lists and watches agree; and what was acknowledged is seen by everybody.
//!
//! `IMPRESARIO_WATCH_SECONDS` makes it longer than the few seconds that it takes by default.
mod checker;
mod watcher;
mod writer;

use crate::cluster::{Cluster, Options};
use crate::crash::Dice;
use crate::https::Client;
use checker::{Fault, History, Objects, Seen, Written};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use watcher::Plan;

const WATCHERS: usize = 50;
const WRITERS: usize = 16;
/// Between two kills of the server.
const LIFE: Duration = Duration::from_millis(2500);
/// How long the watchers may take to see the end once everything is written.
const TAIL: Duration = Duration::from_secs(60);

/// The last objects that are made: who has seen those that it asked for has seen everything.
const ENDS: [&str; 3] = ["half-0-end", "half-1-end", "half-0-end-0"];

/// Where everything happens.
const COLLECTION: &str = "/api/v1/namespaces/exact/configmaps";

#[test]
fn every_watcher_sees_every_revision_once_and_in_order_or_is_told_to_list_again() {
    let seconds = std::env::var("IMPRESARIO_WATCH_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(8);
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64);
    eprintln!("watch exactness: seed {seed}, {seconds} s");
    let cluster = Cluster::prepare(Options { name: "exact", no_node: true, api_port: free_port(), ..Options::default() });
    cluster.spawn();
    cluster.wait_ready();
    let namespace = json!({ "metadata": { "name": "exact" } });
    assert_eq!(cluster.client().post("/api/v1/namespaces", &namespace).map(|a| a.status).ok(), Some(201));

    let begin = Instant::now();
    let run = run(&cluster, Duration::from_secs(seconds), Dice::new(seed));
    let events = run.count(|seen| matches!(seen, Seen::Event { .. }));
    let (gone, resumed) = (run.count(|seen| *seen == Seen::Gone), run.count(|seen| matches!(seen, Seen::Resumed { .. })));
    let bookmarks = run.count(|seen| matches!(seen, Seen::Bookmark { .. }));
    eprintln!(
        "{} writes acknowledged, {events} events to {WATCHERS} watchers, {} kills, {resumed} watches begun, {gone} times too late, {bookmarks} bookmarks, {} lists, {:?}",
        run.written.len(),
        run.kills,
        run.lists.len(),
        begin.elapsed(),
    );
    let faults: Vec<Fault> = checker::judge(&run.histories, &run.written, &run.lists);
    assert!(faults.is_empty(), "{} faults; the first: {:#?}", faults.len(), &faults[..faults.len().min(10)]);
    let lost: Vec<&(usize, usize)> = run.unfinished.iter().collect();
    assert!(lost.is_empty(), "watchers that never saw the end: {lost:?}");
    assert!(run.kills > 0 && gone > 0 && resumed > 2 * WATCHERS && bookmarks > 0 && run.lists.len() > 5, "too little happened");
    assert!(events > run.written.len() * WATCHERS / 8, "too few events to prove anything");
}

/// What a run left.
struct Run {
    histories: Vec<History>,
    written: Vec<Written>,
    lists: Vec<(u64, Objects)>,
    kills: usize,
    /// Watchers that did not see the end, and how many things they saw.
    unfinished: Vec<(usize, usize)>,
}

impl Run {
    fn count(&self, what: impl Fn(&Seen) -> bool) -> usize {
        self.histories.iter().flat_map(|history| &history.seen).filter(|seen| what(seen)).count()
    }
}

fn run(cluster: &Cluster, length: Duration, mut dice: Dice) -> Run {
    let (over, ended) = (&AtomicBool::new(false), &AtomicBool::new(false));
    thread::scope(|scope| {
        let watchers: Vec<_> = (0..WATCHERS)
            .map(|number| {
                let (client, plan) = (cluster.client(), Plan::of(number, dice.next()));
                (number, plan.selects, scope.spawn(move || watcher::watch(client, plan, ended)))
            })
            .collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| {
                let (client, dice) = (cluster.client(), Dice::new(dice.next()));
                scope.spawn(move || writer::write(client, number, dice, over))
            })
            .collect();
        let lister = cluster.client();
        let lister = scope.spawn(move || list_again_and_again(lister, over));
        let kills = kill_again_and_again(cluster, length, &mut dice);
        over.store(true, Ordering::SeqCst);
        let mut written: Vec<Written> = Vec::new();
        writers.into_iter().for_each(|writer| written.extend(writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))));
        let mut lists = lister.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let mut client = cluster.client();
        written.extend(ENDS.map(|name| writer::end(&mut client, name)));
        lists.extend(list(&mut client));
        // Whoever has not seen the end in time goes without it.
        let deadline = Instant::now() + TAIL;
        while Instant::now() < deadline && watchers.iter().any(|(_, _, thread)| !thread.is_finished()) {
            thread::sleep(Duration::from_millis(20));
        }
        ended.store(true, Ordering::SeqCst);
        let (mut histories, mut unfinished) = (Vec::new(), Vec::new());
        for (watcher, selects, thread) in watchers {
            let (seen, finished) = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            if !finished {
                unfinished.push((watcher, seen.len()));
            }
            histories.push(History { watcher, selects, seen });
        }
        Run { histories, written, lists, kills, unfinished }
    })
}

/// Kills and restarts the server until the time is over; it runs in the end.
fn kill_again_and_again(cluster: &Cluster, length: Duration, dice: &mut Dice) -> usize {
    let (begin, mut kills) = (Instant::now(), 0);
    loop {
        let left = length.saturating_sub(begin.elapsed());
        if left < LIFE {
            thread::sleep(left);
            return kills;
        }
        thread::sleep(LIFE.mul_f64(0.5 + dice.below(100) as f64 / 100.0).min(left));
        cluster.kill();
        kills += 1;
        cluster.spawn();
        cluster.wait_ready();
    }
}

fn list_again_and_again(mut client: Client, over: &AtomicBool) -> Vec<(u64, Objects)> {
    let mut lists = Vec::new();
    while !over.load(Ordering::Relaxed) {
        lists.extend(list(&mut client));
        thread::sleep(Duration::from_millis(50));
    }
    lists
}

/// A whole list, when the server answers.
fn list(client: &mut Client) -> Option<(u64, Objects)> {
    let answer = client.get(COLLECTION).ok().filter(|answer| answer.status == 200)?;
    let list = answer.json();
    let items = list["items"].as_array().into_iter().flatten().map(state_of).filter(|(name, _)| is_ours(name));
    Some((revision_of(&list), items.map(|(name, revision)| (name.into(), revision)).collect()))
}

fn state_of(object: &Value) -> (&str, u64) {
    (object["metadata"]["name"].as_str().unwrap_or_default(), revision_of(object))
}

fn revision_of(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().and_then(|r| r.parse().ok()).unwrap_or(0)
}

/// The writers' objects; every namespace has another ConfigMap, which nobody counts.
fn is_ours(name: &str) -> bool {
    name.starts_with("half-")
}

/// A port that was free a moment ago; it stays the same over restarts so that clients find the server again.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map(|a| a.port()).expect("a free port")
}

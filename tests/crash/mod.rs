//! The server is killed at random moments, 200 times, while clients write. Afterwards every acknowledged write is there,
//! nothing is torn, nothing was shown that is not kept, nothing appears that nobody wrote, and revisions never go back.
mod ledger;
mod writer;

use crate::cluster::{Cluster, Options};
use crate::run::wait_for;
use ledger::{Ledger, Shown};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
pub use writer::Dice;

/// Two servers are killed side by side, each this often.
const KILLS: usize = 100;
const LANES: u64 = 2;
const WRITERS: usize = 6;

#[test]
fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64);
    eprintln!("crash seed {seed}");
    let begin = Instant::now();
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let lanes: Vec<_> =
            (0..LANES).map(|lane| scope.spawn(move || kill_again_and_again(lane, Dice::new(seed ^ (lane << 32))))).collect();
        lanes.into_iter().map(|lane| lane.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let sum = |count: fn(&Tally) -> usize| tallies.iter().map(count).sum::<usize>();
    eprintln!(
        "{} kills in {:?}: {} acknowledged writes kept, {} of {} unanswered ones had been written; start to ready {:?} at the median",
        sum(|t| t.kills),
        begin.elapsed(),
        sum(|t| t.acknowledged),
        sum(|t| t.unanswered_kept),
        sum(|t| t.unanswered),
        tallies[0].median_start(),
    );
    assert!(sum(|t| t.kills) >= 200);
    assert!(sum(|t| t.acknowledged) > 800, "too little load to prove anything");
    assert!(sum(|t| t.unanswered) > 20, "the kills did not hit writes under way");
}

/// What one lane saw.
#[derive(Default)]
pub struct Tally {
    pub kills: usize,
    pub acknowledged: usize,
    pub unanswered: usize,
    pub unanswered_kept: usize,
    starts: Vec<Duration>,
}

impl Tally {
    fn median_start(&self) -> Duration {
        let mut starts = self.starts.clone();
        starts.sort();
        starts.get(starts.len() / 2).copied().unwrap_or_default()
    }
}

fn kill_again_and_again(lane: u64, mut dice: Dice) -> Tally {
    let name = ["crash-a", "crash-b"][lane as usize % 2];
    let cluster = Cluster::prepare(Options { name, no_node: true, api_port: free_port(), ..Options::default() });
    let mut ledgers: Vec<Ledger> = (0..WRITERS).map(Ledger::new).collect();
    let mut shown = Shown::default();
    let mut tally = Tally::default();
    while tally.kills < KILLS {
        let begin = Instant::now();
        cluster.spawn();
        if tally.kills > 0 && dice.below(5) == 0 {
            // Some kills hit the start itself.
            thread::sleep(Duration::from_millis(dice.below(80)));
            cluster.kill();
            tally.kills += 1;
            continue;
        }
        cluster.wait_ready();
        tally.starts.push(begin.elapsed());
        ledger::settle(&mut cluster.client(), &mut ledgers, &mut shown, &mut tally);
        write_until_killed(&cluster, &mut ledgers, &mut shown, &mut dice);
        tally.kills += 1;
    }
    cluster.spawn();
    cluster.wait_ready();
    ledger::settle(&mut cluster.client(), &mut ledgers, &mut shown, &mut tally);
    tally
}

/// Writers and one reader run until the server is gone.
fn write_until_killed(cluster: &Cluster, ledgers: &mut [Ledger], shown: &mut Shown, dice: &mut Dice) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut writers = Vec::new();
        for ledger in ledgers.iter_mut() {
            let (mut client, seed, over) = (cluster.client(), dice.next(), &over);
            writers.push(scope.spawn(move || writer::write(&mut client, ledger, Dice::new(seed), over)));
        }
        let mut reader = cluster.client();
        let over_too = &over;
        scope.spawn(move || {
            while !over_too.load(Ordering::Relaxed) {
                let Ok(list) = reader.get(ledger::COLLECTION) else { break };
                shown.note(&list.json());
            }
        });
        thread::sleep(Duration::from_millis(10 + dice.below(300)));
        cluster.kill();
        over.store(true, Ordering::Relaxed);
        wait_for("the writers notice", Duration::from_secs(30), || writers.iter().all(|w| w.is_finished()).then_some(()));
    });
}

/// A port that was free a moment ago; it stays the same over restarts so that clients find the server again.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map(|a| a.port()).expect("a free port")
}

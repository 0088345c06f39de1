//! Bad input: good objects and texts, changed at random but always in the same way for the same seed, through everything that reads
//! what somebody else wrote. Nothing may panic, take long, or take in what it would refuse a second time.
//!
//! - `seeds.yaml`, `corpus`: what inputs are made from; `models`, `odd`, `mutate`, `random`: how
//! - `targets`: objects of every kind on the write path; `objects`, `managers`, `conform`, `strict`: what must hold of them
//! - `parsers`, `edges`: everything else that reads
//! - `run`: runs inputs and gathers what doesn't hold
//! - `bombs`: small inputs that ask for a lot of work
//!
//! A few thousand inputs run with the other tests; docs/fuzzing.md says how to run more of them, or one again.
mod bombs;
mod conform;
mod corpus;
mod edges;
mod managers;
mod models;
mod mutate;
mod objects;
mod odd;
mod parsers;
mod random;
mod run;
mod strict;
mod targets;

use corpus::Corpus;
use run::{Report, run};

/// Inputs that run each time.
const QUICK: u64 = 6_000;

#[test]
fn every_kind_has_good_seeds() {
    let corpus = Corpus::load();
    for seeded in &corpus.kinds {
        let name = format!("{} {}", seeded.kind.resource.api_version(), seeded.kind.resource.kind);
        assert!(!seeded.bodies.is_empty(), "no seed for {name}");
        assert_eq!(seeded.stored.len(), seeded.bodies.len(), "a seed of {name} is not accepted: {}", refusals(seeded));
    }
}

fn refusals(seeded: &corpus::Seeded) -> String {
    use crate::actors::kinds::{begin_create, prepare_create};
    let kind = &seeded.stored_as;
    let refused = seeded.bodies.iter().filter_map(|body| {
        let mut object = match seeded.kind.check_value(body) {
            Ok(checked) => checked.value,
            Err(error) => return Some(error.to_string()),
        };
        if let Some(view) = seeded.kind.view {
            (view.to_stored)(&mut object);
        }
        let begun = begin_create(kind, if kind.resource.namespaced { "ns" } else { "" }, &mut object);
        begun.and_then(|()| prepare_create(kind, object, "2026-01-01T00:00:00Z", "u", *b"abcde")).err().map(|e| e.message)
    });
    refused.collect::<Vec<_>>().join("\n")
}

#[test]
fn bad_input() {
    let report = run(1, 0, QUICK);
    assert!(report.findings.is_empty(), "{report}");
    assert!(report.accepted > QUICK / 20, "hardly anything is accepted: {report}");
}

#[test]
#[ignore = "runs as long as it is told to"]
fn long_run() {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (seed, first, count) = (number("FUZZ_SEED", 2), number("FUZZ_FIRST", 0), number("FUZZ_COUNT", 10_000_000));
    let threads = number("FUZZ_THREADS", 1).max(1);
    let share = count.div_ceil(threads);
    let parts = (0..threads).map(|n| (first + n * share, share.min(count.saturating_sub(n * share))));
    let runs: Vec<_> = parts.map(|(first, count)| std::thread::spawn(move || run(seed, first, count))).collect();
    let mut report = Report::default();
    runs.into_iter().for_each(|run| report.add(run.join().expect("a report")));
    println!("seed {seed}: {report}{}", report.by_target());
    assert!(report.findings.is_empty(), "{} findings", report.findings.len());
}

//! Bad input: good objects and texts, changed at random but always in the same way for the same seed, through everything that reads
//! what somebody else wrote. Nothing may panic, take long, or take in what it would refuse a second time.
//!
//! - `seeds.yaml`, `corpus`: what inputs are made from; `models`, `odd`, `mutate`, `random`: how
//! - `objects`, `targets`: the write path of every kind; `parsers`: everything else that reads
//! - `run`: runs inputs and gathers what doesn't hold
//! - `bombs`: small inputs that ask for a lot of work
//!
//! A few thousand inputs run with the other tests. For more of them, or for one again:
//! `FUZZ_COUNT=1000000 FUZZ_SEED=7 FUZZ_FIRST=0 cargo test --lib fuzz::long_run -- --ignored --nocapture`
mod bombs;
mod corpus;
mod models;
mod mutate;
mod objects;
mod odd;
mod parsers;
mod random;
mod run;
mod targets;

use corpus::Corpus;
use run::run;

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
    assert!(report.accepted > QUICK / 10, "hardly anything is accepted: {report}");
}

#[test]
#[ignore = "runs as long as it is told to"]
fn long_run() {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let report = run(number("FUZZ_SEED", 2), number("FUZZ_FIRST", 0), number("FUZZ_COUNT", 10_000_000));
    println!("{report}");
    assert!(report.findings.is_empty(), "{report}");
}

//! Runs inputs one after the other and gathers what doesn't hold.
use super::corpus::Corpus;
use super::parsers::Target;
use super::random::Random;
use super::{edges, parsers, targets};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// The longest that one input may take: the largest have a megabyte, and a debug build on a busy machine is slow.
const LONGEST: Duration = Duration::from_secs(1);
/// A run that says nothing for so long hangs.
const SILENCE: Duration = Duration::from_secs(120);
/// Inputs between two signs of life.
const BEAT: u64 = 500;
/// What a debug build's frames need where a release build's fit into a worker's two megabytes.
const STACK: usize = 16 << 20;

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What a run came to.
#[derive(Default)]
pub struct Report {
    pub inputs: u64,
    /// Inputs that the write path took.
    pub accepted: u64,
    /// Inputs and the time that they took, by target.
    pub targets: BTreeMap<String, (u64, Duration, Duration)>,
    /// What doesn't hold, with the first input that showed it and how many did.
    pub findings: BTreeMap<String, (u64, String, u64)>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} inputs, {} accepted objects, {} findings", self.inputs, self.accepted, self.findings.len())?;
        self.findings.values().try_for_each(|(index, said, count)| writeln!(f, "input {index} ({count} times): {said}"))
    }
}

impl Report {
    /// Takes over what another run came to.
    pub fn add(&mut self, other: Report) {
        self.inputs += other.inputs;
        self.accepted += other.accepted;
        for (target, (inputs, total, longest)) in other.targets {
            let so_far = self.targets.entry(target).or_default();
            *so_far = (so_far.0 + inputs, so_far.1 + total, so_far.2.max(longest));
        }
        for (kind, (index, said, count)) in other.findings {
            self.findings.entry(kind).and_modify(|found| found.2 += count).or_insert((index, said, count));
        }
    }

    /// A line for each target.
    pub fn by_target(&self) -> String {
        let line = |(name, (inputs, total, longest)): (&String, &(u64, Duration, Duration))| {
            format!(
                "{name:24} {inputs:9} inputs, {:8.1} s in all, the longest {:6.1} ms\n",
                total.as_secs_f64(),
                longest.as_secs_f64() * 1e3
            )
        };
        self.targets.iter().map(line).collect()
    }
}

/// Runs `count` inputs of a seed, beginning with number `first`.
pub fn run(seed: u64, first: u64, count: u64) -> Report {
    watch_panics();
    let (beat, beats) = channel();
    let work = move || {
        let corpus = Corpus::load();
        let mut report = Report::default();
        for index in first..first + count {
            if index % BEAT == 0 {
                let _ = beat.send(index);
            }
            one(&corpus, seed, index, &mut report);
        }
        report
    };
    let worker = std::thread::Builder::new().stack_size(STACK).spawn(work).expect("a thread");
    let mut last = first;
    loop {
        match beats.recv_timeout(SILENCE) {
            Ok(index) => last = index,
            Err(RecvTimeoutError::Timeout) => panic!("an input between {last} and {} of seed {seed} hangs", last + BEAT),
            Err(RecvTimeoutError::Disconnected) => return worker.join().expect("a report"),
        }
    }
}

/// One input. When it takes long it gets two more tries: another process may have been in the way.
fn one(corpus: &Corpus, seed: u64, index: u64, report: &mut Report) {
    report.inputs += 1;
    let mut fastest = Duration::MAX;
    let mut slow = String::new();
    for attempt in 0..3 {
        let begun = Instant::now();
        let (target, name, outcome) = tried(corpus, seed, index);
        fastest = fastest.min(begun.elapsed());
        if attempt == 0 {
            let so_far = report.targets.entry(target.into()).or_default();
            *so_far = (so_far.0 + 1, so_far.1 + fastest, so_far.2.max(fastest));
        }
        match outcome {
            Ok(accepted) => report.accepted += u64::from(accepted && attempt == 0),
            Err(said) => return note(report, index, &name, said),
        }
        if fastest <= LONGEST {
            return;
        }
        slow = name;
    }
    note(report, index, &slow, format!("takes {fastest:?}"));
}

fn tried(corpus: &Corpus, seed: u64, index: u64) -> (&'static str, String, Result<bool, String>) {
    let mut random = Random::of(seed, index);
    let mut target = "";
    let mut name = String::new();
    let run = catch_unwind(AssertUnwindSafe(|| match random.below(8) {
        0..=4 => targets::object(&mut random, corpus, &mut target, &mut name),
        5 | 6 => read(&mut random, corpus, parsers::TARGETS, &mut target),
        _ => read(&mut random, corpus, edges::TARGETS, &mut target),
    }));
    let outcome = run.unwrap_or_else(|_| Err(format!("panic {}", PANIC.with(|p| p.borrow().clone()))));
    (target, format!("{target} {name}"), outcome)
}

fn read(random: &mut Random, corpus: &Corpus, of: &[(&'static str, Target)], target: &mut &'static str) -> Result<bool, String> {
    let (name, act) = random.pick(of);
    *target = name;
    act(random, corpus).map(|()| false)
}

fn note(report: &mut Report, index: u64, name: &str, said: String) {
    // Findings that differ in their values only are one finding.
    let place = said.split(": ").take(2).collect::<Vec<_>>().join(": ");
    let kind = format!("{name}: {}", place.chars().filter(|c| !c.is_ascii_digit()).take(120).collect::<String>());
    report.findings.entry(kind).and_modify(|(_, _, count)| *count += 1).or_insert((index, format!("{name}: {said}"), 1));
}

/// Remembers where the thread panicked last; what is printed stays as it was.
fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANIC.with(|p| *p.borrow_mut() = info.to_string());
            before(info);
        }));
    });
}

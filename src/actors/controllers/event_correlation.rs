//! Which events are written, and as what: repeated ones are counted, similar ones are folded into one, and who talks too much about
//! one object is not listened to for a while. The numbers are those of client-go's recorder, by which clusters are known to look.
use super::plan::{EventNote, ObjectRef};
use crate::protocol::meta::ObjectKey;
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Objects, reasons and events that are remembered, each. Beyond that everything is new again.
const REMEMBERED: usize = 4096;
/// With so many different messages of one reason, further ones are folded.
const SIMILAR: usize = 10;
/// How long after the last of them a reason starts anew.
const ROLLING: Duration = Duration::from_secs(600);
/// Events about one object that may come at once, and the pause after which another may.
const BURST: f64 = 25.0;
const PAUSE: f64 = 300.0;
/// What the scheduler tells goes by a recorder that only counts, upstream.
const FREE: [&str; 4] = ["Scheduled", "FailedScheduling", "Preempted", "WaitingForGates"];

/// Who talks about what, and in which tone.
type Source = (&'static str, ObjectRef, &'static str);
/// The same about one thing.
type Topic = (Source, &'static str);

/// Messages about one topic, by their hashes.
struct Messages {
    different: BTreeSet<u64>,
    last: Timestamp,
}

/// What a source may still say.
struct Budget {
    left: f64,
    counted: Timestamp,
}

/// An event to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub key: ObjectKey,
    /// 1 for one that is to be made.
    pub count: i64,
    pub message: String,
}

/// See the module.
#[derive(Default)]
pub struct Correlator {
    topics: HashMap<Topic, Messages>,
    budgets: HashMap<Source, Budget>,
    /// Without a message: those that were folded.
    written: HashMap<(Topic, Option<String>), (ObjectKey, i64)>,
    /// The number of the last name, so that no two are the same.
    last_name: i128,
}

impl Correlator {
    /// What is to be written; `None` when it is one too many. `steady` is a time that never jumps, `now` the wall's.
    pub fn correlate(&mut self, note: &EventNote, steady: Timestamp, now: Timestamp) -> Option<Line> {
        let source: Source = (note.component, note.regarding.clone(), note.kind);
        let topic: Topic = (source.clone(), note.reason);
        let free = FREE.contains(&note.reason);
        let folded = !free && self.is_one_of_many(&topic, &note.message, steady);
        let (message, memory) = match folded {
            true => (format!("(combined from similar events): {}", note.message), None),
            false => (note.message.clone(), Some(note.message.clone())),
        };
        let line = self.count((topic, memory), note, message, now);
        (free || self.may_speak(source, steady)).then_some(line)
    }

    fn is_one_of_many(&mut self, topic: &Topic, message: &str, steady: Timestamp) -> bool {
        make_room(&mut self.topics);
        let fresh = || Messages { different: BTreeSet::new(), last: steady };
        let messages = self.topics.entry(topic.clone()).or_insert_with(fresh);
        if steady.duration_since(messages.last).unsigned_abs() > ROLLING {
            *messages = fresh();
        }
        let mut hasher = DefaultHasher::new();
        message.hash(&mut hasher);
        messages.different.insert(hasher.finish());
        messages.last = steady;
        let many = messages.different.len() >= SIMILAR;
        if many {
            messages.different.pop_first();
        }
        many
    }

    fn count(&mut self, memory: (Topic, Option<String>), note: &EventNote, message: String, now: Timestamp) -> Line {
        make_room(&mut self.written);
        self.last_name = now.as_nanosecond().max(self.last_name + 1);
        let namespace = if note.regarding.namespace.is_empty() { "default".into() } else { note.regarding.namespace.clone() };
        let name = format!("{}.{:x}", note.regarding.name, self.last_name);
        let (key, count) = self.written.entry(memory).or_insert_with(|| (ObjectKey::new(namespace, name), 0));
        *count += 1;
        Line { key: key.clone(), count: *count, message }
    }

    fn may_speak(&mut self, source: Source, steady: Timestamp) -> bool {
        make_room(&mut self.budgets);
        let budget = self.budgets.entry(source).or_insert(Budget { left: BURST, counted: steady });
        let passed = steady.duration_since(budget.counted).as_secs_f64().max(0.0);
        budget.left = (budget.left + passed / PAUSE).min(BURST);
        budget.counted = steady;
        let may = budget.left >= 1.0;
        if may {
            budget.left -= 1.0;
        }
        may
    }
}

fn make_room<K, V>(memory: &mut HashMap<K, V>) {
    if memory.len() >= REMEMBERED {
        memory.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::controllers::testing::at;

    fn note(reason: &'static str, message: &str) -> EventNote {
        let regarding = ObjectRef { name: "web".into(), namespace: "default".into(), ..ObjectRef::default() };
        EventNote { regarding, kind: "Normal", reason, message: message.into(), component: "replicaset-controller" }
    }

    #[test]
    fn repeated_events_are_counted_and_similar_ones_folded() {
        let mut correlator = Correlator::default();
        let mut tell = |message: &str, now: i64| correlator.correlate(&note("SuccessfulCreate", message), at(now), at(now)).unwrap();
        let first = tell("Created pod: web-0", 0);
        assert_eq!((first.count, tell("Created pod: web-0", 1)), (1, Line { count: 2, ..first.clone() }));
        for n in 1..9 {
            assert_eq!(tell(&format!("Created pod: web-{n}"), 1).count, 1);
        }
        let folded = tell("Created pod: web-9", 2);
        assert_eq!((folded.count, folded.message.as_str()), (1, "(combined from similar events): Created pod: web-9"));
        let next = tell("Created pod: web-10", 3);
        assert_eq!(
            (next.key == folded.key, next.count, next.message.as_str()),
            (true, 2, "(combined from similar events): Created pod: web-10")
        );
        assert_eq!(tell("Created pod: web-11", 604).message, "Created pod: web-11", "ten quiet minutes later");
    }

    #[test]
    fn who_talks_too_much_has_to_wait() {
        let mut correlator = Correlator::default();
        let mut heard = |reason: &'static str, now: i64| correlator.correlate(&note(reason, "again"), at(now), at(now)).is_some();
        assert_eq!((0..40).filter(|_| heard("FailedCreate", 0)).count(), 25);
        assert!(!heard("FailedCreate", 299) && heard("FailedCreate", 300) && !heard("FailedCreate", 301));
        assert!((0..100).all(|_| heard("FailedScheduling", 301)), "the scheduler only counts");
    }

    #[test]
    fn memory_is_bounded() {
        let mut correlator = Correlator::default();
        for n in 0..3 * REMEMBERED {
            let mut note = note("Killing", "x");
            note.regarding.name = format!("pod-{n}").into();
            assert_eq!(correlator.correlate(&note, at(0), at(0)).unwrap().count, 1);
        }
        assert!(correlator.topics.len() <= REMEMBERED && correlator.budgets.len() <= REMEMBERED && correlator.written.len() <= REMEMBERED);
    }
}

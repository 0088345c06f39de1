//! Events go after a while: the API server's `--event-ttl`, counted from an event's last write.
//!
//! There is one timer, for the event whose time comes first. When it has come the event is looked into: one that was counted up
//! meanwhile gets a new deadline. All of it follows from the stored objects, so a restart forgets nothing.
use super::feed::Change;
use super::index::Parts;
use super::plan::{Action, Deletion, Failure, Plan, Propagation};
use super::runner::{Controller, Key};
use super::world::World;
use crate::protocol::meta::ObjectKey;
use crate::protocol::time::parse_seconds;
use crate::storage::entry::Entry;
use jiff::Timestamp;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

const SHELF: &str = "events";
/// Events that one plan removes; the rest follows at once, but lets others in between.
const AT_ONCE: usize = 512;

/// See the module.
pub struct EventExpiry {
    /// Seconds that an event lives after its last write.
    ttl: i64,
    deadlines: RefCell<Deadlines>,
}

/// When to look at which event.
#[derive(Default)]
struct Deadlines {
    by_time: BTreeSet<(i64, ObjectKey)>,
    of: HashMap<ObjectKey, i64>,
}

impl Deadlines {
    fn set(&mut self, key: &ObjectKey, at: i64) {
        self.forget(key);
        self.of.insert(key.clone(), at);
        self.by_time.insert((at, key.clone()));
    }

    fn forget(&mut self, key: &ObjectKey) {
        if let Some(at) = self.of.remove(key) {
            self.by_time.remove(&(at, key.clone()));
        }
    }

    fn first(&self) -> Option<i64> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Up to `max` events whose time has come.
    fn due(&self, now: i64, max: usize) -> Vec<ObjectKey> {
        self.by_time.iter().take_while(|(at, _)| *at <= now).take(max).map(|(_, key)| key.clone()).collect()
    }
}

impl EventExpiry {
    /// `ttl`: how long an event lives after its last write.
    pub fn new(ttl: Duration) -> Self {
        EventExpiry { ttl: i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX), deadlines: RefCell::default() }
    }

    /// The second in which an event goes, if nobody writes it before.
    fn deadline(&self, event: &Entry, now: i64) -> i64 {
        last_written(&event.parse_whole(), event.meta.created, now).saturating_add(self.ttl)
    }
}

/// When an event was last written, as far as it tells: its own times count as well, as long as they are not in the future.
fn last_written(event: &Value, created: i64, now: i64) -> i64 {
    let managers = event["metadata"]["managedFields"].as_array().map(Vec::as_slice).unwrap_or_default();
    let own = [&event["lastTimestamp"], &event["eventTime"], &event["series"]["lastObservedTime"]];
    let times = own.into_iter().chain(managers.iter().map(|m| &m["time"])).filter_map(|t| t.as_str().and_then(parse_seconds));
    times.filter(|at| *at <= now).fold(created, i64::max)
}

impl Controller for EventExpiry {
    fn name(&self) -> &'static str {
        "eventexpiry"
    }

    fn parts(&self) -> Parts {
        Parts::default()
    }

    fn watches(&self, kind: &str) -> bool {
        kind == SHELF
    }

    /// A new event is due its lifetime after its creation at the earliest; what is written to it later is looked at by then.
    fn keys(&self, change: &Change, _before: Option<&Entry>, _world: &dyn World, out: &mut Vec<Key>) {
        let mut deadlines = self.deadlines.borrow_mut();
        let event = &change.entry;
        if change.deleted || event.meta.deleting.is_some() {
            return deadlines.forget(&event.key);
        }
        if deadlines.of.contains_key(&event.key) {
            return;
        }
        let first = deadlines.first();
        let at = event.meta.created.saturating_add(self.ttl);
        deadlines.set(&event.key, at);
        if first.is_none_or(|first| at < first) {
            out.push(Key::of(SHELF, &ObjectKey::new("", "")));
        }
    }

    fn plan(&mut self, _key: &Key, world: &dyn World, now: Timestamp, _failure: Option<&Failure>) -> Plan {
        let now = now.as_second();
        let due = self.deadlines.borrow().due(now, AT_ONCE);
        let mut plan = Plan::quiet();
        for key in &due {
            let Some(event) = world.get(SHELF, key).filter(|e| e.meta.deleting.is_none()) else {
                self.deadlines.borrow_mut().forget(key);
                continue;
            };
            let deadline = self.deadline(&event, now);
            if deadline > now {
                self.deadlines.borrow_mut().set(key, deadline);
            } else {
                plan.actions.push(removal(&event));
            }
        }
        if !plan.actions.is_empty() {
            plan.why = format!("{} events were not written for {} seconds", plan.actions.len(), self.ttl);
        }
        let next = self.deadlines.borrow().first();
        if due.len() == AT_ONCE {
            plan.requeue(Duration::ZERO);
        } else if let Some(next) = next {
            plan.requeue(Duration::from_secs(u64::try_from(next - now).unwrap_or_default().max(1)));
        }
        plan
    }
}

fn removal(event: &Entry) -> Action {
    Action::Delete(Deletion {
        kind: SHELF.into(),
        key: event.key.clone(),
        uid: event.meta.uid.clone(),
        propagation: Propagation::Background,
        grace: None,
        report: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::controllers::feed::Objects;
    use crate::actors::controllers::testing::{Bench, Model, at};
    use crate::protocol::time::rfc3339;
    use serde_json::json;

    fn event(name: &str, created: i64, last: Option<i64>) -> Value {
        json!({ "metadata": { "name": name, "namespace": "default", "creationTimestamp": rfc3339(at(created)) },
            "lastTimestamp": last.map(|l| rfc3339(at(l))) })
    }

    fn left(model: &Model) -> Vec<String> {
        model.list(SHELF, None).iter().map(|e| e.key.name.to_string()).collect()
    }

    #[test]
    fn an_event_goes_its_lifetime_after_its_last_write() {
        let model = Model::default();
        let mut controller = EventExpiry::new(Duration::from_secs(100));
        let mut bench = Bench::new(&model, &mut controller);
        // `c` claims to have been seen in the year 2001: no write can have been then.
        for event in [event("a", 0, None), event("b", 0, Some(70)), event("c", 10, Some(1_000_000_000))] {
            model.put(SHELF, event);
        }
        bench.converge(&mut controller, 50);
        assert_eq!(left(&model), ["a", "b", "c"]);
        let key = Key::of(SHELF, &ObjectKey::new("", ""));
        let mut go = |bench: &mut Bench<'_>, now: i64| {
            let plan = bench.plan(&mut controller, &key, now);
            plan.actions.iter().for_each(|action| model.apply(action).unwrap());
            bench.converge(&mut controller, now);
            plan.requeue_after
        };
        assert_eq!(go(&mut bench, 60), Some(Duration::from_secs(40)), "one timer, for the first");
        go(&mut bench, 105);
        assert_eq!(left(&model), ["b", "c"]);
        go(&mut bench, 111);
        assert_eq!(left(&model), ["b"]);
        // Counted up once more, it stays once more.
        model.edit(SHELF, &ObjectKey::new("default", "b"), json!({ "lastTimestamp": rfc3339(at(150)) }));
        go(&mut bench, 175);
        assert_eq!(left(&model), ["b"]);
        go(&mut bench, 250);
        assert!(left(&model).is_empty());
        assert_eq!(go(&mut bench, 300), None, "nothing to wait for");
    }

    #[test]
    fn a_hundred_thousand_cost_what_is_due() {
        let model = Model::default();
        let mut controller = EventExpiry::new(Duration::from_secs(3600));
        for i in 0..2_000 {
            model.put(SHELF, event(&format!("old-{i}"), 0, None));
        }
        model.put(SHELF, event("new", 3000, None));
        // A restart: everything is read anew, long after.
        let ran = Bench::new(&model, &mut controller).converge(&mut controller, 5000);
        assert_eq!((left(&model).len(), ran), (2_000 + 1 - AT_ONCE, 1));
        let key = Key::of(SHELF, &ObjectKey::new("", ""));
        assert_eq!(Bench::new(&model, &mut controller).plan(&mut controller, &key, 5000).requeue_after, Some(Duration::ZERO));
    }
}

//! The recent events of one shelf, so that a watch can resume where it broke off. Bounded by bytes.
use super::hub::Event;
use std::collections::VecDeque;
use std::sync::Arc;

/// Bodies kept per shelf, in bytes. With the serialised lines and previous states that events hold, memory may be three times this.
const MAX_BYTES: usize = 8 << 20;
/// What an event counts beside its body.
const EVENT_OVERHEAD: usize = 512;

/// Events in order of revision, all those after `floor`.
pub(super) struct History {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    floor: u64,
}

impl History {
    pub fn new(floor: u64) -> Self {
        History { events: VecDeque::new(), bytes: 0, floor }
    }

    /// Watches can resume after this revision or a later one.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    pub fn push(&mut self, event: Arc<Event>) {
        self.bytes += cost(&event);
        self.events.push_back(event);
        while self.bytes > MAX_BYTES {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= cost(&oldest);
            self.floor = oldest.revision;
        }
    }

    /// The events after a revision, oldest first.
    pub fn after(&self, revision: u64) -> Vec<Arc<Event>> {
        let start = self.events.partition_point(|event| event.revision <= revision);
        self.events.range(start..).cloned().collect()
    }
}

fn cost(event: &Event) -> usize {
    event.entry.body.len() + EVENT_OVERHEAD
}

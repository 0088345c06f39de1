//! How long a daemon that keeps failing on a node is left alone before it is made anew.
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// Entries are looked through for old ones when there are this many.
const MANY: usize = 1024;

/// A DaemonSet's uid, its generation, and the node.
type Place = (Arc<str>, i64, Arc<str>);

/// By set and node: the pause, and since when it runs. A new generation of the set starts anew.
#[derive(Debug, Default)]
pub struct Backoffs {
    pauses: HashMap<Place, (Duration, Timestamp)>,
}

impl Backoffs {
    /// A failed pod of a set is found on a node: `Err` says how long it must stay; `Ok` that it may go now, and begins the
    /// next pause, twice as long. A pause of which nothing was heard for long is forgotten.
    pub fn failed(&mut self, set: &Arc<str>, generation: i64, node: &Arc<str>, now: Timestamp) -> Result<(), Duration> {
        let forgotten = |since: Timestamp| now.duration_since(since).unsigned_abs() > LONGEST * 2;
        if self.pauses.len() >= MANY {
            self.pauses.retain(|_, (_, since)| !forgotten(*since));
        }
        let place = (set.clone(), generation, node.clone());
        let mut next = FIRST;
        if let Some((pause, since)) = self.pauses.get(&place).filter(|(_, since)| !forgotten(*since)) {
            // A clock that was set back does not make the pause longer.
            let passed = Duration::try_from(now.duration_since(*since)).unwrap_or(*pause);
            if passed < *pause {
                return Err(*pause - passed);
            }
            next = (*pause * 2).min(LONGEST);
        }
        self.pauses.insert(place, (next, now));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::controllers::testing::at;

    #[test]
    fn pauses_double_and_are_forgotten() {
        let mut backoffs = Backoffs::default();
        let (set, node): (Arc<str>, Arc<str>) = ("u".into(), "n".into());
        let steps = [
            (10, None),
            (10, Some(1)),
            (11, None),
            (12, Some(1)),
            (13, None),
            (14, Some(3)),
            (5, None),
            (6, Some(7)),
            (4000, None),
            (4000, Some(1)),
        ];
        for (now, want) in steps {
            let pause = backoffs.failed(&set, 1, &node, at(now)).err().map(|p| p.as_secs());
            assert_eq!(pause, want, "at {now}");
        }
        assert!(backoffs.failed(&set, 2, &node, at(4000)).is_ok());
    }
}

//! The judge: what watchers saw goes in, faults come out. It knows nothing of servers.
//!
//! A watcher's history is a chain of sessions. It begins with a list; then come events and bookmarks; when the connection breaks, the
//! watcher resumes from the last revision that it saw; when it is told that it is too late, it lists again. Within a chain nothing
//! may be missing, doubled or out of order. What must be there is known from the writers' answers and from all other watchers.
use std::collections::BTreeMap;
use std::sync::Arc;

pub type Name = Arc<str>;
/// Objects and the revisions of their states.
pub type Objects = BTreeMap<Name, u64>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Added,
    Modified,
    Deleted,
}

/// What a watcher went through, in its own order.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// It listed, or was given the first events of a watch up to the bookmark that ends them.
    Listed {
        revision: u64,
        objects: Objects,
    },
    /// It asked for what comes after this revision.
    Resumed {
        from: u64,
    },
    Event {
        kind: Kind,
        name: Name,
        revision: u64,
    },
    Bookmark {
        revision: u64,
    },
    /// 410: it must list again.
    Gone,
}

/// One watcher's history, and which objects it asked for.
pub struct History {
    pub watcher: usize,
    pub selects: fn(&str) -> bool,
    pub seen: Vec<Seen>,
}

/// A write that the server acknowledged, or that was found kept later.
#[derive(Clone, Debug)]
pub struct Written {
    pub name: Name,
    pub revision: u64,
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    Lost {
        watcher: usize,
        name: Name,
        revision: u64,
    },
    Doubled {
        watcher: usize,
        name: Name,
        revision: u64,
    },
    Reordered {
        watcher: usize,
        name: Name,
        revision: u64,
        after: u64,
    },
    /// A bookmark that goes back.
    BookmarkBehind {
        watcher: usize,
        revision: u64,
        after: u64,
    },
    /// Two watchers saw different things at one revision, or one saw something else than was written.
    Disagreement {
        watcher: usize,
        revision: u64,
    },
    /// An object was added that was there, or changed or deleted that was not.
    Impossible {
        watcher: usize,
        kind: String,
        name: Name,
        revision: u64,
    },
    /// Not selected by the watcher.
    Unasked {
        watcher: usize,
        name: Name,
        revision: u64,
    },
    /// A watcher's replica is not what a list of the same revision shows.
    ListDiffers {
        watcher: usize,
        list: u64,
        name: Name,
        listed: Option<u64>,
        watched: Option<u64>,
    },
    /// The history itself is not one: a resume from elsewhere, events before any list.
    Unsound {
        watcher: usize,
        what: &'static str,
    },
}

/// Everything known to have happened: which object at which revision, and how, where somebody saw it.
type Truth = BTreeMap<u64, (Name, Option<Kind>)>;

/// All faults, in order. `lists`: what was listed beside the watchers, at which revision.
pub fn judge(histories: &[History], written: &[Written], lists: &[(u64, Objects)]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let truth = truth(histories, written, &mut faults);
    let mut all: Vec<(u64, &Objects)> = lists.iter().map(|(revision, objects)| (*revision, objects)).collect();
    // A list of a watcher that selects is no whole one.
    for history in histories.iter().filter(|h| (h.selects)("")) {
        all.extend(history.seen.iter().filter_map(|seen| match seen {
            Seen::Listed { revision, objects } => Some((*revision, objects)),
            _ => None,
        }));
    }
    all.sort_by_key(|(revision, _)| *revision);
    for history in histories {
        Replay { history, truth: &truth, lists: &all, chain: None, faults: &mut faults }.run();
    }
    faults.sort();
    faults.dedup();
    faults
}

fn truth(histories: &[History], written: &[Written], faults: &mut Vec<Fault>) -> Truth {
    let mut truth: Truth = written.iter().map(|w| (w.revision, (w.name.clone(), None))).collect();
    for history in histories {
        for seen in &history.seen {
            let Seen::Event { kind, name, revision } = seen else { continue };
            let known = truth.entry(*revision).or_insert_with(|| (name.clone(), None));
            let agreed = known.0 == *name && known.1.is_none_or(|k| k == *kind);
            if !agreed {
                faults.push(Fault::Disagreement { watcher: history.watcher, revision: *revision });
            }
            known.1.get_or_insert(*kind);
        }
    }
    truth
}

/// One watcher's replica, as far as it got.
struct Chain {
    objects: Objects,
    /// Everything up to here is known to the watcher.
    position: u64,
}

struct Replay<'a> {
    history: &'a History,
    truth: &'a Truth,
    lists: &'a [(u64, &'a Objects)],
    chain: Option<Chain>,
    faults: &'a mut Vec<Fault>,
}

impl Replay<'_> {
    fn run(mut self) {
        let history = self.history;
        for seen in &history.seen {
            match seen {
                Seen::Listed { revision, objects } => self.chain = Some(Chain { objects: objects.clone(), position: *revision }),
                Seen::Gone => self.chain = None,
                Seen::Resumed { from } => {
                    if self.chain.as_ref().is_none_or(|chain| chain.position != *from) {
                        self.fault(|watcher| Fault::Unsound { watcher, what: "resumed from where it had not been" });
                    }
                }
                Seen::Bookmark { revision } => self.bookmark(*revision),
                Seen::Event { kind, name, revision } => self.event(*kind, name, *revision),
            }
        }
    }

    fn fault(&mut self, fault: impl FnOnce(usize) -> Fault) {
        self.faults.push(fault(self.history.watcher));
    }

    fn bookmark(&mut self, revision: u64) {
        let Some(mut chain) = self.chain.take() else {
            return self.fault(|watcher| Fault::Unsound { watcher, what: "a bookmark before any list" });
        };
        if revision < chain.position {
            let after = chain.position;
            self.fault(|watcher| Fault::BookmarkBehind { watcher, revision, after });
        } else {
            self.advance(&mut chain, revision, true);
        }
        self.chain = Some(chain);
    }

    fn event(&mut self, kind: Kind, name: &Name, revision: u64) {
        let Some(mut chain) = self.chain.take() else {
            return self.fault(|watcher| Fault::Unsound { watcher, what: "an event before any list" });
        };
        if !(self.history.selects)(name) {
            self.fault(|watcher| Fault::Unasked { watcher, name: name.clone(), revision });
        }
        if revision <= chain.position {
            let after = chain.position;
            let again = chain.objects.get(name) == Some(&revision) || revision == after;
            self.fault(|watcher| match again {
                true => Fault::Doubled { watcher, name: name.clone(), revision },
                false => Fault::Reordered { watcher, name: name.clone(), revision, after },
            });
        } else {
            self.advance(&mut chain, revision, false);
            let there = chain.objects.contains_key(name);
            if there != (kind != Kind::Added) {
                self.fault(|watcher| Fault::Impossible { watcher, kind: format!("{kind:?}"), name: name.clone(), revision });
            }
            match kind {
                Kind::Deleted => chain.objects.remove(name),
                Kind::Added | Kind::Modified => chain.objects.insert(name.clone(), revision),
            };
            chain.position = revision;
        }
        self.chain = Some(chain);
    }

    /// Goes on to a revision: what happened before it (or at it) and was not seen is lost, and lists in between must agree.
    fn advance(&mut self, chain: &mut Chain, revision: u64, inclusive: bool) {
        let (from, until) = (chain.position, if inclusive { revision } else { revision - 1 });
        if until > from {
            for (lost, (name, _)) in self.truth.range(from + 1..=until) {
                if (self.history.selects)(name) {
                    self.fault(|watcher| Fault::Lost { watcher, name: name.clone(), revision: *lost });
                }
            }
        }
        let first = self.lists.partition_point(|(listed, _)| *listed < from);
        for (listed, objects) in self.lists[first..].iter().take_while(|(listed, _)| *listed <= until) {
            self.compare(&chain.objects, *listed, objects);
        }
        chain.position = revision;
    }

    fn compare(&mut self, watched: &Objects, list: u64, listed: &Objects) {
        let names: std::collections::BTreeSet<&Name> = watched.keys().chain(listed.keys()).collect();
        for name in names.into_iter().filter(|name| (self.history.selects)(name)) {
            let (listed, watched) = (listed.get(name).copied(), watched.get(name).copied());
            if listed != watched {
                self.fault(|watcher| Fault::ListDiffers { watcher, list, name: name.clone(), listed, watched });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: Kind, name: &str, revision: u64) -> Seen {
        Seen::Event { kind, name: name.into(), revision }
    }

    /// What a faultless watcher sees of seven writes, from a list at 3 on.
    fn faultless() -> Vec<Seen> {
        vec![
            Seen::Listed { revision: 3, objects: Objects::from([("a".into(), 2)]) },
            Seen::Resumed { from: 3 },
            event(Kind::Added, "b", 4),
            event(Kind::Modified, "a", 5),
            event(Kind::Modified, "b", 6),
            Seen::Bookmark { revision: 7 },
            Seen::Resumed { from: 7 },
            event(Kind::Deleted, "a", 8),
            event(Kind::Added, "a", 9),
            event(Kind::Modified, "b", 10),
        ]
    }

    fn faults_of(seen: Vec<Seen>) -> Vec<Fault> {
        let one = |watcher, seen| History { watcher, selects: |_| true, seen };
        let written = [4, 5, 6, 9, 10].map(|r| Written { name: if [5, 9].contains(&r) { "a" } else { "b" }.into(), revision: r });
        let lists = [(6, Objects::from([("a".into(), 5), ("b".into(), 6)]))];
        judge(&[one(0, faultless()), one(1, seen)], &written, &lists)
    }

    #[test]
    fn the_faultless_pass_from_wherever_they_start() {
        assert_eq!(faults_of(faultless()), []);
        let late = vec![
            Seen::Listed { revision: 5, objects: Objects::from([("a".into(), 5), ("b".into(), 4)]) },
            event(Kind::Modified, "b", 6),
            Seen::Gone,
            Seen::Listed { revision: 9, objects: Objects::from([("a".into(), 9), ("b".into(), 6)]) },
            event(Kind::Modified, "b", 10),
        ];
        assert_eq!(faults_of(late), []);
    }

    #[test]
    fn each_lost_event_is_found() {
        for at in [2, 3, 4, 7, 8] {
            let mut seen = faultless();
            let Seen::Event { name, revision, .. } = seen.remove(at) else { panic!("no event at {at}") };
            let lost = Fault::Lost { watcher: 1, name, revision };
            assert!(faults_of(seen).contains(&lost), "{lost:?} was not found");
        }
        // The deletion that nobody acknowledged, and the end that is never reached.
        let mut seen = faultless();
        seen.truncate(8);
        assert_eq!(faults_of(seen), [], "who is not there yet has lost nothing");
    }

    #[test]
    fn each_doubled_event_is_found() {
        for at in [2, 3, 4, 7, 8, 9] {
            let mut seen = faultless();
            let again = seen[at].clone();
            let Seen::Event { name, revision, .. } = again.clone() else { panic!("no event at {at}") };
            seen.insert(at + 1, again);
            assert_eq!(faults_of(seen), [Fault::Doubled { watcher: 1, name, revision }]);
        }
    }

    #[test]
    fn each_reordered_event_is_found() {
        for at in [2, 3, 7, 8] {
            let mut seen = faultless();
            seen.swap(at, at + 1);
            let Seen::Event { name, revision, .. } = seen[at + 1].clone() else { panic!("no event at {at}") };
            let faults = faults_of(seen);
            assert!(faults.contains(&Fault::Reordered { watcher: 1, name, revision, after: revision + 1 }), "{faults:?}");
        }
    }

    #[test]
    fn other_lies_are_found_too() {
        let changed = |at: usize, seen: Seen| {
            let mut all = faultless();
            all[at] = seen;
            faults_of(all)
        };
        assert!(changed(3, event(Kind::Modified, "b", 5)).contains(&Fault::Disagreement { watcher: 1, revision: 5 }));
        assert!(changed(4, event(Kind::Added, "b", 6)).contains(&Fault::Disagreement { watcher: 1, revision: 6 }));
        assert!(changed(5, Seen::Bookmark { revision: 5 }).contains(&Fault::BookmarkBehind { watcher: 1, revision: 5, after: 6 }));
        assert!(changed(5, Seen::Bookmark { revision: 8 }).contains(&Fault::Lost { watcher: 1, name: "a".into(), revision: 8 }));
        assert!(changed(6, Seen::Resumed { from: 6 }).iter().any(|f| matches!(f, Fault::Unsound { .. })));
        let listed = changed(0, Seen::Listed { revision: 3, objects: Objects::new() });
        assert!(listed.contains(&Fault::Impossible { watcher: 1, kind: "Modified".into(), name: "a".into(), revision: 5 }), "{listed:?}");
        let listed = changed(0, Seen::Listed { revision: 3, objects: Objects::from([("a".into(), 1), ("c".into(), 3)]) });
        let differs = Fault::ListDiffers { watcher: 1, list: 6, name: "c".into(), listed: None, watched: Some(3) };
        assert!(listed.contains(&differs), "{listed:?}");
        let mut silent = faultless();
        silent.insert(7, Seen::Gone);
        assert!(faults_of(silent).iter().any(|f| matches!(f, Fault::Unsound { .. })), "after a 410 comes a list");
    }
}

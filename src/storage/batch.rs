//! One group commit: commits are judged in order against what is published plus what the batch has staged so far. No effects here.
use super::change::{Change, Commit, CommitError, Expect, Op, Reply};
use super::entry::Entry;
use super::hub::{Event, EventKind};
use super::isolate::isolated;
use super::shelf::Shelf;
use super::store::StoreWrite;
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Commits taken together, judged and staged.
#[derive(Default)]
pub(super) struct Batch {
    pub writes: Vec<Staged>,
    pub answers: Vec<Answer>,
    /// The latest staged write per shelf and key.
    overlay: HashMap<Arc<str>, HashMap<ObjectKey, usize>>,
}

/// A write that waits for the store.
pub(super) struct Staged {
    pub shelf: Arc<Shelf>,
    /// Without its revision yet.
    pub entry: Entry,
    pub delete: bool,
    before: Seen,
}

/// What a change found at its key.
#[derive(Clone)]
enum Seen {
    Published(Option<Arc<Entry>>),
    /// What the write of this index in the batch leaves.
    Staged(usize),
}

/// A commit's reply with what is to be said.
pub(super) struct Answer {
    reply: Reply,
    verdict: Verdict,
}

enum Verdict {
    /// The commit's writes within the batch. `leaning`: there are some, or a check looked at a staged state.
    Accepted {
        range: Range<usize>,
        leaning: bool,
    },
    Unexpected {
        shelf: Arc<str>,
        key: ObjectKey,
        found: Seen,
    },
    /// `leaning`: the guard looked at a staged state, so its word holds only if the batch lands.
    Guarded {
        error: ApiError,
        leaning: bool,
    },
}

/// What became of the writes.
pub(super) enum Outcome<'a> {
    /// Durable and published.
    Landed(&'a Landed),
    /// Certainly not written.
    Refused(&'a str),
    Unknown(&'a str),
}

/// Writes that are durable.
pub(super) struct Landed {
    /// What each write made; for a deletion the final state.
    entries: Vec<Arc<Entry>>,
    /// What each write left at its key.
    states: Vec<Option<Arc<Entry>>>,
    /// The shelves with their events in order.
    pub touched: Vec<(Arc<Shelf>, Vec<Arc<Event>>)>,
}

/// How to take a write back from the overlay: where it is, and which write was there before.
type Undo = (Arc<str>, ObjectKey, Option<usize>);

impl Batch {
    /// Judges a commit and stages its writes, or none of them.
    pub fn add(&mut self, commit: Commit) {
        let mark = self.writes.len();
        let mut undo = Vec::new();
        let mut leaning = false;
        for change in commit.changes {
            match self.apply(change, &mut undo) {
                Ok(leans) => leaning |= leans,
                Err(verdict) => {
                    let verdict = self.without_own(verdict, mark);
                    self.roll_back(mark, undo);
                    self.answers.push(Answer { reply: commit.reply, verdict });
                    return;
                }
            }
        }
        self.answers.push(Answer { reply: commit.reply, verdict: Verdict::Accepted { range: mark..self.writes.len(), leaning } });
    }

    /// Stages one change. True if its success depends on what is staged.
    fn apply(&mut self, change: Change, undo: &mut Vec<Undo>) -> Result<bool, Verdict> {
        let Change { shelf, key, expect, op, token } = change;
        let seen = self.seen(&shelf, &key);
        let found = self.entry(&seen);
        let expected = match expect {
            Expect::Any => !matches!(op, Op::Delete(_)) || found.is_some(),
            Expect::Absent => found.is_none() && !matches!(op, Op::Delete(_)),
            Expect::Token(token) => found.is_some_and(|entry| entry.token == token),
        };
        if !expected {
            return Err(Verdict::Unexpected { shelf: shelf.name.clone(), key, found: seen });
        }
        let (draft, delete) = match op {
            Op::Put(draft) => (draft, false),
            Op::Delete(draft) => (draft, true),
            Op::Check(guard) => {
                let checked = isolated("a guard", || guard.check(&shelf.name, &key, found));
                let leaning = matches!(seen, Seen::Staged(_));
                return checked
                    .unwrap_or_else(|| Err(ApiError::internal("a precondition could not be evaluated")))
                    .map(|()| leaning)
                    .map_err(|error| Verdict::Guarded { error, leaning });
            }
            Op::Amend(amend) => {
                let leaning = matches!(seen, Seen::Staged(_));
                let Some(entry) = found else { return Ok(leaning) };
                let amended = isolated("an amendment", || amend(entry))
                    .unwrap_or_else(|| Err(ApiError::internal("a dependent change could not be computed")));
                match amended.map_err(|error| Verdict::Guarded { error, leaning })? {
                    Some(draft) => (draft, false),
                    None => return Ok(leaning),
                }
            }
        };
        let at = self.writes.len();
        let before = self.overlay.entry(shelf.name.clone()).or_default().insert(key.clone(), at);
        undo.push((shelf.name.clone(), key.clone(), before));
        self.writes.push(Staged { shelf, entry: draft.into_entry(key, token), delete, before: seen });
        Ok(true)
    }

    fn seen(&self, shelf: &Shelf, key: &ObjectKey) -> Seen {
        match self.overlay.get(&shelf.name).and_then(|keys| keys.get(key)) {
            Some(at) => Seen::Staged(*at),
            None => Seen::Published(shelf.snapshot().get(key).cloned()),
        }
    }

    fn entry<'s>(&'s self, seen: &'s Seen) -> Option<&'s Entry> {
        match seen {
            Seen::Published(entry) => entry.as_deref(),
            Seen::Staged(at) => self.writes.get(*at).filter(|staged| !staged.delete).map(|staged| &staged.entry),
        }
    }

    /// A refusal must not speak of states that the refused commit itself staged: it says what was there before.
    fn without_own(&self, mut verdict: Verdict, mark: usize) -> Verdict {
        if let Verdict::Unexpected { found, .. } = &mut verdict {
            while let Seen::Staged(at) = *found {
                match self.writes.get(at) {
                    Some(staged) if at >= mark => *found = staged.before.clone(),
                    _ => break,
                }
            }
        }
        verdict
    }

    fn roll_back(&mut self, mark: usize, undo: Vec<Undo>) {
        self.writes.truncate(mark);
        for (shelf, key, before) in undo.into_iter().rev() {
            let Some(keys) = self.overlay.get_mut(&shelf) else { continue };
            match before {
                Some(at) => keys.insert(key, at),
                None => keys.remove(&key),
            };
        }
    }
}

/// The writes as the store takes them.
pub(super) fn store_writes(writes: &[Staged]) -> Vec<StoreWrite> {
    let write = |staged: &Staged| StoreWrite {
        shelf: staged.shelf.name.clone(),
        key: staged.entry.key.clone(),
        record: (!staged.delete).then(|| (staged.entry.splice, staged.entry.body.clone())),
    };
    writes.iter().map(write).collect()
}

/// Durable writes become entries, and events grouped by shelf. One revision per write.
pub(super) fn land(writes: Vec<Staged>, revisions: &[u64]) -> Landed {
    let mut states: Vec<Option<Arc<Entry>>> = Vec::with_capacity(writes.len());
    let mut entries = Vec::with_capacity(writes.len());
    let mut touched: Vec<(Arc<Shelf>, Vec<Arc<Event>>)> = Vec::new();
    for (staged, revision) in writes.into_iter().zip(revisions) {
        let entry = Arc::new(Entry { revision: *revision, ..staged.entry });
        let previous = match staged.before {
            Seen::Published(entry) => entry,
            Seen::Staged(at) => states.get(at).cloned().flatten(),
        };
        let kind = match (staged.delete, &previous) {
            (true, _) => EventKind::Deleted,
            (false, None) => EventKind::Added,
            (false, Some(_)) => EventKind::Modified,
        };
        states.push((!staged.delete).then(|| entry.clone()));
        entries.push(entry.clone());
        let event = Arc::new(Event::new(kind, entry, previous));
        match touched.iter_mut().find(|(shelf, _)| shelf.name == staged.shelf.name) {
            Some((_, events)) => events.push(event),
            None => touched.push((staged.shelf, vec![event])),
        }
    }
    Landed { entries, states, touched }
}

impl Answer {
    /// Tells the waiting side.
    pub fn give(self, outcome: &Outcome<'_>) {
        let result = self.verdict.result(outcome);
        let reply = self.reply;
        isolated("a reply", || reply(result));
    }
}

impl Verdict {
    fn result(self, outcome: &Outcome<'_>) -> Result<Vec<Arc<Entry>>, CommitError> {
        let (leaning, wrote) = match &self {
            Verdict::Accepted { range, leaning } => (*leaning, !range.is_empty()),
            Verdict::Unexpected { found, .. } => (matches!(found, Seen::Staged(_)), false),
            Verdict::Guarded { leaning, .. } => (*leaning, false),
        };
        match (self, outcome) {
            (_, Outcome::Unknown(why)) if wrote => Err(CommitError::Unknown((*why).into())),
            (_, Outcome::Refused(why) | Outcome::Unknown(why)) if leaning => Err(CommitError::Refused((*why).into())),
            (Verdict::Accepted { range, .. }, Outcome::Landed(landed)) => {
                Ok(landed.entries.get(range).map(<[_]>::to_vec).unwrap_or_default())
            }
            (Verdict::Accepted { .. }, _) => Ok(Vec::new()),
            (Verdict::Unexpected { shelf, key, found }, outcome) => {
                Err(CommitError::Expectation { shelf, key, found: found.published(outcome) })
            }
            (Verdict::Guarded { error, .. }, _) => Err(CommitError::Guard(error)),
        }
    }
}

impl Seen {
    fn published(self, outcome: &Outcome<'_>) -> Option<Arc<Entry>> {
        match (self, outcome) {
            (Seen::Published(entry), _) => entry,
            (Seen::Staged(at), Outcome::Landed(landed)) => landed.states.get(at).cloned().flatten(),
            (Seen::Staged(_), _) => None,
        }
    }
}

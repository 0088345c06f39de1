//! Gives plans effect: the one place where controllers act.
use super::feed::Writer;
use super::plan::{Action, Creation, Deletion, EventNote, Failure, Prerequisite, Report};
use crate::protocol::status::ApiError;
use crate::storage::decisions::{Deed, Subject, Verb};
use crate::storage::entry::Entry;
use futures_util::future::join_all;
use std::sync::Arc;

/// How many deletions and events of one plan are under way at once.
const WIDTH: usize = 64;
/// The same for creations: those that start together are committed together.
const CREATIONS: usize = 256;

/// What came of a plan.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The shelves written, with the highest revision answered for each.
    pub written: Vec<(Arc<str>, u64)>,
    /// What was done to objects; their status apart.
    pub deeds: Vec<Deed>,
    /// The objects whose status was written.
    pub statuses: Vec<Subject>,
    /// The first error. Conflicts and vanished objects count too: the key is looked at again.
    pub failure: Option<Failure>,
    /// Events of what was done, not recorded yet.
    notes: Vec<EventNote>,
}

impl Outcome {
    fn wrote(&mut self, kind: &Arc<str>, revision: u64) {
        match self.written.iter_mut().find(|(k, _)| k == kind) {
            Some((_, highest)) => *highest = revision.max(*highest),
            None => self.written.push((kind.clone(), revision)),
        }
    }

    /// Remembers the event of a creation or deletion.
    fn tell(&mut self, report: Option<&Report>, result: Result<&str, &ApiError>) {
        let Some(report) = report else { return };
        let (kind, reason, message) = match result {
            Ok(name) => ("Normal", report.success.0, filled(&report.success.1, name)),
            Err(error) => ("Warning", report.failure.0, filled(&report.failure.1, &error.to_string())),
        };
        if !reason.is_empty() {
            self.notes.push(EventNote { regarding: report.regarding.clone(), kind, reason, message, component: report.component });
        }
    }

    fn failed(&mut self, report: Option<&Report>, error: &ApiError) {
        let reason = report.map_or("", |r| r.failure.0);
        self.failure.get_or_insert_with(|| Failure { reason, message: error.message.clone() });
    }
}

/// Carries out the actions in order; runs of creations and deletions side by side. Creations start slowly, 1, 2, 4, …, and
/// stop at the first batch with a failure, so that a quota that is full is not asked a hundred times. What follows in
/// the plan (the status) is done all the same. What is told of creations and deletions comes last: nothing waits for it.
pub async fn execute(actions: &[Action], writer: &dyn Writer) -> Outcome {
    let mut outcome = Outcome::default();
    let mut rest = actions;
    while let Some(first) = rest.first() {
        let alike = rest.iter().take_while(|a| std::mem::discriminant(*a) == std::mem::discriminant(first)).count();
        let (group, after) = rest.split_at(alike);
        match first {
            Action::Create(_) | Action::CreateAfter(..) => create_slowly(group, writer, &mut outcome).await,
            Action::Delete(_) => {
                for batch in group.chunks(WIDTH) {
                    perform(batch, writer, &mut outcome).await;
                }
            }
            Action::Patch(_) | Action::Event(_) => {
                for batch in group.chunks(1) {
                    perform(batch, writer, &mut outcome).await;
                }
            }
        }
        rest = after;
    }
    for notes in std::mem::take(&mut outcome.notes).chunks(WIDTH) {
        join_all(notes.iter().map(|note| record(note, writer))).await;
    }
    outcome
}

async fn create_slowly(mut group: &[Action], writer: &dyn Writer, outcome: &mut Outcome) {
    let mut width = 1;
    while !group.is_empty() {
        let (batch, after) = group.split_at(width.min(group.len()));
        if !perform(batch, writer, outcome).await {
            return;
        }
        group = after;
        width = (width * 2).min(CREATIONS);
    }
}

/// Carries out a batch side by side; false when one of it failed.
async fn perform(batch: &[Action], writer: &dyn Writer, outcome: &mut Outcome) -> bool {
    let mut well = true;
    for done in join_all(batch.iter().map(|action| one(action, writer))).await.into_iter().flatten() {
        match done.result {
            Ok(Some(entry)) => {
                outcome.tell(done.report, Ok(&entry.key.name));
                outcome.wrote(done.kind, entry.revision);
                let object = Subject::new(done.kind, &entry.key);
                match done.verb {
                    Some(verb) => outcome.deeds.push(Deed { verb, object }),
                    None => outcome.statuses.push(object),
                }
            }
            Ok(None) => {}
            Err(error) => {
                well = false;
                outcome.tell(done.report, Err(&error));
                outcome.failed(done.report, &error);
            }
        }
    }
    well
}

/// One write that was tried.
struct Done<'a> {
    /// `None` for a status.
    verb: Option<Verb>,
    kind: &'a Arc<str>,
    report: Option<&'a Report>,
    /// `None` when it was not needed any more.
    result: Result<Option<Arc<Entry>>, ApiError>,
}

async fn one<'a>(action: &'a Action, writer: &dyn Writer) -> Vec<Done<'a>> {
    match action {
        Action::Create(creation) => vec![create(creation, writer).await],
        Action::CreateAfter(creation, needs) => create_after(creation, needs, writer).await,
        Action::Delete(deletion) => {
            let result = delete(deletion, writer).await;
            vec![Done { verb: Some(Verb::Delete), kind: &deletion.kind, report: deletion.report.as_ref(), result }]
        }
        Action::Patch(patch) => {
            let result = match writer.patch(patch).await {
                // Gone meanwhile: its deletion brings the key back if that matters.
                Err(error) if error.code == 404 => Ok(None),
                result => result.map(Some),
            };
            let verb = (patch.subresource != Some("status")).then_some(Verb::Patch);
            vec![Done { verb, kind: &patch.kind, report: None, result }]
        }
        Action::Event(note) => {
            record(note, writer).await;
            Vec::new()
        }
    }
}

/// Upstream tries all that an object needs, and says of the object what went wrong with them.
async fn create_after<'a>(creation: &'a Creation, needs: &'a [Prerequisite], writer: &dyn Writer) -> Vec<Done<'a>> {
    let (mut all, mut missing) = (Vec::new(), Vec::new());
    for need in needs {
        let done = create(&need.creation, writer).await;
        missing.extend(done.result.as_ref().err().map(|error| (error.clone(), format!("{}{}", need.failure, error.message))));
        all.push(done);
    }
    let Some((mut error, first)) = missing.first().cloned() else {
        all.push(create(creation, writer).await);
        return all;
    };
    let texts: Vec<String> = missing.into_iter().map(|(_, text)| text).collect();
    error.message = if texts.len() == 1 { first } else { format!("[{}]", texts.join(", ")) };
    let result = Err(error);
    all.push(Done { verb: None, kind: &creation.kind, report: creation.report.as_ref(), result });
    all
}

async fn create<'a>(creation: &'a Creation, writer: &dyn Writer) -> Done<'a> {
    let result = match writer.create(creation).await {
        Ok(entry) => Ok(Some(entry)),
        // A namespace on its way out takes nothing new; nobody needs to hear of it.
        Err(error) if namespace_ends(&error) => Ok(None),
        // An object with a fixed name is there already: that is what was wanted.
        Err(error) if error.reason == "AlreadyExists" && creation.object["metadata"]["generateName"].is_null() => Ok(None),
        Err(error) => Err(error),
    };
    Done { verb: Some(Verb::Create), kind: &creation.kind, report: creation.report.as_ref(), result }
}

async fn delete(deletion: &Deletion, writer: &dyn Writer) -> Result<Option<Arc<Entry>>, ApiError> {
    match writer.delete(deletion).await {
        Ok(entry) => Ok(Some(entry)),
        Err(error) if error.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

fn namespace_ends(error: &ApiError) -> bool {
    error.details.iter().flat_map(|d| &d.causes).any(|c| c.reason == "NamespaceTerminating")
}

fn filled(text: &str, word: &str) -> String {
    match text.split_once("{}") {
        Some((before, after)) => format!("{before}{word}{after}"),
        None => format!("{text}{word}"),
    }
}

/// Events are a courtesy: one that fails is logged, and nothing else changes.
async fn record(note: &EventNote, writer: &dyn Writer) {
    if let Err(error) = writer.event(note).await {
        tracing::debug!(reason = note.reason, %error, "an event was not recorded");
    }
}

//! Selection by fields of objects that a webhook has to convert first: what is stored may not even have such a field.
use super::list::Selection;
use super::view::shown;
use crate::actors::kinds::Kind;
use crate::protocol::status::ApiError;
use crate::storage::{Delivery, Entry, EventKind, Filter};
use std::sync::Arc;

/// What a watcher is told.
pub(super) type Told = Vec<(EventKind, Arc<Entry>)>;

/// Those of the converted objects that are selected. A page of a list may become shorter by it than was asked for.
pub(super) fn selected(mut shown: Vec<Arc<Entry>>, selection: &Selection) -> Vec<Arc<Entry>> {
    if let Some(late) = &selection.late {
        shown.retain(|entry| late(entry));
    }
    shown
}

/// The objects that a watch begins with, as the kind shows them.
pub(super) async fn arrivals(kind: &Kind, entries: Vec<Arc<Entry>>, late: Option<&Filter>) -> Result<Told, ApiError> {
    let shown = shown(kind, entries).await?;
    Ok(shown.into_iter().filter(|entry| late.is_none_or(|late| late(entry))).map(|entry| (EventKind::Added, entry)).collect())
}

/// Events as the kind shows their objects. With fields to select by, an object that comes into the selection is added, and one
/// that leaves it is deleted in its previous state, so that one is converted as well.
pub(super) async fn events(kind: &Kind, deliveries: Vec<Delivery>, late: Option<&Filter>) -> Result<Told, ApiError> {
    let Some(late) = late else {
        let entries = shown(kind, deliveries.iter().map(Delivery::state).collect()).await?;
        return Ok(deliveries.iter().map(|delivery| delivery.kind).zip(entries).collect());
    };
    // What was there before, and what is there now, of each.
    let states: Vec<[Option<Arc<Entry>>; 2]> = deliveries.iter().map(states).collect();
    let mut converted = shown(kind, states.iter().flatten().flatten().cloned().collect()).await?.into_iter();
    let mut told = Vec::with_capacity(deliveries.len());
    for [before, now] in states {
        let mut chosen = |state: Option<Arc<Entry>>| state.and_then(|_| converted.next()).filter(|entry| late(entry));
        match (chosen(before), chosen(now)) {
            (None, Some(now)) => told.push((EventKind::Added, now)),
            (Some(_), Some(now)) => told.push((EventKind::Modified, now)),
            (Some(before), None) => told.push((EventKind::Deleted, before)),
            (None, None) => {}
        }
    }
    Ok(told)
}

/// The states of an object before and after an event, where the watcher's other selectors let it see them.
fn states(delivery: &Delivery) -> [Option<Arc<Entry>>; 2] {
    match delivery.kind {
        EventKind::Added => [None, Some(delivery.state())],
        EventKind::Deleted => [Some(delivery.state()), None],
        EventKind::Modified => {
            let before = delivery.event.previous.as_ref().map(|previous| Arc::new(previous.at(delivery.event.revision)));
            [before, Some(delivery.state())]
        }
    }
}

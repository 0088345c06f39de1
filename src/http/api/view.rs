//! Kinds that are served besides the one that their objects are stored as: reads are converted on the way out, writes on the
//! way in, and the stored kind's actor knows nothing of it.
use super::gateway::Gateway;
use crate::actors::kinds::custom::Reading;
use crate::actors::kinds::{Body, Edit, EditBody, Kind, Part, Patch, Served, View, Writer, Written, proposed};
use crate::protocol::codec;
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use crate::storage::{Entry, Start};
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// How often a patch through a view is made anew when the object changed meanwhile, as upstream does.
const TRIES: usize = 5;

/// How long a write that was decided meanwhile may take to be published.
const PATIENCE: Duration = Duration::from_secs(2);

/// A stored object as its kind, or a view of it, shows it.
pub fn viewed<'a>(kind: &Kind, entry: &'a Arc<Entry>) -> Cow<'a, Arc<Entry>> {
    match (kind.view, kind.reading()) {
        (Some(_), _) => {
            let mut object = entry.parse();
            kind.show(&mut object);
            Cow::Owned(Arc::new(converted(&object, entry)))
        }
        (None, Some(reading)) if !reading.is_plain(&entry.body) => Cow::Owned(Arc::new(converted(&kind.read(entry), entry))),
        _ => Cow::Borrowed(entry),
    }
}

/// Stored objects as their kind shows them, also where a webhook has to be asked: once for all of them.
pub async fn shown(kind: &Kind, entries: Vec<Arc<Entry>>) -> Result<Vec<Arc<Entry>>, ApiError> {
    if !kind.converts() {
        return Ok(entries);
    }
    let Some(reading) = kind.reading().filter(|r| r.asks()) else {
        return Ok(entries.iter().map(|e| viewed(kind, e).into_owned()).collect());
    };
    let mut out = entries;
    let at: Vec<usize> = out.iter().enumerate().filter(|(_, e)| !reading.is_plain(&e.body)).map(|(at, _)| at).collect();
    let stored = at.iter().filter_map(|at| out.get(*at)).map(|entry| entry.parse()).collect();
    let objects = reading.show(stored).await?;
    for (at, object) in at.into_iter().zip(objects) {
        if let Some(entry) = out.get_mut(at) {
            *entry = Arc::new(converted(&object, entry));
        }
    }
    Ok(out)
}

/// [`shown`] for one object.
pub async fn shown_one(kind: &Kind, entry: &Arc<Entry>) -> Result<Arc<Entry>, ApiError> {
    let shown = shown(kind, vec![entry.clone()]).await?;
    shown.into_iter().next().ok_or_else(|| ApiError::internal("a conversion lost the object"))
}

/// What is between a kind and the one that its objects are stored as.
#[derive(Clone, Copy)]
pub(super) enum Through<'k> {
    View(&'static View),
    /// Another version of a custom kind.
    Version(&'k Reading),
}

impl<'k> Through<'k> {
    /// `None` when objects are stored as the kind itself.
    pub fn of(kind: &'k Kind) -> Option<Self> {
        match (kind.view, kind.reading()) {
            (Some(view), _) => Some(Through::View(view)),
            // Where a webhook converts, what is stored may still be of a version that the stored one's actor cannot read.
            (None, Some(reading)) if !reading.is_storage() || reading.asks() => Some(Through::Version(reading)),
            _ => None,
        }
    }

    async fn store(self, mut object: Value) -> Result<Value, ApiError> {
        match self {
            Through::View(view) => {
                (view.to_stored)(&mut object);
                Ok(object)
            }
            Through::Version(reading) => Ok(reading.store(object).await?),
        }
    }
}

fn converted(object: &Value, entry: &Entry) -> Entry {
    let (body, splice) = codec::encode(object);
    Entry {
        key: entry.key.clone(),
        body,
        splice,
        revision: entry.revision,
        token: entry.token,
        meta: entry.meta.clone(),
        light: entry.light.clone(),
    }
}

/// An apply that is made in the stored kind's terms: what is not there yet is created by it, and nobody owns fields of a version
/// that Kubernetes has removed. `None` for all other edits.
async fn applied(kind: &Kind, through: Through<'_>, edit: &Edit, stored: &Served) -> Result<Option<Edit>, ApiError> {
    let EditBody::Patch { patch: Patch::Apply { config, force }, validation } = &edit.body else { return Ok(None) };
    let mut config = config.clone();
    match &kind.body {
        _ if edit.part == Part::Scale => return Ok(None),
        Body::Legacy(legacy, _) => legacy.accept(&mut config).map_err(|e| ApiError::bad_request(e.to_string()))?,
        _ if stored.shelf.snapshot().get(&edit.key).is_some() => return Ok(None),
        _ => {}
    }
    let patch = Patch::Apply { config: through.store(config).await?, force: *force };
    Ok(Some(Edit { key: edit.key.clone(), part: edit.part, body: EditBody::Patch { patch, validation: *validation } }))
}

/// Waits until another state of an object is published than the one of this revision: the write that was in the way is on its way to
/// the disk then.
async fn newer(stored: &Served, key: &ObjectKey, seen: u64) {
    let namespace = (!key.namespace.is_empty()).then(|| key.namespace.clone());
    let Ok(mut events) = stored.shelf.hub().subscribe(Start::Now, namespace, Some(key.name.clone()), None, 1) else { return };
    let published = events.initial.take().and_then(|snapshot| snapshot.get(key).map(|entry| entry.revision));
    if published == Some(seen) {
        // Nothing may come of that write; then the next try says so.
        let _ = tokio::time::timeout(PATIENCE, events.next()).await;
    }
}

/// The rules that a view has besides those of the stored kind: the newer events are stricter than the old ones.
fn check_view(kind: &Kind, object: &Value) -> Result<(), ApiError> {
    if kind.view.is_none() || !matches!(kind.body, Body::Typed(_)) {
        return Ok(());
    }
    let mut shown = object.clone();
    kind.default(&mut shown);
    let errors = kind.validate_create(&shown);
    if errors.is_empty() {
        return Ok(());
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    Err(ApiError::invalid(kind.resource.group, kind.resource.kind, name, &errors))
}

/// The same for a change; both objects as the view shows them.
fn check_view_update(kind: &Kind, new: &Value, old: &Value) -> Result<(), ApiError> {
    if kind.view.is_none() || !matches!(kind.body, Body::Typed(_)) {
        return Ok(());
    }
    let mut new = new.clone();
    kind.default(&mut new);
    let errors = kind.validate_update(&new, old);
    if errors.is_empty() {
        return Ok(());
    }
    let name = old["metadata"]["name"].as_str().unwrap_or_default();
    Err(ApiError::invalid(kind.resource.group, kind.resource.kind, name, &errors))
}

/// A patch that changes nothing leaves the managers of the fields alone, too: a view's spelling of the same is no change.
fn keep_managers(kind: &Kind, body: &mut Value, held: &Value) {
    const MANAGERS: &str = "managedFields";
    let plain = |object: &Value| {
        let mut object = object.clone();
        kind.default(&mut object);
        if let Some(meta) = object["metadata"].as_object_mut() {
            meta.remove(MANAGERS);
        }
        object
    };
    if plain(body) == plain(held)
        && let (Some(meta), Some(managers)) = (body["metadata"].as_object_mut(), held["metadata"].get(MANAGERS))
    {
        meta.insert(MANAGERS.into(), managers.clone());
    }
}

impl Gateway {
    /// The kind that the objects of `served` are stored as.
    pub(super) fn stored(&self, served: &Arc<Served>) -> Result<Arc<Served>, ApiError> {
        if Through::of(&served.kind).is_none() {
            return Ok(served.clone());
        }
        let shelf = &served.shelf.name;
        self.kinds.by_shelf(shelf).ok_or_else(|| ApiError::internal(format!("{shelf} is not served")))
    }

    pub(super) async fn create_through(
        &self,
        served: &Arc<Served>,
        through: Through<'_>,
        value: Value,
        namespace: &str,
        writer: &Writer,
    ) -> Result<Written, ApiError> {
        let mut value = value;
        if served.kind.resource.namespaced && value["metadata"]["namespace"].as_str().is_none_or(str::is_empty) {
            value["metadata"]["namespace"] = namespace.into();
        }
        check_view(&served.kind, &value)?;
        let value = through.store(value).await?;
        let written = self.kinds.create_as(&*self.stored(served)?, namespace, value, writer).await?;
        Ok(Written { entry: shown_one(&served.kind, &written.entry).await?, ..written })
    }

    /// An edit in the view's terms: it is made here, on the newest published state, and goes to the actor as an update.
    pub(super) async fn edit_through(
        &self,
        served: &Arc<Served>,
        through: Through<'_>,
        edit: Edit,
        writer: &Writer,
    ) -> Result<Written, ApiError> {
        let stored = self.stored(served)?;
        if let Some(edit) = applied(&served.kind, through, &edit, &stored).await? {
            let written = self.kinds.edit_as(&stored, edit, writer).await?;
            return Ok(Written { entry: shown_one(&served.kind, &written.entry).await?, ..written });
        }
        let mut tries = TRIES;
        loop {
            tries -= 1;
            let mut held = None;
            let (mut body, warnings, seen) = match &edit.body {
                EditBody::Update(body) | EditBody::Tracked(body) => ((**body).clone(), Vec::new(), None),
                EditBody::Patch { .. } if edit.part == Part::Scale => {
                    return self.kinds.edit_as(&stored, edit, writer).await;
                }
                EditBody::Patch { .. } => {
                    let resource = &served.kind.resource;
                    let entry = stored.shelf.snapshot().get(&edit.key).cloned();
                    let entry = entry.ok_or_else(|| ApiError::not_found(resource.group, resource.plural, &edit.key.name))?;
                    let shown = shown_one(&served.kind, &entry).await?.parse();
                    let (body, warnings) = proposed(&served.kind, &edit, &shown, writer)?;
                    let versioned = body["metadata"]["resourceVersion"] != shown["metadata"]["resourceVersion"];
                    held = Some(stored.kind.read(&entry));
                    (body, warnings, (!versioned).then_some(entry.revision))
                }
            };
            if edit.part == Part::Main
                && let Some(entry) = stored.shelf.snapshot().get(&edit.key)
            {
                check_view_update(&served.kind, &body, &viewed(&served.kind, entry).parse())?;
            }
            if edit.part != Part::Scale {
                body = through.store(body).await?;
                if let Some(held) = held {
                    keep_managers(&stored.kind, &mut body, &held);
                }
            }
            let body = match &edit.body {
                EditBody::Patch { .. } => EditBody::Tracked(Box::new(body)),
                _ => EditBody::Update(Box::new(body)),
            };
            let update = Edit { key: edit.key.clone(), part: edit.part, body };
            match (self.kinds.edit_as(&stored, update, writer).await, seen) {
                (Err(error), Some(seen)) if error.code == 409 && tries > 0 => newer(&stored, &edit.key, seen).await,
                (Err(error), _) => return Err(error),
                (Ok(mut written), _) => {
                    written.warnings.extend(warnings);
                    return Ok(Written { entry: shown_one(&served.kind, &written.entry).await?, ..written });
                }
            }
        }
    }
}

//! Kinds that are served besides the one that their objects are stored as: reads are converted on the way out. Writes stay in the
//! request's version until they are stored (see `kinds::outside`), but for versions that Kubernetes has removed, which become
//! today's on the way in.
use super::gateway::Gateway;
use crate::actors::kinds::{Body, Edit, EditBody, Kind, Part, Patch, Served, View, Writer, Written, proposed};
use crate::protocol::codec;
use crate::protocol::legacy::Legacy;
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use crate::storage::{Entry, Start};
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// How often a patch through a removed version is made anew when the object changed meanwhile, as upstream does.
const TRIES: usize = 5;

/// How long a write that was decided meanwhile may take to be published.
const PATIENCE: Duration = Duration::from_secs(2);

/// A stored object as its kind, or a view of it, shows it.
pub fn viewed<'a>(kind: &Kind, entry: &'a Arc<Entry>) -> Cow<'a, Arc<Entry>> {
    match (kind.view, kind.reading()) {
        (Some(_), _) => {
            let mut object = entry.parse_whole();
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
    let stored = at.iter().filter_map(|at| out.get(*at)).map(|entry| entry.parse_whole()).collect();
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

/// An apply that is made in the stored kind's terms: nobody owns fields of a version that Kubernetes has removed. `None` for all other
/// edits.
fn applied(legacy: &Legacy, view: &View, edit: &Edit) -> Result<Option<Edit>, ApiError> {
    let EditBody::Patch { patch: Patch::Apply { config, force }, validation } = &edit.body else { return Ok(None) };
    if edit.part == Part::Scale {
        return Ok(None);
    }
    let mut config = config.clone();
    legacy.accept(&mut config).map_err(|e| ApiError::bad_request(e.to_string()))?;
    (view.to_stored)(&mut config);
    let patch = Patch::Apply { config, force: *force };
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

/// Makes an object of a removed version one of the stored kind. Who manages its fields is to be told there, and was nobody's business here.
fn upgraded(view: &View, mut body: Value, held: &Value) -> Value {
    const MANAGERS: &str = "managedFields";
    (view.to_stored)(&mut body);
    if let Some(meta) = body["metadata"].as_object_mut() {
        match held["metadata"].get(MANAGERS) {
            Some(managers) => meta.insert(MANAGERS.into(), managers.clone()),
            None => meta.remove(MANAGERS),
        };
    }
    body
}

/// The removed version that a kind is, with the way to the kind that its objects are stored as.
fn removed(kind: &Kind) -> Option<(&'static Legacy, &'static View)> {
    match kind.body {
        Body::Legacy(legacy, _) => kind.view.map(|view| (legacy, view)),
        Body::Typed(_) | Body::Custom(_) => None,
    }
}

impl Gateway {
    /// The kind that the objects of `served` are written as: itself, but for versions that Kubernetes has removed.
    pub(super) fn written_as(&self, served: &Arc<Served>) -> Result<Arc<Served>, ApiError> {
        if !served.kind.is_removed() {
            return Ok(served.clone());
        }
        let shelf = &served.shelf.name;
        self.kinds.by_shelf(shelf).ok_or_else(|| ApiError::internal(format!("{shelf} is not served")))
    }

    /// What was written, as the request's kind shows it.
    async fn answered(&self, served: &Served, written: Written) -> Result<Written, ApiError> {
        if !served.kind.is_other_form() && !served.kind.is_removed() {
            return Ok(written);
        }
        Ok(Written { entry: shown_one(&served.kind, &written.entry).await?, ..written })
    }

    /// Creates an object of a kind in whichever version.
    pub(super) async fn create_in(
        &self,
        served: &Arc<Served>,
        mut value: Value,
        namespace: &str,
        writer: &Writer,
    ) -> Result<Written, ApiError> {
        if let Some((_, view)) = removed(&served.kind) {
            (view.to_stored)(&mut value);
        }
        let written = self.kinds.create_as(&*self.written_as(served)?, namespace, value, writer).await?;
        self.answered(served, written).await
    }

    /// Updates or patches an object of a kind in whichever version.
    pub(super) async fn edit_in(&self, served: &Arc<Served>, edit: Edit, writer: &Writer) -> Result<Written, ApiError> {
        let written = match removed(&served.kind) {
            None => self.kinds.edit_as(served, edit, writer).await?,
            Some((legacy, view)) => self.edit_removed(served, (legacy, view), edit, writer).await?,
        };
        self.answered(served, written).await
    }

    /// An edit in the terms of a version that Kubernetes has removed: it is made here, on the newest published state, and goes to the
    /// stored kind as an update.
    async fn edit_removed(
        &self,
        served: &Arc<Served>,
        (legacy, view): (&Legacy, &View),
        edit: Edit,
        writer: &Writer,
    ) -> Result<Written, ApiError> {
        let stored = self.written_as(served)?;
        if let Some(edit) = applied(legacy, view, &edit)? {
            return self.kinds.edit_as(&stored, edit, writer).await;
        }
        let mut tries = TRIES;
        loop {
            tries -= 1;
            let (body, warnings, seen) = match &edit.body {
                _ if edit.part == Part::Scale => return self.kinds.edit_as(&stored, edit, writer).await,
                EditBody::Update(body) => {
                    let mut body = (**body).clone();
                    (view.to_stored)(&mut body);
                    (body, Vec::new(), None)
                }
                EditBody::Patch { .. } => {
                    let resource = &served.kind.resource;
                    let entry = stored.shelf.snapshot().get(&edit.key).cloned();
                    let entry = entry.ok_or_else(|| ApiError::not_found(resource.group, resource.plural, &edit.key.name))?;
                    let shown = viewed(&served.kind, &entry).parse_whole();
                    let (body, warnings) = proposed(&served.kind, &edit, &shown, writer)?;
                    let versioned = body["metadata"]["resourceVersion"] != shown["metadata"]["resourceVersion"];
                    (upgraded(view, body, &stored.kind.read(&entry)), warnings, (!versioned).then_some(entry.revision))
                }
            };
            let body = EditBody::Update(Box::new(body));
            let update = Edit { key: edit.key.clone(), part: edit.part, body };
            match (self.kinds.edit_as(&stored, update, writer).await, seen) {
                (Err(error), Some(seen)) if error.code == 409 && tries > 0 => newer(&stored, &edit.key, seen).await,
                (Err(error), _) => return Err(error),
                (Ok(mut written), _) => {
                    written.warnings.extend(warnings);
                    return Ok(written);
                }
            }
        }
    }
}

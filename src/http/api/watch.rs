//! `watch`: events from the commit path to one client, serialised once and coalesced per connection.
use super::gateway::{ApiRequest, Gateway};
use super::late;
use super::list::Selection;
use super::options::{Query, invalid_options};
use super::path::Target;
use super::render;
use crate::actors::kinds::{Kind, Served};
use crate::protocol::protobuf;
use crate::protocol::status::{ApiError, FieldError};
use crate::protocol::table::{Encoding, IncludeObject, Shape};
use crate::storage::{Delivery, Entry, EventKind, Filter, Next, Shelves, Start, Subscription};
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::json;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Events that may wait for one client before it is cut off.
const QUEUE: usize = 1024;
/// Quiet for this long, a client that allows bookmarks gets one.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// A chunk is sent once it holds this many bytes.
const CHUNK: usize = 64 * 1024;
/// Objects that are converted together.
const BATCH: usize = 500;
/// A watcher rests after each chunk, for this times the square of how many watchers got the last event: waking a thousand of them for
/// every single event would cost more than all else. 2 ms for 100 watchers, 50 ms from 500 on.
const REST: Duration = Duration::from_nanos(200);
const MAX_REST: Duration = Duration::from_millis(50);
/// So few watchers need no rest.
const FEW_WATCHERS: u32 = 8;
/// Without `timeoutSeconds` a watch ends between this and twice this, as upstream's does.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1800);
/// Nobody gets a watch for longer than this, whatever was asked for.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// A watch that is under way; every [`WatchStream::next`] is a chunk to send.
pub struct WatchStream {
    kind: Arc<Kind>,
    shape: Shape,
    /// Frames of protobuf in place of lines of JSON.
    protobuf: bool,
    include: IncludeObject,
    source: Source,
    initial: VecDeque<Arc<Entry>>,
    /// Selects once objects are converted.
    late: Option<Filter>,
    /// Taken from the subscription, not sent yet.
    taken: VecDeque<Delivery>,
    /// Events gather until then.
    rest_until: Option<Instant>,
    /// Names the form of the events where watchers can share it.
    form: Option<Arc<str>>,
    /// The revision of the list that `initial` came from, when its end must be announced.
    initial_end: Option<u64>,
    bookmarks: bool,
    columns_sent: bool,
    deadline: Instant,
    /// For `Warning:` headers.
    pub warnings: Vec<String>,
}

/// Where the next chunk comes from.
enum Source {
    Live(Box<Subscription>),
    /// One last event, then the end.
    Refused(ApiError),
    Ended,
}

impl Gateway {
    /// Starts a watch; `sendInitialEvents`, resuming and bookmarks as upstream has them.
    pub(super) fn watch(&self, served: &Served, request: &ApiRequest, query: &Query, target: &Target) -> Result<WatchStream, ApiError> {
        check_options(query)?;
        let selection = Selection::parse(&served.kind, &target.namespace, &target.name, query)?;
        let media = render::media(&request.accept)?;
        if media.encoding == Encoding::Yaml {
            return Err(ApiError::new(406, "NotAcceptable", "only the following media types are accepted: application/json;stream=watch"));
        }
        let initial = query.flag("sendInitialEvents");
        let revision = revision_of(query)?;
        // No revision, or 0, means: what there is, then what comes; sendInitialEvents=false means: only what comes.
        let from_now = initial || (revision == 0 && query.get("sendInitialEvents").is_empty());
        let start = if from_now || revision == 0 { Start::Now } else { Start::After(revision) };
        let protobuf = media.encoding == Encoding::Protobuf;
        let seconds = query.number("timeoutSeconds")?.filter(|s| *s > 0).and_then(|s| u64::try_from(s).ok());
        let mut stream = WatchStream {
            kind: served.kind.clone(),
            shape: media.shape,
            protobuf,
            include: render::include(query)?,
            source: Source::Ended,
            initial: VecDeque::new(),
            late: selection.late.clone(),
            taken: VecDeque::new(),
            rest_until: None,
            form: shared_form(&served.kind, media.shape, protobuf),
            initial_end: None,
            bookmarks: query.flag("allowWatchBookmarks"),
            columns_sent: false,
            deadline: Instant::now() + seconds.map_or_else(some_while, |s| Duration::from_secs(s).min(MAX_TIMEOUT)),
            warnings: Vec::new(),
        };
        let Ok(mut subscription) = served.shelf.hub().subscribe_within(start, selection.scope(), selection.filter.clone(), QUEUE) else {
            // Upstream says so within the stream: clients treat an error of the request itself as worth a retry.
            let why = format!("too old resource version: {revision} ({})", self.kinds.shelves.committed());
            stream.source = Source::Refused(ApiError::expired(why));
            return Ok(stream);
        };
        let snapshot = subscription.initial.take().filter(|_| from_now);
        stream.initial = snapshot.map(|s| super::read::page(&s, &selection, None, 0).0).unwrap_or_default().into();
        stream.initial_end = (initial && stream.bookmarks).then_some(subscription.from);
        stream.source = Source::Live(Box::new(subscription));
        Ok(stream)
    }

    /// What shelves a watch reads from; for bookmarks of idle kinds.
    pub fn shelves(&self) -> &Arc<Shelves> {
        &self.kinds.shelves
    }
}

/// The name of the form of a watch's events, unless it is the stored one, or each watcher must write for itself: tables say how old
/// things are, and what is converted depends on a definition that may change.
fn shared_form(kind: &Kind, shape: Shape, protobuf: bool) -> Option<Arc<str>> {
    let stored = matches!(shape, Shape::Object) && !protobuf;
    let own = stored || matches!(shape, Shape::Table(_)) || kind.converts();
    (!own).then(|| format!("{} {} {shape:?} {protobuf}", kind.resource.api_version(), kind.resource.kind).into())
}

/// A time between the default and twice that, so that watches which began together do not end together.
fn some_while() -> Duration {
    let mut bytes = [0u8; 2];
    // Without randomness they end together, which is not worth a refusal.
    let _ = getrandom::fill(&mut bytes);
    DEFAULT_TIMEOUT + DEFAULT_TIMEOUT.mul_f64(f64::from(u16::from_le_bytes(bytes)) / 65536.0)
}

fn revision_of(query: &Query) -> Result<u64, ApiError> {
    match query.get("resourceVersion") {
        "" => Ok(0),
        text => text.parse().map_err(|_| {
            let why = format!("strconv.ParseUint: parsing \"{text}\": invalid syntax");
            ApiError::bad_request(format!("resourceVersion: Invalid value: \"{text}\": {why}"))
        }),
    }
}

/// What upstream refuses of the options of a watch.
fn check_options(query: &Query) -> Result<(), ApiError> {
    let given = !query.get("sendInitialEvents").is_empty();
    let matching = query.get("resourceVersionMatch");
    let mut errors = Vec::new();
    if given && matching != "NotOlderThan" {
        let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        errors.push(FieldError::forbidden("resourceVersionMatch", why));
    }
    if !given && !matching.is_empty() {
        let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
        errors.push(FieldError::forbidden("resourceVersionMatch", why));
    }
    if !matches!(matching, "" | "NotOlderThan") {
        errors.push(FieldError::not_supported("resourceVersionMatch", matching, &["NotOlderThan"]));
    }
    if errors.is_empty() { Ok(()) } else { Err(invalid_options("ListOptions", &errors)) }
}

/// Until when to rest after an event that went to so many watchers.
fn rest_after(audience: u32) -> Option<Instant> {
    (audience > FEW_WATCHERS).then(|| Instant::now() + REST.saturating_mul(audience.saturating_mul(audience)).min(MAX_REST))
}

impl WatchStream {
    /// The media type of the stream.
    pub fn content_type(&self) -> &'static str {
        if self.protobuf { "application/vnd.kubernetes.protobuf;stream=watch" } else { "application/json" }
    }

    /// The next chunk, never an empty one; `None` ends the stream.
    pub async fn next(&mut self) -> Option<Bytes> {
        let mut out = BytesMut::new();
        while out.len() < CHUNK && !self.initial.is_empty() {
            let batch: Vec<Arc<Entry>> = self.initial.drain(..self.initial.len().min(BATCH)).collect();
            let events = late::arrivals(&self.kind, batch, self.late.as_ref()).await;
            if !self.write_all(&mut out, events) {
                self.initial.clear();
                self.initial_end = None;
            }
        }
        if self.initial.is_empty()
            && let Some(revision) = self.initial_end.take()
        {
            self.bookmark(&mut out, revision, true);
        }
        self.pass_on(&mut out).await;
        while out.is_empty() {
            match std::mem::replace(&mut self.source, Source::Ended) {
                Source::Live(subscription) => {
                    if let Some(line) = self.live(&mut out, subscription).await {
                        return Some(line);
                    }
                }
                Source::Refused(error) => self.line(&mut out, "ERROR", error.to_status().to_string().as_bytes()),
                Source::Ended => return None,
            }
        }
        Some(out.freeze())
    }

    /// Waits for events, a time for a bookmark, or the end. Puts the subscription back unless it is over. A single event is given
    /// as the bytes that all watchers share, everything else is appended to `out`.
    async fn live(&mut self, out: &mut BytesMut, mut subscription: Box<Subscription>) -> Option<Bytes> {
        if let Some(until) = self.rest_until.take() {
            subscription.gather(until.min(self.deadline)).await;
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        let next = if left.is_zero() { None } else { tokio::time::timeout(BOOKMARK_EVERY.min(left), subscription.next()).await.ok() };
        match next {
            Some(Next::Batch(deliveries)) => {
                self.rest_until = deliveries.last().and_then(|last| rest_after(last.event.audience()));
                if let [delivery] = deliveries.as_slice()
                    && self.sends_stored()
                {
                    self.source = Source::Live(subscription);
                    return Some(delivery.line());
                }
                let size: usize = deliveries.iter().map(|delivery| delivery.event.entry.served_len()).sum();
                out.reserve(size.min(2 * CHUNK));
                self.taken = deliveries.into();
                self.source = Source::Live(subscription);
                self.pass_on(out).await;
                return None;
            }
            Some(Next::Lagged) => {
                self.source = Source::Refused(ApiError::expired("The resourceVersion for the provided watch is too old."));
                return None;
            }
            None => {
                // The last words of a watch tell from where to go on.
                if let Some(revision) = subscription.bookmark().filter(|_| self.bookmarks) {
                    self.bookmark(out, revision, false);
                }
                if self.deadline <= Instant::now() {
                    return None;
                }
            }
        }
        self.source = Source::Live(subscription);
        None
    }

    /// Events are sent as the hub has them: serialised once, whatever the number of watchers.
    fn sends_stored(&self) -> bool {
        self.shape == Shape::Object && !self.kind.converts() && !self.protobuf
    }

    /// Writes what was taken from the subscription, as far as the chunk goes: large objects are sent in several, so that the client's
    /// connection sets the pace, not memory.
    async fn pass_on(&mut self, out: &mut BytesMut) {
        while out.len() < CHUNK && !self.taken.is_empty() {
            if self.kind.converts() {
                let batch: Vec<Delivery> = self.taken.drain(..self.taken.len().min(BATCH)).collect();
                let events = late::events(&self.kind, batch, self.late.as_ref()).await;
                if !self.write_all(out, events) {
                    self.taken.clear();
                }
            } else if let Some(delivery) = self.taken.pop_front() {
                self.deliver(out, &delivery);
            }
        }
    }

    /// Writes events, as the kind shows their objects. False: that could not be told, the client hears why, and the watch ends.
    fn write_all(&mut self, out: &mut BytesMut, events: Result<Vec<(EventKind, Arc<Entry>)>, ApiError>) -> bool {
        match events {
            Ok(events) => {
                events.into_iter().for_each(|(kind, entry)| self.write(out, kind, &entry));
                true
            }
            Err(error) => {
                self.source = Source::Refused(error);
                false
            }
        }
    }

    fn deliver(&mut self, out: &mut BytesMut, delivery: &Delivery) {
        if self.sends_stored() {
            out.put_slice(&delivery.line());
            return;
        }
        let state = delivery.state();
        match self.form.clone() {
            Some(form) => {
                let bytes = delivery.written(&form, || {
                    let mut bytes = BytesMut::new();
                    self.write(&mut bytes, delivery.kind, &state);
                    bytes.freeze()
                });
                out.put_slice(&bytes);
            }
            None => self.write(out, delivery.kind, &state),
        }
    }

    fn write(&mut self, out: &mut BytesMut, kind: EventKind, entry: &Arc<Entry>) {
        let body = match self.shape {
            Shape::Object => entry.served(),
            Shape::Table(version) => {
                let columns = !std::mem::replace(&mut self.columns_sent, true);
                render::table_of_one(&self.kind, entry, version, self.include, columns)
            }
            Shape::PartialObject(version) => render::partial(entry, version),
        };
        self.line(out, kind.name(), &body);
    }

    fn bookmark(&mut self, out: &mut BytesMut, revision: u64, initial_end: bool) {
        let mut metadata = json!({ "resourceVersion": revision.to_string(), "creationTimestamp": null });
        if initial_end {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let resource = &self.kind.resource;
        let object = match self.shape {
            Shape::PartialObject(version) => {
                json!({ "kind": "PartialObjectMetadata", "apiVersion": version.api_version(), "metadata": metadata })
            }
            Shape::Table(version) => json!({
                "kind": "Table", "apiVersion": version.api_version(), "metadata": { "resourceVersion": revision.to_string() },
                "columnDefinitions": null, "rows": [{ "cells": [], "object": { "kind": "PartialObjectMetadata", "apiVersion": version.api_version(), "metadata": metadata } }],
            }),
            Shape::Object => json!({ "kind": resource.kind, "apiVersion": resource.api_version(), "metadata": metadata }),
        };
        self.line(out, "BOOKMARK", object.to_string().as_bytes());
    }

    fn line(&self, out: &mut BytesMut, word: &str, object: &[u8]) {
        if self.protobuf {
            let object = serde_json::from_slice(object).unwrap_or_default();
            match protobuf::watch_frame(word, &object) {
                Ok(frame) => out.put_slice(&frame),
                Err(error) => tracing::warn!(%error, "a watch event has no protobuf form"),
            }
            return;
        }
        out.put_slice(b"{\"type\":\"");
        out.put_slice(word.as_bytes());
        out.put_slice(b"\",\"object\":");
        out.put_slice(object);
        out.put_slice(b"}\n");
    }
}

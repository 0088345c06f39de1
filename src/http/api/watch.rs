//! `watch`: events from the commit path to one client, serialised once and coalesced per connection.
use super::gateway::{ApiRequest, Gateway};
use super::list::Selection;
use super::options::Query;
use super::path::Target;
use super::render;
use crate::actors::kinds::{Kind, Served};
use crate::protocol::status::ApiError;
use crate::protocol::table::{Encoding, IncludeObject, Shape};
use crate::storage::{Delivery, Entry, EventKind, Next, Shelves, Start, Subscription};
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
/// Without `timeoutSeconds` a watch ends between this and twice this, as upstream's does.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1800);

/// A watch that is under way; every [`WatchStream::next`] is a chunk to send.
pub struct WatchStream {
    kind: &'static Kind,
    shape: Shape,
    include: IncludeObject,
    subscription: Subscription,
    initial: VecDeque<Arc<Entry>>,
    /// The revision of the list that `initial` came from, when its end must be announced.
    initial_end: Option<u64>,
    bookmarks: bool,
    columns_sent: bool,
    deadline: Instant,
    ended: bool,
}

impl Gateway {
    /// Starts a watch; `sendInitialEvents`, resuming and bookmarks as upstream has them.
    pub(super) fn watch(&self, served: &Served, request: &ApiRequest, query: &Query, target: &Target) -> Result<WatchStream, ApiError> {
        let selection = Selection::parse(served.kind, &target.namespace, &target.name, query)?;
        let media = render::media(&request.accept)?;
        if media.encoding == Encoding::Yaml {
            return Err(ApiError::new(406, "NotAcceptable", "only the following media types are accepted: application/json;stream=watch"));
        }
        let asked = query.get("resourceVersion");
        let initial = query.flag("sendInitialEvents");
        check_initial(query, initial)?;
        let revision: u64 = match asked {
            "" => 0,
            text => text.parse().map_err(|_| {
                ApiError::bad_request(format!(
                    "resourceVersion: Invalid value: \"{text}\": strconv.ParseUint: parsing \"{text}\": invalid syntax"
                ))
            })?,
        };
        // No revision, or 0, means: what there is, then what comes; sendInitialEvents=false means: only what comes.
        let from_now = initial || (revision == 0 && query.get("sendInitialEvents").is_empty());
        let start = if from_now || revision == 0 { Start::Now } else { Start::After(revision) };
        let hub = served.shelf.hub();
        let mut subscription =
            hub.subscribe(start, selection.namespace.clone(), selection.name.clone(), selection.filter.clone(), QUEUE)
                .map_err(|_| ApiError::expired(format!("too old resource version: {revision} ({})", self.kinds.shelves.committed())))?;
        let snapshot = subscription.initial.take().filter(|_| from_now);
        let entries = snapshot.as_ref().map(|s| super::read::page(s, &selection, None, 0).0).unwrap_or_default();
        let seconds = query.number("timeoutSeconds")?.filter(|s| *s > 0).and_then(|s| u64::try_from(s).ok());
        Ok(WatchStream {
            kind: served.kind,
            shape: media.shape,
            include: render::include(query)?,
            initial_end: initial.then_some(subscription.from),
            subscription,
            initial: entries.into(),
            bookmarks: query.flag("allowWatchBookmarks"),
            columns_sent: false,
            deadline: Instant::now() + seconds.map_or(DEFAULT_TIMEOUT, Duration::from_secs),
            ended: false,
        })
    }

    /// What shelves a watch reads from; for bookmarks of idle kinds.
    pub fn shelves(&self) -> &Arc<Shelves> {
        &self.kinds.shelves
    }
}

fn check_initial(query: &Query, initial: bool) -> Result<(), ApiError> {
    let given = !query.get("sendInitialEvents").is_empty();
    let matching = query.get("resourceVersionMatch");
    if given && matching != "NotOlderThan" {
        return Err(ApiError::bad_request("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
    }
    if !given && !matching.is_empty() {
        return Err(ApiError::bad_request("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"));
    }
    if initial && !query.flag("allowWatchBookmarks") {
        return Err(ApiError::bad_request("sendInitialEvents is forbidden for watch unless allowWatchBookmarks is set to true"));
    }
    Ok(())
}

impl WatchStream {
    /// The next chunk; `None` ends the stream.
    pub async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let mut out = BytesMut::new();
        while out.len() < CHUNK {
            let Some(entry) = self.initial.pop_front() else { break };
            self.write(&mut out, EventKind::Added, &entry);
        }
        if self.initial.is_empty()
            && let Some(revision) = self.initial_end.take()
        {
            self.bookmark(&mut out, revision, true);
        }
        if !out.is_empty() {
            return Some(out.freeze());
        }
        self.live().await
    }

    async fn live(&mut self) -> Option<Bytes> {
        let mut out = BytesMut::new();
        let wait = BOOKMARK_EVERY.min(self.deadline.saturating_duration_since(Instant::now()));
        match tokio::time::timeout(wait, self.subscription.next()).await {
            Ok(Next::Batch(deliveries)) => {
                for delivery in &deliveries {
                    self.deliver(&mut out, delivery);
                }
            }
            Ok(Next::Lagged) => {
                self.ended = true;
                let error = ApiError::expired("The resourceVersion for the provided watch is too old.");
                self.line(&mut out, "ERROR", error.to_status().to_string().as_bytes());
            }
            Err(_) if Instant::now() >= self.deadline => {
                self.ended = true;
                return None;
            }
            Err(_) => {
                if self.bookmarks
                    && let Some(revision) = self.subscription.bookmark()
                {
                    self.bookmark(&mut out, revision, false);
                } else {
                    // An empty chunk would end a chunked body; wait on.
                    return Box::pin(self.live()).await;
                }
            }
        }
        Some(out.freeze())
    }

    fn deliver(&mut self, out: &mut BytesMut, delivery: &Delivery) {
        if self.shape == Shape::Object {
            out.put_slice(&delivery.line());
            return;
        }
        self.write(out, delivery.kind, &delivery.event.entry.clone());
    }

    fn write(&mut self, out: &mut BytesMut, kind: EventKind, entry: &Entry) {
        let word = match kind {
            EventKind::Added => "ADDED",
            EventKind::Modified => "MODIFIED",
            EventKind::Deleted => "DELETED",
        };
        let body = match self.shape {
            Shape::Object => entry.served(),
            Shape::Table(version) => {
                let columns = !std::mem::replace(&mut self.columns_sent, true);
                render::table_of_one(self.kind, entry, version, self.include, columns)
            }
            Shape::PartialObject(version) => render::partial(entry, version),
        };
        self.line(out, word, &body);
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
        out.put_slice(b"{\"type\":\"");
        out.put_slice(word.as_bytes());
        out.put_slice(b"\",\"object\":");
        out.put_slice(object);
        out.put_slice(b"}\n");
    }
}

//! `get` and `list`: on the HTTP thread, from the published snapshots; no actor is asked.
use super::gateway::{Answer, ApiRequest, Gateway};
use super::late;
use super::list::{Continue, Selection};
use super::options::{Query, invalid_options};
use super::path::Target;
use super::render::{self, Page};
use super::view::{shown, shown_one};
use crate::actors::kinds::{Served, scale_of};
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::{ApiError, Cause, Details, FieldError};
use crate::protocol::table::ListMeta;
use crate::storage::{Entry, Snapshot};
use std::sync::Arc;

impl Gateway {
    /// One object, or its `scale`.
    pub(super) async fn get(&self, served: &Served, request: &ApiRequest, query: &Query, target: &Target) -> Result<Answer, ApiError> {
        let entry = self.entry(served, target)?;
        match target.subresource.as_str() {
            "" | "status" | "approval" | "ephemeralcontainers" | "resize" => {
                let entry = shown_one(&served.kind, &entry).await?;
                render::object(&served.kind, &entry, &request.accept, query, 200)
            }
            "scale" => {
                let entry = shown_one(&served.kind, &entry).await?;
                render::document(200, &scale_of(&served.kind, &entry.parse()), &request.accept)
            }
            other => Err(ApiError::method_not_supported(&target.group, &format!("{}/{other}", target.resource), "get")),
        }
    }

    /// The stored object that a path names.
    pub fn entry(&self, served: &Served, target: &Target) -> Result<Arc<Entry>, ApiError> {
        let resource = &served.kind.resource;
        let key = ObjectKey::new(target.namespace.as_str(), target.name.as_str());
        let found = served.shelf.snapshot().get(&key).cloned();
        found.ok_or_else(|| ApiError::not_found(resource.group, resource.plural, &target.name))
    }

    /// A list, or a page of one.
    pub(super) async fn list(&self, served: &Served, request: &ApiRequest, query: &Query, target: &Target) -> Result<Answer, ApiError> {
        check_options(query)?;
        let selection = Selection::parse(&served.kind, &target.namespace, &target.name, query)?;
        let limit = usize::try_from(query.number("limit")?.unwrap_or(0)).unwrap_or(0);
        let token = query.get("continue");
        let (revision, snapshot, after) = if token.is_empty() {
            let (revision, snapshot) = self.snapshot_for(served, query)?;
            (revision, snapshot, None)
        } else {
            if !matches!(query.get("resourceVersion"), "" | "0") {
                return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
            }
            let from = Continue::decode(token)?;
            let key = from.key();
            if from.revision == Continue::NEWEST {
                let (revision, snapshot) = self.kinds.shelves.read(&served.shelf);
                (revision, snapshot, Some(key))
            } else {
                let snapshot = served.shelf.retained(from.revision).ok_or_else(|| too_old(&key))?;
                (from.revision, snapshot, Some(key))
            }
        };
        let (entries, more) = page(&snapshot, &selection, after.as_ref(), limit);
        // Whoever pages may come back for this very moment, by token or by `resourceVersionMatch=Exact`.
        if limit > 0 {
            served.shelf.retain(snapshot.clone(), revision);
        }
        let next = match entries.last() {
            Some(last) if more => Continue::after(revision, &last.key).encode(),
            _ => String::new(),
        };
        let remaining = (more && selection.filter.is_none() && selection.late.is_none()).then(|| {
            let total = selection.namespace.as_ref().map_or(snapshot.len(), |n| snapshot.namespace_len(n));
            remaining_after(&snapshot, &selection, total, entries.last())
        });
        let revision = revision.to_string();
        let meta = ListMeta { resource_version: &revision, continue_: &next, remaining };
        let entries = late::selected(shown(&served.kind, entries).await?, &selection);
        render::list(&served.kind, &Page { entries: &entries, meta }, &request.accept, query)
    }

    /// The snapshot that answers `resourceVersion` and `resourceVersionMatch`.
    fn snapshot_for(&self, served: &Served, query: &Query) -> Result<(u64, Arc<Snapshot>), ApiError> {
        let (revision, snapshot) = self.kinds.shelves.read(&served.shelf);
        let asked = query.get("resourceVersion");
        let matching = query.get("resourceVersionMatch");
        if asked.is_empty() {
            return Ok((revision, snapshot));
        }
        let asked: u64 = asked.parse().map_err(|_| {
            ApiError::bad_request(format!(
                "resourceVersion: Invalid value: \"{asked}\": strconv.ParseUint: parsing \"{asked}\": invalid syntax"
            ))
        })?;
        match matching {
            "Exact" if asked >= snapshot.revision && asked <= revision => Ok((asked, snapshot)),
            "Exact" if asked <= revision => match served.shelf.retained(asked) {
                Some(old) => Ok((asked, old)),
                None => Err(ApiError::expired(format!("The resourceVersion for the provided list is too old: {asked}"))),
            },
            _ if asked > revision => {
                let mut error = ApiError::timeout(format!("Too large resource version: {asked}, current: {revision}"));
                error.details = Some(Details {
                    causes: vec![Cause {
                        reason: "ResourceVersionTooLarge".into(),
                        message: "Too large resource version".into(),
                        field: String::new(),
                    }],
                    retry_after_seconds: 1,
                    ..Default::default()
                });
                Err(error)
            }
            _ => Ok((revision, snapshot)),
        }
    }
}

/// The moment of a list is forgotten; what is behind `key` can still be had as it is now.
fn too_old(key: &ObjectKey) -> ApiError {
    let mut error = ApiError::expired(TOO_OLD);
    let continue_token = Continue::after(Continue::NEWEST, key).encode();
    error.details = Some(Details { continue_token, ..Default::default() });
    error
}

const TOO_OLD: &str = "The provided continue parameter is too old to display a consistent list result. \
    You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder \
    of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or \
    deleted between the time the first chunk was returned and now may show up in the list.";

/// What upstream refuses of the options of a list.
fn check_options(query: &Query) -> Result<(), ApiError> {
    let (asked, matching) = (query.get("resourceVersion"), query.get("resourceVersionMatch"));
    let mut errors = Vec::new();
    let mut forbidden = |field: &str, why: &str| errors.push(FieldError::forbidden(field, why));
    if !matching.is_empty() && asked.is_empty() {
        forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided");
    }
    if !matching.is_empty() && !query.get("continue").is_empty() {
        forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided");
    }
    if matching == "Exact" && asked == "0" {
        forbidden("resourceVersionMatch", "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
    }
    if !query.get("sendInitialEvents").is_empty() {
        forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list");
    }
    if !matches!(matching, "" | "Exact" | "NotOlderThan") {
        errors.push(FieldError::not_supported("resourceVersionMatch", matching, &["Exact", "NotOlderThan", ""]));
    }
    if errors.is_empty() { Ok(()) } else { Err(invalid_options("ListOptions", &errors)) }
}

/// Up to `limit` selected entries behind `after` (0: all), and whether more follow.
pub(super) fn page(snapshot: &Snapshot, selection: &Selection, after: Option<&ObjectKey>, limit: usize) -> (Vec<Arc<Entry>>, bool) {
    if let (Some(namespace), Some(name)) = (&selection.namespace, &selection.name) {
        let key = ObjectKey::new(namespace.clone(), name.clone());
        let found = snapshot.get(&key).filter(|e| selection.matches(e));
        return (found.cloned().into_iter().collect(), false);
    }
    let mut found = snapshot.iter_after(selection.namespace.as_deref(), after).filter(|e| selection.matches(e));
    if limit == 0 {
        return (found.cloned().collect(), false);
    }
    let entries: Vec<Arc<Entry>> = found.by_ref().take(limit).cloned().collect();
    let more = found.next().is_some();
    (entries, more)
}

fn remaining_after(snapshot: &Snapshot, selection: &Selection, total: usize, last: Option<&Arc<Entry>>) -> i64 {
    let rest = match last {
        Some(last) => snapshot.iter_after(selection.namespace.as_deref(), Some(&last.key)).count(),
        None => total,
    };
    i64::try_from(rest).unwrap_or(i64::MAX)
}

//! The causal log over the API: `GET /apis/impresario.dev/v1/…/decisions`.
use super::entry;
use crate::actors::kinds::decision::{self, KIND};
use crate::http::api::gateway::{Answer, ApiRequest, Gateway};
use crate::http::api::options::Query;
use crate::http::api::path::Target;
use crate::http::api::render::{self, Page};
use crate::protocol::selector::{FieldSelector, LabelSelector};
use crate::protocol::status::ApiError;
use crate::protocol::table::ListMeta;
use crate::storage::Entry;
use crate::storage::decisions::{Decision, Query as LogQuery};
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// A list never holds more; it is the newest decisions that it holds.
const MOST: usize = 5_000;

impl Gateway {
    /// One decision, or those that `fieldSelector` selects, oldest first. `involves=pods/name` finds what happened to an object, also when
    /// it is long gone; cluster-scoped objects are found from the namespace `default`, or with all namespaces.
    pub(super) async fn decisions(&self, request: &ApiRequest, query: &Query, target: &Target) -> Result<Answer, ApiError> {
        if !target.name.is_empty() {
            return self.decision(request, query, target).await;
        }
        let bad = |e: crate::protocol::selector::SelectorError| ApiError::bad_request(e.to_string());
        let fields = FieldSelector::parse(query.get("fieldSelector")).map_err(bad)?;
        fields.check_fields(&KIND.fields()).map_err(bad)?;
        let labels = LabelSelector::parse(query.get("labelSelector")).map_err(bad)?;
        let limit = query.get("limit").parse().ok().filter(|n| *n > 0).map_or(MOST, |n: usize| n.min(MOST));
        let mut found = Vec::new();
        for ask in self.questions(&fields, target, limit)? {
            found.extend(self.read_log(ask).await?);
        }
        found.sort_by_key(|(number, _)| *number);
        let namespace = target.namespace.as_str();
        let chosen = |number: u64, d: &Decision| {
            (namespace.is_empty() || decision::namespace_of(d) == namespace) && labels.is_everything() && {
                fields.matches(|path| match path {
                    "metadata.name" => Some(Cow::from(decision::name_of(number))),
                    "metadata.namespace" => Some(Cow::from(decision::namespace_of(d))),
                    "controller" => Some(Cow::from(&*d.by)),
                    // The log was asked for these alone.
                    _ => fields.exact("involves").map(Cow::from),
                })
            }
        };
        let entries: Vec<Arc<Entry>> = found.iter().filter(|(n, d)| chosen(*n, d)).map(|(n, d)| self.shown(*n, d)).collect();
        render::list(&KIND, &Page { entries: &entries, meta: ListMeta::default() }, &request.accept, query)
    }

    async fn decision(&self, request: &ApiRequest, query: &Query, target: &Target) -> Result<Answer, ApiError> {
        let missing = || ApiError::not_found(KIND.resource.group, KIND.resource.plural, &target.name);
        let number = decision::number_of(&target.name).ok_or_else(missing)?;
        let log = self.decisions.clone();
        let found = blocking(move || log.get(number)).await?;
        let found = found.filter(|d| decision::namespace_of(d) == target.namespace).ok_or_else(missing)?;
        render::object(&KIND, &self.shown(number, &found), &request.accept, query, 200)
    }

    /// What to ask the log for.
    fn questions(&self, fields: &FieldSelector, target: &Target, limit: usize) -> Result<Vec<LogQuery>, ApiError> {
        let namespace = (!target.namespace.is_empty()).then_some(target.namespace.as_str());
        let all = LogQuery { involves: None, namespace: None, before: u64::MAX, limit };
        let Some(object) = fields.exact("involves") else {
            // Decisions about cluster-scoped objects are shown in `default`, and have no namespace themselves.
            let filter = namespace.filter(|n| *n != "default").map(Into::into);
            return Ok(vec![LogQuery { namespace: filter, ..all }]);
        };
        let wrong = || {
            let text = format!("field selector involves={object}: it takes a resource and a name, for instance pods/web-1");
            ApiError::bad_request(text)
        };
        let scope = match namespace {
            None | Some("default") => vec![namespace.unwrap_or_default(), ""],
            Some(namespace) => vec![namespace],
        };
        let subjects: Option<Vec<_>> = scope.into_iter().map(|namespace| decision::subject_of(object, namespace)).collect();
        let mut asked: Vec<LogQuery> =
            subjects.ok_or_else(wrong)?.into_iter().map(|s| LogQuery { involves: Some(s), ..all.clone() }).collect();
        asked.dedup_by(|a, b| a.involves == b.involves);
        Ok(asked)
    }

    async fn read_log(&self, ask: LogQuery) -> Result<Vec<(u64, Decision)>, ApiError> {
        let log = self.decisions.clone();
        blocking(move || log.read(&ask)).await
    }

    fn shown(&self, number: u64, found: &Decision) -> Arc<Entry> {
        let kind_of = |shelf: &str| match self.kinds.by_shelf(shelf) {
            Some(served) => (served.kind.resource.api_version(), served.kind.resource.kind.to_string()),
            // A kind that is no longer served.
            None => (String::new(), shelf.to_string()),
        };
        let mut value = serde_json::to_value(decision::object(number, found, kind_of)).unwrap_or_default();
        value["apiVersion"] = KIND.resource.api_version().into();
        value["kind"] = Value::from(KIND.resource.kind);
        entry(&value)
    }
}

/// The log lies on disk, and requests are answered by threads that must not wait for one.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, crate::storage::StoreError> + Send + 'static) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(ApiError::internal)?;
    done.map_err(|e| ApiError::internal(format!("reading the causal log: {e}")))
}

//! Selectors, pages and continue tokens.
use super::options::Query;
use crate::actors::kinds::Kind;
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use crate::protocol::selector::{FieldSelector, LabelSelector};
use crate::protocol::status::ApiError;
use crate::storage::{Entry, Filter, Scope};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// Which objects of a kind a request is about.
#[derive(Clone)]
pub struct Selection {
    pub namespace: Option<Arc<str>>,
    /// `metadata.name=x`, which an index answers.
    pub name: Option<Arc<str>>,
    /// `spec.nodeName=x` of pods, by which watches are found, and most pods passed over.
    node: Option<Arc<str>>,
    pub filter: Option<Filter>,
    /// What is selected by fields that objects may have only once a webhook has converted them; `filter` leaves them out.
    /// See [`super::late`].
    pub late: Option<Filter>,
}

impl Selection {
    /// From `labelSelector` and `fieldSelector`; a name in the path selects that one object.
    pub fn parse(kind: &Arc<Kind>, namespace: &str, name: &str, query: &Query) -> Result<Selection, ApiError> {
        let labels = LabelSelector::parse(query.get("labelSelector")).map_err(|e| ApiError::bad_request(e.to_string()))?;
        let fields = FieldSelector::parse(query.get("fieldSelector")).map_err(|e| ApiError::bad_request(e.to_string()))?;
        fields.check_fields(&kind.fields()).map_err(|e| ApiError::bad_request(e.to_string()))?;
        let by_field = fields.exact("metadata.name").map(str::to_string);
        let name = if name.is_empty() { by_field } else { Some(name.to_string()) };
        let pods = kind.resource.group.is_empty() && kind.resource.plural == "pods";
        let node = fields.exact("spec.nodeName").filter(|node| pods && !node.is_empty()).map(Into::into);
        let asks = kind.reading().is_some_and(|reading| reading.asks());
        let (fields, later) = fields.partition(|path| !asks || path.starts_with("metadata."));
        let late = (!later.is_everything()).then(|| filter_of(kind.clone(), LabelSelector::default(), later));
        let filter = (!labels.is_everything() || !fields.is_everything()).then(|| filter_of(kind.clone(), labels, fields));
        let namespace = (!namespace.is_empty()).then(|| namespace.into());
        Ok(Selection { namespace, name: name.map(Into::into), node, filter, late })
    }

    /// What a watch of it is limited to, beside the filter.
    pub fn scope(&self) -> Scope {
        Scope { namespace: self.namespace.clone(), name: self.name.clone(), node: self.node.clone() }
    }

    /// Whether an object is selected.
    pub fn matches(&self, entry: &Entry) -> bool {
        self.namespace.as_ref().is_none_or(|n| *n == entry.key.namespace)
            && self.name.as_ref().is_none_or(|n| *n == entry.key.name)
            && self.node.as_ref().is_none_or(|n| matches!(&entry.light, Light::Pod(pod) if pod.node == *n))
            && self.filter.as_ref().is_none_or(|f| f(entry))
    }
}

fn filter_of(kind: Arc<Kind>, labels: LabelSelector, fields: FieldSelector) -> Filter {
    Arc::new(move |entry: &Entry| {
        labels.matches(&entry.meta.labels)
            && fields.matches(|path| match path {
                "metadata.name" => Some(Cow::from(&*entry.key.name)),
                "metadata.namespace" => Some(Cow::from(&*entry.key.namespace)),
                other => Some(Cow::from(kind.field(entry, other).unwrap_or_default())),
            })
    })
}

/// Where the next page begins: the revision of the list, and the last key served.
#[derive(Debug, Serialize, Deserialize)]
pub struct Continue {
    #[serde(rename = "v")]
    version: String,
    #[serde(rename = "rv")]
    pub revision: u64,
    #[serde(rename = "ns")]
    namespace: String,
    #[serde(rename = "start")]
    name: String,
}

impl Continue {
    /// The revision in a token that goes on with whatever the state is when it is used.
    pub const NEWEST: u64 = 0;

    pub fn after(revision: u64, key: &ObjectKey) -> Self {
        Continue { version: "impresario/v1".into(), revision, namespace: key.namespace.to_string(), name: key.name.to_string() }
    }

    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(self.namespace.as_str(), self.name.as_str())
    }

    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Refuses what this server did not make.
    pub fn decode(token: &str) -> Result<Self, ApiError> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok();
        let parsed: Option<Continue> = bytes.and_then(|b| serde_json::from_slice(&b).ok());
        parsed
            .filter(|c| c.version == "impresario/v1")
            .ok_or_else(|| ApiError::bad_request("continue key is not valid: encoded continue token is malformed"))
    }
}

//! Kinds made from CustomResourceDefinitions.
mod body;
mod conversion;
mod family;
mod printer;
mod reading;
#[cfg(test)]
mod tests;
mod webhook;

pub use conversion::{ConversionError, Converter, SameShape};
pub use family::{Family, Version};
pub use reading::Reading;
pub use webhook::{Connection, ServiceConnector, WebhookConverter};

use super::{Body, Kind, PLAIN, Rules};
use crate::protocol::interned::{interned, interned_list};
use crate::protocol::names::name_is_subdomain;
use crate::protocol::openapi::CustomModel;
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use body::SchemaBody;
use serde_json::Value;
use std::sync::Arc;

/// What a definition that is being deleted still allows.
const ENDING_VERBS: &[&str] = &["delete", "deletecollection", "get", "list", "watch"];
const PART_VERBS: &[&str] = &["get", "patch", "update"];

/// Why no kind can be made of a definition. The API checks definitions before they are stored, so this is rare.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CustomError {
    #[error("version {version}: {why}")]
    Schema { version: String, why: String },
    #[error("no version is marked as the one to store")]
    NoStorage,
}

/// Kinds for every version of a definition, the stored one first, each with whether it is served. `accepted` names are used where the
/// status has them. `resolver` leads to conversion webhooks.
pub fn kinds_of(crd: &Value, resolver: &Arc<dyn ServiceConnector>) -> Result<Vec<(Arc<Kind>, bool)>, CustomError> {
    let spec = &crd["spec"];
    let group = spec["group"].as_str().unwrap_or_default();
    let storage = version_names(spec).into_iter().find(|(_, stored)| *stored).map(|(name, _)| name).ok_or(CustomError::NoStorage)?;
    let converter: Arc<dyn Converter> = match spec["conversion"]["strategy"].as_str() {
        Some("Webhook") => Arc::new(WebhookConverter::new(&spec["conversion"]["webhook"], resolver.clone())),
        _ => Arc::new(SameShape),
    };
    let storage_version = format!("{group}/{storage}");
    let listed = spec["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let compiled = |version: &Value| {
        let refused = |why| CustomError::Schema { version: version["name"].as_str().unwrap_or_default().to_string(), why };
        Version::new(resource_of(crd, version), version).map(Arc::new).map_err(refused)
    };
    let versions = listed.iter().map(compiled).collect::<Result<Vec<_>, _>>()?;
    let family = Arc::new(Family::new(versions.clone(), storage_version, converter));
    let mut kinds = Vec::new();
    for (own, version) in versions.iter().zip(listed) {
        let kind = Kind {
            resource: own.resource.clone(),
            body: Body::Custom(Arc::new(SchemaBody::new(&family, own, version))),
            schema: "",
            rules: Rules { name: name_is_subdomain, generation: true, unconditional: false, ..PLAIN },
            columns: &[],
            row: |_, _| Vec::new(),
            view: None,
        };
        let entry = (Arc::new(kind), version["served"] == true);
        if own.resource.version == storage { kinds.insert(0, entry) } else { kinds.push(entry) }
    }
    Ok(kinds)
}

fn version_names(spec: &Value) -> Vec<(String, bool)> {
    let versions = spec["versions"].as_array().into_iter().flatten();
    versions.map(|v| (v["name"].as_str().unwrap_or_default().to_string(), v["storage"] == true)).collect()
}

/// The published schemas of a definition's served versions.
pub fn models_of(crd: &Value) -> Vec<CustomModel> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let versions = crd["spec"]["versions"].as_array().into_iter().flatten().filter(|v| v["served"] == true);
    versions
        .map(|version| CustomModel {
            group: text(&crd["spec"]["group"]),
            version: text(&version["name"]),
            kind: text(&crd["spec"]["names"]["kind"]),
            schema: version["schema"]["openAPIV3Schema"].clone(),
        })
        .collect()
}

fn resource_of(crd: &Value, version: &Value) -> Resource {
    let spec = &crd["spec"];
    let names = if crd["status"]["acceptedNames"]["plural"].as_str().is_some_and(|p| !p.is_empty()) {
        &crd["status"]["acceptedNames"]
    } else {
        &spec["names"]
    };
    let name = |field: &str| interned(names[field].as_str().unwrap_or_default());
    let list = |field: &str| interned_list(names[field].as_array().into_iter().flatten().filter_map(Value::as_str));
    let (group, version_name) =
        (interned(spec["group"].as_str().unwrap_or_default()), interned(version["name"].as_str().unwrap_or_default()));
    let ending = !crd["metadata"]["deletionTimestamp"].is_null();
    Resource {
        group,
        version: version_name,
        kind: name("kind"),
        plural: interned(spec["names"]["plural"].as_str().unwrap_or_default()),
        singular: name("singular"),
        namespaced: spec["scope"] == "Namespaced",
        short_names: list("shortNames"),
        categories: list("categories"),
        verbs: if ending { ENDING_VERBS } else { ALL_VERBS },
        subresources: subresources(&version["subresources"], group, version_name, name("kind")),
    }
}

/// `status` and `scale`, as declared. Kept for good: there are four sets of them for each kind at most.
fn subresources(declared: &Value, group: &'static str, version: &'static str, kind: &'static str) -> &'static [Subresource] {
    use std::collections::HashMap;
    use std::sync::{LazyLock, Mutex, PoisonError};
    type Key = (&'static str, &'static str, &'static str, bool, bool);
    static KEPT: LazyLock<Mutex<HashMap<Key, &'static [Subresource]>>> = LazyLock::new(Mutex::default);
    let (status, scale) = (!declared["status"].is_null(), !declared["scale"].is_null());
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.entry((group, version, kind, status, scale)).or_insert_with(|| {
        let mut parts = Vec::new();
        if scale {
            parts.push(Subresource { name: "scale", group: "autoscaling", version: "v1", kind: "Scale", verbs: PART_VERBS });
        }
        if status {
            parts.push(Subresource { name: "status", group, version, kind, verbs: PART_VERBS });
        }
        Box::leak(parts.into_boxed_slice())
    })
}

//! Aggregated discovery: all groups, versions and resources in one `APIGroupDiscoveryList`.
use super::priority::{Group, groups};
use crate::resource::{Resource, Subresource};
use crate::table::clauses;
use serde_json::{Map, Value, json};

/// The versions of `apidiscovery.k8s.io`. They have the same shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V2,
    V2Beta1,
}

impl Version {
    /// The `Content-Type` of an aggregated document; clients tell by it which form they got.
    pub fn content_type(self) -> &'static str {
        match self {
            Version::V2 => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            Version::V2Beta1 => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        }
    }

    fn api_version(self) -> &'static str {
        match self {
            Version::V2 => "apidiscovery.k8s.io/v2",
            Version::V2Beta1 => "apidiscovery.k8s.io/v2beta1",
        }
    }
}

/// Whether a request to `/api` or `/apis` prefers the aggregated form over the plain one, and in which version.
pub fn wants_aggregated(accept: &str) -> Option<Version> {
    for clause in clauses(accept) {
        if !clause.matches("application", "json") {
            continue;
        }
        match (clause.parameter("g"), clause.parameter("v"), clause.parameter("as")) {
            (None, None, None) => return None,
            (Some("apidiscovery.k8s.io"), Some("v2"), Some("APIGroupDiscoveryList")) => return Some(Version::V2),
            (Some("apidiscovery.k8s.io"), Some("v2beta1"), Some("APIGroupDiscoveryList")) => return Some(Version::V2Beta1),
            _ => {}
        }
    }
    None
}

/// `/api`, aggregated: the legacy group.
pub fn aggregated_api<'a>(resources: impl IntoIterator<Item = &'a Resource>, version: Version) -> Value {
    list(resources, version, true)
}

/// `/apis`, aggregated: every group but the legacy one.
pub fn aggregated_apis<'a>(resources: impl IntoIterator<Item = &'a Resource>, version: Version) -> Value {
    list(resources, version, false)
}

fn list<'a>(resources: impl IntoIterator<Item = &'a Resource>, version: Version, legacy: bool) -> Value {
    let groups = groups(resources);
    let items: Vec<Value> = groups.iter().filter(|group| group.name.is_empty() == legacy).map(group_body).collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": version.api_version(), "metadata": {}, "items": items})
}

fn group_body(group: &Group<'_>) -> Value {
    let mut metadata = Map::new();
    if !group.name.is_empty() {
        metadata.insert("name".into(), group.name.into());
    }
    metadata.insert("creationTimestamp".into(), Value::Null);
    let version = |(version, resources): &(&str, Vec<&Resource>)| {
        let resources: Vec<Value> = resources.iter().map(|r| resource_body(r)).collect();
        json!({"version": version, "freshness": "Current", "resources": resources})
    };
    json!({"metadata": metadata, "versions": group.versions.iter().map(version).collect::<Vec<_>>()})
}

fn resource_body(resource: &Resource) -> Value {
    let mut body = json!({
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        body["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        body["categories"] = json!(resource.categories);
    }
    if !resource.subresources.is_empty() {
        let mut subs: Vec<&Subresource> = resource.subresources.iter().collect();
        subs.sort_by_key(|s| s.name);
        let sub = |s: &Subresource| {
            let kind = json!({"group": s.group, "version": s.version, "kind": s.kind});
            json!({"subresource": s.name, "responseKind": kind, "verbs": s.verbs})
        };
        body["subresources"] = subs.into_iter().map(sub).collect();
    }
    body
}

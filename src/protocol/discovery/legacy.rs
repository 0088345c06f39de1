//! One document per group and version.
use super::priority::{Group, groups};
use crate::resource::Resource;
use serde_json::{Map, Value, json};

/// `/api`: the versions of the legacy group. `server_address` is `host:port` as clients reach it.
pub fn api_versions<'a>(resources: impl IntoIterator<Item = &'a Resource>, server_address: &str) -> Value {
    let core = groups(resources).into_iter().find(|group| group.name.is_empty());
    let versions: Vec<&str> = core.iter().flat_map(|group| group.versions.iter().map(|(version, _)| *version)).collect();
    json!({
        "kind": "APIVersions",
        "versions": versions,
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}],
    })
}

/// `/apis`: every group but the legacy one, in order of priority.
pub fn api_group_list<'a>(resources: impl IntoIterator<Item = &'a Resource>) -> Value {
    let groups = groups(resources);
    let named: Vec<Value> = groups.iter().filter(|group| !group.name.is_empty()).map(group_body).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": named})
}

/// `/apis/<group>`, or `None` when nothing of that group is served.
pub fn api_group<'a>(resources: impl IntoIterator<Item = &'a Resource>, group: &str) -> Option<Value> {
    let groups = groups(resources);
    let mut body = group_body(groups.iter().find(|g| !g.name.is_empty() && g.name == group)?);
    body["kind"] = "APIGroup".into();
    body["apiVersion"] = "v1".into();
    Some(body)
}

fn group_body(group: &Group<'_>) -> Value {
    let version = |version: &str| json!({"groupVersion": format!("{}/{version}", group.name), "version": version});
    let versions: Vec<Value> = group.versions.iter().map(|(name, _)| version(name)).collect();
    let preferred = versions.first().cloned().unwrap_or_default();
    json!({"name": group.name, "versions": versions, "preferredVersion": preferred})
}

/// `/api/v1` (with an empty group) and `/apis/<group>/<version>`, or `None` when nothing there is served.
pub fn api_resource_list<'a>(resources: impl IntoIterator<Item = &'a Resource>, group: &str, version: &str) -> Option<Value> {
    let mut found: Vec<&Resource> = resources.into_iter().filter(|r| r.group == group && r.version == version).collect();
    let first = *found.first()?;
    found.sort_by_key(|r| r.plural);
    let list: Vec<Value> = found.into_iter().flat_map(entries).collect();
    let mut body = json!({"kind": "APIResourceList", "groupVersion": first.api_version(), "resources": list});
    if !group.is_empty() {
        body["apiVersion"] = "v1".into();
    }
    Some(body)
}

/// The resource and its subresources, as `pods` and `pods/log`.
fn entries(resource: &Resource) -> Vec<Value> {
    let mut own = json!({
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        own["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        own["categories"] = json!(resource.categories);
    }
    let mut subs: Vec<_> = resource.subresources.iter().collect();
    subs.sort_by_key(|s| s.name);
    let subs = subs.into_iter().map(|sub| {
        let mut entry = Map::new();
        entry.insert("name".into(), format!("{}/{}", resource.plural, sub.name).into());
        entry.insert("singularName".into(), "".into());
        entry.insert("namespaced".into(), resource.namespaced.into());
        entry.insert("kind".into(), sub.kind.into());
        entry.insert("verbs".into(), json!(sub.verbs));
        if (sub.group, sub.version) != (resource.group, resource.version) {
            entry.insert("group".into(), sub.group.into());
            entry.insert("version".into(), sub.version.into());
        }
        Value::Object(entry)
    });
    std::iter::once(own).chain(subs).collect()
}

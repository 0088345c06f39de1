//! Groups and versions that somebody else serves, put into the documents about our own.
use serde_json::{Value, json};

/// From this priority of their group on, versions of others stand before the groups of definitions.
const BEFORE_OTHERS: i64 = 1000;
/// The priority that versions of definitions have in their group.
const OWN_VERSION: i64 = 100;

/// A group version of an extension API server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RemoteVersion {
    pub group: String,
    pub version: String,
    pub group_priority: i64,
    pub version_priority: i64,
    /// As its `APIResourceList` has them.
    pub resources: Vec<Value>,
    /// Where its OpenAPI v3 document is.
    pub openapi: Option<String>,
    /// Nobody answers for it now; the resources are those that were known last.
    pub stale: bool,
}

/// Adds them to an `APIGroupDiscoveryList`; a version that we have as well is theirs.
pub fn add_to_aggregated(list: &mut Value, remote: &[RemoteVersion]) {
    for theirs in in_order(remote) {
        let freshness = if theirs.stale { "Stale" } else { "Current" };
        let version = json!({ "version": theirs.version, "freshness": freshness, "resources": aggregated_resources(theirs) });
        add(
            list,
            "items",
            theirs,
            version,
            |item| item["metadata"]["name"].as_str(),
            |versions| json!({ "metadata": { "name": theirs.group, "creationTimestamp": null }, "versions": versions }),
        );
    }
}

/// Adds them to an `APIGroupList`.
pub fn add_to_groups(list: &mut Value, remote: &[RemoteVersion]) {
    for theirs in in_order(remote) {
        add(
            list,
            "groups",
            theirs,
            plain_version(theirs),
            |item| item["name"].as_str(),
            |versions| json!({ "name": theirs.group, "versions": versions, "preferredVersion": versions[0] }),
        );
    }
    for group in list["groups"].as_array_mut().into_iter().flatten() {
        group["preferredVersion"] = group["versions"][0].clone();
    }
}

/// The `APIGroup` of a name, with theirs in it.
pub fn add_to_group(ours: Option<Value>, name: &str, remote: &[RemoteVersion]) -> Option<Value> {
    let theirs: Vec<RemoteVersion> = remote.iter().filter(|r| r.group == name).cloned().collect();
    if theirs.is_empty() {
        return ours;
    }
    let mut list = json!({ "groups": ours.into_iter().collect::<Vec<Value>>() });
    add_to_groups(&mut list, &theirs);
    let mut group = list["groups"][0].take();
    group["kind"] = "APIGroup".into();
    group["apiVersion"] = "v1".into();
    Some(group)
}

/// The more important first, so that each can be put behind the one before.
fn in_order(remote: &[RemoteVersion]) -> Vec<&RemoteVersion> {
    let mut sorted: Vec<&RemoteVersion> = remote.iter().collect();
    sorted.sort_by_key(|r| (-r.group_priority, r.group.as_str(), -r.version_priority, std::cmp::Reverse(r.version.as_str())));
    sorted
}

fn plain_version(theirs: &RemoteVersion) -> Value {
    json!({ "groupVersion": format!("{}/{}", theirs.group, theirs.version), "version": theirs.version })
}

fn add(
    list: &mut Value,
    field: &str,
    theirs: &RemoteVersion,
    version: Value,
    name: impl Fn(&Value) -> Option<&str>,
    group: impl Fn(Value) -> Value,
) {
    let Some(groups) = list[field].as_array_mut() else { return };
    if let Some(known) = groups.iter_mut().find(|item| name(item) == Some(&theirs.group)) {
        let Some(versions) = known["versions"].as_array_mut() else { return };
        match versions.iter_mut().find(|v| v["version"] == version["version"]) {
            Some(place) => *place = version,
            None if theirs.version_priority > OWN_VERSION => versions.insert(0, version),
            None => versions.push(version),
        }
        return;
    }
    // Names with a dot in their group that are not Kubernetes' own are those of definitions.
    let defined = |item: &Value| name(item).is_some_and(|n| n.contains('.') && !n.ends_with(".k8s.io"));
    let place = groups.iter().position(|item| theirs.group_priority > BEFORE_OTHERS && defined(item)).unwrap_or(groups.len());
    groups.insert(place, group(json!([version])));
}

/// The flat list of resources and subresources, as the aggregated form nests them.
fn aggregated_resources(theirs: &RemoteVersion) -> Vec<Value> {
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_string();
    let or_own = |value: &Value, field: &str, own: &str| Some(text(value, field)).filter(|t| !t.is_empty()).unwrap_or_else(|| own.into());
    let kind = |r: &Value| json!({ "group": or_own(r, "group", &theirs.group), "version": or_own(r, "version", &theirs.version), "kind": r["kind"] });
    let mut out: Vec<Value> = Vec::new();
    for resource in &theirs.resources {
        let name = text(resource, "name");
        if let Some((main, sub)) = name.split_once('/') {
            let sub = json!({ "subresource": sub, "responseKind": kind(resource), "verbs": resource["verbs"] });
            if let Some(parent) = out.iter_mut().find(|r| r["resource"] == main) {
                match parent["subresources"].as_array_mut() {
                    Some(list) => list.push(sub),
                    None => parent["subresources"] = json!([sub]),
                }
            }
            continue;
        }
        let mut entry = json!({
            "resource": name, "responseKind": kind(resource), "verbs": resource["verbs"],
            "scope": if resource["namespaced"] == true { "Namespaced" } else { "Cluster" },
            "singularResource": text(resource, "singularName"),
        });
        for field in ["shortNames", "categories"] {
            if resource[field].is_array() {
                entry[field] = resource[field].clone();
            }
        }
        out.push(entry);
    }
    out
}

//! Manifests of removed versions: what a reader of that version sees of today's object.
use super::table::Case;
use super::verbs::gone;
use super::{NAMESPACE, Resource, manifest};
use crate::api::client::Client;
use serde_json::Value;

/// Today's good manifest in another version of its kind.
pub async fn seen_as(api: &Client, resource: &Resource, today: Option<(&Case, &Resource)>) -> Result<Value, String> {
    let Some((case, stored)) = today else { return Err("is served, and not in the table".into()) };
    let good = manifest(case, stored);
    let name = good["metadata"]["name"].as_str().expect("a name");
    let made = api.post(&stored.collection(NAMESPACE), &good).await;
    if made.status != 201 {
        return Err(format!("today's kind cannot be made: {}", made.text()));
    }
    let seen = api.get(&format!("{}/{name}", resource.collection(NAMESPACE))).await;
    let path = format!("{}/{name}", stored.collection(NAMESPACE));
    api.send("DELETE", &format!("{path}?gracePeriodSeconds=0"), &[], "").await;
    gone(api, &path).await?;
    if seen.status != 200 {
        return Err(format!("cannot be read: {}", seen.text()));
    }
    let mut seen = seen.json();
    if seen["apiVersion"] != resource.version.as_str() || seen["kind"] != resource.kind.as_str() {
        return Err(format!("is shown as {} {}", seen["apiVersion"], seen["kind"]));
    }
    seen["metadata"] = good["metadata"].clone();
    if let Some(seen) = seen.as_object_mut() {
        seen.remove("status");
    }
    Ok(seen)
}

//! What nodes and pods use, over the API: `metrics.k8s.io/v1beta1`, made from the newest figures and the stored objects.
use super::entry;
use crate::actors::kinds::metrics::{GROUP, NODES, PODS, VERSION};
use crate::actors::metrics::{Figures, PodUsage, Usage};
use crate::http::api::gateway::{Answer, ApiRequest, Gateway};
use crate::http::api::list::Selection;
use crate::http::api::options::Query;
use crate::http::api::path::Target;
use crate::http::api::render::{self, Page};
use crate::protocol::meta::ObjectKey;
use crate::protocol::quantity;
use crate::protocol::status::ApiError;
use crate::protocol::table::ListMeta;
use crate::protocol::time::{self, rfc3339};
use crate::storage::Entry;
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

impl Gateway {
    /// The use of one node or pod, or of those that are selected. What has no figures is left out.
    pub(super) async fn usage(&self, request: &ApiRequest, query: &Query, target: &Target) -> Result<Answer, ApiError> {
        let kind = Arc::new(if target.resource == "nodes" { NODES.clone() } else { PODS.clone() });
        let plural = kind.resource.plural;
        let selection = Selection::parse(&kind, &target.namespace, &target.name, query)?;
        let served = self.kinds.find("", plural).ok_or_else(|| ApiError::internal(format!("{plural} are not served")))?;
        let snapshot = served.shelf.snapshot();
        if !target.name.is_empty() {
            let held = snapshot.get(&ObjectKey::new(target.namespace.as_str(), target.name.as_str()));
            let held = held.ok_or_else(|| ApiError::not_found("", plural, &target.name))?;
            let figures = self.metrics.figures().await;
            let found = measured(held, &figures).ok_or_else(|| unknown(target))?;
            return render::object(&kind, &entry(&found), &request.accept, query, 200);
        }
        let figures = self.metrics.figures().await;
        let namespace = (!target.namespace.is_empty()).then_some(target.namespace.as_str());
        let chosen = snapshot.iter_after(namespace, None).filter(|held| selection.matches(held));
        let entries: Vec<Arc<Entry>> = chosen.filter_map(|held| measured(held, &figures)).map(|found| entry(&found)).collect();
        render::list(&kind, &Page { entries: &entries, meta: ListMeta::default() }, &request.accept, query)
    }
}

/// What metrics-server says of a node or a pod that has no figures yet.
fn unknown(target: &Target) -> ApiError {
    match target.namespace.as_str() {
        "" => ApiError::not_found(GROUP, "nodemetrics", &target.name),
        namespace => ApiError::not_found(GROUP, "podmetrics", &format!("{namespace}/{}", target.name)),
    }
}

/// The NodeMetrics of a stored node, or the PodMetrics of a stored pod.
fn measured(held: &Entry, figures: &Figures) -> Option<Value> {
    let labels: serde_json::Map<String, Value> = held.meta.labels.iter().map(|(k, v)| (k.to_string(), Value::from(&**v))).collect();
    let mut metadata = json!({ "name": &*held.key.name, "creationTimestamp": rfc3339(time::now()) });
    if !labels.is_empty() {
        metadata["labels"] = labels.into();
    }
    let api_version = format!("{GROUP}/{VERSION}");
    if held.key.namespace.is_empty() {
        let own = figures.node(&held.key.name)?.own?;
        return Some(json!({
            "kind": "NodeMetrics", "apiVersion": api_version, "metadata": metadata,
            "timestamp": rfc3339(own.at), "window": go_duration(own.window), "usage": usage(&own),
        }));
    }
    let PodUsage { containers } = figures.pod(held)?;
    let (_, first) = containers.first()?;
    let shown: Vec<Value> = containers.iter().map(|(name, used)| json!({ "name": &**name, "usage": usage(used) })).collect();
    metadata["namespace"] = Value::from(&*held.key.namespace);
    Some(json!({
        "kind": "PodMetrics", "apiVersion": api_version, "metadata": metadata,
        "timestamp": rfc3339(first.at), "window": go_duration(first.window), "containers": shown,
    }))
}

fn usage(used: &Usage) -> Value {
    // Both are quantities by their making.
    let canonical = |text: String| quantity::canonical(&text).unwrap_or(text);
    let memory = if used.memory.is_multiple_of(1024) { format!("{}Ki", used.memory / 1024) } else { used.memory.to_string() };
    json!({ "cpu": canonical(format!("{}n", used.nano_cores)), "memory": canonical(memory) })
}

/// A duration as Go writes it, down to milliseconds: `1m0.25s`.
fn go_duration(window: Duration) -> String {
    let (minutes, millis) = (window.as_secs() / 60, window.as_millis() % 60_000);
    let mut out = String::new();
    if minutes >= 60 {
        let _ = write!(out, "{}h", minutes / 60);
    }
    if minutes > 0 {
        let _ = write!(out, "{}m", minutes % 60);
    }
    let _ = write!(out, "{}", millis / 1000);
    let fraction = format!("{:03}", millis % 1000);
    if fraction != "000" {
        let _ = write!(out, ".{}", fraction.trim_end_matches('0'));
    }
    out.push('s');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_as_metrics_server_does() {
        for (millis, text) in [(15_023, "15.023s"), (1_000, "1s"), (60_250, "1m0.25s"), (3_600_000, "1h0m0s"), (50, "0.05s")] {
            assert_eq!(go_duration(Duration::from_millis(millis)), text);
        }
        let used = |nano_cores, memory| usage(&Usage { at: time::now(), window: Duration::ZERO, nano_cores, memory });
        assert_eq!(used(5_123_456, 36_864), json!({ "cpu": "5123456n", "memory": "36Ki" }));
        assert_eq!(used(0, 1_001), json!({ "cpu": "0", "memory": "1001" }));
    }
}

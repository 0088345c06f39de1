//! `nodes/<name>/proxy`: what the kubelet answers there, as far as a node of ours has it.
use crate::http::api::Gateway;
use crate::http::pods::PodStreams;
use crate::protocol::light::Light;
use crate::protocol::meta::ObjectKey;
use crate::protocol::status::ApiError;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::{Value, json};
use std::fmt::Write;

/// What can be asked of a node.
const KNOWN: &str = "/configz, /healthz, /metrics, /metrics/resource, /pods, /stats/summary";

/// Answers a path behind a node's proxy.
pub(super) async fn serve(gateway: &Gateway, pods: &PodStreams, name: &str, method: &str, path: &str) -> Result<HttpResponse, ApiError> {
    let node = gateway.kinds.find("", "nodes").and_then(|s| s.shelf.snapshot().get(&ObjectKey::new("", name)).cloned());
    let node = node.ok_or_else(|| ApiError::not_found("", "nodes", name))?;
    if !matches!(method, "GET" | "HEAD") {
        return Ok(text(StatusCode::METHOD_NOT_ALLOWED, "405: Method Not Allowed\n".into()));
    }
    match path.trim_end_matches('/') {
        "/healthz" => {
            pods.node_stats(name).await?;
            Ok(text(StatusCode::OK, "ok".into()))
        }
        "/stats/summary" => Ok(json_body(pods.node_stats(name).await?)),
        "/metrics" | "/metrics/resource" => Ok(text(StatusCode::OK, metrics(&pods.node_stats(name).await?))),
        "/pods" | "/runningpods" => Ok(json_body(pods_of(gateway, name))),
        "/configz" => Ok(json_body(json!({ "kubeletconfig": settings(&node.parse()) }))),
        "/logs" => Ok(text(
            StatusCode::NOT_FOUND,
            "404 page not found: this node has no log files to show; its log goes to where it was started\n".into(),
        )),
        other => Ok(text(StatusCode::NOT_FOUND, format!("404 page not found: a node has no {other}; it has {KNOWN}\n"))),
    }
}

fn text(code: StatusCode, body: String) -> HttpResponse {
    HttpResponse::build(code).insert_header(("content-type", "text/plain; charset=utf-8")).body(body)
}

fn json_body(body: Value) -> HttpResponse {
    HttpResponse::Ok().insert_header(("content-type", "application/json")).body(body.to_string())
}

/// The pods that are bound to the node.
fn pods_of(gateway: &Gateway, node: &str) -> Value {
    let snapshot = gateway.kinds.find("", "pods").map(|s| s.shelf.snapshot());
    let entries = snapshot.iter().flat_map(|s| s.iter());
    let here = entries.filter(|e| matches!(&e.light, Light::Pod(pod) if &*pod.node == node));
    let items: Vec<Value> = here.map(|e| serde_json::from_slice(&e.served()).unwrap_or_default()).collect();
    json!({ "kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items })
}

/// The settings that a node of ours goes by, in the kubelet's words.
fn settings(node: &Value) -> Value {
    let capacity = &node["status"]["capacity"];
    let pods = capacity["pods"].as_str().and_then(|p| p.parse::<u64>().ok()).unwrap_or(110);
    json!({
        "kind": "KubeletConfiguration", "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "authentication": { "x509": {}, "webhook": { "enabled": true }, "anonymous": { "enabled": false } },
        "authorization": { "mode": "Webhook" },
        "clusterDomain": "cluster.local",
        "maxPods": pods,
        "podCIDR": node["spec"]["podCIDR"],
        "readOnlyPort": 0,
        "enableServer": false,
    })
}

/// The summary as Prometheus text, under the names of the kubelet's `/metrics/resource`.
fn metrics(summary: &Value) -> String {
    let mut out = String::new();
    let seconds = |stats: &Value| stats["cpu"]["usageCoreNanoSeconds"].as_f64().unwrap_or(0.0) / 1e9;
    let bytes = |stats: &Value| stats["memory"]["workingSetBytes"].as_u64().unwrap_or(0);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let of = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_string();
    let node = &summary["node"];
    let mut family = |name: &str, kind: &str, help: &str, lines: Vec<(String, String)>| {
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for (labels, value) in lines {
            let _ = writeln!(out, "{name}{labels} {value}");
        }
    };
    let per_pod = |value: &dyn Fn(&Value) -> String| -> Vec<(String, String)> {
        list(&summary["pods"])
            .iter()
            .map(|p| (format!("{{namespace=\"{}\",pod=\"{}\"}}", of(&p["podRef"], "namespace"), of(&p["podRef"], "name")), value(p)))
            .collect()
    };
    let per_container = |value: &dyn Fn(&Value) -> String| -> Vec<(String, String)> {
        let mut lines = Vec::new();
        for pod in list(&summary["pods"]) {
            let (namespace, name) = (of(&pod["podRef"], "namespace"), of(&pod["podRef"], "name"));
            for container in list(&pod["containers"]) {
                let labels = format!("{{container=\"{}\",namespace=\"{namespace}\",pod=\"{name}\"}}", of(&container, "name"));
                lines.push((labels, value(&container)));
            }
        }
        lines
    };
    let cpu = |stats: &Value| seconds(stats).to_string();
    let memory = |stats: &Value| bytes(stats).to_string();
    family(
        "container_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed by the container in core-seconds",
        per_container(&cpu),
    );
    family("container_memory_working_set_bytes", "gauge", "Current working set of the container in bytes", per_container(&memory));
    family(
        "node_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed by the node in core-seconds",
        vec![(String::new(), cpu(node))],
    );
    family("node_memory_working_set_bytes", "gauge", "Current working set of the node in bytes", vec![(String::new(), memory(node))]);
    family("pod_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the pod in core-seconds", per_pod(&cpu));
    family("pod_memory_working_set_bytes", "gauge", "Current working set of the pod in bytes", per_pod(&memory));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_makes_metrics() {
        let stats = |cpu: u64| json!({ "cpu": { "usageCoreNanoSeconds": cpu }, "memory": { "workingSetBytes": 5 }, "name": "c" });
        let mut pod = stats(2_000_000_000);
        pod["podRef"] = json!({ "namespace": "n", "name": "p" });
        pod["containers"] = json!([stats(1_500_000_000)]);
        let text = metrics(&json!({ "node": stats(3_000_000_000), "pods": [pod] }));
        assert!(text.contains("\nnode_cpu_usage_seconds_total 3\n"), "{text}");
        assert!(text.contains("\ncontainer_cpu_usage_seconds_total{container=\"c\",namespace=\"n\",pod=\"p\"} 1.5\n"), "{text}");
        assert!(text.contains("\npod_memory_working_set_bytes{namespace=\"n\",pod=\"p\"} 5\n"), "{text}");
    }
}

//! Autoscalers of a kind of one's own, by metrics of extension API servers; and such a server in the place of our own figures.
use super::client::Client;
use super::extension::{Asked, Extension, own_address};
use super::{Place, admin, until};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const APISERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
const GROUPS: [(&str, &str); 3] =
    [("external.metrics.k8s.io", "v1beta1"), ("custom.metrics.k8s.io", "v1beta2"), ("metrics.k8s.io", "v1beta1")];
const MERGE: &str = "merge";

/// What the server of metrics was asked, and by whom.
type Log = Mutex<Vec<(String, String)>>;

fn answer(log: &Log, asked: &Asked) -> (u16, String) {
    let path = asked.path.split('?').next().unwrap_or_default();
    let user = asked.header("x-remote-user").first().map(|u| u.to_string()).unwrap_or_default();
    log.lock().expect("no panic while held").push((asked.path.clone(), user));
    let resource = json!({ "name": "nodes", "singularName": "", "namespaced": false, "kind": "NodeMetrics", "verbs": ["get", "list"] });
    let values = |items: Value| json!({ "kind": "ExternalMetricValueList", "metadata": {}, "items": items });
    let body = match path {
        _ if GROUPS.iter().any(|(group, version)| path == format!("/apis/{group}/{version}")) => {
            json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": &path[6..], "resources": [resource] })
        }
        "/apis/metrics.k8s.io/v1beta1/nodes" => json!({ "kind": "NodeMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {},
            "items": [{ "metadata": { "name": "theirs" }, "timestamp": "2026-01-01T00:00:00Z", "window": "10s", "usage": { "cpu": "1", "memory": "1Gi" } }] }),
        path if path.ends_with("/queue") => {
            values(json!([{ "metricName": "queue", "value": "4" }, { "metricName": "queue", "value": "3" }]))
        }
        path if path.ends_with("/services/front/rps") => values(json!([{ "describedObject": { "name": "front" }, "value": "500m" }])),
        _ => return (404, "{}".into()),
    };
    (200, body.to_string())
}

fn definition() -> Value {
    let number = json!({ "type": "object", "properties": { "replicas": { "type": "integer" }, "selector": { "type": "string" } } });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": { "name": "fleets.scale.example.com" },
        "spec": {
            "group": "scale.example.com", "scope": "Namespaced", "names": { "plural": "fleets", "kind": "Fleet" },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object", "properties": { "spec": number, "status": number } } },
                "subresources": { "status": {}, "scale": {
                    "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector",
                } },
            }],
        },
    })
}

/// A condition with this reason and message.
fn says(type_: &'static str, reason: &'static str, message: String) -> impl Fn(&Value) -> Option<()> {
    move |object| {
        let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
        let found = conditions.find(|c| c["type"] == type_)?;
        (found["reason"] == reason && found["message"] == message.as_str()).then_some(())
    }
}

fn replicas(count: i64) -> impl Fn(&Value) -> Option<()> {
    move |fleet| (fleet["spec"]["replicas"] == count).then_some(())
}

/// Leads the three groups to the server.
async fn register(api: &Client, namespace: &str, extension: &Extension) {
    let service = json!({ "metadata": { "name": "meters" }, "spec": { "ports": [{ "port": 443 }] } });
    api.post(&format!("/api/v1/namespaces/{namespace}/services"), &service).await.ok();
    let slice = json!({
        "metadata": { "name": "meters-1", "labels": { "kubernetes.io/service-name": "meters" } }, "addressType": "IPv4",
        "endpoints": [{ "addresses": [extension.address.ip().to_string()] }], "ports": [{ "name": "", "port": extension.address.port(), "protocol": "TCP" }],
    });
    api.post(&format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"), &slice).await.ok();
    for (group, version) in GROUPS {
        let spec = json!({ "group": group, "version": version, "groupPriorityMinimum": 100, "versionPriority": 100, "caBundle": extension.ca,
            "service": { "name": "meters", "namespace": namespace } });
        api.post(APISERVICES, &json!({ "metadata": { "name": format!("{version}.{group}") }, "spec": spec })).await.ok();
    }
    for (group, version) in GROUPS {
        let available = |object: &Value| (object["status"]["conditions"][0]["status"] == "True").then_some(());
        until(api, &format!("{APISERVICES}/{version}.{group}"), "it answers", available).await;
    }
}

// Upstream: "[sig-autoscaling] [HPA] Horizontal pod autoscaling (scale resource: …) with custom metrics", and scaling of custom resources.
#[tokio::test(flavor = "multi_thread")]
async fn a_kind_of_ones_own_is_scaled_by_metrics_from_elsewhere() {
    let place = Place::new().await;
    let (api, namespace) = (&place.api, place.namespace.as_str());
    api.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &definition()).await.ok();
    let fleets = format!("/apis/scale.example.com/v1/namespaces/{namespace}/fleets");
    until(api, &fleets, "fleets are served", |list| list["items"].is_array().then_some(())).await;
    let fleet = json!({ "apiVersion": "scale.example.com/v1", "kind": "Fleet", "metadata": { "name": "f" }, "spec": { "replicas": 9 } });
    api.post(&fleets, &fleet).await.ok();
    let fleet = format!("{fleets}/f");
    let status = json!({ "status": { "replicas": 9, "selector": "app=fleet" } });
    api.patch(&format!("{fleet}/status"), MERGE, &status).await.ok();

    let external = json!([{ "type": "External", "external": { "metric": { "name": "queue", "selector": { "matchLabels": { "q": "a-b" } } },
        "target": { "type": "AverageValue", "averageValue": "1" } } }]);
    let quick = json!({ "scaleDown": { "stabilizationWindowSeconds": 0 } });
    let autoscaler = json!({ "metadata": { "name": "h" }, "spec": { "maxReplicas": 5, "behavior": quick, "metrics": external,
        "scaleTargetRef": { "apiVersion": "scale.example.com/v1", "kind": "Fleet", "name": "f" } } });
    let autoscalers = format!("/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers");
    api.post(&autoscalers, &autoscaler).await.ok();
    let path = format!("{autoscalers}/h");
    // The most holds whatever can be measured.
    until(api, &fleet, "as many as may be", replicas(5)).await;
    let change = async |spec: Value| api.patch(&path, MERGE, &json!({ "spec": spec })).await.ok();

    change(json!({ "maxReplicas": 6 })).await;
    let series = "&LabelSelector{MatchLabels:map[string]string{q: a-b,},MatchExpressions:[]LabelSelectorRequirement{},}";
    let why = "unable to fetch metrics from external metrics API: the server could not find the requested resource (get queue.external.metrics.k8s.io)";
    let unable =
        format!("the HPA was unable to compute the replica count: unable to get external metric {namespace}/queue/{series}: {why}");
    until(api, &path, "there are no such metrics", says("ScalingActive", "FailedGetExternalMetric", unable)).await;

    let log = Arc::new(Log::default());
    let seen = log.clone();
    let name = format!("meters.{namespace}.svc");
    let extension = Extension::start(&format!("{}:0", own_address()), &[&name], "", move |asked| answer(&seen, asked)).await;
    register(api, namespace, &extension).await;
    change(json!({ "maxReplicas": 20 })).await;
    until(api, &fleet, "one for each that waits", replicas(7)).await;
    let valid = format!("the HPA was able to successfully calculate a replica count from external metric queue({series})");
    until(api, &path, "it is told", says("ScalingActive", "ValidMetricFound", valid)).await;
    let account = "system:serviceaccount:kube-system:horizontal-pod-autoscaler".to_string();
    let asked = format!("/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/queue?labelSelector=q%3Da-b");
    assert!(log.lock().expect("no panic").contains(&(asked, account)), "{log:?}");

    // Half a request in each second, and a tenth is one replica's: five.
    let object = json!([{ "type": "Object", "object": { "metric": { "name": "rps" }, "target": { "type": "AverageValue", "averageValue": "100m" },
        "describedObject": { "apiVersion": "v1", "kind": "Service", "name": "front" } } }]);
    change(json!({ "metrics": object })).await;
    until(api, &fleet, "one for each tenth", replicas(5)).await;

    theirs_win(&admin()).await;
    for (group, version) in GROUPS {
        api.delete(&format!("{APISERVICES}/{version}.{group}")).await.ok();
    }
    until(api, "/apis/metrics.k8s.io/v1beta1/nodes", "ours again", |list| list["items"].as_array()?.is_empty().then_some(())).await;
    api.delete("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/fleets.scale.example.com").await.ok();
}

/// Who brings a metrics-server along is answered by that one, and sees the group once.
async fn theirs_win(api: &Client) {
    let list = api.get("/apis/metrics.k8s.io/v1beta1/nodes").await.ok();
    assert_eq!(list["items"][0]["metadata"]["name"], "theirs");
    let groups = api.get("/apis").await.ok();
    let found: Vec<&Value> = groups["groups"].as_array().into_iter().flatten().filter(|g| g["name"] == "metrics.k8s.io").collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["versions"].as_array().map(Vec::len), Some(1), "{found:?}");
    let aggregated = api.get_as("/apis", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList").await.ok();
    let group =
        aggregated["items"].as_array().expect("items").iter().find(|g| g["metadata"]["name"] == "metrics.k8s.io").expect("the group");
    assert_eq!(group["versions"][0]["resources"].as_array().map(Vec::len), Some(1), "{group}");
}

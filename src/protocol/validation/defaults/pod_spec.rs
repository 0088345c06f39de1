//! Defaults of a pod's spec, in pods and in templates.
use super::volumes::{default_volume, pull_policy};
use super::{list, object, set, set_number};
use crate::quantity::Quantity;
use serde_json::{Map, Value, json};

type Object = Map<String, Value>;

const CONTAINER_LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// Fills a `PodSpec` as upstream does everywhere it occurs, templates included.
pub fn default_pod_spec(spec: &mut Value) {
    let Some(spec) = spec.as_object_mut() else { return };
    set(spec, "dnsPolicy", "ClusterFirst");
    set(spec, "restartPolicy", "Always");
    set(spec, "securityContext", json!({}));
    set(spec, "schedulerName", "default-scheduler");
    if spec.get("terminationGracePeriodSeconds").is_none_or(Value::is_null) {
        spec.insert("terminationGracePeriodSeconds".into(), 30.into());
    }
    mirror_service_account(spec);
    for name in CONTAINER_LISTS {
        list(spec, name).for_each(default_container);
    }
    list(spec, "volumes").for_each(default_volume);
    if let Some(resources) = object(spec, "resources") {
        round_resources(resources);
    }
    if let Some(overhead) = object(spec, "overhead") {
        round_up(overhead);
    }
}

/// Fills a `PodTemplateSpec` member, which is made when it is missing.
pub fn default_pod_template(of: &mut Object) {
    let template = super::member(of, "template");
    default_pod_spec(template.entry("spec").or_insert_with(|| json!({})));
}

/// Fills the spec of a pod: what templates get, and what only the pod itself gets (requests from limits, service links, host ports).
pub fn default_pod(spec: &mut Value) {
    default_pod_spec(spec);
    default_pod_alone(spec);
    // Only when the containers' own are complete.
    super::pod_level::default_pod_level(spec);
}

fn default_pod_alone(spec: &mut Value) {
    let Some(spec) = spec.as_object_mut() else { return };
    if spec.get("enableServiceLinks").is_none_or(Value::is_null) {
        spec.insert("enableServiceLinks".into(), true.into());
    }
    let host_network = spec.get("hostNetwork").and_then(Value::as_bool).unwrap_or_default();
    for name in ["initContainers", "containers"] {
        for container in list(spec, name) {
            requests_from_limits(container);
            if host_network {
                default_host_ports(container);
            }
        }
    }
}

/// The deprecated `serviceAccount` always says what `serviceAccountName` says, and is read when that is empty.
fn mirror_service_account(spec: &mut Object) {
    let name = ["serviceAccountName", "serviceAccount"].into_iter().filter_map(|k| spec.get(k)?.as_str()).find(|n| !n.is_empty());
    if let Some(name) = name.map(str::to_string) {
        spec.insert("serviceAccountName".into(), name.clone().into());
        spec.insert("serviceAccount".into(), name.into());
    }
}

fn default_container(container: &mut Object) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let policy = pull_policy(image);
    set(container, "imagePullPolicy", policy);
    set(container, "terminationMessagePath", "/dev/termination-log");
    set(container, "terminationMessagePolicy", "File");
    set(container, "resources", json!({}));
    list(container, "ports").for_each(|port| set(port, "protocol", "TCP"));
    for env in list(container, "env") {
        if let Some(source) = object(env, "valueFrom") {
            default_value_source(source);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = object(container, name) {
            default_probe(probe);
        }
    }
    if let Some(lifecycle) = object(container, "lifecycle") {
        for name in ["postStart", "preStop"] {
            if let Some(http) = object(lifecycle, name).and_then(|h| object(h, "httpGet")) {
                default_http_get(http);
            }
        }
    }
    if let Some(resources) = object(container, "resources") {
        round_resources(resources);
    }
}

fn default_value_source(source: &mut Object) {
    if let Some(field) = object(source, "fieldRef") {
        set(field, "apiVersion", "v1");
    }
    if let Some(resource) = object(source, "resourceFieldRef") {
        // Upstream always writes the divisor; zero means one.
        set(resource, "divisor", "0");
    }
}

fn default_probe(probe: &mut Object) {
    for (key, value) in [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)] {
        set_number(probe, key, value);
    }
    if let Some(http) = object(probe, "httpGet") {
        default_http_get(http);
    }
    if let Some(grpc) = object(probe, "grpc") {
        set(grpc, "service", "");
    }
}

fn default_http_get(http: &mut Object) {
    set(http, "path", "/");
    set(http, "scheme", "HTTP");
}

fn requests_from_limits(container: &mut Object) {
    let Some(resources) = object(container, "resources") else { return };
    let Some(limits) = resources.get("limits").and_then(Value::as_object).cloned() else { return };
    let requests = resources.entry("requests").or_insert_with(|| json!({}));
    if let Some(requests) = requests.as_object_mut() {
        for (name, limit) in limits {
            requests.entry(name).or_insert(limit);
        }
    }
}

fn default_host_ports(container: &mut Object) {
    for port in list(container, "ports") {
        if let Some(number) = port.get("containerPort").and_then(Value::as_i64) {
            set_number(port, "hostPort", number);
        }
    }
}

fn round_resources(resources: &mut Object) {
    for name in ["limits", "requests"] {
        if let Some(amounts) = object(resources, name) {
            round_up(amounts);
        }
    }
}

/// Resource amounts have no steps finer than a thousandth.
fn round_up(amounts: &mut Object) {
    for amount in amounts.values_mut() {
        let parsed = amount.as_str().and_then(|text| text.parse::<Quantity>().ok());
        if let Some(rounded) = parsed.and_then(|q| q.rounded_to_milli()) {
            *amount = rounded.to_string().into();
        }
    }
}

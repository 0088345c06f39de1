//! `v1 Pod`.
use super::pod_update;
use crate::actors::kinds::columns::{AGE, Column, NAME, age, column, name, or_none, since};
use crate::actors::kinds::{Body, Kind, PLAIN, Rules};
use crate::protocol::codec::kinds::POD;
use crate::protocol::light::{Light, Phase, pod_light};
use crate::protocol::resource::{ALL_VERBS, Resource, Subresource};
use crate::protocol::status::FieldError;
use crate::protocol::validation::defaults::members;
use crate::protocol::validation::{default_pod, pod_warnings, validate_pod};
use crate::storage::Entry;
use serde_json::{Value, json};

const RW: &[&str] = &["get", "patch", "update"];
const STREAM: &[&str] = &["create", "get"];
const PROXY: &[&str] = &["create", "delete", "get", "patch", "update"];

pub static KIND: Kind = Kind {
    resource: Resource {
        group: "",
        version: "v1",
        kind: "Pod",
        plural: "pods",
        singular: "pod",
        namespaced: true,
        short_names: &["po"],
        categories: &["all"],
        verbs: ALL_VERBS,
        subresources: &[
            Subresource { name: "attach", group: "", version: "v1", kind: "PodAttachOptions", verbs: STREAM },
            Subresource { name: "binding", group: "", version: "v1", kind: "Binding", verbs: &["create"] },
            Subresource { name: "ephemeralcontainers", group: "", version: "v1", kind: "Pod", verbs: RW },
            Subresource { name: "eviction", group: "policy", version: "v1", kind: "Eviction", verbs: &["create"] },
            Subresource { name: "exec", group: "", version: "v1", kind: "PodExecOptions", verbs: STREAM },
            Subresource { name: "log", group: "", version: "v1", kind: "Pod", verbs: &["get"] },
            Subresource { name: "portforward", group: "", version: "v1", kind: "PodPortForwardOptions", verbs: STREAM },
            Subresource { name: "proxy", group: "", version: "v1", kind: "PodProxyOptions", verbs: PROXY },
            Subresource { name: "resize", group: "", version: "v1", kind: "Pod", verbs: RW },
            Subresource { name: "status", group: "", version: "v1", kind: "Pod", verbs: RW },
        ],
    },
    body: Body::Typed(&POD),
    schema: "Pod",
    rules: Rules {
        default,
        create,
        validate: validate_pod,
        // Changes of pods are many, and hardly ever a person's: upstream says nothing about them.
        warnings: |new, old| if old.is_none() { pod_warnings(new) } else { Vec::new() },
        validate_create,
        validate_update: pod_update::validate,
        validate_status: pod_update::validate_status,
        light: |o| Light::Pod(Box::new(pod_light(o))),
        fields: &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        field,
        generation: true,
        grace,
        ..PLAIN
    },
    columns: COLUMNS,
    row,
    view: None,
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Ready", "string", 0, "Ready containers of all containers."),
    column("Status", "string", 0, "The pod's state as people read it."),
    column("Restarts", "string", 0, "How often containers were restarted, and when last."),
    AGE,
    column("IP", "string", 1, "The pod's address."),
    column("Node", "string", 1, "Where the pod runs."),
    column("Nominated Node", "string", 1, "Where the pod may run after a pre-emption."),
    column("Readiness Gates", "string", 1, "Readiness gates that are met, of all."),
];

fn default(object: &mut Value) {
    if object["spec"].is_object() {
        default_pod(&mut object["spec"]);
    }
}

fn create(object: &mut Value) {
    object["status"] = json!({ "phase": "Pending", "qosClass": qos_class(&object["spec"]) });
    if !list(&object["spec"], "schedulingGates").is_empty() {
        object["status"]["conditions"] = json!([{
            "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates", "observedGeneration": 1,
        }]);
    }
    let labels = object["metadata"]["labels"].clone();
    let spec = &mut object["spec"];
    apply_match_label_keys(spec, &labels);
    // The old name of the field; old clients read it.
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        spec["serviceAccount"] = account;
    }
}

/// Turns keys of labels that other pods must, or must not, share with this one into expressions with its own values.
fn apply_match_label_keys(spec: &mut Value, labels: &Value) {
    let spec = members(spec);
    let mut terms: Vec<&mut Value> = Vec::new();
    for (field, value) in spec.iter_mut() {
        match field.as_str() {
            "topologySpreadConstraints" => terms.extend(value.as_array_mut().into_iter().flatten()),
            "affinity" => {
                let kinds = value.as_object_mut().into_iter().flatten().filter(|(k, _)| k.starts_with("pod")).map(|(_, v)| v);
                for (list, items) in kinds.filter_map(Value::as_object_mut).flatten() {
                    let items = items.as_array_mut().into_iter().flatten();
                    let weighted = list.starts_with("preferred");
                    terms.extend(items.filter_map(|t| if weighted { t.get_mut("podAffinityTerm") } else { Some(t) }));
                }
            }
            _ => {}
        }
    }
    for term in terms.into_iter().filter(|t| t["labelSelector"].is_object()) {
        let mut added = Vec::new();
        for (field, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
            let keys = list(term, field).iter().filter_map(Value::as_str);
            added.extend(keys.filter_map(|k| Some(json!({ "key": k, "operator": operator, "values": [labels.get(k)?] }))));
        }
        if !added.is_empty() {
            let expressions = &mut term["labelSelector"]["matchExpressions"];
            let mut all = expressions.as_array().cloned().unwrap_or_default();
            all.extend(added);
            *expressions = all.into();
        }
    }
}

/// The quality-of-service class, by upstream's rule over cpu and memory: of the pod as a whole when it says something of that, else of
/// all its containers.
pub fn qos_class(spec: &Value) -> &'static str {
    let lists = ["containers", "initContainers"].into_iter().filter_map(|f| spec[f].as_array());
    let of_containers = || lists.flatten().map(|container| &container["resources"]).collect();
    let all: Vec<&Value> = if spec["resources"].is_object() { vec![&spec["resources"]] } else { of_containers() };
    let (mut any, mut guaranteed) = (false, true);
    for resources in all {
        for resource in ["cpu", "memory"] {
            let positive = |kind: &str| {
                let text = resources[kind][resource].as_str()?;
                let quantity: crate::protocol::quantity::Quantity = text.parse().ok()?;
                (!quantity.is_zero()).then_some(quantity)
            };
            let (request, limit) = (positive("requests"), positive("limits"));
            any |= request.is_some() || limit.is_some();
            let same = limit.as_ref().is_some_and(|l| request.as_ref().is_none_or(|r| r.compare(l).is_eq()));
            guaranteed &= same;
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// A pod that no node has, or that has finished, needs no grace.
fn grace(object: &Value) -> i64 {
    let bound = object["spec"]["nodeName"].as_str().is_some_and(|n| !n.is_empty());
    let finished = matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if !bound || finished {
        return 0;
    }
    object["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30).max(1)
}

fn validate_create(object: &Value) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let spec = &object["spec"];
    if !list(spec, "ephemeralContainers").is_empty() {
        faults.push(FieldError::forbidden("spec.ephemeralContainers", "cannot be set on create"));
    }
    let bound = spec["nodeName"].as_str().is_some_and(|n| !n.is_empty());
    if bound && !list(spec, "schedulingGates").is_empty() {
        faults.push(FieldError::forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"));
    }
    faults
}

fn field(entry: &Entry, path: &str) -> Option<String> {
    let Light::Pod(pod) = &entry.light else { return None };
    match path {
        "spec.nodeName" => Some(pod.node.to_string()),
        "spec.schedulerName" => Some(pod.scheduler.to_string()),
        "status.podIP" => Some(pod.pod_ip.to_string()),
        "status.phase" => Some(phase_text(pod.phase).to_string()),
        "spec.hostNetwork" => Some((entry.parse()["spec"]["hostNetwork"] == true).to_string()),
        other => Some(crate::actors::kinds::kind::field_by_path(entry, other).unwrap_or_default()),
    }
}

fn phase_text(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "Pending",
        Phase::Running => "Running",
        Phase::Succeeded => "Succeeded",
        Phase::Failed => "Failed",
        Phase::Unknown => "Unknown",
    }
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn row(o: &Value, now: i64) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let statuses = list(status, "containerStatuses");
    let sidecars: Vec<&str> =
        list(spec, "initContainers").iter().filter(|c| c["restartPolicy"] == "Always").filter_map(|c| c["name"].as_str()).collect();
    let of_sidecar = |s: &&Value| s["name"].as_str().is_some_and(|n| sidecars.contains(&n));
    let counted: Vec<&Value> = statuses.iter().chain(list(status, "initContainerStatuses").iter().filter(of_sidecar)).collect();
    let ready = counted.iter().filter(|s| s["ready"] == true).count();
    let total = list(spec, "containers").len() + sidecars.len();
    let restarts: i64 = counted.iter().filter_map(|s| s["restartCount"].as_i64()).sum();
    let last = counted.iter().filter_map(|s| s["lastState"]["terminated"]["finishedAt"].as_str()).max();
    let restarts = match last {
        Some(time) if restarts > 0 => {
            format!("{restarts} ({} ago)", since(&time.into(), now).as_str().unwrap_or_default())
        }
        _ => restarts.to_string(),
    };
    let gates = list(spec, "readinessGates");
    let met = gates.iter().filter(|g| condition(status, g["conditionType"].as_str().unwrap_or_default()) == Some("True")).count();
    let gates_text = if gates.is_empty() { "<none>".to_string() } else { format!("{met}/{}", gates.len()) };
    vec![
        name(o),
        format!("{ready}/{total}").into(),
        state(o).into(),
        restarts.into(),
        age(o, now),
        or_none(status["podIP"].as_str().unwrap_or_default()),
        or_none(spec["nodeName"].as_str().unwrap_or_default()),
        or_none(status["nominatedNodeName"].as_str().unwrap_or_default()),
        gates_text.into(),
    ]
}

fn condition<'a>(status: &'a Value, type_: &str) -> Option<&'a str> {
    list(status, "conditions").iter().find(|c| c["type"] == type_).and_then(|c| c["status"].as_str())
}

/// The Status column, by the rules of upstream's pod printer.
fn state(o: &Value) -> String {
    let (spec, status) = (&o["spec"], &o["status"]);
    let mut reason = status["reason"].as_str().or(status["phase"].as_str()).unwrap_or("Unknown").to_string();
    if list(status, "conditions").iter().any(|c| c["type"] == "PodScheduled" && c["reason"] == "SchedulingGated") {
        reason = "SchedulingGated".into();
    }
    let initializing = match init_state(spec, status) {
        Some(text) => {
            reason = text;
            true
        }
        None => false,
    };
    if !initializing {
        let mut running = false;
        for container in list(status, "containerStatuses").iter().rev() {
            match container_state(container) {
                Some(text) => reason = text,
                None => running |= container["ready"] == true && !container["state"]["running"].is_null(),
            }
        }
        if reason == "Completed" && running {
            reason = if condition(status, "Ready") == Some("True") { "Running".into() } else { "NotReady".into() };
        }
    }
    if !o["metadata"]["deletionTimestamp"].is_null() {
        let finished = matches!(status["phase"].as_str(), Some("Succeeded" | "Failed"));
        if status["reason"] == "NodeLost" {
            return "Unknown".into();
        }
        if !finished {
            return "Terminating".into();
        }
    }
    reason
}

/// What a container that is not running contributes to the Status column.
fn container_state(container: &Value) -> Option<String> {
    let state = &container["state"];
    if let Some(reason) = state["waiting"]["reason"].as_str().filter(|r| !r.is_empty()) {
        return Some(reason.to_string());
    }
    let ended = &state["terminated"];
    if ended.is_null() {
        return None;
    }
    if let Some(reason) = ended["reason"].as_str().filter(|r| !r.is_empty()) {
        return Some(reason.to_string());
    }
    match ended["signal"].as_i64().unwrap_or(0) {
        0 => Some(format!("ExitCode:{}", ended["exitCode"].as_i64().unwrap_or(0))),
        signal => Some(format!("Signal:{signal}")),
    }
}

/// `Init:…` while an init container has not done its part.
fn init_state(spec: &Value, status: &Value) -> Option<String> {
    let specs = list(spec, "initContainers");
    for (i, container) in list(status, "initContainerStatuses").iter().enumerate() {
        let sidecar = specs.iter().any(|c| c["name"] == container["name"] && c["restartPolicy"] == "Always");
        let ended = &container["state"]["terminated"];
        if ended["exitCode"] == 0 || (sidecar && container["started"] == true) {
            continue;
        }
        if !ended.is_null() {
            return Some(format!("Init:{}", container_state(container).unwrap_or_default()));
        }
        return Some(match container["state"]["waiting"]["reason"].as_str() {
            Some(reason) if !reason.is_empty() && reason != "PodInitializing" => format!("Init:{reason}"),
            _ => format!("Init:{i}/{}", specs.len()),
        });
    }
    None
}

//! The node's own object: what it says, and how it gets to the server.
use super::agent::AgentConfig;
use super::control_plane::{ControlError, ControlPlane, JSON, MERGE_PATCH, get, request};
use super::machine::Machine;
use crate::protocol::time::rfc3339;
use crate::runtime::api::Image;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Upstream lists no more images than this in a node's status.
const IMAGES: usize = 50;

/// The object that a node registers itself with.
pub fn node_object(config: &AgentConfig, machine: &Machine) -> Value {
    let mut labels = json!({
        "kubernetes.io/hostname": config.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": machine.architecture,
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": machine.architecture,
    });
    for (key, value) in &config.labels {
        labels[key] = value.as_str().into();
    }
    json!({ "kind": "Node", "apiVersion": "v1", "metadata": { "name": config.name, "labels": labels } })
}

/// The node's status; transition times of conditions that stay are kept from `before`.
pub fn node_status(config: &AgentConfig, machine: &Machine, images: &[Image], before: &Value, now: Timestamp) -> Value {
    let amount = json!({
        "cpu": machine.cpus.to_string(),
        "memory": format!("{}Ki", machine.memory / 1024),
        "ephemeral-storage": format!("{}Ki", machine.disk / 1024),
        "pods": config.max_pods.to_string(),
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
    });
    let shown = |image: &Image| {
        let names: Vec<&String> = image.digests.iter().chain(&image.names).collect();
        json!({ "names": names, "sizeBytes": image.size })
    };
    json!({
        "capacity": amount,
        "allocatable": amount,
        "conditions": conditions(before, now),
        "addresses": [
            { "type": "InternalIP", "address": config.address.to_string() },
            { "type": "Hostname", "address": config.name },
        ],
        "daemonEndpoints": { "kubeletEndpoint": { "Port": 0 } },
        "nodeInfo": {
            "machineID": machine.machine_id,
            "systemUUID": machine.system_uuid,
            "bootID": machine.boot_id,
            "kernelVersion": machine.kernel,
            "osImage": machine.os_image,
            "containerRuntimeVersion": format!("impresario://{}", env!("CARGO_PKG_VERSION")),
            "kubeletVersion": config.version,
            "kubeProxyVersion": config.version,
            "operatingSystem": "linux",
            "architecture": machine.architecture,
        },
        "images": images.iter().take(IMAGES).map(shown).collect::<Vec<_>>(),
    })
}

fn conditions(before: &Value, now: Timestamp) -> Vec<Value> {
    let all = [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ];
    let condition = |(type_, status, reason, message): (&str, &str, &str, &str)| {
        let old = before["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == type_ && c["status"] == status);
        let since = old.and_then(|c| c["lastTransitionTime"].as_str()).map_or_else(|| rfc3339(now), String::from);
        json!({
            "type": type_, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": rfc3339(now), "lastTransitionTime": since,
        })
    };
    all.into_iter().map(condition).collect()
}

/// Creates the object when it is missing, then writes the status. Labels of an existing object that are ours are set anew.
///
/// # Errors
/// As the control plane says; the caller tries again.
pub async fn register(control: &dyn ControlPlane, config: &AgentConfig, machine: &Machine, images: &[Image]) -> Result<(), ControlError> {
    let path = format!("/api/v1/nodes/{}", config.name);
    let wanted = node_object(config, machine);
    let existing = match get(control, &path).await {
        Ok(node) => node,
        Err(error) if error.is_not_found() => request(control, "POST", "/api/v1/nodes", JSON, Some(&wanted)).await?,
        Err(error) => return Err(error),
    };
    let (ours, theirs) = (&wanted["metadata"]["labels"], &existing["metadata"]["labels"]);
    if ours.as_object().into_iter().flatten().any(|(key, value)| theirs.get(key) != Some(value)) {
        let patch = json!({ "metadata": { "labels": ours } });
        request(control, "PATCH", &path, MERGE_PATCH, Some(&patch)).await?;
    }
    let status = node_status(config, machine, images, &existing["status"], Timestamp::now());
    let patch = json!({ "status": status });
    request(control, "PATCH", &format!("{path}/status"), MERGE_PATCH, Some(&patch)).await?;
    Ok(())
}

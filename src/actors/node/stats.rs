//! Resource use of the node and its pods, in the shape of the kubelet's `/stats/summary`.
use super::agent::AgentMessage;
use super::pod::PodMessage;
use crate::actors::base::Mailbox;
use crate::protocol::status::ApiError;
use crate::protocol::time::{now, rfc3339};
use crate::runtime::api::{Runtime, Usage};
use bytes::Bytes;
use serde_json::{Value, json};
use std::time::Duration;

const ASK: Duration = Duration::from_secs(5);

/// The summary as JSON. Containers whose use cannot be read are left out.
///
/// # Errors
/// When the agent does not answer.
pub(super) async fn summary(agent: &Mailbox<AgentMessage>, runtime: &dyn Runtime, node: &str) -> Result<Bytes, ApiError> {
    let pods = agent.ask(ASK, AgentMessage::All).await.map_err(ApiError::internal)?;
    let time = rfc3339(now());
    let mut shown = Vec::new();
    let mut total = Usage::default();
    for pod in pods {
        let Ok(view) = pod.ask(ASK, PodMessage::Describe).await else { continue };
        let mut containers = Vec::new();
        let mut sum = Usage::default();
        for container in view.containers.iter().filter(|c| c.running) {
            let Some(id) = &container.id else { continue };
            let Ok(usage) = runtime.usage(id).await else { continue };
            sum = add(sum, usage);
            let mut entry = measured(usage, &time);
            entry["name"] = container.name.as_str().into();
            containers.push(entry);
        }
        total = add(total, sum);
        let mut entry = measured(sum, &time);
        entry["podRef"] = json!({ "name": view.object.name, "namespace": view.object.namespace, "uid": view.object.uid });
        entry["containers"] = containers.into();
        entry["process_stats"] = json!({ "process_count": sum.pids });
        shown.push(entry);
    }
    let mut own = measured(total, &time);
    own["nodeName"] = node.into();
    Ok(json!({ "node": own, "pods": shown }).to_string().into())
}

fn add(a: Usage, b: Usage) -> Usage {
    Usage {
        cpu_nanos: a.cpu_nanos.saturating_add(b.cpu_nanos),
        memory: a.memory.saturating_add(b.memory),
        pids: a.pids.saturating_add(b.pids),
    }
}

fn measured(usage: Usage, time: &str) -> Value {
    json!({
        "cpu": { "time": time, "usageCoreNanoSeconds": usage.cpu_nanos },
        "memory": { "time": time, "workingSetBytes": usage.memory, "usageBytes": usage.memory },
    })
}
